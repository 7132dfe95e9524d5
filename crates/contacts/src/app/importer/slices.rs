//! The rows of one transaction of an import.

use store::single::Created;
use store::{Conn, Error as StoreError};
use types::{ContactName, Deadline, Ids, ImportName, Micros};

use super::files::{Content, Prepared};
use crate::app::Call;
use crate::app::log::Entry;
use crate::domain::contacts::{Change, Contact, State as ContactState};
use crate::domain::facts::{ExternalId, Facts, Kind};
use crate::domain::imports::{Import, Outcome, RowReport, State};
use crate::store::{contacts, import_files as files, imports as rows};
use crate::wire::contacts::message;

/// The system under which a dry run keeps the ids of contacts; external ids always name one.
const OWN: &str = "";

/// Rows to be done in one transaction, with the ids that they would get.
pub(super) struct Slice {
    name: ImportName,
    run: i64,
    dry_run: bool,
    done: i64,
    call: Call,
    rows: Vec<Numbered>,
}

struct Numbered {
    prepared: Prepared,
    contact_id: String,
    event_id: String,
}

/// Whose an external id is.
#[derive(PartialEq, Eq)]
enum Owner {
    /// A contact's, by its id.
    Contact(String),
    /// That of the contact that this row of a dry run would have created.
    Row(i64),
}

/// What a row is about to become.
enum Verdict<'a> {
    Create(ContactName, &'a Content),
    Match(String),
    Refuse(Vec<String>),
}

impl Slice {
    pub(super) fn new(import: &Import, done: i64, prepared: Vec<Prepared>, ids: &Ids) -> Self {
        let numbered = prepared.into_iter().map(|prepared| Numbered {
            prepared,
            contact_id: ids.next(),
            event_id: ids.next(),
        });
        Self {
            name: import.name(),
            run: import.run,
            dry_run: import.dry_run,
            done,
            call: Call::internal(&import.actor, Deadline::after(super::STEP_TIME)),
            rows: numbered.collect(),
        }
    }

    /// Does the rows, unless somebody else did or the import no longer runs; answers how many are
    /// done then.
    pub(super) fn write(&self, conn: &mut Conn, now: Micros) -> Result<Option<i64>, StoreError> {
        let Some(mut import) = rows::import_lock(conn, &self.name)? else {
            return Ok(None);
        };
        let is_ours = import.state == State::Running
            && import.run == self.run
            && import.counts.done == self.done;
        if !is_ours {
            return Ok(None);
        }
        let mut reports = Vec::with_capacity(self.rows.len());
        for row in &self.rows {
            let report = self.row(conn, row, now)?;
            import.counts.add(report.outcome);
            reports.push(report);
        }
        files::rows_insert(conn, &self.name, self.run, &reports)?;
        import.revision += 1;
        rows::import_update(conn, &import)?;
        Ok(Some(import.counts.done))
    }

    fn row(&self, conn: &mut Conn, row: &Numbered, now: Micros) -> Result<RowReport, StoreError> {
        let report = |outcome, contact: &str, problems: Vec<String>| RowReport {
            row: row.prepared.row,
            outcome,
            contact: if self.dry_run {
                String::new()
            } else {
                contact.to_owned()
            },
            problems,
            display_name: row.prepared.display_name.clone(),
        };
        Ok(match self.verdict(conn, row)? {
            Verdict::Refuse(problems) => report(Outcome::Refused, "", problems),
            Verdict::Match(contact) => report(Outcome::Matched, &contact, Vec::new()),
            Verdict::Create(name, content) => {
                let mut notes = content.notes.clone();
                let facts = self.resolved(conn, &name, content, &mut notes)?;
                self.create(conn, row, &name, facts, now)?;
                report(Outcome::Created, &name.contact, notes)
            }
        })
    }

