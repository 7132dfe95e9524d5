//! What kind of failure an engine reported, and a note of it that outlives the error value.
//!
//! A closure given to [`Store::write`](crate::Store::write) turns the engine's error into its own
//! type, so whether to run it again is read from the connection's [`Note`], which Diesel's
//! instrumentation fills.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use diesel::connection::{Connection, InstrumentationEvent};
use diesel::result::{DatabaseErrorKind, Error as DieselError};

use crate::Conn;

/// The kinds of failure that the plumbing treats differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Busy, serialization failure (40001), deadlock (40P01): run it again.
    Transient,
    /// A lock was not free within the lock timeout (55P03): run it again, unless that is the answer.
    LockTimeout,
    /// The statement timeout passed (57014).
    Cancelled,
    /// The connection is gone.
    Closed,
    /// The server does not take writes: a standby, or a primary that was deposed.
    ReadOnly,
    /// SQLite may have rolled back the whole transaction: out of space, I/O error, interrupt.
    Lost,
    /// A prepared statement outlived a migration; a new connection prepares it afresh.
    StalePlan,
    /// Constraint violations and the rest.
    Other,
}

impl Failure {
    /// The kind of `error`. Diesel hands over no SQLSTATE, so where it does not classify, the text
    /// decides; the pool makes sure that PostgreSQL speaks English.
    pub(crate) fn of(error: &DieselError) -> Self {
        let DieselError::DatabaseError(kind, info) = error else {
            return match error {
                DieselError::BrokenTransactionManager
                | DieselError::RollbackErrorOnCommit { .. } => Self::Closed,
                _ => Self::Other,
            };
        };
        match kind {
            DatabaseErrorKind::SerializationFailure => Self::Transient,
            DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand => {
                Self::Closed
            }
            DatabaseErrorKind::ReadOnlyTransaction => Self::ReadOnly,
            DatabaseErrorKind::Unknown => Self::of_text(info.message()),
            _ => Self::Other,
        }
    }

    fn of_text(text: &str) -> Self {
        match text {
            "deadlock detected"
            | "database is locked"
            | "database table is locked"
            | "database schema is locked" => Self::Transient,
            "canceling statement due to lock timeout" => Self::LockTimeout,
            "canceling statement due to statement timeout" => Self::Cancelled,
            "cached plan must not change result type" => Self::StalePlan,
            "database or disk is full"
            | "disk I/O error"
            | "interrupted"
            | "out of memory"
            | "database disk image is malformed"
            | "unable to open database file" => Self::Lost,
            "attempt to write a readonly database" => Self::ReadOnly,
            _ if text.starts_with("terminating connection")
                || text.starts_with("server closed the connection")
                || text.starts_with("the database system is") =>
            {
                Self::Closed
            }
            _ => Self::Other,
        }
    }
}

/// What happened on a connection since the note was last wiped.
#[derive(Clone, Debug, Default)]
pub(crate) struct Note(Arc<AtomicU32>);

const TRANSIENT: u32 = 1;
const CLOSED: u32 = 1 << 1;
const LOST: u32 = 1 << 2;
const SPENT: u32 = 1 << 3;
const FAILED: u32 = 1 << 4;
const LOCKED_OUT: u32 = 1 << 5;
const STATEMENT: u32 = 1 << 8;

impl Note {
    /// A note that `conn` fills from now on.
    pub(crate) fn attach(conn: &mut Conn) -> Self {
        let note = Self::default();
        let filled = note.clone();
        conn.set_instrumentation(move |event: InstrumentationEvent<'_>| match event {
            InstrumentationEvent::StartQuery { .. } => {
                filled.0.fetch_add(STATEMENT, Ordering::Relaxed);
            }
            InstrumentationEvent::FinishQuery {
                error: Some(error), ..
            } => filled.record(Failure::of(error)),
            _ => {}
        });
        note
    }

    pub(crate) fn wipe(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// Whether a failure was seen after which the same transaction is worth running again.
    pub(crate) fn transient(&self) -> bool {
        self.has(TRANSIENT)
    }

    /// Whether a lock was not free in time.
    pub(crate) fn locked_out(&self) -> bool {
        self.has(LOCKED_OUT)
    }

    /// Whether the connection was cut.
    pub(crate) fn cut(&self) -> bool {
        self.has(CLOSED)
    }

    /// Whether a new connection would fare better than this one.
    pub(crate) fn spent(&self) -> bool {
        self.has(CLOSED | SPENT)
    }

    /// Whether SQLite may have rolled back more than the statement that failed.
    pub(crate) fn lost(&self) -> bool {
        self.has(LOST)
    }

    /// Whether any statement failed.
    pub(crate) fn failed(&self) -> bool {
        self.has(FAILED)
    }

    /// How many statements were started.
    pub(crate) fn statements(&self) -> u32 {
        self.0.load(Ordering::Relaxed) / STATEMENT
    }

    fn record(&self, failure: Failure) {
        let bits = match failure {
            Failure::Transient => TRANSIENT,
            Failure::LockTimeout => LOCKED_OUT,
            Failure::Closed => CLOSED,
            Failure::Lost => LOST,
            Failure::ReadOnly | Failure::StalePlan => SPENT,
            Failure::Cancelled | Failure::Other => 0,
        };
        self.0.fetch_or(bits | FAILED, Ordering::Relaxed);
    }

    fn has(&self, bits: u32) -> bool {
        self.0.load(Ordering::Relaxed) & bits != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown(text: &str) -> Failure {
        Failure::of(&DieselError::DatabaseError(
            DatabaseErrorKind::Unknown,
            Box::new(text.to_owned()),
        ))
    }

    #[test]
    fn engines_are_understood_by_their_texts() {
        assert_eq!(unknown("deadlock detected"), Failure::Transient);
        assert_eq!(unknown("database is locked"), Failure::Transient);
        assert_eq!(unknown("database or disk is full"), Failure::Lost);
        assert_eq!(
            unknown("canceling statement due to lock timeout"),
            Failure::LockTimeout
        );
        assert_eq!(unknown("anything else"), Failure::Other);
    }
}
