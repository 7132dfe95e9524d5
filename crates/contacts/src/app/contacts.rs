//! Creating, reading and changing contacts.

use proto::contacts::v1;
use store::filter::{self, Field, Kind as FieldKind};
use store::idempotency::Stored;
use store::pages::{self, Key, PageToken};
use store::single::Created;
use store::{Conn, Error as StoreError, change_log, order};
use types::{ContactName, Deadline, Micros};

use super::calls::{Done, Stop, stored_answer};
use super::log::{Entry, consistency_token};
use super::{App, Call, Freshness, Written};
use crate::domain::Faults;
use crate::domain::contacts::{Change, Contact, State};
use crate::domain::facts::{Channel, ExternalId, Facts, Kind, RelationshipKind};
use crate::domain::masks;
use crate::error::Error;
use crate::store::contacts::{self as rows, ContactList, SortKey};
use crate::wire::contacts::{Draft, message};

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

/// What ListContacts was given.
#[derive(Clone, Debug)]
pub struct ListInput {
    /// The workspace's id.
    pub workspace: String,
    /// How many at most, as asked for.
    pub page_size: i32,
    /// Where to go on.
    pub page_token: String,
    /// Which contacts.
    pub filter: String,
    /// In which order.
    pub order_by: String,
    /// Deleted ones too.
    pub show_deleted: bool,
}

/// What contacts can be filtered by. `store::contacts` knows what each means.
pub const FILTER_FIELDS: &[Field] = &[
    Field::one("kind", FieldKind::Word(Kind::WORDS)),
    Field::one("display_name", FieldKind::Text),
    Field::one("given_name", FieldKind::Text),
    Field::one("family_name", FieldKind::Text),
    Field::one("email", FieldKind::Text),
    Field::one("phone", FieldKind::Text),
    Field::one("company", FieldKind::Text),
    Field::one("owner", FieldKind::Text),
    Field::one("stage", FieldKind::Text),
    Field::one(
        "role",
        FieldKind::Word(&["UNSPECIFIED", "CONTACT", "LEAD", "PROSPECT", "CLIENT"]),
    ),
    Field::one("state", FieldKind::Word(State::WORDS)),
    Field::one("source.channel", FieldKind::Word(Channel::WORDS)),
    Field::one("source.campaign", FieldKind::Text),
    Field::many("relationship_kinds", FieldKind::Word(RelationshipKind::WORDS)),
    Field::map("labels"),
    Field::map("external_ids"),
    Field::one("ready_to_buy", FieldKind::Bool),
    Field::one("create_time", FieldKind::Time),
    Field::one("update_time", FieldKind::Time),
];

/// What contacts can be sorted by.
pub const ORDER_FIELDS: &[&str] = &[
    "create_time",
    "update_time",
    "display_name",
    "family_name",
    "stage",
    "owner",
];

impl App {
    /// Creates a contact.
    pub async fn create_contact(&self, call: Call, input: CreateInput) -> Result<Written, Error> {
        let CreateInput { workspace, id, draft } = input;
        prefixed(&draft.faults, "contact.", |_| true)?;
        let id = if id.is_empty() { self.ids.next() } else { id };
        let name = ContactName::new(workspace, id);
        let now = self.clock.now();
        let contact = Contact::created(name, draft.facts.clone(), &call.actor, now);
        let event_id = self.ids.next();
        let ids = contact.facts.external_ids.clone();
        let name = contact.name.clone();
        let done = if draft.references.is_empty() && !call.validate_only {
            self.create_at_once(&call, contact, event_id, now).await
        } else {
            self.create_checked(&call, contact, draft, event_id, now).await
        };
        match self.answer(&call, done).await {
            Err(Error::Store(error @ StoreError::UniqueViolation { .. })) => {
                self.create_conflict(&call, error, name, ids).await
            }
            answer => answer,
        }
    }

