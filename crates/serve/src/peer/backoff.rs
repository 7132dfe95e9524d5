//! Growing pauses between attempts.

use std::time::Duration;

/// Pauses that double from 50 ms to one second, each shortened at random by up to a half, so that
/// callers who failed together do not come back together.
///
/// Followers of a Watch take one too: [`Backoff::pause`] before each new connection,
/// [`Backoff::reset`] after a message arrived.
#[derive(Clone, Debug)]
pub struct Backoff {
    step: Duration,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(50);
    const MAX: Duration = Duration::from_secs(1);

    /// A backoff whose first pause is about 50 ms.
    #[must_use]
    pub fn new() -> Self {
        Self { step: Self::FIRST }
    }

    /// The next pause.
    pub fn pause(&mut self) -> Duration {
        let pause = self.step.mul_f64(rand::random_range(0.5..=1.0));
        self.step = (self.step * 2).min(Self::MAX);
        pause
    }

    /// Begins again with the first pause.
    pub fn reset(&mut self) {
        self.step = Self::FIRST;
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_second_and_begin_again() {
        let mut backoff = Backoff::new();
        for full in [50, 100, 200, 400, 800, 1_000, 1_000] {
            let pause = backoff.pause();
            let full = Duration::from_millis(full);
            assert!(pause >= full / 2 && pause <= full, "{pause:?} of {full:?}");
        }
        backoff.reset();
        assert!(backoff.pause() <= Backoff::FIRST);
    }
}
