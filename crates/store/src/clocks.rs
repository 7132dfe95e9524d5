//! Whose clock counts where a wrong one would do harm.
//!
//! Recorded times are those of the process that recorded them. But a process whose clock ran ahead must
//! not hold up the others, nor do for all of them what nobody can undo.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use diesel::prelude::*;
use types::{Clock, Micros};

use crate::{Conn, Error, Store};

/// How far a clock may run ahead of what has passed. More than it is corrected by in a day, less than
/// anything is kept for.
const LEEWAY: Duration = Duration::from_mins(5);

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

/// What the process's clock showed when the store was opened, to tell when it jumps.
pub(crate) struct Opened {
    shown: Micros,
    passed: Duration,
    /// That the clocks disagree has been told.
    told: AtomicBool,
}

impl Opened {
    pub(crate) fn at(clock: &Clock) -> Self {
        Self {
            shown: clock.now(),
            passed: clock.passed(),
            told: AtomicBool::new(false),
        }
    }

    /// The latest that the clock may show by what has passed since.
    fn latest(&self, clock: &Clock) -> Micros {
        let since = clock.passed().saturating_sub(self.passed);
        self.shown.plus(since).plus(LEEWAY)
    }
}

impl Store {
    /// The time that has certainly come: what is deleted because it is old enough is so by this time. The
    /// process's clock, but never later than another one confirms: the server's on PostgreSQL, and what
    /// has passed since the store was opened. While they disagree by more than five minutes less is
    /// deleted than could be, and the log says once what to do.
    pub fn certain_time(&self, conn: &mut Conn) -> Result<Micros, Error> {
        let (clock, opened) = (&self.inner.clock, &self.inner.opened);
        let own = clock.now();
        let shared = shared(conn, own)?;
        let certain = own.min(shared).min(opened.latest(clock));
        let disagree = own > certain.plus(LEEWAY) || shared > own.plus(LEEWAY);
        if !opened.told.swap(disagree, Ordering::Relaxed) && disagree {
            tracing::warn!(
                service = self.inner.service,
                ahead_s = (own.0 - certain.0) / 1_000_000,
                database_ahead_s = (shared.0 - own.0) / 1_000_000,
                "a clock is wrong, here or at the database: what is over by one clock alone is not \
                 deleted; set the clock right, or restart the service if this one is right now"
            );
        }
        Ok(certain)
    }
}
