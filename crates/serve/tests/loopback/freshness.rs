//! Waiting for a state that is on its way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serve::freshness::{WAIT_MAX, wait_fresh, wait_until};
use tokio::sync::Notify;
use tonic::{Code, Status};
use types::Deadline;

#[tokio::test]
async fn a_bell_ends_the_waiting_before_the_next_poll() {
    let (bell, state) = (Arc::new(Notify::new()), Arc::new(AtomicU32::new(0)));
    let begun = Instant::now();
    let ring = {
        let (bell, state) = (Arc::clone(&bell), Arc::clone(&state));
        async move {
            state.store(7, Ordering::SeqCst);
            bell.notify_waiters();
        }
    };
    let look = || async {
        let seen = state.load(Ordering::SeqCst);
        Ok::<_, Status>((seen > 0).then_some(seen))
    };
    let deadline = Deadline::after(Duration::from_secs(5));
    let wait = wait_until(deadline, WAIT_MAX, Some(&bell), look);
    let (seen, ()) = futures::future::join(wait, ring).await;
    assert_eq!(seen.expect("no error"), Some(7));
    assert!(begun.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn what_does_not_come_in_time_is_unavailable_with_a_reason() {
    let mut in_time = false;
    // A busy machine may oversleep in one of them.
    for _ in 0..10 {
        let looked = AtomicU32::new(0);
        let deadline = Deadline::after(Duration::from_millis(200));
        let status = wait_fresh("pipeline", deadline, None, || async {
            looked.fetch_add(1, Ordering::SeqCst);
            Ok(None::<()>)
        })
        .await
        .expect_err("never fresh");
        in_time = !deadline.expired();
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(proto::status::metadata(&status)["service"], "pipeline");
        assert!(proto::status::retry_after(&status).is_some());
        assert!(looked.load(Ordering::SeqCst) >= 2);
        if in_time {
            break;
        }
    }
    assert!(in_time, "the answer can still go out");
}

#[tokio::test]
async fn the_state_is_looked_at_once_even_without_time() {
    let deadline = Deadline::after(Duration::ZERO);
    let fresh = wait_fresh("pipeline", deadline, None, || async { Ok(Some(1)) }).await;
    assert_eq!(fresh.expect("was fresh"), 1);
}
