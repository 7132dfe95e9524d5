//! Creates that wait together are written together: in one statement, with one flush to the disk.
//!
//! Whatever keeps such a statement from being carried out may be the fault of one of them, so then each
//! is written for itself and gets an answer of its own.
//!
//! Those whose ids were chosen go apart from the others: no such id may be a purged contact's, and to
//! look that up takes a transaction of two statements.

use std::sync::Arc;

use futures::future::join_all;
use store::idempotency::Stored;
use store::single::Created;
use store::together::{self, Lost};
use store::{Conn, Error as StoreError, Store};
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
    /// Whether the caller chose its id.
    is_named: bool,
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
        (contact, is_named): (Arc<Contact>, bool),
        entry: Entry,
        answer: Stored,
        now: Micros,
    ) -> Self {
        let call = call.clone();
        Self(Arc::new(Parts {
            call,
            contact,
            is_named,
            entry,
            answer,
            now,
        }))
    }

    fn workspace(&self) -> &str {
        &self.0.contact.name.workspace
    }

    /// Those of one workspace go together, but for those whose ids were chosen: what has to be looked
    /// up for them costs the others nothing.
    fn lane(&self) -> String {
        let suffix = if self.0.is_named { "/named" } else { "" };
        format!("{}{suffix}", self.workspace())
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
        let (lane, deadline) = (creation.lane(), parts.call.deadline);
        let store = self.store.clone();
        let together = move |creations| create_together(store.clone(), creations);
        match self.creates.run(&lane, creation, deadline, together).await {
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
        match create_all(&store, "contacts.create_together", all.collect(), latest).await {
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

/// Creates all of them or none: in one statement, or where their ids were chosen in a transaction that
/// looks afterwards whether one of them was a purged contact's.
async fn create_all(
    store: &Store,
    op: &'static str,
    creations: Vec<Creation>,
    deadline: Deadline,
) -> Result<Vec<Created>, StoreError> {
    // Whoever waits together is of one lane.
    let first = creations.first();
    let workspace = first.map_or("", Creation::workspace).to_owned();
    let are_named = first.is_some_and(|first| first.0.is_named);
    let within = store.within(&workspace);
    if !are_named {
        let write = within.write_single(op, deadline, move |conn| insert(conn, &creations));
        return write.await;
    }
    let write = within.write(op, deadline, move |conn| {
        let created = insert(conn, &creations)?;
        let names = creations.iter().map(|creation| &creation.0.contact.name);
        let ids: Vec<&str> = names.map(|name| name.contact.as_str()).collect();
        if rows::contacts_purged(conn, &workspace, &ids)?.is_empty() {
            return Ok(created);
        }
        Err(StoreError::UniqueViolation {
            table: "purged_contacts".to_owned(),
            constraint: "purged_contacts_pkey".to_owned(),
        })
    });
    write.await
}

fn insert(conn: &mut Conn, creations: &[Creation]) -> Result<Vec<Created>, StoreError> {
    let new: Vec<_> = creations.iter().map(Creation::new_contact).collect();
    let positions = rows::contacts_create(conn, &new)?;
    // Nothing may stay of the others where a key was taken.
    let positions = positions.ok_or(StoreError::RequestInProgress)?;
    Ok(positions.into_iter().map(Created::At).collect())
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
    match create_all(store, "contacts.create", vec![creation], deadline).await {
        Ok(mut created) => Ok(created.pop().unwrap_or(Created::KeyTaken)),
        Err(StoreError::RequestInProgress) => Ok(Created::KeyTaken),
        Err(refused) => Err(doubt.unwrap_or(refused)),
    }
}
