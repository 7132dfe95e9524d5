//! How many operations have a connection at once. The others wait in order, where waiting costs
//! nothing.

use std::sync::Arc;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

use crate::Error;
use crate::attempt::Mode;

/// The turns of one store.
pub(crate) struct Permits {
    all: Arc<Semaphore>,
    /// Reads take one of these first. Writes wait for the disk and gain by being many; reads only take
    /// turns on the cores, and lose by it.
    reads: Arc<Semaphore>,
}

/// A turn, given back when it is dropped.
pub(crate) struct Permit {
    _read: Option<OwnedSemaphorePermit>,
    _any: OwnedSemaphorePermit,
}

impl Permits {
    /// Turns for `max` connections.
    pub(crate) fn new(max: u32) -> Self {
        Self {
            all: Arc::new(Semaphore::new(max as usize)),
            reads: Arc::new(Semaphore::new(reads_at_once(max as usize))),
        }
    }

    /// Waits for a turn.
    pub(crate) async fn take(&self, mode: Mode) -> Result<Permit, Error> {
        let read = match mode {
            Mode::Read | Mode::Snapshot => Some(acquire(&self.reads).await?),
            Mode::Write | Mode::SingleWrite => None,
        };
        Ok(Permit {
            _read: read,
            _any: acquire(&self.all).await?,
        })
    }
}

async fn acquire(permits: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Error> {
    let closing = |_: AcquireError| Error::unavailable("the store is closing");
    Arc::clone(permits).acquire_owned().await.map_err(closing)
}

/// How many of `max` connections are lent for reading at once: four for each core.
fn reads_at_once(max: usize) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    max.min(4 * cores)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn reads_leave_turns_to_writes() {
        let permits = Permits::new(200);
        let mut held = Vec::new();
        for _ in 0..reads_at_once(200) {
            held.push(permits.take(Mode::Read).await.unwrap());
        }
        let waits = Duration::from_millis(1);
        let read = tokio::time::timeout(waits, permits.take(Mode::Snapshot));
        assert!(read.await.is_err(), "all turns of reads are taken");
        for _ in held.len()..200 {
            held.push(permits.take(Mode::Write).await.unwrap());
        }
        let write = tokio::time::timeout(waits, permits.take(Mode::SingleWrite));
        assert!(write.await.is_err(), "all turns are taken");
        held.remove(0);
        permits.take(Mode::Read).await.unwrap();
    }
}
