//! Waiting for a state that is on its way: a projection that catches up, a recall that completes.
//!
//! Invariant: whoever waits holds no place, no permit, no connection and no transaction; `poll` takes and
//! gives back what it needs each time.

use std::time::Duration;

use tokio::sync::Notify;
use tonic::Status;
use types::Deadline;

use crate::layers::margin;
use crate::load::aside;
use crate::refusals;

/// The longest that a read waits to become fresh enough, whatever its deadline.
pub const WAIT_MAX: Duration = Duration::from_secs(2);

/// How often the state is looked at when nothing wakes the waiting: what another process has
/// changed rings no bell here.
const POLL: Duration = Duration::from_millis(50);

/// Polls until there is a value, at most until shortly before `deadline` and at most for `cap`;
/// `None` if it did not come. `wake` makes it look again at once.
///
/// The state is looked at once even when no time is left.
pub async fn wait_until<T, E, F, Fut>(
    deadline: Deadline,
    cap: Duration,
    wake: Option<&Notify>,
    mut poll: F,
) -> Result<Option<T>, E>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<Option<T>, E>>,
{
    // The answer must still go out in time.
    let until = deadline.less(margin(deadline.remaining())).within(cap);
    loop {
        // Registered before looking: a change between the look and the wait is not missed.
        let notified = async {
            match wake {
                Some(wake) => wake.notified().await,
                None => std::future::pending().await,
            }
        };
        let mut notified = std::pin::pin!(notified);
        let _ = futures::poll!(notified.as_mut());
        if let Some(value) = poll().await? {
            return Ok(Some(value));
        }
        let left = until.remaining();
        if left.is_zero() {
            return Ok(None);
        }
        let _ = aside(tokio::time::timeout(POLL.min(left), notified)).await;
    }
}

/// Waits until a read is fresh enough, at most [`WAIT_MAX`]; refused with UNAVAILABLE
/// `CONSISTENCY_NOT_REACHED` and RetryInfo if it does not become so. `service` is the one whose
/// token was given, such as `pipeline`.
pub async fn wait_fresh<T, F, Fut>(
    service: &str,
    deadline: Deadline,
    wake: Option<&Notify>,
    poll: F,
) -> Result<T, Status>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<Option<T>, Status>>,
{
    wait_until(deadline, WAIT_MAX, wake, poll)
        .await?
        .ok_or_else(|| refusals::consistency_not_reached(service))
}
