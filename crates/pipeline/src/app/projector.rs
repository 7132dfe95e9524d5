//! Telling the directory where contacts stand, for display and filters.
//!
//! Follows our own change log, woken by each commit in this process. Telling is idempotent and
//! monotone on the other side, so that after a crash it is simply told again.

use std::collections::BTreeMap;
use std::time::Duration;

use prost::Message as _;
use proto::contacts::v1::RecordedPosition;
use proto::pipeline::v1::{Position, TransitionChange};
use serve::peer::Backoff;
use store::change_log::{self, LogPosition};
use store::cursors;
use store::feed::Feed;
use store::leases::{self, Lease};
use types::{ContactName, Deadline, Service, Token, TokenKind};

use super::background::unhurried;
use super::follower::DIRECTORY;
use super::log::POSITION_CHANGED;
use super::{App, conversions, measures};
use crate::error::Error;
use crate::wire;

/// The cursor over our own change log, and the consumer that holds back its pruning.
const CURSOR: &str = "projection";
/// The cursor that says which life of the directory has been told everything.
const TOLD: &str = "projection_epoch";
/// Positions that are told at once.
const TOLD_MAX: usize = 1000;
/// How long there is a wait for something to tell.
const PATIENCE: Duration = Duration::from_secs(5);
const STEP_TIME: Duration = Duration::from_secs(10);

impl App {
    /// Tells for as long as it holds the lease.
    pub async fn project_positions(&self, lease: Lease) {
        let mut backoff = Backoff::new();
        loop {
            if let Err(error) = self.project(&lease, &mut backoff).await {
                tracing::warn!(%error, "the directory is not told where contacts stand");
            }
            tokio::time::sleep(backoff.pause()).await;
        }
    }

