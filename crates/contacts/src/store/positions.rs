//! Where contacts stand, as told by the pipeline service, and how far it has told it.

use ::store::change_log::LogPosition;
use ::store::{Conn, Error, all, locked, steady};
use diesel::prelude::*;
use diesel::upsert::excluded;
use types::{ContactName, Micros};

use super::schema::{contact_positions, projections};
use crate::domain::contacts::ShownPosition;

/// Records where contacts stand. They exist, their rows are locked, and what is recorded of them is
/// older.
pub fn positions_record(
    conn: &mut Conn,
    told: &[(&ContactName, &ShownPosition)],
) -> Result<(), Error> {
    let rows: Vec<_> = told
        .iter()
        .map(|(name, position)| {
            (
                contact_positions::workspace.eq(&name.workspace),
                contact_positions::contact.eq(&name.contact),
                contact_positions::stage.eq(&position.stage),
                contact_positions::role.eq(position.role.map_or("", |role| role.as_str())),
                contact_positions::revision.eq(position.revision),
            )
        })
        .collect();
    all!(conn, rows, |some| diesel::insert_into(
        contact_positions::table
    )
    .values(some)
    .on_conflict((contact_positions::workspace, contact_positions::contact))
    .do_update()
    .set((
        contact_positions::stage.eq(excluded(contact_positions::stage)),
        contact_positions::role.eq(excluded(contact_positions::role)),
        contact_positions::revision.eq(excluded(contact_positions::revision)),
    )))?;
    Ok(())
}

/// Up to where in the log of `service` everything has been told; `None` before it was ever told.
pub fn projection_get(conn: &mut Conn, service: &str) -> Result<Option<LogPosition>, Error> {
    let row: Option<(i64, i64, i64)> = projections::table
        .find(service)
        .select((projections::epoch, projections::tx, projections::id))
        .first(conn)
        .optional()?;
    Ok(row.map(|(epoch, tx, id)| LogPosition { epoch, tx, id }))
}

/// Everything in the log of `service` has been told up to `through`; never goes back.
pub fn projection_advance(
    conn: &mut Conn,
    service: &str,
    through: LogPosition,
    now: Micros,
) -> Result<(), Error> {
    let stored: Option<(i64, i64, i64)> = locked!(
        conn,
        update,
        projections::table
            .find(service)
            .select((projections::epoch, projections::tx, projections::id)) => first
    )
    .optional()?;
    let stored = stored.map(|(epoch, tx, id)| LogPosition { epoch, tx, id });
    if stored.is_some_and(|stored| stored >= through) {
        return Ok(());
    }
    let values = (
        projections::epoch.eq(through.epoch),
        projections::tx.eq(through.tx),
        projections::id.eq(through.id),
        projections::update_time.eq(now.0),
    );
    steady!(
        conn,
        diesel::insert_into(projections::table)
            .values((projections::service.eq(service), values))
            .on_conflict(projections::service)
            .do_update()
            .set(values)
    )?;
    Ok(())
}
