//! Following the change log: what happened, transaction by transaction, for as long as one likes.
//!
//! A [`Feed`] reads at its owner's pace and keeps nothing but a place in the log, so a slow client
//! holds nothing up and loses nothing. Watch streams are made of [`Feed::next`], followers that work
//! in bulk of [`Feed::page`]:
//!
//! ```no_run
//! use std::time::Duration;
//! use store::change_log::LogPosition;
//! use store::feed::{Feed, Step};
//!
//! async fn follow(store: store::Store, resume_after: LogPosition) -> Result<(), store::Error> {
//!     let mut feed = Feed::workspace(store, "default", resume_after)
//!         .only(|kind| kind.starts_with("contact."));
//!     loop {
//!         match feed.next(Duration::from_secs(15)).await? {
//!             // Send the changes of one transaction, with the token of `batch.through`.
//!             Step::Batch(batch) => drop(batch.changes),
//!             // Nothing happened: send a heartbeat with the token of `through`.
//!             Step::Idle { through } => drop(through),
//!         }
//!     }
//! }
//! ```
//!
//! The first error ends a feed: [`Error::PositionExpired`] where changes that it has not read are
//! gone. Dropping the future of a call loses nothing.
//!
//! Invariant: every change of the scope is given out once, in the log's order, or left out by
//! [`Feed::only`]; a place that is given out covers all changes before it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use types::Deadline;

use crate::change_log::{self, Change, Life, LogPosition, Scope};
use crate::{Error, Store};

/// How many changes are read from the database at once.
const READ_MAX: i64 = 200;

/// How many changes of one transaction are given out at once by [`Feed::next`].
pub const BATCH_MAX: usize = 50;

/// How long one read of the log may take.
const READ_TIME: Duration = Duration::from_secs(10);

/// The least and the longest pause between two reads, unless there was more than one read takes. While
/// much is committed a follower would else read, and do whatever it does, for each transaction, and
/// slow the commits down.
const GATHER_TIME: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(50));

/// The pause is this many times as long as the read took: the busier the database, the longer.
const GATHER_FACTOR: u32 = 4;

/// Which changes are followed, by their kind.
type Kinds = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// A reader of the change log that waits for what is not there yet.
pub struct Feed {
    store: Store,
    workspace: Option<String>,
    kinds: Option<Kinds>,
    /// Everything up to here was read from the database.
    read_through: LogPosition,
    /// Not to be read again before.
    read_again: Instant,
    ready: VecDeque<Batch>,
    /// A part of a transaction was given out, and its end not yet.
    is_open: bool,
}

/// Changes of one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// In the log's order. Empty where the end of a large transaction was left out by
    /// [`Feed::only`] and all there is to say is that it has ended.
    pub changes: Vec<Change>,
    /// The next batch goes on with the same transaction.
    pub more: bool,
    /// Where to go on after this batch.
    pub through: LogPosition,
}

/// What a feed has to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Something happened.
    Batch(Batch),
    /// Nothing happened for as long as one was ready to wait.
    Idle {
        /// Where to go on: as fresh as the log.
        through: LogPosition,
    },
}

/// Everything that could be read at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bulk {
    /// Changes of several transactions, in the log's order; empty when nothing happened.
    pub changes: Vec<Change>,
    /// Where to go on after these.
    pub through: LogPosition,
}

impl Feed {
    /// Follows one workspace's changes after `after`.
    pub fn workspace(store: Store, workspace: impl Into<String>, after: LogPosition) -> Self {
        Self::new(store, Some(workspace.into()), after)
    }

    /// Follows everybody's changes after `after`: for internal followers, which wait behind nobody's
    /// lists.
    pub fn all(store: &Store, after: LogPosition) -> Self {
        Self::new(store.reserved(), None, after)
    }

    fn new(store: Store, workspace: Option<String>, after: LogPosition) -> Self {
        Self {
            store,
            workspace,
            kinds: None,
            read_through: after,
            read_again: Instant::now(),
            ready: VecDeque::new(),
            is_open: false,
        }
    }

    /// Leaves out all changes but those whose kind passes.
    #[must_use]
    pub fn only(mut self, kinds: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        self.kinds = Some(Arc::new(kinds));
        self
    }

    /// The changes of the next transaction, at most [`BATCH_MAX`] at once; waits for one up to
    /// `patience`.
    pub async fn next(&mut self, patience: Duration) -> Result<Step, Error> {
        let until = Instant::now() + patience;
        loop {
            if let Some(batch) = self.ready.pop_front() {
                self.is_open = batch.more;
                return Ok(Step::Batch(batch));
            }
            let mut seen = self.store.seen();
            let page = self.read().await?;
            let went_on = page.more;
            self.read_through = page.through;
            self.ready = batches(
                page.changes,
                page.through,
                self.is_open,
                self.kinds.as_ref(),
            );
            if self.ready.is_empty() && !went_on {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() || !self.store.wait_for_change(&mut seen, left).await {
                    return Ok(Step::Idle {
                        through: self.read_through,
                    });
                }
            }
        }
    }

    /// All changes that can be read at once, of as many transactions as that may be; waits for the
    /// first up to `patience`. Not to be mixed with [`Feed::next`].
    pub async fn page(&mut self, patience: Duration) -> Result<Bulk, Error> {
        let until = Instant::now() + patience;
        loop {
            let mut seen = self.store.seen();
            let page = self.read().await?;
            self.read_through = page.through;
            let mut changes = page.changes;
            if let Some(kinds) = &self.kinds {
                changes.retain(|change| kinds(&change.kind));
            }
            let left = until.saturating_duration_since(Instant::now());
            let went_on = page.more;
            let nothing = changes.is_empty() && !left.is_zero();
            if nothing && (went_on || self.store.wait_for_change(&mut seen, left).await) {
                continue;
            }
            return Ok(Bulk {
                changes,
                through: self.read_through,
            });
        }
    }

