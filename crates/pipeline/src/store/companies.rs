//! The primary contacts of companies, in workspaces that put companies first.

use diesel::prelude::*;
use store::{Conn, Error};
use types::ContactName;

use super::schema::companies as table;

/// The primary contact of a company.
pub fn company_primary(
    conn: &mut Conn,
    company: &ContactName,
) -> Result<Option<ContactName>, Error> {
    let primary: Option<String> = table::table
        .find((&company.workspace, &company.contact))
        .select(table::primary_contact)
        .first(conn)
        .optional()?;
    Ok(primary.map(|primary| ContactName::new(&company.workspace, primary)))
}

/// The primary contacts of those of these contacts of a workspace that have one.
pub fn company_primaries(
    conn: &mut Conn,
    workspace: &str,
    companies: &[String],
) -> Result<Vec<(ContactName, ContactName)>, Error> {
    let rows: Vec<(String, String)> = table::table
        .filter(table::workspace.eq(workspace))
        .filter(table::company.eq_any(companies))
        .select((table::company, table::primary_contact))
        .load(conn)?;
    let name = |contact| ContactName::new(workspace, contact);
    Ok(rows
        .into_iter()
        .map(|(company, primary)| (name(company), name(primary)))
        .collect())
}

/// The companies whose primary contact this is, in the order of their ids.
pub fn companies_of_primary(
    conn: &mut Conn,
    primary: &ContactName,
) -> Result<Vec<ContactName>, Error> {
    let companies: Vec<String> = table::table
        .filter(table::workspace.eq(&primary.workspace))
        .filter(table::primary_contact.eq(&primary.contact))
        .order(table::company)
        .select(table::company)
        .load(conn)?;
    Ok(companies
        .into_iter()
        .map(|company| ContactName::new(&primary.workspace, company))
        .collect())
}

/// Makes a contact primary where the company has no primary contact yet.
pub fn company_insert(
    conn: &mut Conn,
    company: &ContactName,
    primary: &str,
) -> Result<bool, Error> {
    let inserted = store::each!(conn, |c| diesel::insert_into(table::table)
        .values((
            table::workspace.eq(&company.workspace),
            table::company.eq(&company.contact),
            table::primary_contact.eq(primary),
        ))
        .on_conflict_do_nothing()
        .execute(c))?;
    Ok(inserted == 1)
}

/// Forgets that a contact is primary. One who was named instead meanwhile stays: whoever looks at the
/// contact of before holds that one's position, not the company's.
pub fn company_release(
    conn: &mut Conn,
    company: &ContactName,
    primary: &ContactName,
) -> Result<(), Error> {
    let led = table::table
        .find((&company.workspace, &company.contact))
        .filter(table::primary_contact.eq(&primary.contact));
    diesel::delete(led).execute(conn)?;
    Ok(())
}

/// Forgets who was primary, of a company that is held.
pub fn company_delete(conn: &mut Conn, company: &ContactName) -> Result<(), Error> {
    diesel::delete(table::table.find((&company.workspace, &company.contact))).execute(conn)?;
    Ok(())
}
