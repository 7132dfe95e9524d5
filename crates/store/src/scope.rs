//! For whom an operation acts: one workspace, or every one of them.
//!
//! Each query names its workspace. That is the first wall, and a query that forgot it would show one
//! workspace's rows to another. So every operation also says for whom it acts, and on PostgreSQL row
//! level security shows it those rows and no others: the second wall. What says nothing sees nothing.
//! SQLite has no such thing.

use std::sync::Arc;

use types::Deadline;

use crate::attempt::{Act, Mode};
use crate::permits::Turn;
use crate::{Conn, Error, Store};

/// The setting of a PostgreSQL session by which its policies tell for whom it acts.
pub(crate) const SETTING: &str = "clientele.workspace";

/// What [`SETTING`] is for work on every workspace. No workspace is called so.
pub(crate) const EVERY: &str = "*";

/// An operation that says for whom it acts; see [`Store::within`] and [`Store::across`].
///
/// Operations take a static label for metrics, the call's deadline, and a synchronous closure. The
/// closure is pure apart from the database, since it may be run again; it never waits for anything
/// else. It must hand on the database errors it does not mean to handle: on PostgreSQL a failed
/// statement spoils the transaction unless it ran in a savepoint (`conn.transaction`).
#[must_use = "it does nothing until it is told what to read or write"]
pub struct Scoped<'a> {
    store: &'a Store,
    scope: Arc<str>,
    hasty: bool,
}

impl Store {
    /// Operations that act for one workspace, and on PostgreSQL see and write nothing of another.
    pub fn within(&self, workspace: &str) -> Scoped<'_> {
        // Whatever is taken for a workspace here, it is never the sign for all of them.
        let scope = if workspace == EVERY { "" } else { workspace };
        Scoped {
            store: self,
            scope: Arc::from(scope),
            hasty: false,
        }
    }

    /// Operations of the suite itself on every workspace at once: followers, upkeep, what the
    /// database says of itself. Never for a caller who was let into one workspace.
    pub fn across(&self) -> Scoped<'_> {
        Scoped {
            store: self,
            scope: Arc::from(EVERY),
            hasty: false,
        }
    }

    /// [`Store::within`] one workspace, or [`Store::across`] where none is given.
    pub fn within_or_across(&self, workspace: Option<&str>) -> Scoped<'_> {
        match workspace {
            Some(workspace) => self.within(workspace),
            None => self.across(),
        }
    }
}

impl Scoped<'_> {
    /// Takes a row that stays locked by someone else for an answer, [`Error::LockTimeout`], and does not
    /// wait for it again: for what several wait for, of whom one may have asked for that row.
    pub fn hasty(self) -> Self {
        Self {
            hasty: true,
            ..self
        }
    }

    /// Reads off the calling thread. Each statement sees what was committed when it began.
    pub async fn read<T, E, F>(self, op: &'static str, deadline: Deadline, f: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: Fn(&mut Conn) -> Result<T, E> + Send + Sync + 'static,
    {
        self.store
            .run(self.act(op, Mode::Read, Turn::Scan, deadline), f)
            .await
    }

    /// Reads one indexed row, or as little: on SQLite on the calling thread, which saves two
    /// hand-overs between threads; on PostgreSQL like [`Scoped::read`].
    pub async fn read_point<T, E, F>(
        self,
        op: &'static str,
        deadline: Deadline,
        f: F,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: Fn(&mut Conn) -> Result<T, E> + Send + Sync + 'static,
    {
        self.store
            .run_point(self.act(op, Mode::Read, Turn::Point, deadline), f)
            .await
    }

    /// Reads with all statements over one snapshot of the database.
    pub async fn read_snapshot<T, E, F>(
        self,
        op: &'static str,
        deadline: Deadline,
        f: F,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: Fn(&mut Conn) -> Result<T, E> + Send + Sync + 'static,
    {
        self.store
            .run(self.act(op, Mode::Snapshot, Turn::Scan, deadline), f)
            .await
    }

    /// Writes in a transaction, which commits if `f` answers `Ok` and rolls back if it answers
    /// `Err` or panics. Nothing is answered before the commit is on disk.
    ///
    /// Run again at most five times, within the deadline, when others got in the way. On SQLite the
    /// writes that wait together share one transaction, each in a savepoint. On PostgreSQL the
    /// isolation is READ COMMITTED: lock what a decision rests on ([`locked!`](crate::locked)), in
    /// one order everywhere. Where the server vanished during the commit, a write with a request key
    /// ([`idempotency`](crate::idempotency)) is run again, and finds its key if it was done. Errors:
    /// [`Error::CommitUnknown`] when that is not possible or does not succeed; for the rest nothing was
    /// done.
    pub async fn write<T, E, F>(self, op: &'static str, deadline: Deadline, f: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: Fn(&mut Conn) -> Result<T, E> + Send + Sync + 'static,
    {
        self.store
            .run_write(self.act(op, Mode::Write, Turn::Write, deadline), f)
            .await
    }

    /// Writes with exactly one statement, which on PostgreSQL is its own transaction and so takes
    /// one round trip instead of three. On SQLite it is [`Scoped::write`].
    ///
    /// `f` must issue one statement (see [`single`](crate::single)): on PostgreSQL a second one
    /// would not be rolled back with the first. Debug builds panic on it.
    pub async fn write_single<T, E, F>(
        self,
        op: &'static str,
        deadline: Deadline,
        f: F,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: Fn(&mut Conn) -> Result<T, E> + Send + Sync + 'static,
    {
        self.store
            .run_write(self.act(op, Mode::SingleWrite, Turn::Write, deadline), f)
            .await
    }

    fn act(&self, op: &'static str, mode: Mode, turn: Turn, deadline: Deadline) -> Act {
        Act {
            op,
            mode,
            turn: self.store.turn(turn),
            deadline,
            scope: Arc::clone(&self.scope),
            hasty: self.hasty,
        }
    }
}
