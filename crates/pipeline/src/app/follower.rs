//! Following the directory's change log: a contact that is new is opened at once, from what the log
//! tells of it; every other one that changed is put down to be looked at, and the place in the log is
//! stored with it.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use futures::StreamExt as _;
use policy::definition::Mode;
use proto::contacts::v1::watch_contacts_response::Event;
use proto::contacts::v1::{
    Contact as WireContact, ContactChange, WatchContactsResponse, contact_change,
};
use proto::convert::timestamp_from_wire;
use serve::peer::Backoff;
use store::cursors;
use store::leases::{self, Lease};
use types::{ContactName, Deadline, Micros, Token};

use super::background::unhurried;
use super::evaluation::open_together;
use super::{App, measures};
use crate::domain::contacts::{Contact, Presence};
use crate::error::Error;
use crate::peers::contacts::{Followed, is_expired};
use crate::store as tables;
use crate::wire;

/// The cursor over the directory's change log.
pub const CURSOR: &str = "contacts";

/// The cursor that says which life of the directory is followed: its epoch.
pub const DIRECTORY: &str = "contacts_epoch";

/// How long the stream may be silent before it is taken for dead: heartbeats come every 15 s.
const SILENCE_MAX: Duration = Duration::from_secs(40);
/// Messages that are written down in one transaction.
const MESSAGES_MAX: usize = 64;
const STEP_TIME: Duration = Duration::from_secs(10);

/// Why a stream is left.
enum Left {
    /// Open it again after the last token.
    Again,
    /// Changes after the last token are gone: begin with a snapshot.
    Expired,
}

impl App {
    /// Follows the directory for as long as it holds the lease.
    pub async fn follow_contacts(&self, lease: Lease) {
        let mut backoff = Backoff::new();
        loop {
            match self.follow_once(&lease, &mut backoff).await {
                Ok(Left::Again) => {}
                Ok(Left::Expired) => {
                    tracing::warn!("the directory's history was pruned past us, all is read again");
                    if let Err(error) = self.forget_cursor(&lease).await {
                        tracing::warn!(%error, "the cursor over the directory stays");
                    }
                }
                Err(error) => tracing::warn!(%error, "the directory is not followed now"),
            }
            tokio::time::sleep(backoff.pause()).await;
        }
    }

    async fn follow_once(&self, lease: &Lease, backoff: &mut Backoff) -> Result<Left, Error> {
        let cursor = self
            .store
            .reserved()
            .across()
            .read("cursor.read", Deadline::after(STEP_TIME), |conn| {
                cursors::read(conn, CURSOR)
            })
            .await?
            .filter(|cursor| !cursor.is_empty());
        let mut snapshot = cursor.is_none().then(Seen::default);
        let stream = match self.contacts.follow(cursor).await? {
            Followed::Stream(stream) => stream,
            Followed::Expired => return Ok(Left::Expired),
        };
        let mut messages = stream.ready_chunks(MESSAGES_MAX);
        loop {
            let next = tokio::time::timeout(SILENCE_MAX, messages.next()).await;
            let Ok(Some(chunk)) = next else {
                return Ok(Left::Again);
            };
            let mut fresh = Vec::with_capacity(chunk.len());
            let mut left = None;
            for message in chunk {
                match message {
                    Ok(message) => fresh.push(message),
                    Err(status) if is_expired(&status) => left = Some(Left::Expired),
                    Err(_) => left = Some(Left::Again),
                }
            }
            if !fresh.is_empty() {
                unhurried(self.take(lease, fresh, &mut snapshot)).await?;
                backoff.reset();
            }
            if let Some(left) = left {
                return Ok(left);
            }
        }
    }

    /// Writes down whom these messages are about, and how far they go. The place within a snapshot is
    /// not kept: who is gone shows only against a whole one.
    async fn take(
        &self,
        lease: &Lease,
        messages: Vec<WatchContactsResponse>,
        snapshot: &mut Option<Seen>,
    ) -> Result<(), Error> {
        let mut touched: Vec<ContactName> = Vec::new();
        let mut created: Vec<Contact> = Vec::new();
        let mut present: Vec<WireContact> = Vec::new();
        let mut token = String::new();
        let mut newest = None;
        for message in messages {
            newest = recorded(&message);
            match message.event {
                Some(Event::Changes(changes)) => {
                    for change in &changes.changes {
                        match new_contact(change) {
                            Some(contact) => created.push(contact),
                            None => touched.extend(name_of(change)),
                        }
                    }
                }
                Some(Event::Snapshot(page)) => {
                    if let Some(seen) = snapshot {
                        seen.extend(&page.contacts);
                    }
                    present.extend(page.contacts);
                }
                Some(Event::SnapshotEnd(_)) => {
                    if let Some(seen) = snapshot.take() {
                        self.request_unseen(lease, &seen).await?;
                    }
                }
                Some(Event::Heartbeat(_)) | None => {}
            }
            token = message.resume_token;
        }
        touched.extend(self.open_new(created).await);
        touched.sort();
        touched.dedup();
        let (lease, now) = (lease.clone(), self.clock.now());
        let whole = snapshot.is_none();
        let presented: Vec<_> = present.iter().filter_map(wire::contacts::contact).collect();
        self.store
            .across()
            .write("contacts.take", Deadline::after(STEP_TIME), move |conn| {
                leases::hold(conn, &lease, now)?;
                tables::evaluations::evaluations_request(conn, &touched, now)?;
                for contact in &presented {
                    let known = tables::positions::position_get(conn, &contact.name)?;
                    let settled = known.is_some_and(|(position, _)| {
                        position.facts_time >= contact.update_time
                            && (position.revision > 0 || !position.refusal.is_empty())
                    });
                    if !settled || contact.presence != Presence::Active {
                        tables::evaluations::evaluation_request(conn, &contact.name, now)?;
                    }
                }
                if whole {
                    cursors::advance(conn, CURSOR, &token, now)?;
                    if let Some(epoch) = epoch_of(&token) {
                        cursors::advance(conn, DIRECTORY, &epoch, now)?;
                    }
                }
                Ok::<_, store::Error>(())
            })
            .await?;
        if whole {
            measures::followed(CURSOR, newest, self.clock.now());
        }
        self.wake_evaluator();
        Ok(())
    }

