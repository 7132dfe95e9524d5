//! Reading from SQLite: connections of the pool, each with a snapshot of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};

use diesel::connection::{Connection, TransactionManager};

use crate::attempt::{Attempt, Mode};
use crate::pool::{Ready, roll_back_to};
use crate::{Conn, Error};

/// Reads once on a borrowed SQLite connection, on the calling thread.
pub(crate) fn attempt<T, E, F>(
    ready: &mut Ready,
    op: &'static str,
    mode: Mode,
    f: &F,
) -> Attempt<T, E>
where
    E: From<Error>,
    F: Fn(&mut Conn) -> Result<T, E>,
{
    ready.note.wipe();
    if mode == Mode::Snapshot
        && let Err(error) =
            <Conn as Connection>::TransactionManager::begin_transaction(&mut ready.conn)
    {
        return Attempt::Again(Error::from(error).into());
    }
    let result = catch_unwind(AssertUnwindSafe(|| f(&mut ready.conn)));
    ready.broken = !roll_back_to(&mut ready.conn, 0);
    match result {
        Err(_) => Attempt::Answered(Err(Error::Panicked { op }.into()), None),
        Ok(Err(error)) if ready.note.transient() => Attempt::Again(error),
        Ok(answer) => Attempt::Answered(answer, None),
    }
}
