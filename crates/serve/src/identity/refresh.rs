//! The issuer's keys, kept up to date in the background.
//!
//! Invariant: a set that could be read is replaced only by another that could be read: an outage of
//! the issuer never locks anybody out whose key is known.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::fetch::{FetchError, KeySource};
use super::keys::{KeySet, KeySetError};

/// How the keys are kept up to date.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// How often the set is read anew.
    pub interval: Duration,
    /// How soon it is read again after it could not be, while there has never been one.
    pub retry: Duration,
    /// How often, at most, an unknown key has the set read out of turn.
    pub unknown_gap: Duration,
    /// How long a call with an unknown key waits for that.
    pub unknown_wait: Duration,
}

impl Pace {
    /// The pace of a source: a file is looked at every 10 s, an address every 5 minutes; an unknown
    /// key has either read out of turn every 30 s at most.
    pub(crate) fn of(source: &KeySource) -> Self {
        Self {
            interval: match source {
                KeySource::File(_) => Duration::from_secs(10),
                KeySource::Url(_) => Duration::from_mins(5),
            },
            retry: Duration::from_secs(2),
            unknown_gap: Duration::from_secs(30),
            unknown_wait: Duration::from_secs(2),
        }
    }
}

/// How many calls may wait for an unknown key at a time.
const WAITING_MAX: usize = 64;

/// Too many calls wait for an unknown key already.
#[derive(Debug)]
pub(crate) struct Crowded;

/// Why the keys could not be read.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The file or the server could not be read.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// What was read is of no use.
    #[error(transparent)]
    Set(#[from] KeySetError),
}

/// The keys. Dropping the last of them ends the refreshing.
#[derive(Debug)]
pub(crate) struct Keys {
    shared: Arc<Shared>,
    pace: Pace,
    waiting: Semaphore,
    task: AbortHandle,
}

#[derive(Debug)]
struct Shared {
    source: KeySource,
    current: RwLock<Current>,
    /// Wakes the task out of turn.
    wanted: Notify,
    /// How many times the set has been asked for, whatever came of it.
    attempts: watch::Sender<u64>,
    unknown: Mutex<Unknown>,
}

/// The last good set.
#[derive(Debug, Default)]
struct Current {
    /// Rises with every set that says something else; 0 where there has never been one.
    number: u64,
    text: Bytes,
    set: Option<Arc<KeySet>>,
}

/// The last time an unknown key had the set read out of turn.
#[derive(Debug, Default)]
struct Unknown {
    asked: Option<Instant>,
    /// The attempt that answers it is the first after so many.
    after: u64,
}

impl Keys {
    /// Reads the keys and keeps reading them. A file must be readable now; a server is asked in the
    /// background, and may come later. Must be called within a tokio runtime.
    pub(crate) async fn start(source: KeySource, pace: Pace) -> Result<Self, KeysError> {
        let shared = Arc::new(Shared {
            source,
            current: RwLock::default(),
            wanted: Notify::new(),
            attempts: watch::Sender::new(0),
            unknown: Mutex::default(),
        });
        if matches!(shared.source, KeySource::File(_)) {
            shared.read().await?;
        } else {
            shared.wanted.notify_one();
        }
        let task = tokio::spawn(Arc::clone(&shared).refresh(pace)).abort_handle();
        Ok(Self {
            shared,
            pace,
            waiting: Semaphore::new(WAITING_MAX),
            task,
        })
    }

    /// The keys as they were last read, and the number of that set; `None` where there were never any.
    pub(crate) fn current(&self) -> Option<(u64, Arc<KeySet>)> {
        let current = self.shared.current.read();
        let current = current.unwrap_or_else(PoisonError::into_inner);
        let set = current.set.as_ref()?;
        Some((current.number, Arc::clone(set)))
    }

    /// Has the set read out of turn for a key that is not in it, and waits for that a little. False
    /// where it was read for such a key too short a time ago; an error where too many wait.
    pub(crate) async fn read_again(&self) -> Result<bool, Crowded> {
        let mut attempts = self.shared.attempts.subscribe();
        let after = {
            let mut unknown = self.shared.unknown();
            let made = *attempts.borrow_and_update();
            let soon = unknown
                .asked
                .is_some_and(|asked| asked.elapsed() < self.pace.unknown_gap);
            if !soon {
                *unknown = Unknown {
                    asked: Some(Instant::now()),
                    after: made,
                };
                self.shared.wanted.notify_one();
            } else if made > unknown.after {
                return Ok(false);
            }
            unknown.after
        };
        let _waits = self.waiting.try_acquire().map_err(|_| Crowded)?;
        let answered = attempts.wait_for(|made| *made > after);
        let answered = tokio::time::timeout(self.pace.unknown_wait, answered).await;
        Ok(answered.is_ok_and(|answered| answered.is_ok()))
    }

    /// Waits until there are keys.
    pub(crate) async fn ready(&self) {
        let mut attempts = self.shared.attempts.subscribe();
        while self.current().is_none() {
            if attempts.changed().await.is_err() {
                return;
            }
        }
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn unknown(&self) -> MutexGuard<'_, Unknown> {
        self.unknown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn refresh(self: Arc<Self>, pace: Pace) {
        loop {
            let pause = if self.is_there() {
                pace.interval
            } else {
                pace.retry
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.wanted.notified() => {}
            }
            if let Err(error) = self.read().await {
                let (error, source) = (error.to_string(), &self.source);
                if self.is_there() {
                    tracing::warn!(error, %source, "the issuer's keys can't be read; the last good ones stay");
                } else {
                    tracing::warn!(error, %source, "the issuer's keys can't be read; no token can be judged");
                }
            }
        }
    }

    fn is_there(&self) -> bool {
        let current = self.current.read();
        let current = current.unwrap_or_else(PoisonError::into_inner);
        current.set.is_some()
    }

    /// Puts a good set in place of the last one, if it says something else.
    fn replace(&self, text: Bytes, set: KeySet) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.set.is_some() && current.text == text {
            return;
        }
        tracing::info!(count = set.len(), source = %self.source, "the issuer's keys were read");
        *current = Current {
            number: current.number + 1,
            text,
            set: Some(Arc::new(set)),
        };
    }

    /// Reads the set once, and puts it in place of the last one if it is good.
    async fn read(&self) -> Result<(), KeysError> {
        let read = async {
            let text = self.source.fetch().await?;
            let set = KeySet::parse(&text)?;
            Ok((text, set))
        };
        let read: Result<(Bytes, KeySet), KeysError> = read.await;
        let outcome = read.map(|(text, set)| self.replace(text, set));
        self.attempts.send_modify(|made| *made += 1);
        outcome
    }
}

#[cfg(test)]
mod tests;
