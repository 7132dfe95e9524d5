//! Where contacts stand, as told by the pipeline service, and how far it has told it.

use std::collections::HashMap;

use ::store::change_log::LogPosition;
use ::store::{Beyond, Conn, Error, all, locked, steady};
use diesel::prelude::*;
use diesel::upsert::excluded;
use types::{ContactName, Micros};

use super::schema::{contact_positions, projections};
use crate::domain::contacts::ShownPosition;

/// The epochs in which the recorded positions of these contacts of one workspace were told.
pub fn positions_epochs(
    conn: &mut Conn,
    workspace: &str,
    contacts: &[String],
) -> Result<HashMap<String, i64>, Error> {
    let rows: Vec<(String, i64)> = contact_positions::table
        .filter(contact_positions::workspace.eq(workspace))
        .filter(contact_positions::contact.eq_any(contacts))
        .select((contact_positions::contact, contact_positions::epoch))
        .load(conn)?;
    Ok(rows.into_iter().collect())
}

/// Records where contacts stand, as told in this epoch. They exist, their rows are locked, and what
/// is recorded of them is older.
pub fn positions_record(
    conn: &mut Conn,
    told: &[(&ContactName, &ShownPosition)],
    epoch: i64,
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
                contact_positions::epoch.eq(epoch),
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
        contact_positions::epoch.eq(excluded(contact_positions::epoch)),
    )))?;
    Ok(())
}

/// At most `limit` contacts after one, in the order of their names, whose recorded positions were told
/// before this epoch.
pub fn positions_outdated(
    conn: &mut Conn,
    epoch: i64,
    after: &ContactName,
    limit: i64,
) -> Result<Vec<ContactName>, Error> {
    let beyond = Beyond::new(false)
        .key(contact_positions::workspace, after.workspace.clone())
        .key(contact_positions::contact, after.contact.clone());
    let rows: Vec<(String, String)> = contact_positions::table
        .select((contact_positions::workspace, contact_positions::contact))
        .filter(contact_positions::epoch.lt(epoch))
        .filter(beyond)
        .order((contact_positions::workspace, contact_positions::contact))
        .limit(limit)
        .load(conn)?;
    Ok(rows
        .into_iter()
        .map(|(workspace, contact)| ContactName::new(workspace, contact))
        .collect())
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

/// The same, which stays so until the end of the transaction.
pub fn projection_hold(conn: &mut Conn, service: &str) -> Result<Option<LogPosition>, Error> {
    let row: Option<(i64, i64, i64)> = locked!(
        conn,
        share,
        projections::table
            .find(service)
            .select((projections::epoch, projections::tx, projections::id)) => first
    )
    .optional()?;
    Ok(row.map(|(epoch, tx, id)| LogPosition { epoch, tx, id }))
}

/// The same, held by nobody else until the end of the transaction.
pub fn projection_lock(conn: &mut Conn, service: &str) -> Result<Option<LogPosition>, Error> {
    let row: Option<(i64, i64, i64)> = locked!(
        conn,
        update,
        projections::table
            .find(service)
            .select((projections::epoch, projections::tx, projections::id)) => first
    )
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
    let stored = projection_lock(conn, service)?;
    if stored.is_some_and(|stored| stored >= through) {
        return Ok(());
    }
    let values = (
        projections::epoch.eq(through.epoch),
        projections::tx.eq(through.tx),
        projections::id.eq(through.id),
        projections::update_time.eq(now.0),
    );
    if stored.is_none() {
        steady!(
            conn,
            diesel::insert_into(projections::table)
                .values((projections::service.eq(service), values))
                .on_conflict_do_nothing()
        )?;
    }
    // Two that tell for the first time hold nothing: of their places the later one stays.
    let same_tx = projections::tx.eq(through.tx);
    let same_epoch = projections::epoch.eq(through.epoch);
    let within_tx = same_tx.and(projections::id.lt(through.id));
    let within_epoch = same_epoch.and(projections::tx.lt(through.tx).or(within_tx));
    let earlier = projections::epoch.lt(through.epoch).or(within_epoch);
    steady!(
        conn,
        diesel::update(projections::table.find(service).filter(earlier)).set(values)
    )?;
    Ok(())
}
