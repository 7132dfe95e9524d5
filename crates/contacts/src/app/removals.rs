//! Deleting contacts and bringing them back.
//!
//! A deletion is accepted here and completed by the pipeline service: only when every grant on the
//! contact has been given back does [`App::confirm_removal`] make it DELETED.

use std::time::Duration;

use proto::contacts::v1::{self, contact};
use serve::freshness::WAIT_MAX;
use store::idempotency::Stored;
use store::{Conn, change_log};
use types::{ContactName, Deadline, Micros};

use super::calls::{Done, Stop, stored_answer};
use super::contacts::{finish, merged, require_etags, unstored};
use super::log::Entry;
use super::{App, Call, Written};
use crate::domain::contacts::{Change, Contact, State};
use crate::error::Error;
use crate::store::contacts as rows;
use crate::wire::contacts::message;

/// What is kept of the deadline to answer in.
const MARGIN: Duration = Duration::from_millis(100);

impl App {
    /// Accepts the deletion of a contact and waits for its confirmation, at most two seconds.
    pub async fn delete_contact(
        &self,
        call: Call,
        name: ContactName,
        etag: String,
        allow_missing: bool,
    ) -> Result<Written, Error> {
        if let Some(stored) = self.earlier(&call).await? {
            return self.deletion_replayed(&name, &call, &stored).await;
        }
        let event_id = self.ids.next();
        let now = self.clock.now();
        let (owned, target) = (call.clone(), name.clone());
        let done = self.store.within(&target.workspace).write(
            "contacts.delete",
            call.deadline,
            move |conn| {
                if let Some(stored) = owned.claim(conn, now)? {
                    return Ok(Done::Replay(stored));
                }
                let Some(contact) = rows::contact_lock(conn, &target)? else {
                    return missing(conn, &owned, &target, None, allow_missing);
                };
                match contact.state {
                    State::Deleted => missing(conn, &owned, &target, Some(contact), allow_missing),
                    State::Merged => Err(merged(&contact).into()),
                    State::Merging => Err(pending(&contact, State::Merged).into()),
                    State::Deleting => {
                        require_etags(&contact, std::slice::from_ref(&etag))?;
                        finish(conn, &owned, message(&contact), contact.revision, None)
                    }
                    State::Active => {
                        require_etags(&contact, std::slice::from_ref(&etag))?;
                        let going = contact.moved_to(State::Deleting, &owned.actor, now);
                        rows::contact_update(conn, &going)?;
                        let at = append(conn, &owned, &going, Change::Deleting, &event_id, now)?;
                        finish(conn, &owned, message(&going), going.revision, Some(at))
                    }
                }
            },
        );
        let done = match done.await {
            Ok(Done::Replay(stored)) => return self.deletion_replayed(&name, &call, &stored).await,
            done => done,
        };
        let mut written = self.answer(&name.workspace, &call, done).await?;
        let is_going = written
            .contact
            .as_ref()
            .is_some_and(|shown| shown.state() == contact::State::Deleting);
        if is_going && !call.validate_only {
            written.contact = self.await_removal(&name, call.deadline).await?;
        }
        Ok(written)
    }

    /// The answer of a deletion that was accepted before is the contact's present state.
    async fn deletion_replayed(
        &self,
        name: &ContactName,
        call: &Call,
        stored: &Stored,
    ) -> Result<Written, Error> {
        let mut written = self.replayed(&name.workspace, call, stored).await?;
        if written.contact.is_some() {
            let name = name.clone();
            let found = self.store.within(&name.workspace).read_point(
                "contacts.get",
                call.deadline,
                move |conn| rows::contact_get(conn, &name),
            );
            // One that was purged meanwhile is shown as it was accepted.
            written.contact = found.await?.as_ref().map(message).or(written.contact);
        }
        Ok(written)
    }

    /// The contact once it is no longer DELETING, or as it is when the time is over.
    async fn await_removal(
        &self,
        name: &ContactName,
        deadline: Deadline,
    ) -> Result<Option<v1::Contact>, Error> {
        let until = deadline.less(MARGIN).within(WAIT_MAX);
        let mut latest = None;
        loop {
            let mut seen = self.store.seen();
            let target = name.clone();
            let found = self.store.within(&name.workspace).read_point(
                "contacts.get",
                deadline,
                move |conn| rows::contact_get(conn, &target),
            );
            if let Some(contact) = found.await? {
                let is_going = contact.state == State::Deleting;
                latest = Some(message(&contact));
                if !is_going {
                    return Ok(latest);
                }
            }
            let left = until.remaining();
            if left.is_zero() {
                return Ok(latest);
            }
            serve::aside(self.store.wait_for_change(&mut seen, left)).await;
        }
    }

