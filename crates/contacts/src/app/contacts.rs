//! Creating and reading contacts.

mod batch;
mod creates;
mod list;
mod references;
mod update;

use std::sync::Arc;

use proto::contacts::v1;
use store::idempotency::Stored;
use store::single::Created;
use store::{Conn, Error as StoreError, change_log};
use types::{ContactName, Deadline, Micros};

use super::calls::{Done, Stop, stored_answer};
use super::log::{Entry, consistency_token};
use super::{App, Call, Freshness, Written};
use crate::domain::contacts::{Change, Contact};
use crate::domain::facts::ExternalId;
use crate::error::Error;
use crate::store::contacts as rows;
use crate::wire::contacts::{Draft, message};
use references::{check_references, duplicate, require_unused};

pub(super) use creates::{Creation, STATEMENTS_MAX};
pub use list::{ListInput, contact_filter};
pub(super) use list::{PAGE_BYTES_MAX, page_token};
pub use update::UpdateInput;

/// What CreateContact was given.
#[derive(Clone, Debug)]
pub struct CreateInput {
    /// The workspace's id.
    pub workspace: String,
    /// The id asked for; empty for one of the service's own.
    pub id: String,
    /// The contact.
    pub draft: Draft,
}

impl App {
    /// Creates a contact.
    pub async fn create_contact(&self, call: Call, input: CreateInput) -> Result<Written, Error> {
        let CreateInput {
            workspace,
            id,
            draft,
        } = input;
        let is_named = !id.is_empty();
        let id = if is_named { id } else { self.ids.next() };
        let name = ContactName::new(workspace, id);
        let now = self.clock.now();
        let contact = Contact::created(name, draft.facts.clone(), &call.actor, now);
        let event_id = self.ids.next();
        let ids = contact.facts.external_ids.clone();
        let name = contact.name.clone();
        let contact = Arc::new(contact);
        let mut done = Err(Stop::KeyTaken);
        if draft.references.is_empty() && !call.validate_only {
            let new = (Arc::clone(&contact), is_named);
            done = self.create_at_once(&call, new, &event_id, now).await;
        }
        if matches!(done, Err(Stop::KeyTaken)) {
            done = self
                .create_checked(&call, (contact, is_named), draft, event_id, now)
                .await;
        }
        match self.answer(&name.workspace, &call, done).await {
            Err(Error::Store(error @ StoreError::UniqueViolation { .. })) => {
                self.conflict(&call, error, name, ids, true).await
            }
            answer => answer,
        }
    }

    /// The hot path: nothing to look up before, so one statement does it all. [`Stop::KeyTaken`] where
    /// that does not do.
    async fn create_at_once(
        &self,
        call: &Call,
        (contact, is_named): (Arc<Contact>, bool),
        event_id: &str,
        now: Micros,
    ) -> Result<Done, Stop> {
        let shown = message(&contact);
        let answer = Stored {
            resource: shown.name.clone(),
            revision: contact.revision,
            response: call
                .once
                .as_ref()
                .map_or_else(Vec::new, |_| stored_answer(Some(&shown), "")),
        };
        let entry = Entry::of(Change::Created, &shown, event_id);
        let creation = Creation::new(call, (contact, is_named), entry, answer, now);
        match self.create_with_others(creation).await? {
            Created::At(at) => Ok(Done::Fresh(Some(Box::new(shown)), Some(at))),
            Created::KeyTaken => Err(Stop::KeyTaken),
        }
    }

    /// With references to look up, or only to be checked, or where it is to be found out what became
    /// of the key.
    async fn create_checked(
        &self,
        call: &Call,
        (contact, is_named): (Arc<Contact>, bool),
        draft: Draft,
        event_id: String,
        now: Micros,
    ) -> Result<Done, Stop> {
        let owned = call.clone();
        let write = self.store.within(&contact.name.workspace).write(
            "contacts.create_checked",
            call.deadline,
            move |conn| {
                if let Some(stored) = owned.claim(conn, now)? {
                    return Ok(Done::Replay(stored));
                }
                check_references(conn, &contact.name, &draft.references)?;
                insert(conn, &owned, (&contact, is_named), &event_id, now)
            },
        );
        write.await
    }

