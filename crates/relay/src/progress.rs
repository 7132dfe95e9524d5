//! How far a relay is: for metrics, alerts and the log.

use std::time::Duration;

use types::Micros;

/// How far a relay is. While another process of the service relays, nothing waits here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// When the oldest change was recorded that is neither published nor parked; none where there is no
    /// such change. While the bus takes no parked change that is tried again, since when it was tried.
    pub oldest_unpublished: Option<Micros>,
    /// How many changes are parked.
    pub parked: i64,
    /// How many events this process has published.
    pub published: u64,
}

impl Progress {
    /// How long the oldest unpublished change has been waiting: what to alert on. Zero where nothing
    /// waits.
    pub fn lag(&self, now: Micros) -> Duration {
        let waiting = self.oldest_unpublished.map_or(0, |since| now.0 - since.0);
        Duration::from_micros(u64::try_from(waiting).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lag_is_the_age_of_the_oldest_and_never_negative() {
        let mut progress = Progress::default();
        assert_eq!(progress.lag(Micros(9)), Duration::ZERO);
        progress.oldest_unpublished = Some(Micros(1_000_000));
        assert_eq!(progress.lag(Micros(3_000_000)), Duration::from_secs(2));
        assert_eq!(progress.lag(Micros(0)), Duration::ZERO);
    }
}
