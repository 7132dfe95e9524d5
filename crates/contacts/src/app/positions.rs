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
    /// Records positions and how far they are complete; answers how many were newer than what was
    /// recorded. Contacts that are not there are passed over.
    pub async fn record_positions(
        &self,
        call: Call,
        told: Vec<RecordedPosition>,
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
                return Err(Error::field("complete_through", "token.consistency", problem));
            }
        };
        let newest = newest_of(told);
        let event_ids: Vec<String> = newest.iter().map(|_| self.ids.next()).collect();
        let now = self.clock.now();
        let deadline = call.deadline;
        let recorded = self.store.write("positions.record", deadline, move |conn| {
            let recorded = record(conn, &call, &newest, &event_ids, now)?;
            positions::projection_advance(conn, PIPELINE, through, now)?;
            Ok::<_, StoreError>(recorded)
        });
        let recorded = recorded.await?;
        self.told.notify_waiters();
        Ok(i32::try_from(recorded).unwrap_or(i32::MAX))
    }
}

/// The newest position of each contact, by name: rows are locked in one order everywhere.
fn newest_of(told: Vec<RecordedPosition>) -> Vec<RecordedPosition> {
    let mut newest: BTreeMap<ContactName, ShownPosition> = BTreeMap::new();
    for RecordedPosition { name, position } in told {
        let known = newest.entry(name).or_default();
        if position.revision > known.revision {
            *known = position;
        }
    }
    newest
        .into_iter()
        .map(|(name, position)| RecordedPosition { name, position })
        .collect()
}

fn record(
    conn: &mut Conn,
    call: &Call,
    told: &[RecordedPosition],
    event_ids: &[String],
    now: Micros,
) -> Result<usize, StoreError> {
    let mut entries: Vec<(Contact, Entry)> = Vec::new();
    for (told, event_id) in told.iter().zip(event_ids) {
        // The lock keeps the facts that are logged with the position the newest ones.
        let Some(mut contact) = rows::contact_pin(conn, &told.name)? else {
            continue;
        };
        if positions::position_record(conn, &told.name, &told.position)? {
            contact.position = told.position.clone();
            let entry = Entry::of(Change::PositionRecorded, &message(&contact), event_id);
            entries.push((contact, entry));
        }
    }
    let changes: Vec<NewChange<'_>> = entries
        .iter()
        .map(|(contact, entry)| entry.change(contact, call, now))
        .collect();
    change_log::append_all(conn, &changes)?;
    Ok(entries.len())
}