    /// Something unique was taken: by the same call, made before; by a contact of this name; or by
    /// one with the same external id. `is_new` where the contact was to be created.
    pub(super) async fn conflict(
        &self,
        call: &Call,
        error: StoreError,
        name: ContactName,
        ids: Vec<ExternalId>,
        is_new: bool,
    ) -> Result<Written, Error> {
        if let Some(stored) = self.earlier(call).await? {
            return self.replayed(&name.workspace, call, &stored).await;
        }
        let target = name.clone();
        let found = self.store.within(&target.workspace).read(
            "contacts.conflict",
            call.deadline,
            move |conn| {
                let twin = rows::contact_get(conn, &target)?;
                if twin.is_none() && is_new {
                    // It may have been purged just now.
                    require_unused(conn, &target.workspace, &[&target.contact])?;
                }
                let owners = rows::external_id_owners(conn, &target.workspace, &ids)?;
                Ok::<_, Error>((twin, owners))
            },
        );
        let (twin, owners) = found.await?;
        let twin = twin.filter(|_| is_new);
        let other = owners.into_iter().find(|(_, owner)| *owner != name.contact);
        // Which of several the engine met first is its own affair.
        match (twin, other) {
            (Some(_), _) => Err(Error::Exists {
                resource: name.to_string(),
            }),
            (None, Some((id, owner))) => Err(duplicate(&name.workspace, &id, &owner)),
            (None, None) => Err(Error::Store(error)),
        }
    }

    /// Reads one contact.
    pub async fn get_contact(
        &self,
        name: ContactName,
        freshness: &Freshness,
        deadline: Deadline,
    ) -> Result<Contact, Error> {
        self.await_freshness(freshness, deadline).await?;
        let ContactName { workspace, contact } = &name;
        let found = self
            .reads
            .get(&self.store, workspace, contact.clone(), deadline);
        found.await?.ok_or_else(|| Error::not_found(&name))
    }
}

/// Inserts a contact in a transaction whose key is claimed, and whether its id was chosen.
pub(super) fn insert(
    conn: &mut Conn,
    call: &Call,
    (contact, is_named): (&Contact, bool),
    event_id: &str,
    now: Micros,
) -> Result<Done, Stop> {
    let mut shown = message(contact);
    let entry = Entry::of(Change::Created, &shown, event_id);
    let change = entry.change(contact, call, now);
    let new = rows::NewContact {
        contact,
        key: None,
        change,
    };
    let Created::At(at) = rows::contact_create(conn, new)? else {
        return Err(Stop::KeyTaken);
    };
    if is_named {
        require_unused(conn, &contact.name.workspace, &[&contact.name.contact])?;
    }
    if call.validate_only {
        // What a call that only checks made is gone at once: it has no name.
        shown.name = String::new();
        return Err(Stop::Checked(Some(Box::new(unstored(shown)))));
    }
    let answer = stored_answer(Some(&shown), &consistency_token(at));
    call.complete(conn, &shown.name, contact.revision, &answer)?;
    Ok(Done::Fresh(Some(Box::new(shown)), Some(at)))
}

/// Ends a write with its answer, or takes it back where it was only to be checked.
pub(super) fn finish(
    conn: &mut Conn,
    call: &Call,
    shown: v1::Contact,
    revision: i64,
    at: Option<change_log::LogPosition>,
) -> Result<Done, Stop> {
    if call.validate_only {
        return Err(Stop::Checked(Some(Box::new(unstored(shown)))));
    }
    let token = at.map(consistency_token).unwrap_or_default();
    call.complete(
        conn,
        &shown.name,
        revision,
        &stored_answer(Some(&shown), &token),
    )?;
    Ok(Done::Fresh(Some(Box::new(shown)), at))
}

/// A contact as it would be: nothing that only a stored revision has, such as an etag, which would
/// pass once somebody else has made that revision.
pub(super) fn unstored(shown: v1::Contact) -> v1::Contact {
    v1::Contact {
        etag: String::new(),
        update_time: None,
        ..shown
    }
}

pub(super) fn merged(contact: &Contact) -> Error {
    let other = ContactName::new(contact.name.workspace.clone(), contact.merged_into.clone());
    Error::Merged {
        contact: contact.name.to_string(),
        merged_into: other.to_string(),
    }
}

/// Every etag that was given must be the contact's.
pub(super) fn require_etags(contact: &Contact, etags: &[String]) -> Result<(), Error> {
    let etag = contact.etag();
    if etags.iter().all(|given| given.is_empty() || *given == etag) {
        return Ok(());
    }
    Err(Error::EtagMismatch {
        resource: contact.name.to_string(),
    })
}
