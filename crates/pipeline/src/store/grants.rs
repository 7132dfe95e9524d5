//! Who holds a grant on whom.

use diesel::prelude::*;
use store::{Conn, Error};
use types::{ContactName, Micros};

use super::schema::{grant_holders, workspace_holders};
use crate::domain::grants::Holder;

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
