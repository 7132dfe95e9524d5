//! Time: the instant every row stores, and the one place that reads the system clock.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// An instant as microseconds since 1970-01-01T00:00:00Z, negative before it.
///
/// This is what the databases store: PostgreSQL and SQLite then answer alike to the microsecond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Micros(pub i64);

impl Micros {
    /// The instant `span` later, saturating at the ends of the range.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(micros(span)))
    }

    /// The instant `span` earlier, saturating at the ends of the range.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(micros(span)))
    }

    /// Whole seconds since the epoch and the nanoseconds within that second (0..=999,999,000), the
    /// two halves of a protobuf `Timestamp`.
    #[must_use]
    pub fn seconds_and_nanos(self) -> (i64, i32) {
        let nanos = i32::try_from(self.0.rem_euclid(1_000_000) * 1_000).unwrap_or_default();
        (self.0.div_euclid(1_000_000), nanos)
    }

    /// The instant of a protobuf `Timestamp`; what is finer than a microsecond is cut off. `None`
    /// when it does not fit.
    #[must_use]
    pub fn from_seconds_and_nanos(seconds: i64, nanos: i32) -> Option<Self> {
        seconds
            .checked_mul(1_000_000)?
            .checked_add(i64::from(nanos / 1_000))
            .map(Self)
    }
}

/// The clock of a process: the system's, or in tests one that stands still until it is moved.
#[derive(Clone, Debug, Default)]
pub struct Clock(Option<Arc<Fixed>>);

/// In microseconds.
#[derive(Debug)]
struct Fixed {
    now: AtomicI64,
    passed: AtomicI64,
}

impl Clock {
    /// The system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self(None)
    }

    /// A clock that shows `now` until [`Clock::advance`] moves it.
    #[must_use]
    pub fn fixed(now: Micros) -> Self {
        Self(Some(Arc::new(Fixed {
            now: AtomicI64::new(now.0),
            passed: AtomicI64::new(0),
        })))
    }

    /// The present instant.
    #[must_use]
    pub fn now(&self) -> Micros {
        match &self.0 {
            Some(fixed) => Micros(fixed.now.load(Ordering::SeqCst)),
            None => system_now(),
        }
    }

    /// How much time has passed since some moment in the life of the process, by what nobody can set.
    #[must_use]
    pub fn passed(&self) -> Duration {
        static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);
        match &self.0 {
            Some(fixed) => {
                let passed = fixed.passed.load(Ordering::SeqCst);
                Duration::from_micros(u64::try_from(passed).unwrap_or_default())
            }
            None => BEGINNING.elapsed(),
        }
    }

    /// Lets time pass on a fixed clock; the system's clock stays as it is.
    pub fn advance(&self, span: Duration) {
        self.jump(span);
        if let Some(fixed) = &self.0 {
            fixed.passed.fetch_add(micros(span), Ordering::SeqCst);
        }
    }

    /// Sets a fixed clock forward, as if somebody had set it wrong: no time passes. The system's clock
    /// stays as it is.
    pub fn jump(&self, span: Duration) {
        if let Some(fixed) = &self.0 {
            fixed.now.fetch_add(micros(span), Ordering::SeqCst);
        }
    }
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the edge where time enters the suite"
)]
fn system_now() -> Micros {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Micros(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_before_the_epoch_have_nanos_that_count_up() {
        assert_eq!(Micros(-1).seconds_and_nanos(), (-1, 999_999_000));
        assert_eq!(
            Micros::from_seconds_and_nanos(-1, 999_999_000),
            Some(Micros(-1))
        );
    }

    #[test]
    fn a_fixed_clock_moves_only_when_told() {
        let clock = Clock::fixed(Micros(5));
        let same = clock.clone();
        assert_eq!(clock.now(), Micros(5));
        clock.advance(Duration::from_micros(2));
        assert_eq!(same.now(), Micros(7));
        clock.jump(Duration::from_micros(3));
        assert_eq!(same.now(), Micros(10));
        assert_eq!(same.passed(), Duration::from_micros(2));
    }
}
