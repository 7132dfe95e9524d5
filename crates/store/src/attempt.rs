//! One try at an operation: how it is begun, and how it ended.

use std::sync::Arc;

use types::Deadline;

use crate::Error;
use crate::change_log::LogPosition;
use crate::permits::Turn;

/// How a transaction is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// READ COMMITTED, to be committed.
    Write,
    /// One statement that is its own transaction: no `BEGIN`, no `COMMIT`.
    SingleWrite,
    /// Statements one by one, each with its own snapshot.
    Read,
    /// Statements over one snapshot.
    Snapshot,
}

/// An operation, but for what it does.
#[derive(Clone)]
pub(crate) struct Act {
    /// Its label.
    pub(crate) op: &'static str,
    /// How its transaction is begun.
    pub(crate) mode: Mode,
    /// What it waits for.
    pub(crate) turn: Turn,
    /// By when.
    pub(crate) deadline: Deadline,
    /// For whom, as the setting of PostgreSQL has it.
    pub(crate) scope: Arc<str>,
    /// A lock that is not free in time is an answer.
    pub(crate) hasty: bool,
}

/// How an attempt ended.
pub(crate) enum Attempt<T, E> {
    /// With an answer, and what it appended to the log.
    Answered(Result<T, E>, Option<LogPosition>),
    /// With a refusal that tells what an earlier run of the same request left.
    Settled(E),
    /// With a failure after which it may be run again; the answer if it may not.
    Again(E),
    /// With a commit of which nobody knows whether it happened. The write has a request key, or found it,
    /// so it may be run again: if it was done, it finds that.
    Unknown(Error),
}
