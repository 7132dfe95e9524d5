//! Contacts, with what they are looked up by.

mod create;
mod list;
#[cfg(test)]
mod plan_tests;
mod row;

use std::collections::HashMap;

use ::store::{Beyond, Conn, Error, each, locked, steady};
use diesel::prelude::*;
use types::{ContactName, Micros};

pub use create::{NewContact, contact_create, contacts_create};
pub use list::{ContactList, SortKey, contacts_list};
use row::{ContactRow, Keys, columns, joined, terms_of};

use super::schema::{
    contact_external_ids, contact_positions, contact_terms, contacts, purged_contacts,
};
use crate::domain::contacts::Contact;
use crate::domain::facts::ExternalId;

/// The contact of this name, deleted ones included.
pub fn contact_get(conn: &mut Conn, name: &ContactName) -> Result<Option<Contact>, Error> {
    let row: Option<ContactRow> = each!(conn, |c| joined()
        .filter(contacts::workspace.eq(&name.workspace))
        .filter(contacts::contact.eq(&name.contact))
        .select(columns())
        .first(c))
    .optional()?;
    row.map(Contact::try_from).transpose()
}

/// Those of these contacts that exist, in no order. At most as many ids as one statement takes: a
/// thousand.
pub fn contacts_get(
    conn: &mut Conn,
    workspace: &str,
    ids: &[String],
) -> Result<Vec<Contact>, Error> {
    let rows: Vec<ContactRow> = each!(conn, |c| joined()
        .filter(contacts::workspace.eq(workspace))
        .filter(contacts::contact.eq_any(ids))
        .select(columns())
        .load(c))?;
    rows.into_iter().map(Contact::try_from).collect()
}

/// Those of these contacts that exist, by their ids; a single one by the plan that [`contact_get`] keeps.
pub fn contacts_found(
    conn: &mut Conn,
    workspace: &str,
    ids: &[String],
) -> Result<HashMap<String, Contact>, Error> {
    let found = match ids {
        [id] => {
            let name = ContactName::new(workspace.to_owned(), id.clone());
            contact_get(conn, &name)?.into_iter().collect()
        }
        several => contacts_get(conn, workspace, several)?,
    };
    let by_id = |contact: Contact| (contact.name.contact.clone(), contact);
    Ok(found.into_iter().map(by_id).collect())
}

/// The contact of this name, locked until the transaction ends.
pub fn contact_lock(conn: &mut Conn, name: &ContactName) -> Result<Option<Contact>, Error> {
    let key = contacts::table
        .find((&name.workspace, &name.contact))
        .select(contacts::revision);
    let found: Option<i64> = locked!(conn, update, key => first).optional()?;
    if found.is_none() {
        return Ok(None);
    }
    // The row could not be read and locked at once: a lock does not go with the join.
    contact_get(conn, name)
}

/// Those of these contacts that exist, locked until the transaction ends in the order of their ids.
pub fn contacts_lock(
    conn: &mut Conn,
    workspace: &str,
    ids: &[String],
) -> Result<Vec<Contact>, Error> {
    let _: Vec<i64> = locked!(
        conn,
        update,
        contacts::table
            .filter(contacts::workspace.eq(workspace))
            .filter(contacts::contact.eq_any(ids))
            .order(contacts::contact)
            .select(contacts::revision) => load
    )?;
    contacts_get(conn, workspace, ids)
}

/// Writes a contact whose row this transaction has locked.
pub fn contact_update(conn: &mut Conn, contact: &Contact) -> Result<(), Error> {
    let name = &contact.name;
    let keys = Keys::of(contact)?;
    let row = contacts::table.find((&name.workspace, &name.contact));
    let changed = steady!(
        conn,
        diesel::update(row).set((
            contacts::state.eq(contact.state.as_str()),
            contacts::revision.eq(contact.revision),
            contacts::display_key.eq(&keys.display),
            contacts::given_key.eq(&keys.given),
            contacts::family_key.eq(&keys.family),
            contacts::company.eq(&contact.facts.company),
            contacts::owner.eq(&contact.facts.owner),
            contacts::relationship_kinds.eq(&keys.relationship_kinds),
            contacts::source_channel.eq(contact.facts.source.channel.as_str()),
            contacts::source_campaign.eq(&contact.facts.source.campaign),
            contacts::ready_to_buy.eq(contact.facts.ready_to_buy),
            contacts::document.eq(&keys.document),
            contacts::updater.eq(&contact.updater),
            contacts::update_time.eq(contact.update_time.0),
            contacts::delete_time.eq(contact.delete_time.map(|at| at.0)),
            contacts::purge_time.eq(contact.purge_time.map(|at| at.0)),
        ))
    )?;
    if changed == 1 {
        Ok(())
    } else {
        Err(Error::Corrupt {
            table: "contacts",
            id: name.to_string(),
        })
    }
}

