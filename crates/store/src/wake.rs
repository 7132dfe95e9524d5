//! The wake-up of those who follow the change log.
//!
//! A commit in this process wakes them at once. What other processes commit, and what becomes
//! visible late on PostgreSQL because an older transaction was still open, is found by a poll every
//! 50 ms, which runs only while somebody waits.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::watch;
use types::Deadline;

use crate::Store;
use crate::change_log::{self, LogPosition};
use crate::store::Inner;

/// How often the log is looked at while somebody waits.
pub(crate) const POLL: Duration = Duration::from_millis(50);

/// What a follower has seen of a store's wake-ups; see [`Store::seen`](crate::Store::seen).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen(u64);

/// Counts wake-ups and passes them on.
#[derive(Clone)]
pub(crate) struct Wake {
    count: Arc<watch::Sender<u64>>,
    waiting: Arc<AtomicUsize>,
    polling: Arc<AtomicBool>,
    newest: Arc<Mutex<Option<LogPosition>>>,
}

impl Wake {
    pub(crate) fn new() -> Self {
        Self {
            count: Arc::new(watch::Sender::new(0)),
            waiting: Arc::default(),
            polling: Arc::default(),
            newest: Arc::default(),
        }
    }

    /// Something was appended and is committed.
    pub(crate) fn notify(&self) {
        self.count.send_modify(|count| *count += 1);
    }

    /// The poll found this as the log's newest visible row: a wake-up if it is another than before.
    /// The first poll always wakes, since nobody knows what came before it.
    pub(crate) fn saw(&self, newest: LogPosition) {
        let mut last = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if *last != Some(newest) {
            *last = Some(newest);
            self.notify();
        }
    }

    pub(crate) fn seen(&self) -> Seen {
        Seen(*self.count.borrow())
    }

    /// Waits for a wake-up that `seen` does not cover, and covers it. False when `timeout` passed
    /// first.
    pub(crate) async fn wait(&self, seen: &mut Seen, timeout: Duration) -> bool {
        let _waiting = Waiting::new(&self.waiting);
        let mut count = self.count.subscribe();
        let woken = tokio::time::timeout(timeout, count.wait_for(|count| *count > seen.0)).await;
        match woken {
            Ok(Ok(count)) => {
                seen.0 = *count;
                true
            }
            Ok(Err(_)) | Err(_) => false,
        }
    }

    /// Takes the duty of polling: true for one caller, until it is given back.
    pub(crate) fn take_poll(&self) -> bool {
        !self.polling.swap(true, Ordering::SeqCst)
    }

    /// Gives the duty back when nobody waits. False: somebody does, go on.
    pub(crate) fn yield_poll(&self) -> bool {
        if self.waiting.load(Ordering::SeqCst) > 0 {
            return false;
        }
        self.polling.store(false, Ordering::SeqCst);
        // Somebody may have come in between and found the duty taken.
        self.waiting.load(Ordering::SeqCst) == 0 || !self.take_poll()
    }
}

impl Store {
    /// The present state of the wake-ups. Take it before reading the change log, then wait with it.
    pub fn seen(&self) -> Seen {
        self.inner.wake.seen()
    }

    /// Waits until the change log may have grown since `seen` was taken, at most `timeout`. False
    /// when the time passed. Holds no connection.
    pub async fn wait_for_change(&self, seen: &mut Seen, timeout: Duration) -> bool {
        if self.inner.wake.take_poll() {
            tokio::spawn(poll(Arc::downgrade(&self.inner)));
        }
        self.inner.wake.wait(seen, timeout).await
    }
}

/// Wakes the followers when the log shows something that no commit of this process announced. Ends
/// when nobody waits any more.
async fn poll(inner: Weak<Inner>) {
    loop {
        tokio::time::sleep(POLL).await;
        let Some(inner) = inner.upgrade() else {
            return;
        };
        if inner.wake.yield_poll() {
            return;
        }
        let store = Store::over(inner).reserved();
        let deadline = Deadline::after(Duration::from_secs(5));
        let newest = store
            .across()
            .read_point("change_log.poll", deadline, change_log::newest_visible)
            .await;
        match newest {
            Ok(newest) => store.inner.wake.saw(newest),
            Err(error) => tracing::warn!(?error, "the change log cannot be polled"),
        }
    }
}

struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
