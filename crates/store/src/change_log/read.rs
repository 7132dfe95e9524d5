//! Following the log.

use diesel::prelude::*;
use types::Micros;

use super::LogPosition;
use super::query::{ChangeRow, ReadAfter, Row, StateRow};
use crate::schema::change_log;
use crate::{Conn, Error};

/// Whose changes are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope<'a> {
    /// One workspace's.
    Workspace(&'a str),
    /// Everybody's: for internal followers.
    All,
}

/// A change as it was logged; see [`NewChange`](super::NewChange) for the fields.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of NewChange")]
pub struct Change {
    pub position: LogPosition,
    /// No further change of the same transaction follows within the scope.
    pub last: bool,
    pub workspace: String,
    pub kind: String,
    pub resource: String,
    pub revision: i64,
    pub payload: Vec<u8>,
    pub paths: String,
    pub actor: String,
    pub request_id: String,
    pub event_id: String,
    pub record_time: Micros,
}

/// What a reader gets at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// In the log's order. A transaction of more than `limit` changes comes in several pages;
    /// [`Change::last`] tells where it ends.
    pub changes: Vec<Change>,
    /// Everything of the scope up to here has now been read: where to go on, what a heartbeat says.
    pub through: LogPosition,
    /// More can be read at once.
    pub more: bool,
}

/// At most `limit` changes after `after`, all that is visible if they are fewer.
///
/// One statement over one snapshot, so nothing is skipped. Errors: [`Error::PositionExpired`] when
/// changes after `after` are gone.
pub fn read_after(
    conn: &mut Conn,
    scope: Scope<'_>,
    after: LogPosition,
    limit: i64,
) -> Result<Page, Error> {
    let (page, life) = page_after(conn, scope, after, limit)?;
    if life == Life::Former {
        require_kept(conn, after)?;
    }
    Ok(page)
}

/// Which life of the database a position belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// The present one, or the beginning of all.
    Present,
    /// One that is over. [`require_kept`] tells whether that part of it was lost in a restore.
    Former,
}

/// The same as [`read_after`], but for positions of a former life: of them only somebody who sees
/// everybody's changes can tell whether they are still good.
pub(crate) fn page_after(
    conn: &mut Conn,
    scope: Scope<'_>,
    after: LogPosition,
    limit: i64,
) -> Result<(Page, Life), Error> {
    let query = ReadAfter {
        workspace: match scope {
            Scope::Workspace(workspace) => Some(workspace),
            Scope::All => None,
        },
        after,
        // One more, to know whether the last one's transaction goes on.
        limit: limit.max(1) + 1,
    };
    let rows: Vec<Row> = crate::each!(conn, |c| query.load(c))?;
    let Some((state, _)) = rows.first() else {
        return Err(Error::database("the epoch row is missing"));
    };
    let state = State::of(*state);
    let life = state.life_of(after)?;
    let mut changes: Vec<Change> = rows
        .into_iter()
        .filter_map(|(_, change)| change)
        .map(change_of)
        .collect();
    let more = changes.len() > usize::try_from(limit.max(1)).unwrap_or(usize::MAX);
    for index in 1..changes.len() {
        let next = changes[index].position;
        let this = &mut changes[index - 1];
        this.last = (this.position.epoch, this.position.tx) != (next.epoch, next.tx);
    }
    if more {
        changes.pop();
    }
    let through = match changes.last() {
        Some(change) if more => change.position,
        _ => state.horizon.max(after),
    };
    let page = Page {
        changes,
        through,
        more,
    };
    Ok((page, life))
}

/// Everything up to here is visible and nothing will ever appear below it.
pub fn horizon(conn: &mut Conn) -> Result<LogPosition, Error> {
    Ok(state(conn)?.horizon)
}

/// The position from which everything that is kept can be read.
pub fn oldest(conn: &mut Conn) -> Result<LogPosition, Error> {
    Ok(state(conn)?.pruned)
}

/// Whether changes after `position` are gone: it was pruned past, or it belongs to a life of the
/// database that was lost in a restore. [`LogPosition::START`] is expired once anything was pruned. To be
/// asked by who sees everybody's changes.
pub fn is_expired(conn: &mut Conn, position: LogPosition) -> Result<bool, Error> {
    match require_kept(conn, position) {
        Ok(()) => Ok(false),
        Err(Error::PositionExpired { .. }) => Ok(true),
        Err(error) => Err(error),
    }
}

