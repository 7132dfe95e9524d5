//! How many files the process may have open, which bounds the connections that it can take in.

/// What the process opens beside its connections: files of databases, logs, certificates, peers.
const OWN: u64 = 256;

/// Raises the limit of open files as far as the system lets it, and answers how many connections of
/// clients fit below it, at most `wanted`. `pools` is how many connections to databases there may be.
pub fn connections_max(wanted: usize, pools: u64) -> usize {
    let needed = needed(wanted, pools);
    let allowed = match rlimit::increase_nofile_limit(needed) {
        Ok(allowed) => allowed,
        Err(error) => {
            tracing::warn!(%error, "the limit of open files is not known");
            return wanted;
        }
    };
    let fitting = fitting(wanted, pools, allowed);
    if fitting < wanted {
        tracing::warn!(
            allowed,
            needed,
            connections_max = fitting,
            "the system lets this process open few files, so it takes in fewer connections"
        );
    }
    fitting
}

fn needed(wanted: usize, pools: u64) -> u64 {
    wanted as u64 + pools + OWN
}

fn fitting(wanted: usize, pools: u64, allowed: u64) -> usize {
    let left = allowed.saturating_sub(pools + OWN);
    // Even with next to nothing it tries to serve: what can't be accepted waits.
    usize::try_from(left).unwrap_or(usize::MAX).clamp(1, wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_fit_below_the_limit_of_open_files() {
        for (allowed, fit) in [
            (u64::MAX, 4096),
            (needed(4096, 48), 4096),
            (1024, 1024 - 256 - 48),
            (64, 1),
        ] {
            assert_eq!(fitting(4096, 48, allowed), fit, "{allowed}");
        }
    }

    #[test]
    fn the_limit_of_this_process_is_raised_as_far_as_it_may_be() {
        let (_, most) = rlimit::Resource::NOFILE.get().expect("a limit");
        connections_max(4096, 48);
        let (now, _) = rlimit::Resource::NOFILE.get().expect("a limit");
        assert!(now >= most.min(needed(4096, 48)), "{now} of {most}");
    }
}