    /// Opens contacts that are new; answers those that are to be looked at by themselves.
    async fn open_new(&self, created: Vec<Contact>) -> Vec<ContactName> {
        let mut by_workspace: BTreeMap<String, Vec<Contact>> = BTreeMap::new();
        for contact in created {
            let workspace = contact.name.workspace.clone();
            by_workspace.entry(workspace).or_default().push(contact);
        }
        let mut left = Vec::new();
        for (workspace, mut created) in by_workspace {
            // Rows are written in one order everywhere.
            created.sort_by(|left, right| left.name.cmp(&right.name));
            created.dedup_by(|left, right| left.name == right.name);
            let names: Vec<ContactName> = created.iter().map(|one| one.name.clone()).collect();
            // What is wrong with one of them is found out with each for itself.
            left.extend(self.open_all(&workspace, created).await.unwrap_or(names));
        }
        left
    }

    /// Opens new contacts of one workspace in one transaction; answers those that were known, or
    /// `None` where that is not the way to do it.
    async fn open_all(&self, workspace: &str, created: Vec<Contact>) -> Option<Vec<ContactName>> {
        let deadline = Deadline::after(STEP_TIME);
        let lineage = self.lineage(workspace, deadline).await.ok()?;
        if lineage.active().policy.mode() == Mode::CompanyFirst {
            return None;
        }
        let scene = self.scene(lineage, workspace, policy::POLICY_ACTOR, "");
        let opened = self
            .store
            .within(workspace)
            .write("contacts.open", deadline, move |conn| {
                open_together(conn, &scene, &created)
            });
        opened.await.ok()
    }

    /// Whoever has a position and was not in the snapshot is gone from the directory.
    async fn request_unseen(&self, lease: &Lease, seen: &Seen) -> Result<(), Error> {
        let mut after = (String::new(), String::new());
        loop {
            let from = after.clone();
            let page = self
                .store
                .across()
                .read("positions.scan", Deadline::after(STEP_TIME), move |conn| {
                    tables::positions::positions_after(conn, None, (&from.0, &from.1), 500)
                })
                .await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = (last.name.workspace.clone(), last.name.contact.clone());
            let unseen: Vec<ContactName> = page
                .into_iter()
                .filter(|position| position.stage.is_some())
                .map(|position| position.name)
                .filter(|name| !seen.has(&name.to_string()))
                .collect();
            let (lease, now) = (lease.clone(), self.clock.now());
            self.store
                .across()
                .write("contacts.unseen", Deadline::after(STEP_TIME), move |conn| {
                    leases::hold(conn, &lease, now)?;
                    tables::evaluations::evaluations_request(conn, &unseen, now)?;
                    Ok::<_, store::Error>(())
                })
                .await?;
        }
    }

    async fn forget_cursor(&self, lease: &Lease) -> Result<(), Error> {
        let (lease, now) = (lease.clone(), self.clock.now());
        self.store
            .across()
            .write("cursor.forget", Deadline::after(STEP_TIME), move |conn| {
                leases::hold(conn, &lease, now)?;
                cursors::advance(conn, CURSOR, "", now)
            })
            .await?;
        Ok(())
    }
}

/// The contact of a change that made it; `None` for any other.
fn new_contact(change: &ContactChange) -> Option<Contact> {
    let contact = change
        .contact
        .as_ref()
        .filter(|_| change.kind() == contact_change::Kind::Created)
        .and_then(wire::contacts::contact);
    contact.filter(|contact| contact.presence == Presence::Active)
}

/// When the last change of a message was recorded; none where it tells of no change.
fn recorded(message: &WatchContactsResponse) -> Option<Micros> {
    let Some(Event::Changes(changes)) = &message.event else {
        return None;
    };
    let last = changes.changes.last()?.record_time.as_ref()?;
    timestamp_from_wire(last).ok()
}

fn epoch_of(token: &str) -> Option<String> {
    let token: Token = token.parse().ok()?;
    Some(token.epoch.to_string())
}

fn name_of(change: &ContactChange) -> Option<ContactName> {
    change.contact.as_ref()?.name.parse().ok()
}

/// Whom a snapshot had, by the hashes of their names: eight bytes a contact.
#[derive(Default)]
struct Seen {
    hasher: RandomState,
    hashes: HashSet<u64>,
}

impl Seen {
    fn extend(&mut self, contacts: &[WireContact]) {
        for contact in contacts {
            self.hashes.insert(self.hasher.hash_one(&contact.name));
        }
    }

    fn has(&self, name: &str) -> bool {
        self.hashes.contains(&self.hasher.hash_one(name))
    }
}