    /// The hot path: nothing to look up, so one statement does it all.
    async fn create_at_once(
        &self,
        call: &Call,
        contact: Contact,
        event_id: String,
        now: Micros,
    ) -> Result<Done, Stop> {
        let shown = message(&contact);
        let answer = Stored {
            resource: shown.name.clone(),
            revision: contact.revision,
            response: call.once.as_ref().map_or_else(Vec::new, |_| stored_answer(Some(&shown), "")),
        };
        let entry = Entry::of(Change::Created, &shown, &event_id);
        let owned = call.clone();
        let created = self.store.write_single("contacts.create", call.deadline, move |conn| {
            let change = entry.change(&contact, &owned, now);
            rows::contact_create(conn, &contact, owned.completed(&answer, now), &change)
        });
        match created.await? {
            Created::At(at) => Ok(Done::Fresh(Some(shown), Some(at))),
            Created::KeyTaken => Err(Stop::KeyTaken),
        }
    }

    /// With references to look up, or only to be checked.
    async fn create_checked(
        &self,
        call: &Call,
        contact: Contact,
        draft: Draft,
        event_id: String,
        now: Micros,
    ) -> Result<Done, Stop> {
        let owned = call.clone();
        let write = self.store.write("contacts.create_checked", call.deadline, move |conn| {
            if let Some(stored) = owned.claim(conn, now)? {
                return Ok(Done::Replay(stored));
            }
            check_references(conn, &contact.name, &draft.references)?;
            insert(conn, &owned, &contact, &event_id, now)
        });
        write.await
    }