    /// What becomes of a row: the contact it names or whose external id it has is there already, or
    /// it is a new one. A dry run also knows the contacts that earlier rows would have made.
    fn verdict<'a>(&self, conn: &mut Conn, row: &'a Numbered) -> Result<Verdict<'a>, StoreError> {
        let content = match &row.prepared.content {
            Ok(content) => content,
            Err(problems) => return Ok(Verdict::Refuse(problems.clone())),
        };
        let workspace = self.name.workspace.as_str();
        let named: Option<ContactName> = content.name.parse().ok();
        let own = named.filter(|name: &ContactName| name.workspace == workspace);
        if let Some(own) = &own
            && self.contact_exists(conn, own)?
        {
            return self.matched(conn, own.contact.clone());
        }
        let mut owners = self
            .owners(conn, &content.draft.facts.external_ids)?
            .into_iter();
        if let Some((first, owner)) = owners.next() {
            if let Some((second, _)) = owners.find(|(_, other)| *other != owner) {
                return Ok(Verdict::Refuse(vec![format!(
                    "the external ids of {} and {} belong to two contacts",
                    first.system, second.system
                )]));
            }
            return match owner {
                Owner::Contact(contact) => self.matched(conn, contact),
                Owner::Row(_) => Ok(Verdict::Match(String::new())),
            };
        }
        if let Some(own) = &own
            && !contacts::contacts_purged(conn, workspace, &[&own.contact])?.is_empty()
        {
            return Ok(Verdict::Refuse(vec![format!(
                "the contact {own} is purged, and its name is not given again: leave the name out"
            )]));
        }
        let id = own.map_or_else(|| row.contact_id.clone(), |own| own.contact);
        Ok(Verdict::Create(ContactName::new(workspace, id), content))
    }

    /// Those of the external ids that belong to somebody, in their order.
    fn owners<'a>(
        &self,
        conn: &mut Conn,
        ids: &'a [ExternalId],
    ) -> Result<Vec<(&'a ExternalId, Owner)>, StoreError> {
        let mut found = Vec::new();
        for id in ids {
            let one = std::slice::from_ref(id);
            let stored = contacts::external_id_owners(conn, &self.name.workspace, one)?.pop();
            let owner = match stored {
                Some((_, contact)) => Some(Owner::Contact(contact)),
                None if self.dry_run => {
                    files::key_row(conn, &self.name, self.run, id)?.map(Owner::Row)
                }
                None => None,
            };
            found.extend(owner.map(|owner| (id, owner)));
        }
        Ok(found)
    }

    /// A contact that is there already, unless it was deleted: then nobody finds it in the directory.
    fn matched<'a>(&self, conn: &mut Conn, contact: String) -> Result<Verdict<'a>, StoreError> {
        let name = ContactName::new(self.name.workspace.as_str(), contact);
        let found = contacts::contact_get(conn, &name)?;
        let is_deleted = found.is_some_and(|found| {
            matches!(found.state, ContactState::Deleting | ContactState::Deleted)
        });
        Ok(if is_deleted {
            Verdict::Refuse(vec![format!("the contact {name} is deleted: undelete it")])
        } else {
            Verdict::Match(name.contact)
        })
    }

    fn contact_exists(&self, conn: &mut Conn, name: &ContactName) -> Result<bool, StoreError> {
        if contacts::contact_get(conn, name)?.is_some() {
            return Ok(true);
        }
        let key = own_key(&name.contact);
        Ok(self.dry_run && files::key_row(conn, &self.name, self.run, &key)?.is_some())
    }

    /// The facts of a row with references only to contacts that are there; the others are left out
    /// and said so, since a file may come from another directory.
    fn resolved(
        &self,
        conn: &mut Conn,
        name: &ContactName,
        content: &Content,
        notes: &mut Vec<String>,
    ) -> Result<Facts, StoreError> {
        let mut facts = content.draft.facts.clone();
        for (path, target) in &content.draft.references {
            let is_here = target.workspace == name.workspace && target != name;
            let found = if is_here {
                contacts::contact_get(conn, target)?
            } else {
                None
            };
            let stands = match &found {
                Some(found) => {
                    let is_gone =
                        matches!(found.state, ContactState::Deleted | ContactState::Merged);
                    !is_gone && (*path != "company" || found.facts.kind == Kind::Company)
                }
                None => is_here && self.contact_exists(conn, target)?,
            };
            if !stands {
                notes.push(format!("left out: {path}, which is no such contact here"));
                match *path {
                    "company" => facts.company.clear(),
                    _ => facts.source.referrer.clear(),
                }
            }
        }
        Ok(facts)
    }

    fn create(
        &self,
        conn: &mut Conn,
        row: &Numbered,
        name: &ContactName,
        facts: Facts,
        now: Micros,
    ) -> Result<(), StoreError> {
        if self.dry_run {
            let mut keys = facts.external_ids;
            keys.push(own_key(&name.contact));
            return files::keys_insert(conn, &self.name, self.run, row.prepared.row, &keys);
        }
        let contact = Contact::created(name.clone(), facts, &self.call.actor, now);
        let entry = Entry::of(Change::Created, &message(&contact), &row.event_id);
        let new = contacts::NewContact {
            contact: &contact,
            key: None,
            change: entry.change(&contact, &self.call, now),
        };
        match contacts::contact_create(conn, new)? {
            Created::At(_) => Ok(()),
            Created::KeyTaken => Err(StoreError::RequestInProgress),
        }
    }
}

fn own_key(id: &str) -> ExternalId {
    ExternalId {
        system: OWN.to_owned(),
        id: id.to_owned(),
    }
}
