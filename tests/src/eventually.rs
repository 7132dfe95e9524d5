//! Waiting for a condition, never for a length of time.

use std::fmt::Display;
use std::time::{Duration, Instant};

/// How long a condition may take before its test fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Polls `attempt` until it is `Ok`, for at most [`PATIENCE`].
///
/// # Panics
///
/// Panics with the last error when the condition never held.
pub async fn eventually<T, E: Display>(
    what: &str,
    mut attempt: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let started = Instant::now();
    let mut pause = Duration::from_millis(2);
    loop {
        match attempt().await {
            Ok(value) => return value,
            Err(error) if started.elapsed() > PATIENCE => {
                panic!("{what}: not within {PATIENCE:?}; last: {error}")
            }
            Err(_) => tokio::time::sleep(pause).await,
        }
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}
