//! Taking over where contacts stand, as the pipeline service tells it.

use std::collections::BTreeMap;

use store::change_log::{self, NewChange};
use store::{Conn, Error as StoreError};
use types::{ContactName, Micros, Service, Token, TokenKind};

use super::freshness::PIPELINE;
use super::log::{Entry, place};
use super::{App, Call};
use crate::domain::contacts::{Change, Contact, ShownPosition};
use crate::error::Error;
use crate::store::{contacts as rows, positions};
use crate::wire::contacts::message;

/// Where one contact stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedPosition {
    /// The contact.
    pub name: ContactName,
    /// Its stage, role and revision.
    pub position: ShownPosition,
}

impl App {
    /// Records positions of one epoch of the pipeline's database and how far they are complete;
    /// answers how many were newer than what was recorded. Contacts that are not there are passed
    /// over.
    pub async fn record_positions(
        &self,
        call: Call,
        told: Vec<RecordedPosition>,
        epoch: i64,
        complete_through: &str,
    ) -> Result<i32, Error> {
        let through = match complete_through.parse::<Token>() {
            Ok(token)
                if token.kind == TokenKind::Consistency && token.service == Service::Pipeline =>
            {
                place(&token)
            }
            Ok(_) | Err(_) => {
                let problem = "must be a consistency token of the pipeline service";
                return Err(Error::field(
                    "complete_through",
                    "token.consistency",
                    problem,
                ));
            }
        };
        let newest = newest_of(told);
        let event_ids: Vec<String> = newest
            .values()
            .flat_map(BTreeMap::keys)
            .map(|_| self.ids.next())
            .collect();
        let now = self.clock.now();
        let deadline = call.deadline;
        let recorded = self.store.write("positions.record", deadline, move |conn| {
            let recorded = record(conn, &call, (epoch, &newest), &event_ids, now)?;
            positions::projection_advance(conn, PIPELINE, through, now)?;
            Ok::<_, StoreError>(recorded)
        });
        let recorded = recorded.await?;
        self.told.notify_waiters();
        Ok(i32::try_from(recorded).unwrap_or(i32::MAX))
    }
}

/// The newest position of each contact, by workspace and id: rows are locked in one order
/// everywhere.
type Newest = BTreeMap<String, BTreeMap<String, ShownPosition>>;

fn newest_of(told: Vec<RecordedPosition>) -> Newest {
    let mut newest = Newest::new();
    for RecordedPosition { name, position } in told {
        let workspace = newest.entry(name.workspace).or_default();
        let known = workspace.entry(name.contact).or_default();
        if position.revision > known.revision {
            *known = position;
        }
    }
    newest
}

fn record(
    conn: &mut Conn,
    call: &Call,
    (epoch, told): (i64, &Newest),
    event_ids: &[String],
    now: Micros,
) -> Result<usize, StoreError> {
    let mut entries: Vec<(Contact, Entry)> = Vec::new();
    let mut unmoved: Vec<Contact> = Vec::new();
    let mut event_ids = event_ids.iter();
    for (workspace, told) in told {
        let ids: Vec<String> = told.keys().cloned().collect();
        // The lock keeps the facts that are logged with a position the newest ones, and whoever else
        // records the same positions away.
        let mut found = rows::contacts_lock(conn, workspace, &ids)?;
        found.sort_by(|left, right| left.name.cmp(&right.name));
        let epochs = positions::positions_epochs(conn, workspace, &ids)?;
        for mut contact in found {
            let id = &contact.name.contact;
            // Revisions of an epoch that is over may have been given out anew.
            let known = (
                epochs.get(id).copied().unwrap_or(0),
                contact.position.revision,
            );
            let newer = told
                .get(id)
                .filter(|position| (epoch, position.revision) > known);
            if newer == Some(&contact.position) {
                unmoved.push(contact);
            } else if let Some(position) = newer {
                contact.position = position.clone();
                let event_id = event_ids.next().map_or("", String::as_str);
                let entry = Entry::of(Change::PositionRecorded, &message(&contact), event_id);
                entries.push((contact, entry));
            }
        }
    }
    let newer: Vec<_> = entries
        .iter()
        .map(|(contact, _)| contact)
        .chain(&unmoved)
        .map(|contact| (&contact.name, &contact.position))
        .collect();
    positions::positions_record(conn, &newer, epoch)?;
    let changes: Vec<NewChange<'_>> = entries
        .iter()
        .map(|(contact, entry)| entry.change(contact, call, now))
        .collect();
    change_log::append_all(conn, &changes)?;
    Ok(entries.len())
}
