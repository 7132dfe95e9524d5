//! Creates that wait together are written together: in one statement, with one flush to the disk.
//!
//! Whatever keeps such a statement from being carried out may be the fault of one of them, so then each
//! is written for itself and gets an answer of its own.

use std::sync::Arc;

use futures::future::join_all;
use store::idempotency::Stored;
use store::single::Created;
use store::together::{self, Lost};
use store::{Error as StoreError, Store};
use types::{Deadline, Micros};

use crate::app::log::Entry;
use crate::app::{App, Call};
use crate::domain::contacts::Contact;
use crate::store::contacts as rows;

/// Statements of one workspace that are under way at once: one is carried out while another is
/// flushed. More of them would each have fewer creates, and do more work for each.
pub(in crate::app) const STATEMENTS_MAX: usize = 2;

/// A contact to be created, with everything that is written.
#[derive(Clone)]
pub(in crate::app) struct Creation(Arc<Parts>);

struct Parts {
    call: Call,
    contact: Arc<Contact>,
    entry: Entry,
    answer: Stored,
    now: Micros,
}

impl together::Job for Creation {
    type Outcome = Result<Created, StoreError>;

    fn subject(&self) -> Option<&str> {
        let once = self.0.call.once.as_ref();
        once.map(|once| once.key.request_id.as_str())
    }
}

impl Creation {
    pub(super) fn new(
        call: &Call,
        contact: Arc<Contact>,
        entry: Entry,
        answer: Stored,
        now: Micros,
    ) -> Self {
        let call = call.clone();
        Self(Arc::new(Parts {
            call,
            contact,
            entry,
            answer,
            now,
        }))
    }

    fn workspace(&self) -> &str {
        &self.0.contact.name.workspace
    }

    fn new_contact(&self) -> rows::NewContact<'_> {
        let parts = &*self.0;
        rows::NewContact {
            contact: &parts.contact,
            key: parts.call.completed(&parts.answer, parts.now),
            change: parts.entry.change(&parts.contact, &parts.call, parts.now),
        }
    }
}

impl App {
    /// Creates a contact together with those that wait at the moment.
    pub(super) async fn create_with_others(
        &self,
        creation: Creation,
    ) -> Result<Created, StoreError> {
        let parts = &creation.0;
        let (workspace, deadline) = (creation.workspace().to_owned(), parts.call.deadline);
        let store = self.store.clone();
        let together = move |creations| create_together(store.clone(), creations);
        match self
            .creates
            .run(&workspace, creation, deadline, together)
            .await
        {
            Ok(outcome) => outcome,
            Err(Lost::Late) => Err(StoreError::DeadlineExceeded),
            Err(Lost::Panicked) => Err(StoreError::Panicked {
                op: "contacts.create",
            }),
        }
    }
}

/// The outcome of each creation, in their order.
async fn create_together(
    store: Store,
    creations: Vec<(Creation, Deadline)>,
) -> Vec<Result<Created, StoreError>> {
    let latest = creations.iter().map(|(_, deadline)| *deadline).max();
    let mut doubt = None;
    if creations.len() > 1
        && let Some(latest) = latest
    {
        let all = creations.iter().map(|(creation, _)| creation.clone());
        match create_all(&store, all.collect(), latest).await {
            Ok(outcomes) => return outcomes.into_iter().map(Ok).collect(),
            Err(unknown @ StoreError::CommitUnknown(_)) => doubt = Some(unknown),
            Err(_) => {}
        }
    }
    join_all(creations.into_iter().map(|(creation, deadline)| {
        let (store, doubt) = (&store, doubt.clone());
        async move { create_alone(store, creation, deadline, doubt).await }
    }))
    .await
}

async fn create_all(
    store: &Store,
    creations: Vec<Creation>,
    deadline: Deadline,
) -> Result<Vec<Created>, StoreError> {
    // Whoever waits together is of one workspace.
    let workspace = creations.first().map_or("", Creation::workspace).to_owned();
    store
        .within(&workspace)
        .write_single("contacts.create_together", deadline, move |conn| {
            let new: Vec<_> = creations.iter().map(Creation::new_contact).collect();
            let positions = rows::contacts_create(conn, &new)?;
            // Nothing may stay of the others where a key was taken.
            let positions = positions.ok_or(StoreError::RequestInProgress)?;
            Ok(positions.into_iter().map(Created::At).collect())
        })
        .await
}

/// Where it is in doubt whether the creation was written with others, only its key can tell; without
/// one, and after a refusal, which may rest on that very write, the doubt stays.
async fn create_alone(
    store: &Store,
    creation: Creation,
    deadline: Deadline,
    doubt: Option<StoreError>,
) -> Result<Created, StoreError> {
    if let Some(doubt) = &doubt
        && creation.0.call.once.is_none()
    {
        return Err(doubt.clone());
    }
    let created = store
        .within(creation.workspace())
        .write_single("contacts.create", deadline, move |conn| {
            rows::contact_create(conn, creation.new_contact())
        })
        .await;
    created.map_err(|refused| doubt.unwrap_or(refused))
}