    async fn project(&self, lease: &Lease, backoff: &mut Backoff) -> Result<(), Error> {
        let (through, told, directory) = self.projected().await?;
        // What was told in another life of this database may be more than there is now, and another
        // life of the directory may have lost what it was told.
        let mut at = match through {
            Some(at) if at.epoch == self.store.epoch() && told == directory => at,
            Some(_) | None => self.project_all(lease, &directory).await?,
        };
        let mut feed = Feed::all(&self.store, at);
        loop {
            let bulk = match feed.page(PATIENCE).await {
                Ok(bulk) => bulk,
                Err(store::Error::PositionExpired { .. }) => {
                    at = self.project_all(lease, &directory).await?;
                    feed = Feed::all(&self.store, at);
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            if self.projected().await?.2 != directory {
                return Ok(());
            }
            let newest_time = bulk.changes.last().map(|change| change.record_time);
            if bulk.through == at {
                measures::followed(CURSOR, newest_time, self.clock.now());
                continue;
            }
            let told = newest(&bulk.changes);
            unhurried(self.tell_all(told, at, bulk.through)).await?;
            self.note_projected(lease, bulk.through, &directory).await?;
            measures::moved(&bulk.changes);
            measures::followed(CURSOR, newest_time, self.clock.now());
            at = bulk.through;
            backoff.reset();
        }
    }

    /// How far our log was told, to which life of the directory, and which one is followed now.
    async fn projected(&self) -> Result<(Option<LogPosition>, String, String), Error> {
        let (cursor, told, directory) = self
            .store
            .reserved()
            .across()
            .read("cursor.read", Deadline::after(STEP_TIME), |conn| {
                Ok::<_, store::Error>((
                    cursors::read(conn, CURSOR)?,
                    cursors::read(conn, TOLD)?,
                    cursors::read(conn, DIRECTORY)?,
                ))
            })
            .await?;
        let through = cursor
            .and_then(|cursor| cursor.parse::<Token>().ok())
            .map(|token| LogPosition {
                epoch: token.epoch,
                tx: token.tx,
                id: token.id,
            });
        Ok((
            through,
            told.unwrap_or_default(),
            directory.unwrap_or_default(),
        ))
    }

    /// Notes how far was told, to this life of the directory.
    async fn note_projected(
        &self,
        lease: &Lease,
        at: LogPosition,
        directory: &str,
    ) -> Result<(), Error> {
        let (lease, now) = (lease.clone(), self.clock.now());
        let directory = directory.to_owned();
        let token = Token {
            kind: TokenKind::Resume,
            service: Service::Pipeline,
            epoch: at.epoch,
            tx: at.tx,
            id: at.id,
        };
        self.store
            .across()
            .write("projection.note", Deadline::after(STEP_TIME), move |conn| {
                leases::hold(conn, &lease, now)?;
                cursors::advance(conn, CURSOR, &token.to_string(), now)?;
                cursors::advance(conn, TOLD, &directory, now)?;
                change_log::register_consumer(conn, CURSOR, at, now)
            })
            .await?;
        Ok(())
    }

    /// Tells where everybody stands, from the positions themselves: at the first start, when the log
    /// was pruned past us, and when either database was restored.
    async fn project_all(&self, lease: &Lease, directory: &str) -> Result<LogPosition, Error> {
        let deadline = || Deadline::after(STEP_TIME);
        let start = self
            .store
            .across()
            .read("change_log.horizon", deadline(), change_log::horizon)
            .await?;
        let mut after = (String::new(), String::new());
        loop {
            let page = self.positions_page(None, &after, 500, deadline()).await?;
            let Some(last) = page.last() else {
                self.tell(Vec::new(), start.epoch, start).await?;
                self.note_projected(lease, start, directory).await?;
                return Ok(start);
            };
            let ContactName { workspace, contact } = last.position.name.clone();
            after = (workspace, contact);
            let positions = page.iter().map(wire::positions::position);
            let told = positions
                .filter_map(|position| recorded(&position))
                .collect();
            self.tell(told, start.epoch, LogPosition::START).await?;
        }
    }

    /// Tells in portions; only the last one says that everything up to `through` was told.
    async fn tell_all(
        &self,
        mut told: Vec<RecordedPosition>,
        before: LogPosition,
        through: LogPosition,
    ) -> Result<(), Error> {
        loop {
            let rest = told.split_off(told.len().min(TOLD_MAX));
            let complete = if rest.is_empty() { through } else { before };
            self.tell(told, through.epoch, complete).await?;
            if rest.is_empty() {
                return Ok(());
            }
            told = rest;
        }
    }

    async fn tell(
        &self,
        told: Vec<RecordedPosition>,
        epoch: i64,
        complete: LogPosition,
    ) -> Result<(), Error> {
        let (token, deadline) = (conversions::token(complete), Deadline::after(STEP_TIME));
        self.contacts
            .record_positions(told, epoch, token, deadline)
            .await
    }
}

/// Where each contact stands after these changes.
fn newest(changes: &[change_log::Change]) -> Vec<RecordedPosition> {
    let mut newest: BTreeMap<String, RecordedPosition> = BTreeMap::new();
    for change in changes
        .iter()
        .filter(|change| change.kind == POSITION_CHANGED)
    {
        let position = TransitionChange::decode(change.payload.as_slice())
            .ok()
            .and_then(|change| change.position);
        let Some(told) = position.as_ref().and_then(recorded) else {
            continue;
        };
        // The log's order is that in which transactions began to write. Of two that waited for one
        // another the later one may stand first, so that only the revision tells.
        let known = newest.get(&told.contact).map_or(0, |known| known.revision);
        if told.revision >= known {
            newest.insert(told.contact.clone(), told);
        }
    }
    newest.into_values().collect()
}

/// The position as the directory takes it; none before the first move.
fn recorded(position: &Position) -> Option<RecordedPosition> {
    (position.revision > 0).then(|| RecordedPosition {
        contact: position.contact.clone(),
        stage: position.stage.clone(),
        role: position.role,
        revision: position.revision,
    })
}

#[cfg(test)]
mod tests {
    use types::Micros;

    use super::*;

    fn change(stage: &str, revision: i64) -> change_log::Change {
        let told = TransitionChange {
            position: Some(Position {
                contact: "workspaces/default/contacts/ada".to_owned(),
                stage: stage.to_owned(),
                revision,
                ..Position::default()
            }),
            ..TransitionChange::default()
        };
        change_log::Change {
            position: LogPosition::START,
            last: true,
            workspace: "default".to_owned(),
            kind: POSITION_CHANGED.to_owned(),
            resource: String::new(),
            revision,
            payload: told.encode_to_vec(),
            paths: String::new(),
            actor: String::new(),
            request_id: String::new(),
            event_id: String::new(),
            record_time: Micros(0),
        }
    }

    #[test]
    fn the_highest_revision_is_told_wherever_it_stands_in_the_log() {
        for changes in [
            [change("lead", 1), change("prospect", 2)],
            [change("prospect", 2), change("lead", 1)],
        ] {
            let told = newest(&changes);
            assert_eq!(told.len(), 1);
            assert_eq!((told[0].stage.as_str(), told[0].revision), ("prospect", 2));
        }
        assert!(newest(&[change("", 0)]).is_empty(), "nobody moved yet");
    }
}
