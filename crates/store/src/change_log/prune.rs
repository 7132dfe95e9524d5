//! Shortening the log, and the consumers that hold it back.

use diesel::prelude::*;
use diesel::sql_types::BigInt;
use types::Micros;

use super::LogPosition;
use super::read::horizon;
use crate::schema::{change_log, change_log_consumers, database_state};
use crate::{Conn, Error};

/// Registers an internal consumer at `position`, or confirms that it has come that far. Its
/// position never goes back. To be called in a write transaction, where there is an effect in that
/// of the effect.
pub fn register_consumer(
    conn: &mut Conn,
    name: &str,
    position: LogPosition,
    now: Micros,
) -> Result<(), Error> {
    if consumer(conn, name)?.is_some_and(|confirmed| confirmed >= position) {
        return Ok(());
    }
    let values = (
        change_log_consumers::epoch.eq(position.epoch),
        change_log_consumers::tx.eq(position.tx),
        change_log_consumers::id.eq(position.id),
        change_log_consumers::update_time.eq(now.0),
    );
    crate::each!(conn, |c| diesel::insert_into(change_log_consumers::table)
        .values((change_log_consumers::name.eq(name), values))
        .on_conflict(change_log_consumers::name)
        .do_update()
        .set(values)
        .execute(c))?;
    Ok(())
}

/// How far a consumer has confirmed; none when it is not registered.
pub fn consumer(conn: &mut Conn, name: &str) -> Result<Option<LogPosition>, Error> {
    let row: Option<Place> = change_log_consumers::table
        .find(name)
        .select((
            change_log_consumers::epoch,
            change_log_consumers::tx,
            change_log_consumers::id,
        ))
        .first(conn)
        .optional()?;
    Ok(row.map(position))
}

/// Forgets a consumer: the log is no longer kept for it.
pub fn forget_consumer(conn: &mut Conn, name: &str) -> Result<(), Error> {
    diesel::delete(change_log_consumers::table.find(name)).execute(conn)?;
    Ok(())
}

/// Deletes at most `limit` of the oldest changes, up to the first that was recorded at or after
/// `older_than` or that a consumer has not confirmed; answers how many went. The newest change
/// stays. To be called in a write transaction, repeatedly until it answers less than `limit`.
pub fn prune(conn: &mut Conn, older_than: Micros, limit: i64) -> Result<usize, Error> {
    let visible = horizon(conn)?;
    let floor = lowest_consumer(conn)?;
    let candidates = oldest_rows(conn, limit.max(1) + 1)?;
    // Without the last candidate the newest change always stays.
    let kept_back = candidates.len().saturating_sub(1);
    let boundary = candidates[..kept_back]
        .iter()
        .map(|(at, recorded)| (position(*at), *recorded))
        .take_while(|(at, recorded)| {
            *recorded < older_than.0
                && *at <= visible
                && floor.is_none_or(|confirmed| *at <= confirmed)
        })
        .map(|(at, _)| at)
        .last();
    let Some(boundary) = boundary else {
        return Ok(0);
    };
    diesel::update(database_state::table.find(1))
        .set((
            database_state::pruned_epoch.eq(boundary.epoch),
            database_state::pruned_tx.eq(boundary.tx),
            database_state::pruned_id.eq(boundary.id),
        ))
        .execute(conn)?;
    delete_up_to(conn, boundary)
}

/// In the log's order; each engine by the index that it has for it.
fn oldest_rows(conn: &mut Conn, limit: i64) -> Result<Vec<(Place, i64)>, Error> {
    let rows = change_log::table
        .select((
            (change_log::epoch, change_log::tx, change_log::id),
            change_log::record_time,
        ))
        .limit(limit);
    Ok(match conn {
        Conn::Sqlite(c) => rows.order(change_log::id).load(c)?,
        Conn::Postgres(c) => rows
            .order((change_log::epoch, change_log::tx, change_log::id))
            .load(c)?,
    })
}

fn delete_up_to(conn: &mut Conn, boundary: LogPosition) -> Result<usize, Error> {
    Ok(match conn {
        Conn::Sqlite(c) => {
            diesel::delete(change_log::table.filter(change_log::id.le(boundary.id))).execute(c)?
        }
        // Diesel has no comparison of rows, and only that uses the primary key as a range.
        Conn::Postgres(c) => {
            diesel::sql_query("DELETE FROM change_log WHERE (epoch, tx, id) <= ($1, $2, $3)")
                .bind::<BigInt, _>(boundary.epoch)
                .bind::<BigInt, _>(boundary.tx)
                .bind::<BigInt, _>(boundary.id)
                .execute(c)?
        }
    })
}

fn lowest_consumer(conn: &mut Conn) -> Result<Option<LogPosition>, Error> {
    let row: Option<Place> = change_log_consumers::table
        .order((
            change_log_consumers::epoch,
            change_log_consumers::tx,
            change_log_consumers::id,
        ))
        .select((
            change_log_consumers::epoch,
            change_log_consumers::tx,
            change_log_consumers::id,
        ))
        .first(conn)
        .optional()?;
    Ok(row.map(position))
}

/// A position as it is selected: epoch, tx, id.
type Place = (i64, i64, i64);

fn position((epoch, tx, id): Place) -> LogPosition {
    LogPosition { epoch, tx, id }
}
