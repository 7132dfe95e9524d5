//! Contacts that have to be looked at.

use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::Bool;
use store::{Conn, Error};
use types::{ContactName, Micros};

use super::schema::evaluations as table;

/// A contact that has to be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluation {
    /// The contact.
    pub contact: ContactName,
    /// Rises with every change, so that none is lost while one is being looked at. It begins with
    /// the time, so that a request is never taken for one that was done with before.
    pub generation: i64,
    /// How often looking at it failed.
    pub attempts: i64,
}

/// Asks for a contact to be looked at, now.
pub fn evaluation_request(
    conn: &mut Conn,
    contact: &ContactName,
    now: Micros,
) -> Result<(), Error> {
    evaluations_request(conn, [contact], now)
}

/// Asks for contacts to be looked at, now; none of them twice.
pub fn evaluations_request<'a>(
    conn: &mut Conn,
    contacts: impl IntoIterator<Item = &'a ContactName>,
    now: Micros,
) -> Result<(), Error> {
    let rows: Vec<_> = contacts
        .into_iter()
        .map(|contact| {
            (
                table::workspace.eq(&contact.workspace),
                table::contact.eq(&contact.contact),
                table::generation.eq(now.0),
                table::attempts.eq(0),
                table::due_time.eq(now.0),
            )
        })
        .collect();
    store::all!(conn, rows, |some| diesel::insert_into(table::table)
        .values(some)
        .on_conflict((table::workspace, table::contact))
        .do_update()
        .set((
            table::generation.eq(table::generation + 1),
            table::attempts.eq(0),
            table::due_time.eq(now.0),
        )))?;
    Ok(())
}

/// What is due, the longest due first.
pub fn evaluations_due(conn: &mut Conn, now: Micros, limit: i64) -> Result<Vec<Evaluation>, Error> {
    let rows: Vec<(String, String, i64, i64)> = table::table
        .filter(table::due_time.le(now.0))
        .order((table::due_time, table::workspace, table::contact))
        .limit(limit)
        .select((
            table::workspace,
            table::contact,
            table::generation,
            table::attempts,
        ))
        .load(conn)?;
    Ok(rows
        .into_iter()
        .map(|(workspace, contact, generation, attempts)| Evaluation {
            contact: ContactName::new(workspace, contact),
            generation,
            attempts,
        })
        .collect())
}

/// How often a contact may change anew while somebody waits for it to be looked at, and still be
/// known for the one that is waited for. New requests of less than a millisecond are waited for too.
const CHANGES_MAX: i64 = 1000;

/// The newest generation of the contacts of a workspace that have to be looked at; 0 without any.
pub fn evaluations_newest(conn: &mut Conn, workspace: &str) -> Result<i64, Error> {
    let newest: Option<i64> = table::table
        .filter(table::workspace.eq(workspace))
        .select(diesel::dsl::max(table::generation))
        .first(conn)?;
    Ok(newest.unwrap_or(0))
}

/// Whether contacts of a workspace still have to be looked at that had to be when `newest` was the
/// newest generation; also those that were looked at without success.
pub fn evaluations_waiting(conn: &mut Conn, workspace: &str, newest: i64) -> Result<bool, Error> {
    let waiting: Option<String> = table::table
        .filter(table::workspace.eq(workspace))
        .filter(table::generation.le(newest.saturating_add(CHANGES_MAX)))
        .select(table::contact)
        .first(conn)
        .optional()?;
    Ok(waiting.is_some())
}

/// Done, each unless its contact changed again meanwhile. All are of one workspace.
pub fn evaluations_done(conn: &mut Conn, done: &[Evaluation]) -> Result<(), Error> {
    type Db = <Conn as Connection>::Backend;
    type Condition<'a> = Box<dyn BoxableExpression<table::table, Db, SqlType = Bool> + 'a>;
    let Some(first) = done.first() else {
        return Ok(());
    };
    let any = done
        .iter()
        .map(|one| -> Condition<'_> {
            let contact = table::contact.eq(&one.contact.contact);
            Box::new(contact.and(table::generation.eq(one.generation)))
        })
        .reduce(|left, right| Box::new(left.or(right)));
    if let Some(any) = any {
        // The contacts once more, alone: that is what the index is entered by.
        let contacts = done.iter().map(|one| &one.contact.contact);
        let rows = table::table
            .filter(table::workspace.eq(&first.contact.workspace))
            .filter(table::contact.eq_any(contacts))
            .filter(any);
        diesel::delete(rows).execute(conn)?;
    }
    Ok(())
}

/// Looks at it again later: sooner at first, at most every half minute.
pub fn evaluation_postpone(conn: &mut Conn, failed: &Evaluation, now: Micros) -> Result<(), Error> {
    let exponent = u32::try_from(failed.attempts.clamp(0, 9)).unwrap_or(9);
    let pause = Duration::from_millis(100 << exponent).min(Duration::from_secs(30));
    let row = table::table
        .find((&failed.contact.workspace, &failed.contact.contact))
        .filter(table::generation.eq(failed.generation));
    diesel::update(row)
        .set((
            table::attempts.eq(table::attempts + 1),
            table::due_time.eq(now.plus(pause).0),
        ))
        .execute(conn)?;
    Ok(())
}
