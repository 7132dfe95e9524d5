//! How the places of a service are shared among workspaces, and the memory of a service among those who
//! take it.
//!
//! One workspace alone may take all. While others have called within the last second, the last
//! quarter of the places is for those that have less than their equal part: so who floods a service
//! leaves places to everybody else, and who does not notices nothing.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// For how long a workspace that calls nothing any more is counted.
const MEMORY: Duration = Duration::from_secs(1);

/// The workspaces that call a service, each with what it holds: places, or bytes.
#[derive(Debug)]
pub(super) struct Shares {
    /// How many more workspaces are reckoned with than are seen.
    expected: usize,
    seen: HashMap<Box<str>, Share>,
    looked: Instant,
}

#[derive(Debug)]
struct Share {
    held: usize,
    last: Instant,
}

impl Shares {
    pub(super) fn new(expected: usize, now: Instant) -> Self {
        Self {
            expected,
            seen: HashMap::new(),
            looked: now,
        }
    }

    /// Counts `size` for a workspace, if it may have so much more: `taken` of `max` are taken, this
    /// included.
    pub(super) fn enter(
        &mut self,
        workspace: &str,
        size: usize,
        taken: usize,
        max: usize,
        now: Instant,
    ) -> bool {
        self.forget(now);
        let held = self.seen.get(workspace).map_or(0, |share| share.held);
        let others = self.seen.len() - usize::from(self.seen.contains_key(workspace));
        let part = max / (others + 1 + self.expected);
        // Rounded up, so that the last place of a few is not kept from everybody.
        let is_contended = taken > (max * 3).div_ceil(4);
        // Who is refused has called as well, and is reckoned with.
        let is_allowed = !is_contended || held + size <= part.max(size);
        self.count(workspace, if is_allowed { size } else { 0 }, now);
        is_allowed
    }

    /// Counts `size` for a workspace whether it may have it or not, as what it had before.
    pub(super) fn reenter(&mut self, workspace: &str, size: usize, now: Instant) {
        self.count(workspace, size, now);
    }

    /// The workspace has given `size` back.
    pub(super) fn leave(&mut self, workspace: &str, size: usize) {
        if let Some(share) = self.seen.get_mut(workspace) {
            share.held -= size;
        }
    }

    fn count(&mut self, workspace: &str, size: usize, now: Instant) {
        // Looked up by reference first: most workspaces have called before.
        if let Some(share) = self.seen.get_mut(workspace) {
            share.held += size;
            share.last = now;
        } else {
            let share = Share {
                held: size,
                last: now,
            };
            self.seen.insert(workspace.into(), share);
        }
    }

    fn forget(&mut self, now: Instant) {
        if now.duration_since(self.looked) >= MEMORY {
            self.looked = now;
            self.seen
                .retain(|_, share| share.held > 0 || now.duration_since(share.last) < MEMORY);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 16;

    /// The places of a service, and how many of them each workspace gets.
    struct Places {
        shares: Shares,
        taken: usize,
        now: Instant,
    }

    impl Places {
        fn new(expected: usize) -> Self {
            let now = Instant::now();
            Self {
                shares: Shares::new(expected, now),
                taken: 0,
                now,
            }
        }

        fn enter(&mut self, workspace: &str) -> bool {
            let entered = self.taken < MAX
                && self
                    .shares
                    .enter(workspace, 1, self.taken + 1, MAX, self.now);
            self.taken += usize::from(entered);
            entered
        }

        fn fill(&mut self, workspace: &str) -> usize {
            std::iter::repeat_with(|| self.enter(workspace))
                .take_while(|entered| *entered)
                .count()
        }

        fn leave(&mut self, workspace: &str) {
            self.shares.leave(workspace, 1);
            self.taken -= 1;
        }
    }

    #[test]
    fn one_workspace_alone_may_take_all_places_and_streams_but_a_part() {
        assert_eq!(Places::new(0).fill("w"), MAX);
        assert_eq!(Places::new(1).fill("w"), MAX * 3 / 4);
    }

    #[test]
    fn who_floods_leaves_places_to_others_and_gets_them_back_when_they_have_gone() {
        let mut places = Places::new(0);
        assert!(places.enter("quiet"));
        assert_eq!(places.fill("loud"), MAX * 3 / 4 - 1);
        for _ in 1..MAX / 4 {
            assert!(places.enter("quiet"));
            assert!(!places.enter("loud"));
        }
        for _ in 0..MAX / 4 {
            places.leave("quiet");
        }
        assert_eq!(places.fill("loud"), 1, "they were here just now");
        places.now += 2 * MEMORY;
        assert_eq!(places.fill("loud"), MAX / 4);
    }

    #[test]
    fn workspaces_that_have_gone_are_forgotten() {
        let mut places = Places::new(0);
        for number in 0..10 * MAX {
            let workspace = format!("w{number}");
            assert!(places.enter(&workspace));
            places.leave(&workspace);
        }
        assert_eq!(places.shares.seen.len(), 10 * MAX);
        places.now += MEMORY;
        places.enter("w");
        assert_eq!(places.shares.seen.len(), 1);
    }
}