    /// Brings a deleted contact back.
    pub async fn undelete_contact(
        &self,
        call: Call,
        name: ContactName,
        etag: String,
    ) -> Result<Written, Error> {
        if let Some(stored) = self.earlier(&call).await? {
            return self.replayed(&name.workspace, &call, &stored).await;
        }
        let event_id = self.ids.next();
        let now = self.clock.now();
        let owned = call.clone();
        let within = name.workspace.clone();
        let written = self.write_contact("contacts.undelete", &within, &call, move |conn| {
            if let Some(stored) = owned.claim(conn, now)? {
                return Ok(Done::Replay(stored));
            }
            let found = rows::contact_lock(conn, &name)?;
            let contact = found.ok_or_else(|| Error::not_found(&name))?;
            match contact.state {
                State::Active => Err(Error::Exists {
                    resource: name.to_string(),
                }
                .into()),
                State::Deleting => Err(pending(&contact, State::Deleted).into()),
                State::Merging => Err(pending(&contact, State::Merged).into()),
                State::Merged => Err(merged(&contact).into()),
                // It is as good as removed, whether or not that was done yet.
                State::Deleted if contact.purge_time.is_some_and(|at| at <= now) => {
                    Err(Error::not_found(&name).into())
                }
                State::Deleted => {
                    require_etags(&contact, std::slice::from_ref(&etag))?;
                    let back = contact.moved_to(State::Active, &owned.actor, now);
                    rows::contact_update(conn, &back)?;
                    let at = append(conn, &owned, &back, Change::Undeleted, &event_id, now)?;
                    finish(conn, &owned, message(&back), back.revision, Some(at))
                }
            }
        });
        written.await
    }

    /// Completes a removal that was accepted at the revision with this etag. Repeating it changes
    /// nothing.
    pub async fn confirm_removal(
        &self,
        call: Call,
        name: ContactName,
        etag: String,
    ) -> Result<Contact, Error> {
        let event_id = self.ids.next();
        let now = self.clock.now();
        let confirmed = self.store.within(&name.workspace).write(
            "contacts.confirm_removal",
            call.deadline,
            move |conn| {
                let found = rows::contact_lock(conn, &name)?;
                let contact = found.ok_or_else(|| Error::not_found(&name))?;
                match contact.state {
                    State::Deleted => Ok(contact),
                    State::Deleting => {
                        require_etags(&contact, std::slice::from_ref(&etag))?;
                        // Whoever asked for the removal made it, not the service that lets it go.
                        let remover = contact.updater.clone();
                        let gone = contact.moved_to(State::Deleted, &remover, now);
                        rows::contact_update(conn, &gone)?;
                        append(conn, &call, &gone, Change::Deleted, &event_id, now)?;
                        Ok(gone)
                    }
                    State::Active | State::Merging | State::Merged => Err(Error::EtagMismatch {
                        resource: name.to_string(),
                    }),
                }
            },
        );
        confirmed.await
    }
}

/// A contact that is not there, or no longer.
fn missing(
    conn: &mut Conn,
    call: &Call,
    name: &ContactName,
    contact: Option<Contact>,
    allow_missing: bool,
) -> Result<Done, Stop> {
    if !allow_missing {
        return Err(Error::not_found(name).into());
    }
    let shown = contact.as_ref().map(message);
    if call.validate_only {
        return Err(Stop::Checked(shown.map(unstored).map(Box::new)));
    }
    let revision = contact.map_or(0, |contact| contact.revision);
    let answer = stored_answer(shown.as_ref(), "");
    call.complete(conn, &name.to_string(), revision, &answer)?;
    Ok(Done::Fresh(shown.map(Box::new), None))
}

fn append(
    conn: &mut Conn,
    call: &Call,
    contact: &Contact,
    kind: Change,
    event_id: &str,
    now: Micros,
) -> Result<change_log::LogPosition, store::Error> {
    let entry = Entry::of(kind, &message(contact), event_id);
    change_log::append(conn, &entry.change(contact, call, now))
}

fn pending(contact: &Contact, to: State) -> Error {
    Error::TransitionPending {
        contact: contact.name.to_string(),
        to: to.as_str(),
        since: contact.update_time,
    }
}