    async fn read(&mut self) -> Result<change_log::Page, Error> {
        tokio::time::sleep_until(self.read_again).await;
        let started = Instant::now();
        let (workspace, after) = (self.workspace.clone(), self.read_through);
        let deadline = Deadline::after(READ_TIME);
        let (page, life) = self
            .store
            .within_or_across(self.workspace.as_deref())
            .read("feed.read", deadline, move |conn| {
                let scope = workspace.as_deref().map_or(Scope::All, Scope::Workspace);
                change_log::page_after(conn, scope, after, READ_MAX)
            })
            .await?;
        if life == Life::Former {
            // A quiet workspace's own changes do not show how far that life went.
            let kept = self.store.across();
            kept.read_point("feed.life", deadline, move |conn| {
                change_log::require_kept(conn, after)
            })
            .await?;
        }
        let pause = if page.more {
            Duration::ZERO
        } else {
            let (least, longest) = GATHER_TIME;
            (started.elapsed() * GATHER_FACTOR).clamp(least, longest)
        };
        self.read_again = Instant::now() + pause;
        Ok(page)
    }
}

/// The changes of a page, one transaction after the other. `is_open`: the page begins with the rest
/// of a transaction whose beginning was given out. `through` covers what is left out at the end.
fn batches(
    changes: Vec<Change>,
    through: LogPosition,
    is_open: bool,
    kinds: Option<&Kinds>,
) -> VecDeque<Batch> {
    let mut found = VecDeque::new();
    let mut open = is_open;
    let mut batch: Vec<Change> = Vec::new();
    for change in changes {
        let (at, ends) = (change.position, change.last);
        if kinds.is_none_or(|kinds| kinds(&change.kind)) {
            if batch.len() == BATCH_MAX {
                found.push_back(part(std::mem::take(&mut batch), true, at));
                open = true;
            }
            batch.push(change);
        }
        if ends && (open || !batch.is_empty()) {
            found.push_back(part(std::mem::take(&mut batch), false, at));
        }
        open &= !ends;
    }
    if !batch.is_empty() {
        found.push_back(part(batch, true, through));
    }
    found
}

/// A batch may be resumed after its last change; `at` is the place of one without any.
fn part(changes: Vec<Change>, more: bool, at: LogPosition) -> Batch {
    let through = changes.last().map_or(at, |change| change.position);
    Batch {
        changes,
        more,
        through,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use types::Micros;

    use super::*;

    fn change(tx: i64, id: i64, last: bool, kind: &str) -> Change {
        Change {
            position: LogPosition { epoch: 1, tx, id },
            last,
            workspace: "w".to_owned(),
            kind: kind.to_owned(),
            resource: String::new(),
            revision: 1,
            payload: Vec::new(),
            paths: String::new(),
            actor: String::new(),
            request_id: String::new(),
            event_id: String::new(),
            record_time: Micros(0),
        }
    }

    /// A log of transactions of these sizes; every third change is of a kind that is left out.
    fn log(sizes: &[i64]) -> Vec<Change> {
        let mut id = 0;
        let mut all = Vec::new();
        for (tx, size) in (1..).zip(sizes) {
            for number in 1..=*size {
                id += 1;
                let kind = if id % 3 == 0 { "other" } else { "one" };
                all.push(change(tx, id, number == *size, kind));
            }
        }
        all
    }

    /// Everything that a feed gives out of this log when it reads `page` changes at once.
    fn followed(log: &[Change], page: usize) -> Vec<Batch> {
        let kinds: Kinds = Arc::new(|kind| kind == "one");
        let mut open = false;
        let mut out = Vec::new();
        for part in log.chunks(page) {
            let through = part[part.len() - 1].position;
            for batch in batches(part.to_vec(), through, open, Some(&kinds)) {
                open = batch.more;
                out.push(batch);
            }
        }
        out
    }

    proptest! {
        #[test]
        fn each_change_comes_once_in_order_and_transactions_are_closed(
            sizes in prop::collection::vec(1_i64..130, 1..8),
            page in 1_usize..250,
        ) {
            let log = log(&sizes);
            let out = followed(&log, page);
            let ids: Vec<i64> =
                out.iter().flat_map(|b| &b.changes).map(|c| c.position.id).collect();
            let wanted: Vec<i64> =
                log.iter().filter(|c| c.kind == "one").map(|c| c.position.id).collect();
            prop_assert_eq!(ids, wanted);
            for (index, batch) in out.iter().enumerate() {
                prop_assert!(batch.changes.len() <= BATCH_MAX);
                let tx = batch.changes.first().map(|c| c.position.tx);
                prop_assert!(batch.changes.iter().all(|c| Some(c.position.tx) == tx));
                if batch.more {
                    let next = out.get(index + 1).expect("an open transaction goes on");
                    prop_assert!(
                        next.changes.is_empty()
                            || next.changes.first().map(|c| c.position.tx) == tx
                    );
                }
            }
            prop_assert!(out.windows(2).all(|pair| pair[0].through < pair[1].through));
            prop_assert!(out.last().is_none_or(|last| !last.more));
        }
    }
}
