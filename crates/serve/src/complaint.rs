//! A line for the log that many events would write, and that is written at most once in a while.

use std::time::{Duration, Instant};

/// When the line was written last, and how often it was not since.
#[derive(Debug, Default)]
pub(crate) struct Complaint {
    last: Option<Instant>,
    hidden: u64,
}

impl Complaint {
    /// The pause between two lines.
    const PAUSE: Duration = Duration::from_secs(1);

    /// Whether to write it now, and how many times it was not written since.
    pub(crate) fn due(&mut self) -> Option<u64> {
        if self.last.is_some_and(|last| last.elapsed() < Self::PAUSE) {
            self.hidden += 1;
            return None;
        }
        self.last = Some(Instant::now());
        Some(std::mem::take(&mut self.hidden))
    }
}
