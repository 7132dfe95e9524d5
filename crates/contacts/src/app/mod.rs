//! The use cases: what a call does, from its values to the answer.
//!
//! Invariant: nothing here waits while a transaction is open, and nothing knows of tonic.

mod calls;
mod contacts;
mod exports;
mod follow;
mod freshness;
mod import_lists;
mod importer;
mod imports;
mod log;
mod positions;
mod removals;
mod upkeep;
mod uploads;
mod watch;

use std::sync::Arc;

use store::Store;
use store::points::Points;
use store::together::Queue;
use tokio::sync::Notify;
use types::{Clock, Ids};

use crate::domain::contacts::Contact;
use crate::store::contacts::contacts_found;

pub use calls::{Call, Once, Written};
pub use contacts::{CreateInput, ListInput, UpdateInput, contact_filter};
pub use freshness::Freshness;
pub use import_lists::{ImportsInput, RowsInput};
pub use importer::columns::check_mapping;
pub use log::resume_token as resume_token_of;
pub use positions::RecordedPosition;
pub use uploads::ChunkInput;
pub use watch::{Beginning, Changes, Told, WatchInput, Watcher, watch_faults};

/// The name of the service in places that other services read: log tokens and leases.
pub const SERVICE: &str = "contacts";

/// The use cases over one database. Clones are cheap and share everything.
#[derive(Clone)]
pub struct App {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) ids: Ids,
    /// Creates that wait to be written together.
    creates: Queue<contacts::Creation>,
    /// Reads of one contact that wait to be read together.
    reads: Points<String, Contact>,
    /// Rings when the pipeline service has told where contacts stand.
    pub(crate) told: Arc<Notify>,
    /// Rings when an import begins to run.
    pub(crate) import_ran: Arc<Notify>,
}

impl App {
    /// The use cases over `store`.
    pub fn new(store: Store, clock: Clock, ids: Ids) -> Self {
        Self {
            store,
            clock,
            ids,
            creates: Queue::new(contacts::STATEMENTS_MAX),
            reads: Points::new("contacts.get", contacts_found),
            told: Arc::default(),
            import_ran: Arc::default(),
        }
    }

    /// The same for internal calls: their connections wait behind no crowd of people's.
    pub(crate) fn for_peers(&self) -> Self {
        Self {
            store: self.store.reserved(),
            ..self.clone()
        }
    }
}
