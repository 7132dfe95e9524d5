//! Changing contacts.

use store::{Conn, Error as StoreError, change_log};
use types::{ContactName, Micros};

use super::super::calls::{Done, Stop};
use super::super::log::Entry;
use super::super::{App, Call, Written};
use super::references::{check_references, require_identities};
use super::{finish, insert, merged, require_etags};
use crate::domain::contacts::{Change, Contact, State};
use crate::domain::masks;
use crate::error::Error;
use crate::store::contacts as rows;
use crate::wire::contacts::{Draft, message};

/// What UpdateContact was given.
#[derive(Clone, Debug)]
pub struct UpdateInput {
    /// The contact.
    pub name: ContactName,
    /// Its new values.
    pub draft: Draft,
    /// The fields to change.
    pub mask: Vec<String>,
    /// The etags that were read, those that were given.
    pub etags: Vec<String>,
    /// Create the contact if there is none.
    pub allow_missing: bool,
}

impl App {
    /// Changes a contact.
    pub async fn update_contact(&self, call: Call, input: UpdateInput) -> Result<Written, Error> {
        if let Some(stored) = self.earlier(&call).await? {
            return self.replayed(&input.name.workspace, &call, &stored).await;
        }
        let event_id = self.ids.next();
        let now = self.clock.now();
        let (owned, given) = (call.clone(), input.clone());
        let written = self.write_contact(
            "contacts.update",
            &input.name.workspace,
            &call,
            move |conn| {
                if let Some(stored) = owned.claim(conn, now)? {
                    return Ok(Done::Replay(stored));
                }
                match rows::contact_lock(conn, &given.name)? {
                    Some(old) => update(conn, &owned, old, &given, &event_id, now),
                    None if given.allow_missing => {
                        let facts = given.draft.facts.clone();
                        let contact =
                            Contact::created(given.name.clone(), facts, &owned.actor, now);
                        check_references(conn, &contact.name, &given.draft.references)?;
                        insert(conn, &owned, (&contact, true), &event_id, now)
                    }
                    None => Err(Error::not_found(&given.name).into()),
                }
            },
        );
        match written.await {
            Err(Error::Store(error @ StoreError::UniqueViolation { .. })) => {
                let ids = input.draft.facts.external_ids;
                self.conflict(&call, error, input.name, ids, false).await
            }
            answer => answer,
        }
    }
}

/// Changes a contact whose row is locked.
fn update(
    conn: &mut Conn,
    call: &Call,
    old: Contact,
    input: &UpdateInput,
    event_id: &str,
    now: Micros,
) -> Result<Done, Stop> {
    require_present(&old)?;
    require_etags(&old, &input.etags)?;
    let facts = masks::applied(
        &old.facts,
        &input.draft.facts,
        input.draft.kind,
        &input.mask,
    )
    .map_err(Error::Mask)?;
    let changed = masks::changed_paths(&old.facts, &facts);
    let references: Vec<_> = input
        .draft
        .references
        .iter()
        .filter(|(path, target)| {
            // Whom the contact refers to already may have been deleted since: that is no reason to
            // refuse other changes.
            let known = match *path {
                "company" => &old.facts.company,
                _ => &old.facts.source.referrer,
            };
            let is_known = target.workspace == old.name.workspace && target.contact == *known;
            !is_known && masks::names(&input.mask, path)
        })
        .cloned()
        .collect();
    check_references(conn, &old.name, &references)?;
    if changed.is_empty() {
        let shown = message(&old);
        return finish(conn, call, shown, old.revision, None);
    }
    require_identities(conn, &old, &facts)?;
    let reindexed = changed.iter().any(|path| {
        matches!(path.as_str(), "emails" | "phones" | "external_ids") || path.starts_with("labels.")
    });
    let new = old.updated(facts, &call.actor, now);
    rows::contact_update(conn, &new)?;
    if reindexed {
        rows::contact_reindex(conn, &new)?;
    }
    let shown = message(&new);
    let mut entry = Entry::of(Change::Updated, &shown, event_id);
    entry.paths = changed.join(",");
    let at = change_log::append(conn, &entry.change(&new, call, now))?;
    finish(conn, call, shown, new.revision, Some(at))
}

/// A contact that is deleted, merged or on its way there can't be changed.
fn require_present(contact: &Contact) -> Result<(), Error> {
    let name = contact.name.to_string();
    match contact.state {
        State::Active => Ok(()),
        State::Deleting | State::Deleted => Err(Error::Deleted { resource: name }),
        State::Merging => Err(Error::TransitionPending {
            contact: name,
            to: State::Merged.as_str(),
            since: contact.update_time,
        }),
        State::Merged => Err(merged(contact)),
    }
}