/// The newest row of the scope that this read sees, also one above the horizon; `None` where no row is
/// kept. Whoever has read of the scope before it in the same transaction has seen nothing that is newer.
pub fn newest(conn: &mut Conn, scope: Scope<'_>) -> Result<Option<LogPosition>, Error> {
    let mut rows = change_log::table
        .select((change_log::epoch, change_log::tx, change_log::id))
        .into_boxed();
    // In each engine's order of the index that it has for it.
    rows = match conn {
        Conn::Sqlite(_) => rows.order(change_log::id.desc()),
        Conn::Postgres(_) => rows.order((
            change_log::epoch.desc(),
            change_log::tx.desc(),
            change_log::id.desc(),
        )),
    };
    if let Scope::Workspace(workspace) = scope {
        rows = rows.filter(change_log::workspace.eq(workspace));
    }
    let newest: Option<(i64, i64, i64)> = rows.first(conn).optional()?;
    Ok(newest.map(|(epoch, tx, id)| LogPosition { epoch, tx, id }))
}

/// The newest row that a reader may see, for the poll.
pub(crate) fn newest_visible(conn: &mut Conn) -> Result<LogPosition, Error> {
    let horizon = horizon(conn)?;
    let newest: Option<(i64, i64, i64)> = match conn {
        // The horizon of SQLite is the newest row.
        Conn::Sqlite(_) => return Ok(horizon),
        Conn::Postgres(c) => change_log::table
            .filter(
                change_log::epoch
                    .lt(horizon.epoch)
                    .or(change_log::tx.lt(horizon.tx)),
            )
            .order((
                change_log::epoch.desc(),
                change_log::tx.desc(),
                change_log::id.desc(),
            ))
            .select((change_log::epoch, change_log::tx, change_log::id))
            .first(c)
            .optional()?,
    };
    Ok(
        newest.map_or(LogPosition::START, |(epoch, tx, id)| LogPosition {
            epoch,
            tx,
            id,
        }),
    )
}

/// Where the log begins and ends, over one snapshot.
struct State {
    pruned: LogPosition,
    horizon: LogPosition,
}

impl State {
    fn of((epoch, pruned_epoch, pruned_tx, pruned_id, tx, id): StateRow) -> Self {
        Self {
            pruned: LogPosition {
                epoch: pruned_epoch,
                tx: pruned_tx,
                id: pruned_id,
            },
            horizon: LogPosition { epoch, tx, id },
        }
    }

    fn expired(&self) -> Error {
        Error::PositionExpired {
            oldest: self.pruned,
        }
    }

    /// Refuses what was pruned past, and what never was.
    fn life_of(&self, position: LogPosition) -> Result<Life, Error> {
        if position < self.pruned || position.epoch > self.horizon.epoch {
            return Err(self.expired());
        }
        let is_former = position.epoch < self.horizon.epoch
            && position != LogPosition::START
            && position != self.pruned;
        Ok(if is_former {
            Life::Former
        } else {
            Life::Present
        })
    }
}

fn state(conn: &mut Conn) -> Result<State, Error> {
    // No row lies after this position, so only the state comes back.
    let end = LogPosition {
        epoch: i64::MAX,
        tx: i64::MAX,
        id: i64::MAX,
    };
    let query = ReadAfter {
        workspace: None,
        after: end,
        limit: 1,
    };
    let rows: Vec<Row> = crate::each!(conn, |c| query.load(c))?;
    rows.first()
        .map(|(state, _)| State::of(*state))
        .ok_or_else(|| Error::database("the epoch row is missing"))
}

/// Refuses a position changes after which are gone. To be asked by who sees everybody's changes.
pub(crate) fn require_kept(conn: &mut Conn, position: LogPosition) -> Result<(), Error> {
    let state = state(conn)?;
    if state.life_of(position)? == Life::Former && !is_within_its_epoch(conn, position)? {
        return Err(state.expired());
    }
    Ok(())
}

/// Whether the log still has a row of the position's epoch at or after it. Otherwise the position
/// may lie in a part of that epoch that a restore has lost.
fn is_within_its_epoch(conn: &mut Conn, at: LogPosition) -> Result<bool, Error> {
    let epochs = change_log::table.select(change_log::epoch);
    let found: Option<i64> = match conn {
        Conn::Sqlite(c) => epochs
            .filter(change_log::id.ge(at.id))
            .order(change_log::id)
            .first(c),
        Conn::Postgres(c) => epochs
            .filter(change_log::epoch.eq(at.epoch))
            .filter(
                change_log::tx
                    .gt(at.tx)
                    .or(change_log::tx.eq(at.tx).and(change_log::id.ge(at.id))),
            )
            .first(c),
    }
    .optional()?;
    Ok(found == Some(at.epoch))
}

fn change_of(row: ChangeRow) -> Change {
    let ((epoch, tx, id), (workspace, kind, resource, revision, payload), rest) = row;
    let (paths, actor, request_id, event_id, record_time) = rest;
    Change {
        position: LogPosition { epoch, tx, id },
        last: true,
        workspace,
        kind,
        resource,
        revision,
        payload,
        paths,
        actor,
        request_id,
        event_id,
        record_time: Micros(record_time),
    }
}
