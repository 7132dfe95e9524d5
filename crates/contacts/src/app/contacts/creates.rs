//! Creates that wait together are written together: in one statement, with one flush to the disk.
//!
//! Where such a statement is not carried out, that may be the fault of one of them. Then each is written
//! by itself, by whoever asked for it, so that nobody's answer waits for another's.
//!
//! Those whose ids were chosen go apart from the others: no such id may be a purged contact's, and to
//! look that up takes a transaction of two statements.

use std::sync::Arc;

use store::idempotency::Stored;
use store::single::Created;
use store::together::{self, Lost};
use store::{Conn, Error as StoreError, Scoped, Store};
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

/// What becomes of a creation that was to go with others.
pub(in crate::app) enum Fate {
    /// It is over.
    Over(Result<Created, StoreError>),
    /// It is to be written by itself. With the doubt where it may have been written with the others.
    Alone(Option<StoreError>),
}

impl together::Job for Creation {
    type Outcome = Fate;

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
        let (store, alone) = (self.store.clone(), creation.clone());
        let together = move |creations| create_together(store.clone(), creations);
        match self.creates.run(&lane, creation, deadline, together).await {
            Ok(Fate::Over(outcome)) => outcome,
            Ok(Fate::Alone(doubt)) => {
                let within = self.store.within(&alone.0.contact.name.workspace);
                let created = create_alone(within, alone.clone(), deadline).await;
                // A refusal may rest on the very write that is in doubt.
                created.map_err(|refused| doubt.unwrap_or(refused))
            }
            Err(Lost::Late) => Err(StoreError::DeadlineExceeded),
            Err(Lost::Panicked) => Err(StoreError::Panicked {
                op: "contacts.create",
            }),
        }
    }
}

/// What becomes of each creation, in their order.
async fn create_together(store: Store, creations: Vec<(Creation, Deadline)>) -> Vec<Fate> {
    if let [(only, deadline)] = creations.as_slice() {
        let within = store.within(only.workspace()).hasty();
        return vec![match create_alone(within, only.clone(), *deadline).await {
            // To wait on would hold up whoever waits behind it.
            Err(StoreError::LockTimeout) => Fate::Alone(None),
            // What was found of its key was taken for a refusal; asked anew, it is the answer.
            Err(unknown @ StoreError::CommitUnknown(_)) if only.0.call.once.is_some() => {
                Fate::Alone(Some(unknown))
            }
            outcome => Fate::Over(outcome),
        }];
    }
    let Some(latest) = creations.iter().map(|(_, deadline)| *deadline).max() else {
        return Vec::new();
    };
    let all = creations.iter().map(|(creation, _)| creation.clone());
    let within = store.within(creations[0].0.workspace());
    match create_all(within, "contacts.create_together", all.collect(), latest).await {
        Ok(outcomes) => outcomes
            .into_iter()
            .map(|created| Fate::Over(Ok(created)))
            .collect(),
        Err(failed) => creations
            .iter()
            .map(|(creation, _)| fate_after(&failed, creation.0.call.once.is_some()))
            .collect(),
    }
}

/// What becomes of a creation after the statement that was to write it with others has failed.
fn fate_after(failed: &StoreError, has_key: bool) -> Fate {
    match failed {
        // Whether it was written only its key can tell.
        StoreError::CommitUnknown(_) if has_key => Fate::Alone(Some(failed.clone())),
        _ if failed.is_everybodys() => Fate::Over(Err(failed.clone())),
        _ => Fate::Alone(None),
    }
}

/// Creates all of them or none: in one statement, or where their ids were chosen in a transaction that
/// looks afterwards whether one of them was a purged contact's.
async fn create_all(
    within: Scoped<'_>,
    op: &'static str,
    creations: Vec<Creation>,
    deadline: Deadline,
) -> Result<Vec<Created>, StoreError> {
    // Whoever waits together is of one lane.
    let first = creations.first();
    let workspace = first.map_or("", Creation::workspace).to_owned();
    let are_named = first.is_some_and(|first| first.0.is_named);
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

async fn create_alone(
    within: Scoped<'_>,
    creation: Creation,
    deadline: Deadline,
) -> Result<Created, StoreError> {
    match create_all(within, "contacts.create", vec![creation], deadline).await {
        Ok(mut created) => Ok(created.pop().unwrap_or(Created::KeyTaken)),
        Err(StoreError::RequestInProgress) => Ok(Created::KeyTaken),
        Err(refused) => Err(refused),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_statement_that_failed_only_those_who_may_fare_better_are_written_by_themselves() {
        let is_alone = |failed: &StoreError, has_key| matches!(fate_after(failed, has_key), Fate::Alone(doubt) if doubt.is_none());
        let taken = StoreError::UniqueViolation {
            table: "contacts".to_owned(),
            constraint: "contacts_pkey".to_owned(),
        };
        for own in [
            taken,
            StoreError::RequestInProgress,
            StoreError::LockTimeout,
        ] {
            assert!(is_alone(&own, true) && is_alone(&own, false), "{own:?}");
        }
        for everybodys in [
            StoreError::Contention,
            StoreError::DeadlineExceeded,
            StoreError::Overloaded,
        ] {
            for has_key in [true, false] {
                let fate = fate_after(&everybodys, has_key);
                let told = matches!(fate, Fate::Over(Err(told)) if told == everybodys);
                assert!(told, "{everybodys:?}");
            }
        }
    }
}
