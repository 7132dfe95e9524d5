//! Cursors: how far each background task came, advanced in the transaction of its effect.

use diesel::prelude::*;
use types::Micros;

use crate::schema::cursors;
use crate::{Conn, Error};

/// The cursor's position, an opaque string of its task; none before it was first advanced.
pub fn read(conn: &mut Conn, name: &str) -> Result<Option<String>, Error> {
    Ok(cursors::table
        .find(name)
        .select(cursors::position)
        .first(conn)
        .optional()?)
}

/// Moves the cursor.
pub fn advance(conn: &mut Conn, name: &str, position: &str, now: Micros) -> Result<(), Error> {
    let values = (
        cursors::position.eq(position),
        cursors::update_time.eq(now.0),
    );
    crate::steady!(
        conn,
        diesel::insert_into(cursors::table)
            .values((cursors::name.eq(name), values))
            .on_conflict(cursors::name)
            .do_update()
            .set(values)
    )?;
    Ok(())
}
