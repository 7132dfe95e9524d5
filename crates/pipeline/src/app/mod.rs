//! Use cases: the only room that awaits peers and opens transactions. Network first, transaction
//! second, never one inside the other.

pub mod acknowledgements;
pub mod activations;
pub mod announcements;
pub mod background;
pub mod batches;
pub mod cancellations;
pub mod companies;
pub mod completions;
pub mod conversions;
pub mod earlier;
pub mod entitlements;
pub mod evaluation;
pub mod evaluator;
pub mod fences;
pub mod follower;
pub mod freshness;
pub mod gate;
pub mod grants;
pub mod history;
pub mod holders;
pub mod lineages;
pub mod lists;
pub mod log;
pub mod mapping;
mod measures;
pub mod policies;
pub mod positions;
pub mod previews;
pub mod primaries;
pub mod projector;
pub mod recalls;
pub mod reopening;
pub mod requests;
pub mod revisions;
pub mod sealing;
pub mod steps;
pub mod sweeping;
pub mod waiting;
pub mod watch;

use std::sync::Arc;

use policy::Compiler;
use store::Store;
use types::{Clock, Ids};

use crate::error::Error;
use crate::peers::contacts::Contacts;

/// Everything that a use case needs. Clones share it.
#[derive(Clone)]
pub struct App {
    /// The database.
    pub store: Store,
    /// The directory.
    pub contacts: Contacts,
    /// Compiled policies.
    pub lineages: Arc<lineages::Cache>,
    /// What compiles them.
    pub compiler: Compiler,
    /// The time.
    pub clock: Clock,
    /// New ids.
    pub ids: Ids,
    /// What wakes background tasks of this process.
    pub wakes: Arc<Wakes>,
    /// This process, as a holder of leases.
    pub process: Arc<str>,
    /// How often histories are sealed.
    pub seal_interval: std::time::Duration,
}

impl App {
    /// The same for internal calls: their connections wait behind no crowd of people's.
    pub fn for_peers(&self) -> Self {
        Self {
            store: self.store.reserved(),
            ..self.clone()
        }
    }
}

/// What wakes background tasks of this process.
#[derive(Debug, Default)]
pub struct Wakes {
    /// There are contacts to be looked at.
    pub evaluator: tokio::sync::Notify,
    /// A holder has attached.
    pub sweeper: tokio::sync::Notify,
}

/// Who calls, and by when the answer is due.
#[derive(Clone, Debug)]
pub struct Call {
    /// The principal.
    pub actor: String,
    /// By when.
    pub deadline: types::Deadline,
}

/// Why a transaction ended without a commit.
pub enum Abort<T> {
    /// It was refused or failed.
    Error(Box<Error>),
    /// What it was decided on has changed: read it again and try again.
    Stale(Stale),
    /// It was only tried, and this is what it would have done.
    Preview(Box<T>),
}

/// What is no longer as it was read before the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stale {
    /// The policy in force.
    Lineage,
    /// A contact's facts: those that were decided on last are of this age.
    Facts(types::Micros),
}

impl<T> From<store::Error> for Abort<T> {
    fn from(error: store::Error) -> Self {
        Self::Error(Box::new(error.into()))
    }
}

impl<T> From<Error> for Abort<T> {
    fn from(error: Error) -> Self {
        Self::Error(Box::new(error))
    }
}

impl<T> From<Stale> for Abort<T> {
    fn from(stale: Stale) -> Self {
        Self::Stale(stale)
    }
}

/// How often a decision is made anew because what it rested on changed meanwhile.
pub const ATTEMPTS_MAX: usize = 8;
