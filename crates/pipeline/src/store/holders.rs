//! Databases that hold grants: in which epochs they have attached, and which were forgotten.
//!
//! Invariant: the epochs of a holder only rise. Locks are taken in the order holders,
//! `workspace_holders`, `grant_holders`, fences.

use diesel::dsl::{count_star, exists};
use diesel::prelude::*;
use store::{Conn, Error};
use types::Micros;

use super::schema::{
    fences, grant_holders, holders, pending_transitions, positions, workspace_holders,
};
use crate::domain::holders::{Attachment, Holder};

/// The attachment of a holder, kept as it is until the transaction ends; none for one that was never
/// there or was forgotten.
pub fn holder_hold(conn: &mut Conn, holder: &str) -> Result<Option<Attachment>, Error> {
    let row: Option<(i64, i64)> = store::locked!(
        conn,
        share,
        holders::table
            .find(holder)
            .filter(holders::forget_time.is_null())
            .select((holders::epoch, holders::attached_epoch)) => first
    )
    .optional()?;
    Ok(row.map(|(epoch, attached_epoch)| Attachment {
        epoch,
        attached_epoch,
    }))
}

/// Notes that a holder has attached. False, and nothing is done, where it has attached in a later
/// epoch already, of its own or of ours, or was forgotten in this one.
pub fn holder_attach(
    conn: &mut Conn,
    holder: &str,
    attachment: Attachment,
    now: Micros,
) -> Result<bool, Error> {
    let values = (
        holders::epoch.eq(attachment.epoch),
        holders::attached_epoch.eq(attachment.attached_epoch),
        holders::attach_time.eq(now.0),
        holders::forget_time.eq(None::<i64>),
    );
    let same_and_known = holders::epoch
        .eq(attachment.epoch)
        .and(holders::forget_time.is_null());
    let not_over = holders::attached_epoch
        .le(attachment.attached_epoch)
        .and(holders::epoch.lt(attachment.epoch).or(same_and_known));
    let attached = diesel::insert_into(holders::table)
        .values((holders::holder.eq(holder), values))
        .on_conflict(holders::holder)
        .do_update()
        .set(values);
    let attached = diesel::query_dsl::methods::FilterDsl::filter(attached, not_over);
    let changed = store::each!(conn, |c| attached.execute(c))?;
    Ok(changed == 1)
}

/// Whether somebody who was ever given a grant has not attached in this epoch: it may hold grants
/// that this database has forgotten, on whomever.
pub fn holders_missing(conn: &mut Conn, epoch: i64) -> Result<bool, Error> {
    let missing = holders::table
        .filter(holders::forget_time.is_null())
        .filter(holders::attached_epoch.ne(epoch));
    Ok(diesel::select(exists(missing)).get_result(conn)?)
}

/// Everybody who ever attached, with what they hold and what waits for them.
pub fn holders_list(conn: &mut Conn) -> Result<Vec<Holder>, Error> {
    let rows: Vec<(String, i64, i64, i64, Option<i64>)> = holders::table
        .order(holders::holder)
        .select(holders::all_columns)
        .load(conn)?;
    rows.into_iter()
        .map(|(id, epoch, attached_epoch, attach_time, forget_time)| {
            Ok(Holder {
                attachment: Attachment {
                    epoch,
                    attached_epoch,
                },
                attach_time: Micros(attach_time),
                forget_time: forget_time.map(Micros),
                grant_count: grant_holders::table
                    .filter(grant_holders::holder.eq(&id))
                    .select(count_star())
                    .first(conn)?,
                recall_count: recalls_of(conn, &id)?,
                fence_count: fences::table
                    .filter(fences::holder.eq(&id))
                    .filter(fences::acknowledge_time.is_null())
                    .select(count_star())
                    .first(conn)?,
                id,
            })
        })
        .collect()
}

/// How many grants are held, by whomever.
pub fn grants_count(conn: &mut Conn) -> Result<i64, Error> {
    Ok(grant_holders::table.select(count_star()).first(conn)?)
}

fn recalls_of(conn: &mut Conn, holder: &str) -> Result<i64, Error> {
    Ok(pending_transitions::table
        .inner_join(
            grant_holders::table.on(grant_holders::workspace
                .eq(pending_transitions::workspace)
                .and(grant_holders::contact.eq(pending_transitions::contact))),
        )
        .filter(grant_holders::holder.eq(holder))
        .filter(grant_holders::acknowledged_revision.lt(pending_transitions::recall_revision))
        .select(count_star())
        .first(conn)?)
}

/// Forgets a holder: its grants, its fences, and that it has to attach. What it never told is taken
/// for the worst: that documents exist. False where there is none to be forgotten.
pub fn holder_forget(conn: &mut Conn, holder: &str, now: Micros) -> Result<bool, Error> {
    let known = holders::table
        .find(holder)
        .filter(holders::forget_time.is_null());
    let forgotten = diesel::update(known)
        .set(holders::forget_time.eq(Some(now.0)))
        .execute(conn)?;
    if forgotten == 0 {
        return Ok(false);
    }
    diesel::delete(workspace_holders::table.filter(workspace_holders::holder.eq(holder)))
        .execute(conn)?;
    let held = grant_holders::table
        .filter(grant_holders::holder.eq(holder))
        .filter(grant_holders::workspace.eq(positions::workspace))
        .filter(grant_holders::contact.eq(positions::contact));
    diesel::update(positions::table.filter(exists(held)))
        .set(positions::documents_exist.eq(true))
        .execute(conn)?;
    diesel::delete(grant_holders::table.filter(grant_holders::holder.eq(holder))).execute(conn)?;
    let waiting = fences::table
        .filter(fences::holder.eq(holder))
        .filter(fences::acknowledge_time.is_null());
    diesel::delete(waiting).execute(conn)?;
    Ok(true)
}
