//! Writing the log.

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;
use types::Micros;

use super::LogPosition;
use crate::schema::{change_log, database_state};
use crate::{Conn, Error, ROWS_MAX, Steady, context};

/// A change to be logged in the transaction that makes it.
#[derive(Clone, Copy, Debug)]
pub struct NewChange<'a> {
    /// The workspace in which it happened.
    pub workspace: &'a str,
    /// What happened, in the service's words: `contact.created`.
    pub kind: &'a str,
    /// The resource's name.
    pub resource: &'a str,
    /// The resource's revision afterwards.
    pub revision: i64,
    /// The resource afterwards, in the service's encoding.
    pub payload: &'a [u8],
    /// The paths that changed, as a field mask's text; empty when that says nothing.
    pub paths: &'a str,
    /// Who did it.
    pub actor: &'a str,
    /// The request's id; empty when there was none.
    pub request_id: &'a str,
    /// The event's own id, made by the caller.
    pub event_id: &'a str,
    /// When it was recorded.
    pub record_time: Micros,
}

/// Logs a change; answers its position, from which the write's consistency token is made.
pub fn append(conn: &mut Conn, change: &NewChange<'_>) -> Result<LogPosition, Error> {
    append_all(conn, std::slice::from_ref(change))
}

/// Logs changes in their order, on PostgreSQL several with a statement; answers the last one's position.
/// None at all answer [`LogPosition::START`].
pub fn append_all(conn: &mut Conn, changes: &[NewChange<'_>]) -> Result<LogPosition, Error> {
    let position = match (conn, changes) {
        (_, []) => return Ok(LogPosition::START),
        (Conn::Sqlite(c), changes) => sqlite(c, changes)?,
        (Conn::Postgres(c), [change]) => diesel::insert_into(change_log::table)
            .values(values!(change, stored_epoch()))
            .returning((change_log::epoch, change_log::tx, change_log::id))
            .get_result(c)
            .map(position)?,
        (Conn::Postgres(c), changes) => {
            let mut last = LogPosition::START;
            for some in changes.chunks(ROWS_MAX) {
                let rows: Vec<_> = some
                    .iter()
                    .map(|change| values!(change, stored_epoch()))
                    .collect();
                let insert = diesel::insert_into(change_log::table)
                    .values(rows)
                    .returning((change_log::epoch, change_log::tx, change_log::id));
                let inserted = Steady(insert).get_results(c)?.into_iter().map(position);
                last = inserted.fold(last, LogPosition::max);
            }
            last
        }
    };
    context::set_appended(position);
    Ok(position)
}

/// The columns of a change, but for those that the engines number differently.
macro_rules! values {
    ($change:ident, $epoch:expr) => {
        (
            change_log::epoch.eq($epoch),
            change_log::workspace.eq($change.workspace),
            change_log::kind.eq($change.kind),
            change_log::resource.eq($change.resource),
            change_log::revision.eq($change.revision),
            change_log::payload.eq($change.payload),
            change_log::paths.eq($change.paths),
            change_log::actor.eq($change.actor),
            change_log::request_id.eq($change.request_id),
            change_log::event_id.eq($change.event_id),
            change_log::record_time.eq($change.record_time.0),
        )
    };
}
use values;

#[diesel::dsl::auto_type(no_type_alias)]
fn stored_epoch() -> _ {
    let one: i32 = 1;
    database_state::table
        .find(one)
        .select(database_state::epoch)
        .single_value()
        .assume_not_null()
}

fn sqlite(conn: &mut SqliteConnection, changes: &[NewChange<'_>]) -> Result<LogPosition, Error> {
    let (epoch, tx) = match context::appended() {
        Some(earlier) => (earlier.epoch, earlier.tx),
        None => next_write(conn)?,
    };
    let mut last = LogPosition { epoch, tx, id: 0 };
    for change in changes {
        last.id = diesel::insert_into(change_log::table)
            .values((values!(change, epoch), change_log::tx.eq(tx)))
            .returning(change_log::id)
            .get_result(conn)?;
    }
    Ok(last)
}

/// The epoch, and the number of a write that begins. The newest row is never pruned, so numbers
/// are never given twice.
fn next_write(conn: &mut SqliteConnection) -> Result<(i64, i64), Error> {
    let epoch = database_state::table
        .find(1)
        .select(database_state::epoch)
        .first(conn)?;
    let newest: Option<i64> = change_log::table
        .select(change_log::tx)
        .order(change_log::id.desc())
        .first(conn)
        .optional()?;
    Ok((epoch, newest.unwrap_or(0) + 1))
}

fn position((epoch, tx, id): (i64, i64, i64)) -> LogPosition {
    LogPosition { epoch, tx, id }
}