    /// Something unique was taken: by the same call, made before; by a contact of this name; or by
    /// one with the same external id.
    async fn create_conflict(
        &self,
        call: &Call,
        error: StoreError,
        name: ContactName,
        ids: Vec<ExternalId>,
    ) -> Result<Written, Error> {
        if let Some(stored) = self.earlier(call).await? {
            return self.replayed(call, &stored).await;
        }
        let target = name.clone();
        let found = self.store.read("contacts.conflict", call.deadline, move |conn| {
            let twin = rows::contact_get(conn, &target)?;
            let owners = rows::external_id_owners(conn, &target.workspace, &ids)?;
            Ok::<_, StoreError>((twin, owners))
        });
        let (twin, owners) = found.await?;
        let other = owners.into_iter().find(|(_, owner)| *owner != name.contact);
        match (other, twin) {
            // A contact that is there can only have met another one's external id.
            (Some((id, owner)), Some(_)) if error_is_identity(&error) => {
                Err(duplicate(&name.workspace, &id, &owner))
            }
            (_, Some(_)) => Err(Error::Exists { resource: name.to_string() }),
            (Some((id, owner)), None) => Err(duplicate(&name.workspace, &id, &owner)),
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
        let resource = name.clone();
        let found = self.store.read_point("contacts.get", deadline, move |conn| {
            rows::contact_get(conn, &name)
        });
        found.await?.ok_or_else(|| Error::not_found(resource))
    }

    /// Reads several contacts of one workspace, in the order asked for; all or none.
    pub async fn get_contacts(
        &self,
        names: Vec<ContactName>,
        freshness: &Freshness,
        deadline: Deadline,
    ) -> Result<Vec<Contact>, Error> {
        self.await_freshness(freshness, deadline).await?;
        let Some(workspace) = names.first().map(|name| name.workspace.clone()) else {
            return Ok(Vec::new());
        };
        let mut ids: Vec<String> = names.iter().map(|name| name.contact.clone()).collect();
        ids.sort_unstable();
        ids.dedup();
        let found = self.store.read("contacts.batch_get", deadline, move |conn| {
            rows::contacts_get(conn, &workspace, &ids)
        });
        let found: std::collections::HashMap<String, Contact> = found
            .await?
            .into_iter()
            .map(|contact| (contact.name.contact.clone(), contact))
            .collect();
        names
            .iter()
            .map(|name| found.get(&name.contact).cloned().ok_or_else(|| Error::not_found(name)))
            .collect()
    }

    /// Lists contacts; the token of the next page, empty at the end.
    pub async fn list_contacts(
        &self,
        input: ListInput,
        freshness: &Freshness,
        deadline: Deadline,
    ) -> Result<(Vec<Contact>, String), Error> {
        let shown = if input.show_deleted { "deleted" } else { "" };
        let args_hash = pages::args_hash(&[
            "ListContacts",
            &input.workspace,
            &input.filter,
            &input.order_by,
            shown,
        ]);
        let size = pages::page_size(input.page_size)?;
        let list = ContactList {
            filter: filter::parse(&input.filter, FILTER_FIELDS)?,
            order: order_of(&input.order_by)?,
            after: PageToken::decode(&input.page_token, &args_hash)?,
            workspace: input.workspace,
            show_deleted: input.show_deleted,
            limit: size + 1,
        };
        self.await_freshness(freshness, deadline).await?;
        let found = self.store.read("contacts.list", deadline, move |conn| {
            rows::contacts_list(conn, &list)
        });
        let mut found = found.await?;
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let goes_on = found.len() > size;
        found.truncate(size);
        let next = match found.last() {
            Some((_, keys)) if goes_on => page_token(args_hash, keys.clone()),
            _ => String::new(),
        };
        Ok((found.into_iter().map(|(contact, _)| contact).collect(), next))
    }

    /// Changes a contact.
    pub async fn update_contact(&self, call: Call, input: UpdateInput) -> Result<Written, Error> {
        if let Some(stored) = self.earlier(&call).await? {
            return self.replayed(&call, &stored).await;
        }
        if input.mask.is_empty() {
            return Err(Error::MaskRequired);
        }
        let event_id = self.ids.next();
        let now = self.clock.now();
        let (owned, given) = (call.clone(), input.clone());
        let written = self.write_contact("contacts.update", &call, move |conn| {
            if let Some(stored) = owned.claim(conn, now)? {
                return Ok(Done::Replay(stored));
            }
            match rows::contact_lock(conn, &given.name)? {
                Some(old) => update(conn, &owned, old, &given, &event_id, now),
                None if given.allow_missing => {
                    prefixed(&given.draft.faults, "contact.", |_| true)?;
                    let facts = given.draft.facts.clone();
                    let contact = Contact::created(given.name.clone(), facts, &owned.actor, now);
                    check_references(conn, &contact.name, &given.draft.references)?;
                    insert(conn, &owned, &contact, &event_id, now)
                }
                None => Err(Error::not_found(&given.name).into()),
            }
        });
        match written.await {
            Err(Error::Store(error @ StoreError::UniqueViolation { .. })) => {
                let ids = input.draft.facts.external_ids;
                self.create_conflict(&call, error, input.name, ids).await
            }
            answer => answer,
        }
    }
}

/// Whether it was an external id that was taken.
fn error_is_identity(error: &StoreError) -> bool {
    let key = ["workspace", "system", "external_id"];
    error.is_primary_key_violation("contact_external_ids", &key)
}

/// Inserts a contact in a transaction whose key is claimed.
pub(super) fn insert(
    conn: &mut Conn,
    call: &Call,
    contact: &Contact,
    event_id: &str,
    now: Micros,
) -> Result<Done, Stop> {
    let mut shown = message(contact);
    let entry = Entry::of(Change::Created, &shown, event_id);
    let change = entry.change(contact, call, now);
    match rows::contact_create(conn, contact, None, &change)? {
        Created::KeyTaken => Err(Stop::KeyTaken),
        Created::At(_) if call.validate_only => {
            // What a call that only checks made is gone at once: it has no name.
            shown.name = String::new();
            shown.etag = String::new();
            Err(Stop::Checked(Some(Box::new(shown))))
        }
        Created::At(at) => {
            let answer = stored_answer(Some(&shown), &consistency_token(at));
            call.complete(conn, &shown.name, contact.revision, &answer)?;
            Ok(Done::Fresh(Some(shown), Some(at)))
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
    let named = |path: &str| {
        input.mask.iter().any(|mask| {
            let field = |path: &str| path.split(['.', '[']).next().map(str::to_owned);
            mask == "*" || field(mask) == field(path)
        })
    };
    prefixed(&input.draft.faults, "contact.", named)?;
    let facts = masks::applied(&old.facts, &input.draft.facts, input.draft.kind, &input.mask)
        .map_err(Error::Mask)?;
    let changed = masks::changed_paths(&old.facts, &facts);
    let references: Vec<_> = input
        .draft
        .references
        .iter()
        .filter(|(path, _)| named(path))
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

/// Ends a write with its answer, or takes it back where it was only to be checked.
pub(super) fn finish(
    conn: &mut Conn,
    call: &Call,
    shown: v1::Contact,
    revision: i64,
    at: Option<change_log::LogPosition>,
) -> Result<Done, Stop> {
    if call.validate_only {
        return Err(Stop::Checked(Some(Box::new(shown))));
    }
    let token = at.map(consistency_token).unwrap_or_default();
    call.complete(conn, &shown.name, revision, &stored_answer(Some(&shown), &token))?;
    Ok(Done::Fresh(Some(shown), at))
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

/// No external id that is new may belong to another contact.
fn require_identities(conn: &mut Conn, old: &Contact, facts: &Facts) -> Result<(), Error> {
    let new: Vec<ExternalId> = facts
        .external_ids
        .iter()
        .filter(|id| !old.facts.external_ids.contains(id))
        .cloned()
        .collect();
    let workspace = &old.name.workspace;
    match rows::external_id_owners(conn, workspace, &new)?.into_iter().next() {
        Some((id, owner)) => Err(duplicate(workspace, &id, &owner)),
        None => Ok(()),
    }
}

fn duplicate(workspace: &str, id: &ExternalId, owner: &str) -> Error {
    Error::DuplicateIdentity {
        existing: ContactName::new(workspace, owner).to_string(),
        system: id.system.clone(),
    }
}

/// Whom a contact refers to must exist in its own workspace; its company must be one.
pub(super) fn check_references(
    conn: &mut Conn,
    name: &ContactName,
    references: &[(&'static str, ContactName)],
) -> Result<(), Error> {
    for (path, target) in references {
        if target.workspace != name.workspace {
            return Err(Error::not_found(target));
        }
        let path = format!("contact.{path}");
        if target == name {
            return Err(Error::field(path, "reference.other", "must be another contact"));
        }
        let found = rows::contact_get(conn, target)?.ok_or_else(|| Error::not_found(target))?;
        if matches!(found.state, State::Deleted | State::Merged) {
            return Err(Error::Deleted {
                resource: target.to_string(),
            });
        }
        if path.ends_with("company") && found.facts.kind != Kind::Company {
            let problem = "must be a contact of kind COMPANY";
            return Err(Error::field(path, "reference.company", problem));
        }
    }
    Ok(())
}

/// The faults of the fields that count, with the path from the request.
fn prefixed(
    faults: &Faults,
    prefix: &str,
    counts: impl Fn(&str) -> bool,
) -> Result<(), Error> {
    let mut found = Faults::default();
    for fault in faults.0.iter().filter(|fault| counts(&fault.path)) {
        found.push(format!("{prefix}{}", fault.path), fault.rule, fault.problem.clone());
    }
    found.or(()).map_err(Error::Fields)
}

fn order_of(order_by: &str) -> Result<Vec<(SortKey, bool)>, Error> {
    let keys = order::parse(order_by, ORDER_FIELDS)?;
    if keys.is_empty() {
        return Ok(vec![(SortKey::CreateTime, false)]);
    }
    Ok(keys
        .into_iter()
        .map(|key| {
            let sort = match key.field {
                "update_time" => SortKey::UpdateTime,
                "display_name" => SortKey::DisplayName,
                "family_name" => SortKey::FamilyName,
                "stage" => SortKey::Stage,
                "owner" => SortKey::Owner,
                _ => SortKey::CreateTime,
            };
            (sort, key.descending)
        })
        .collect())
}

pub(super) fn page_token(args_hash: [u8; 16], keys: Vec<Key>) -> String {
    PageToken { args_hash, keys }.encode()
}
