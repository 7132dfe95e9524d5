//! Use cases: the only room that awaits peers and opens transactions.
//!
//! Invariant: network first, transaction second, never one inside the other.

use std::sync::Arc;

use ::store::Store;
use types::{Clock, ContactName, Ids};

use crate::error::Error;
use crate::peers::pipeline::Pipeline;

pub mod assignments;
pub mod attaching;
pub mod calls;
pub mod grants;
pub mod invoices;
pub mod issues;
pub mod lists;
pub mod projects;
pub mod prune;
pub mod recalls;
pub mod subjects;
mod updates;
mod verification;

/// Everything that a use case needs. Clones share it.
#[derive(Clone)]
pub struct App {
    /// The database.
    pub store: Store,
    /// Where grants come from.
    pub pipeline: Pipeline,
    /// The time.
    pub clock: Clock,
    /// New ids.
    pub ids: Ids,
    /// This database, as a holder of grants.
    pub holder: Arc<str>,
    /// This process, as a holder of leases.
    pub process: Arc<str>,
    /// Issues that wait to share a transaction.
    pub issues: issues::Queue,
    /// The attaching to pipeline that is under way.
    pub attaching: attaching::Attaching,
    /// Contacts that are asked about once more.
    pub subjects: subjects::Subjects,
}

/// Why an attempt stopped.
#[derive(Debug)]
pub enum Stop {
    /// It was refused or failed.
    Error(Error),
    /// No grant is held that would do; pipeline has to be asked.
    NoGrant(ContactName),
    /// A grant is held, but who the contact is was told too long ago to be frozen.
    SubjectOld(ContactName),
    /// The request was done before; its key says how it ended.
    Replay(::store::idempotency::Stored),
}

/// Why a transaction ended without a commit.
#[derive(Debug)]
pub enum Abort<T> {
    /// It stopped.
    Stop(Stop),
    /// It was only tried, and this is what it would have done.
    Rehearsed(Box<T>),
}

impl From<::store::Error> for Stop {
    fn from(error: ::store::Error) -> Self {
        Self::Error(error.into())
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl<T> From<::store::Error> for Abort<T> {
    fn from(error: ::store::Error) -> Self {
        Self::Stop(error.into())
    }
}

impl<T> From<Error> for Abort<T> {
    fn from(error: Error) -> Self {
        Self::Stop(error.into())
    }
}

impl<T> From<Stop> for Abort<T> {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}
