//! How often and how soon a transaction that others got in the way of is tried again.

use std::time::Duration;

/// Attempts at most: the first and five repetitions.
pub(crate) const ATTEMPTS_MAX: u32 = 6;

/// The pause after the attempt with this number (from 1): doubling from 2 ms, half of it random,
/// so that rivals do not meet again.
pub(crate) fn pause(attempt: u32) -> Duration {
    let ceiling = Duration::from_millis(2) * 2_u32.pow(attempt.min(6));
    ceiling.mul_f64(0.5 + rand::random::<f64>() / 2.0)
}
