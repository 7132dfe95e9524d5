//! Taking over where contacts stand, as the pipeline service tells it.

use std::collections::BTreeMap;

use store::change_log::{self, LogPosition, NewChange};
use store::{Conn, Error as StoreError};
use types::{ContactName, Micros, Service, Token, TokenKind};

use super::freshness::PIPELINE;
use super::log::{Entry, place};
use super::{App, Call};
use crate::domain::contacts::{Change, Contact, ShownPosition};
use crate::error::Error;
use crate::store::{contacts as rows, positions};
use crate::wire::contacts::message;

/// How many positions are emptied in one transaction.
const FORGOTTEN_MAX: i64 = 200;

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
    /// over, and so is everything that an epoch tells that is over.
    ///
    /// When an epoch is complete for the first time, what was told only in earlier ones is gone: the
    /// database was restored to before it.
    pub async fn record_positions(
        &self,
        call: Call,
        told: Vec<RecordedPosition>,
        epoch: i64,
        complete_through: &str,
    ) -> Result<i32, Error> {
        let through = place_told(complete_through)?;
        let deadline = call.deadline;
        let known = self
            .store
            .across()
            .read_point("projection.get", deadline, |conn| {
                positions::projection_get(conn, PIPELINE)
            });
        let known = known.await?.map_or(0, |known| known.epoch);
        if known > epoch {
            return Ok(0);
        }
        let begins = through.epoch > known;
        let recorded = self
            .record(&call, told, epoch, (!begins).then_some(through))
            .await?;
        if begins {
            self.forget_earlier(&call, epoch).await?;
            // Until now the epoch before was still heard.
            while !self.complete(&call, epoch, through).await? {
                self.forget_earlier(&call, epoch).await?;
            }
        }
        self.told.notify_waiters();
        Ok(i32::try_from(recorded).unwrap_or(i32::MAX))
    }

    /// Notes that everything was told up to `through` if nothing is left of what earlier epochs told;
    /// whether nothing was.
    async fn complete(&self, call: &Call, epoch: i64, through: LogPosition) -> Result<bool, Error> {
        let (now, first) = (self.clock.now(), nobody());
        let completed =
            self.store
                .across()
                .write("positions.complete", call.deadline, move |conn| {
                    // Those who are recording are waited for, and those who come later find this epoch.
                    let known = positions::projection_lock(conn, PIPELINE)?;
                    if known.is_some_and(|known| known >= through) {
                        return Ok::<_, StoreError>(true);
                    }
                    let is_empty =
                        positions::positions_outdated(conn, epoch, &first, 1)?.is_empty();
                    if is_empty {
                        positions::projection_advance(conn, PIPELINE, through, now)?;
                    }
                    Ok(is_empty)
                });
        Ok(completed.await?)
    }

    /// Records positions, and that everything was told up to `through`, in one transaction; nothing
    /// where the epoch is over.
    async fn record(
        &self,
        call: &Call,
        told: Vec<RecordedPosition>,
        epoch: i64,
        through: Option<LogPosition>,
    ) -> Result<usize, Error> {
        let newest = newest_of(told);
        let event_ids: Vec<String> = newest
            .values()
            .flat_map(BTreeMap::keys)
            .map(|_| self.ids.next())
            .collect();
        let (call, now, deadline) = (call.clone(), self.clock.now(), call.deadline);
        let store = self.store.across();
        let recorded = store.write("positions.record", deadline, move |conn| {
            let known = match through {
                Some(_) => positions::projection_lock(conn, PIPELINE)?,
                None => positions::projection_hold(conn, PIPELINE)?,
            };
            if known.is_some_and(|known| known.epoch > epoch) {
                return Ok(0);
            }
            let recorded = record(conn, &call, (epoch, &newest), &event_ids, now)?;
            if let Some(through) = through {
                positions::projection_advance(conn, PIPELINE, through, now)?;
            }
            Ok::<_, StoreError>(recorded)
        });
        Ok(recorded.await?)
    }

    /// Empties what was told before this epoch and not in it, slice by slice: a call that is cut off
    /// has got further than the one before.
    async fn forget_earlier(&self, call: &Call, epoch: i64) -> Result<(), Error> {
        let mut after = nobody();
        loop {
            let from = after.clone();
            let outdated = self
                .store
                .across()
                .read("positions.outdated", call.deadline, move |conn| {
                    positions::positions_outdated(conn, epoch, &from, FORGOTTEN_MAX)
                })
                .await?;
            let Some(last) = outdated.last() else {
                return Ok(());
            };
            after = last.clone();
            let nowhere = outdated.into_iter().map(|name| RecordedPosition {
                name,
                position: ShownPosition::default(),
            });
            self.record(call, nowhere.collect(), epoch, None).await?;
        }
    }
}

/// Before every contact.
fn nobody() -> ContactName {
    ContactName::new(String::new(), String::new())
}

/// The place in the pipeline's log up to which everything was told.
fn place_told(complete_through: &str) -> Result<LogPosition, Error> {
    complete_through
        .parse::<Token>()
        .ok()
        .filter(|token| token.kind == TokenKind::Consistency && token.service == Service::Pipeline)
        .map(|token| place(&token))
        .ok_or_else(|| {
            let problem = "must be a consistency token of the pipeline service";
            Error::field("complete_through", "token.consistency", problem)
        })
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
