//! How many operations have a connection at once. The others wait in order, where waiting costs
//! nothing.
//!
//! Reads of one row pass by those that read many: these never take all turns of reads. And nothing
//! takes the last few connections but what keeps the service alive and others served.

use std::sync::Arc;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

use crate::Error;

/// What an operation waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Reads of many rows: lists, snapshots.
    Scan,
    /// Reads of a row.
    Point,
    /// Writes.
    Write,
    /// What must not wait behind any of these.
    Reserved,
}

/// The turns of one store.
pub(crate) struct Permits {
    all: Arc<Semaphore>,
    /// All that is not reserved takes one of these first.
    ordinary: Arc<Semaphore>,
    /// Reads take one of these before. Writes wait for the disk and gain by being many; reads only take
    /// turns on the cores, and lose by it.
    reads: Arc<Semaphore>,
    /// Reads of many rows take one of these before.
    scans: Arc<Semaphore>,
}

/// A turn, given back when it is dropped.
pub(crate) struct Permit {
    _held: Vec<OwnedSemaphorePermit>,
}

/// How many turns there are of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Turns {
    all: usize,
    ordinary: usize,
    reads: usize,
    scans: usize,
}

impl Turns {
    /// Of `all` connections an eighth is reserved, at least one where there are four. Four for each core
    /// are lent for reading at once, a quarter of them never for reading many rows.
    fn of(all: usize, cores: usize) -> Self {
        let reserved = if all < 4 { 0 } else { (all / 8).max(1) };
        let ordinary = all - reserved;
        let reads = ordinary.min(4 * cores);
        let scans = (reads - reads.div_ceil(4)).max(1);
        Self {
            all,
            ordinary,
            reads,
            scans,
        }
    }
}

impl Permits {
    /// Turns for `max` connections.
    pub(crate) fn new(max: u32) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::with(Turns::of(max as usize, cores))
    }

    fn with(turns: Turns) -> Self {
        let semaphore = |turns| Arc::new(Semaphore::new(turns));
        Self {
            all: semaphore(turns.all),
            ordinary: semaphore(turns.ordinary),
            reads: semaphore(turns.reads),
            scans: semaphore(turns.scans),
        }
    }

    /// Waits for a turn. All take theirs from the narrowest kind to the widest, so nobody holds what
    /// another one that goes before is waiting for.
    pub(crate) async fn take(&self, turn: Turn) -> Result<Permit, Error> {
        let (scans, reads, ordinary, all) = (&self.scans, &self.reads, &self.ordinary, &self.all);
        let kinds: &[&Arc<Semaphore>] = match turn {
            Turn::Scan => &[scans, reads, ordinary, all],
            Turn::Point => &[reads, ordinary, all],
            Turn::Write => &[ordinary, all],
            Turn::Reserved => &[all],
        };
        let mut held = Vec::with_capacity(kinds.len());
        for kind in kinds {
            held.push(acquire(kind).await?);
        }
        Ok(Permit { _held: held })
    }
}

async fn acquire(permits: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Error> {
    let closing = |_: AcquireError| Error::unavailable("the store is closing");
    Arc::clone(permits).acquire_owned().await.map_err(closing)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A turn if there is one at once.
    async fn take(permits: &Permits, turn: Turn) -> Option<Permit> {
        let taken = tokio::time::timeout(Duration::ZERO, permits.take(turn)).await;
        taken.ok().map(Result::unwrap)
    }

    /// Takes turns until there are none.
    async fn fill(permits: &Permits, turn: Turn) -> Vec<Permit> {
        let mut taken = Vec::new();
        while let Some(permit) = take(permits, turn).await {
            taken.push(permit);
        }
        taken
    }

    #[tokio::test]
    async fn each_kind_leaves_turns_to_those_above_it() {
        let permits = Permits::with(Turns::of(16, 2));
        let mut held = Vec::new();
        for (turn, count) in [
            (Turn::Scan, 6),
            (Turn::Point, 2),
            (Turn::Write, 6),
            (Turn::Reserved, 2),
        ] {
            let taken = fill(&permits, turn).await;
            assert_eq!(taken.len(), count, "{turn:?}");
            held.push(taken);
        }
        held[0].pop();
        assert_eq!(fill(&permits, Turn::Reserved).await.len(), 1, "any is good");
    }

    #[tokio::test]
    async fn who_waits_for_a_turn_keeps_none_that_others_could_use() {
        let permits = Arc::new(Permits::with(Turns::of(16, 2)));
        let held = fill(&permits, Turn::Scan).await;
        let waiting: Vec<_> = (0..100)
            .map(|_| {
                let permits = Arc::clone(&permits);
                tokio::spawn(async move { permits.take(Turn::Scan).await.map(drop) })
            })
            .collect();
        tokio::task::yield_now().await;
        assert_eq!(fill(&permits, Turn::Point).await.len(), 2);
        drop(held);
        for scan in waiting {
            scan.await.unwrap().unwrap();
        }
    }

    #[test]
    fn small_pools_have_turns_for_all() {
        for all in 1..=200 {
            for cores in [1, 2, 64] {
                let turns = Turns::of(all, cores);
                assert!((1..=turns.reads).contains(&turns.scans), "{turns:?}");
                assert!((turns.reads..=all).contains(&turns.ordinary), "{turns:?}");
                assert!(all < 4 || turns.ordinary < all, "{turns:?}");
                assert!(turns.reads == 1 || turns.scans < turns.reads, "{turns:?}");
            }
        }
    }
}
