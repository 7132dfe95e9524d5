//! Whose clock counts where a wrong one would do harm.
//!
//! Recorded times are those of the process that recorded them. But a process whose clock ran ahead must
//! not hold up the others, nor do for all of them what nobody can undo.

use diesel::prelude::*;
use types::Micros;

use crate::{Conn, Error};

diesel::define_sql_function! {
    /// The clock of PostgreSQL's server.
    fn clock_micros() -> BigInt;
}

/// What time it is for all who use the database: by the server's clock on PostgreSQL. An SQLite file is
/// one machine's, so there it is `own`, the process's clock.
pub(crate) fn shared(conn: &mut Conn, own: Micros) -> Result<Micros, Error> {
    Ok(match conn {
        Conn::Sqlite(_) => own,
        Conn::Postgres(c) => Micros(diesel::select(clock_micros()).get_result(c)?),
    })
}
