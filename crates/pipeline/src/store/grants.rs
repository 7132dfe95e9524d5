//! Holders of grants.

use diesel::prelude::*;
use store::{Conn, Error};
use types::{ContactName, Micros};

use super::schema::{grant_holders, holders, workspace_holders};
use crate::domain::grants::Holder;

/// A database that holds grants: its own epoch, and ours when it last attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The holder's epoch.
    pub epoch: i64,
    /// Our epoch at that time.
    pub attached_epoch: i64,
}

/// The attachment of a holder.
pub fn holder_get(conn: &mut Conn, holder: &str) -> Result<Option<Attachment>, Error> {
    let row: Option<(i64, i64)> = holders::table
        .find(holder)
        .select((holders::epoch, holders::attached_epoch))
        .first(conn)
        .optional()?;
    Ok(row.map(|(epoch, attached_epoch)| Attachment {
        epoch,
        attached_epoch,
    }))
}

/// Notes that a holder is there.
pub fn holder_attach(
    conn: &mut Conn,
    holder: &str,
    attachment: Attachment,
    now: Micros,
) -> Result<(), Error> {
    let values = (
        holders::epoch.eq(attachment.epoch),
        holders::attached_epoch.eq(attachment.attached_epoch),
        holders::attach_time.eq(now.0),
    );
    store::each!(conn, |c| diesel::insert_into(holders::table)
        .values((holders::holder.eq(holder), values))
        .on_conflict(holders::holder)
        .do_update()
        .set(values)
        .execute(c))?;
    Ok(())
}

/// Whether somebody who was given grants in this workspace has not attached in this epoch: they may
/// hold grants that this database has forgotten.
pub fn holders_missing(conn: &mut Conn, workspace: &str, epoch: i64) -> Result<bool, Error> {
    let missing: Option<String> = workspace_holders::table
        .inner_join(holders::table.on(holders::holder.eq(workspace_holders::holder)))
        .filter(workspace_holders::workspace.eq(workspace))
        .filter(holders::attached_epoch.ne(epoch))
        .select(holders::holder)
        .first(conn)
        .optional()?;
    Ok(missing.is_some())
}

/// Registers a holder of a contact's grant.
pub fn grant_holder_register(
    conn: &mut Conn,
    contact: &ContactName,
    holder: &str,
    holder_epoch: i64,
    now: Micros,
) -> Result<(), Error> {
    store::each!(conn, |c| diesel::insert_into(workspace_holders::table)
        .values((
            workspace_holders::workspace.eq(&contact.workspace),
            workspace_holders::holder.eq(holder),
        ))
        .on_conflict_do_nothing()
        .execute(c))?;
    let values = (
        grant_holders::holder_epoch.eq(holder_epoch),
        grant_holders::acquire_time.eq(now.0),
    );
    store::each!(conn, |c| diesel::insert_into(grant_holders::table)
        .values((
            grant_holders::workspace.eq(&contact.workspace),
            grant_holders::contact.eq(&contact.contact),
            grant_holders::holder.eq(holder),
            grant_holders::acknowledged_revision.eq(0),
            grant_holders::documents_exist.eq(false),
            values,
        ))
        .on_conflict((
            grant_holders::workspace,
            grant_holders::contact,
            grant_holders::holder,
        ))
        .do_update()
        .set(values)
        .execute(c))?;
    Ok(())
}

/// Who holds a grant on the contact.
pub fn grant_holders_of(conn: &mut Conn, contact: &ContactName) -> Result<Vec<Holder>, Error> {
    let rows: Vec<(String, i64, bool)> = grant_holders::table
        .filter(grant_holders::workspace.eq(&contact.workspace))
        .filter(grant_holders::contact.eq(&contact.contact))
        .order(grant_holders::holder)
        .select((
            grant_holders::holder,
            grant_holders::acknowledged_revision,
            grant_holders::documents_exist,
        ))
        .load(conn)?;
    Ok(rows
        .into_iter()
        .map(|(id, acknowledged_revision, documents_exist)| Holder {
            id,
            acknowledged_revision,
            documents_exist,
        })
        .collect())
}

/// Notes that a holder has narrowed its grant as the recall with this revision told.
pub fn grant_holder_acknowledge(
    conn: &mut Conn,
    contact: &ContactName,
    holder: &str,
    revision: i64,
    documents_exist: bool,
) -> Result<bool, Error> {
    let changed =
        diesel::update(grant_holders::table.find((&contact.workspace, &contact.contact, holder)))
            .set((
                grant_holders::acknowledged_revision.eq(revision),
                grant_holders::documents_exist.eq(documents_exist),
            ))
            .execute(conn)?;
    Ok(changed == 1)
}

/// Forgets the holders of a contact of which nothing remains to be held.
pub fn grant_holders_delete(conn: &mut Conn, contact: &ContactName) -> Result<(), Error> {
    let of_contact = grant_holders::table
        .filter(grant_holders::workspace.eq(&contact.workspace))
        .filter(grant_holders::contact.eq(&contact.contact));
    diesel::delete(of_contact).execute(conn)?;
    Ok(())
}