/// Makes what the contact is looked up by agree with its facts, after they have changed.
///
/// Errors: a unique violation of `contact_external_ids` where another contact has one of its
/// external ids; find out before with [`external_id_owners`].
pub fn contact_reindex(conn: &mut Conn, contact: &Contact) -> Result<(), Error> {
    let (workspace, id) = (&contact.name.workspace, &contact.name.contact);
    diesel::delete(
        contact_terms::table
            .filter(contact_terms::workspace.eq(workspace))
            .filter(contact_terms::contact.eq(id)),
    )
    .execute(conn)?;
    diesel::delete(
        contact_external_ids::table
            .filter(contact_external_ids::workspace.eq(workspace))
            .filter(contact_external_ids::contact.eq(id)),
    )
    .execute(conn)?;
    create::index_insert(
        conn,
        workspace,
        id,
        &terms_of(contact),
        &contact.facts.external_ids,
    )
}

/// Whose these external ids are, as far as they are anybody's: pairs of the id and its contact.
pub fn external_id_owners(
    conn: &mut Conn,
    workspace: &str,
    ids: &[ExternalId],
) -> Result<Vec<(ExternalId, String)>, Error> {
    let mut owners = Vec::new();
    for id in ids {
        let owner: Option<String> = contact_external_ids::table
            .find((workspace, &id.system, &id.id))
            .select(contact_external_ids::contact)
            .first(conn)
            .optional()?;
        owners.extend(owner.map(|owner| (id.clone(), owner)));
    }
    Ok(owners)
}

/// A page of a workspace's contacts in the order of their ids, after `after`: for the snapshots of a
/// Watch, which have no other order.
pub fn contacts_scan(
    conn: &mut Conn,
    workspace: Option<&str>,
    after: Option<&(String, String)>,
    limit: i64,
) -> Result<Vec<Contact>, Error> {
    let rows: Vec<ContactRow> = scan(workspace, after, limit).load(conn)?;
    rows.into_iter().map(Contact::try_from).collect()
}

fn scan<'a>(
    workspace: Option<&'a str>,
    after: Option<&'a (String, String)>,
    limit: i64,
) -> list::Query<'a> {
    let query = joined()
        .select(columns())
        .into_boxed::<list::Db>()
        .order((contacts::workspace, contacts::contact))
        .limit(limit);
    match (workspace, after) {
        (None, None) => query,
        (Some(workspace), None) => query.filter(contacts::workspace.eq(workspace)),
        (Some(workspace), Some((_, contact))) => query
            .filter(contacts::workspace.eq(workspace))
            .filter(contacts::contact.gt(contact)),
        (None, Some((workspace, contact))) => query.filter(
            Beyond::new(false)
                .key(contacts::workspace, workspace.clone())
                .key(contacts::contact, contact.clone()),
        ),
    }
}

/// At most `limit` contacts that may be purged now, with their workspaces.
pub fn contacts_overdue(
    conn: &mut Conn,
    now: Micros,
    limit: i64,
) -> Result<Vec<ContactName>, Error> {
    let names: Vec<(String, String)> = contacts::table
        .filter(contacts::purge_time.is_not_null())
        .filter(contacts::purge_time.le(now.0))
        .order(contacts::purge_time)
        .select((contacts::workspace, contacts::contact))
        .limit(limit)
        .load(conn)?;
    Ok(names
        .into_iter()
        .map(|(workspace, contact)| ContactName::new(workspace, contact))
        .collect())
}

/// Removes a contact for good, with all that hangs on its row, if it may still be purged; answers
/// its last revision. Its name is kept, so that nobody else gets it.
pub fn contact_purge(
    conn: &mut Conn,
    name: &ContactName,
    now: Micros,
) -> Result<Option<i64>, Error> {
    let gone: Vec<i64> = each!(conn, |c| diesel::delete(
        contacts::table
            .find((&name.workspace, &name.contact))
            .filter(contacts::purge_time.le(now.0)),
    )
    .returning(contacts::revision)
    .get_results(c))?;
    let Some(revision) = gone.into_iter().next() else {
        return Ok(None);
    };
    diesel::insert_into(purged_contacts::table)
        .values((
            purged_contacts::workspace.eq(&name.workspace),
            purged_contacts::contact.eq(&name.contact),
        ))
        .execute(conn)?;
    Ok(Some(revision))
}

/// Which of these ids were those of contacts that are purged. To be asked after contacts of these ids
/// were found missing, or were inserted: then a purge that was under way has been committed.
pub fn contacts_purged(
    conn: &mut Conn,
    workspace: &str,
    ids: &[&str],
) -> Result<Vec<String>, Error> {
    Ok(purged_contacts::table
        .filter(purged_contacts::workspace.eq(workspace))
        .filter(purged_contacts::contact.eq_any(ids))
        .select(purged_contacts::contact)
        .load(conn)?)
}
