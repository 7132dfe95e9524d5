//! What decisions caused besides moves.

use diesel::prelude::*;
use store::{Conn, Error};
use types::{ContactName, Micros};

use super::schema::effects as table;
use crate::domain::transitions::Effect;

/// Writes an effect down, once.
pub fn effect_insert(
    conn: &mut Conn,
    contact: &ContactName,
    revision: i64,
    new: &Effect,
    now: Micros,
) -> Result<(), Error> {
    store::each!(conn, |c| diesel::insert_into(table::table)
        .values((
            table::workspace.eq(&contact.workspace),
            table::contact.eq(&contact.contact),
            table::id.eq(&new.id),
            table::revision.eq(revision),
            table::kind.eq(&new.kind),
            table::payload.eq(new.payload.to_string()),
            table::create_time.eq(now.0),
        ))
        .on_conflict_do_nothing()
        .execute(c))?;
    Ok(())
}
