//! Group commit: queued writes share one transaction and one flush to the disk.
//!
//! Each member runs in a savepoint of its own, so that one which fails or panics leaves nothing and
//! hurts nobody. Some failures (no space, I/O error) make SQLite roll back the whole transaction;
//! then the connection is opened anew and the members run one by one. So they do after a COMMIT
//! that failed, once it is sure that it cannot come true later.
//!
//! Invariant: nobody is answered, refusals included, before COMMIT has returned: a refusal may rest
//! on what an earlier member of the group wrote.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use diesel::connection::{AnsiTransactionManager, Connection, TransactionManager};
use diesel::prelude::*;
use types::Deadline;

use super::member::{Member, Outcome};
use super::{Access, connect};
use crate::failure::{Failure, Note};
use crate::options::OpenError;
use crate::pool::{depth, roll_back_to};
use crate::schema::database_state;
use crate::steady::Fixed;
use crate::wake::Wake;
use crate::{Conn, Driver, Error, measure, retry};

/// Members of a group at most.
const MEMBERS_MAX: usize = 64;

/// How long a group takes in further members, measured from its begin.
const OPEN_TIME_MAX: Duration = Duration::from_millis(5);

// A member's savepoint is not made by Diesel's transaction manager, which would have SQLite parse
// its statements each time: a quarter of what a small write costs.
const SAVEPOINT: Fixed = Fixed("SAVEPOINT member");
const RELEASE: Fixed = Fixed("RELEASE member");
const UNDO: Fixed = Fixed("ROLLBACK TO member");

/// How long other processes are waited for, to make a failed commit void.
const VOID_TIME_MAX: Duration = Duration::from_secs(2);

type Manager = <Conn as Connection>::TransactionManager;

/// The writer's connection and what it needs to commit.
pub(super) struct Group {
    service: &'static str,
    path: PathBuf,
    wake: Wake,
    /// None after a failure, until it could be opened anew.
    conn: Option<(Conn, Note)>,
}

/// What became of a member's savepoint, or of the transaction.
#[derive(PartialEq, Eq)]
enum Fate {
    /// It is kept or rolled back as it should be; the transaction goes on.
    Settled,
    /// The transaction is gone, and with it the work of all members.
    Lost,
}

impl Group {
    pub(super) fn open(
        path: PathBuf,
        service: &'static str,
        wake: Wake,
    ) -> Result<Self, OpenError> {
        let mut group = Self {
            service,
            path,
            wake,
            conn: None,
        };
        group.reopen()?;
        Ok(group)
    }

    /// Runs `first` and whoever `next` finds waiting in one transaction, commits, and answers.
    /// Never waits for a member: when nobody waits, the transaction is committed.
    pub(super) fn commit(
        &mut self,
        first: Box<dyn Member>,
        mut next: impl FnMut() -> Option<Box<dyn Member>>,
    ) {
        if first.deadline().expired() {
            // Those behind it may still be in time, and to begin may take as long as a lock is waited for.
            return refuse(first, Error::DeadlineExceeded);
        }
        let opened = Instant::now();
        if let Err(error) = self.begin(first.deadline()) {
            refuse(first, error);
            return;
        }
        let mut members = Vec::new();
        let mut arrived = Some(first);
        while let Some(mut member) = arrived {
            let fate = self.run(&mut *member);
            members.push(member);
            if fate == Fate::Lost {
                return self.one_by_one(members);
            }
            let open = members.len() < MEMBERS_MAX && opened.elapsed() < OPEN_TIME_MAX;
            arrived = if open { next() } else { None };
        }
        if let Err(error) = self.commit_transaction() {
            return self.after_failed_commit(members, &error);
        }
        measure::group(self.service, members.len());
        self.answer(members);
    }

    /// `BEGIN IMMEDIATE`, tried again while another process writes.
    fn begin(&mut self, deadline: Deadline) -> Result<(), Error> {
        if self.conn.is_none() {
            self.reopen().map_err(Error::unavailable)?;
        }
        let mut attempt = 1;
        loop {
            let Some((Conn::Sqlite(conn), _)) = &mut self.conn else {
                return Err(Error::unavailable("the writer has no connection"));
            };
            let Err(error) = AnsiTransactionManager::begin_transaction_sql(conn, "BEGIN IMMEDIATE")
            else {
                return Ok(());
            };
            if Failure::of(&error) != Failure::Transient {
                self.conn = None;
                return Err(Error::unavailable(error));
            }
            let pause = retry::pause(attempt);
            if attempt == retry::ATTEMPTS_MAX || deadline.remaining() <= pause {
                return Err(Error::Contention);
            }
            std::thread::sleep(pause);
            attempt += 1;
        }
    }

    /// Runs a member in a savepoint, and settles the savepoint.
    fn run(&mut self, member: &mut dyn Member) -> Fate {
        if member.deadline().expired() {
            member.refuse(Error::DeadlineExceeded);
            return Fate::Settled;
        }
        let Some((conn, note)) = &mut self.conn else {
            return Fate::Lost;
        };
        if SAVEPOINT.execute(conn).is_err() {
            return Fate::Lost;
        }
        note.wipe();
        let outcome = member.run(conn);
        if note.lost() {
            // Whether SQLite kept the transaction depends on the failure; the members do not
            // depend on it if they are run afresh.
            return Fate::Lost;
        }
        let settled = match (outcome, depth(conn)) {
            (Outcome::Done, Some(1)) => RELEASE.execute(conn).is_ok(),
            (Outcome::Done, _) => {
                member.refuse(Error::database("the write left a savepoint open"));
                undo(conn)
            }
            (Outcome::Refused | Outcome::Panicked, _) => undo(conn),
        };
        if settled && depth(conn) == Some(1) {
            Fate::Settled
        } else {
            Fate::Lost
        }
    }

    fn commit_transaction(&mut self) -> Result<(), Error> {
        let Some((conn, _)) = &mut self.conn else {
            return Err(Error::unavailable("the writer has no connection"));
        };
        Manager::commit_transaction(conn).map_err(Error::unavailable)
    }

    fn after_failed_commit(&mut self, members: Vec<Box<dyn Member>>, error: &Error) {
        tracing::error!(error = ?error, members = members.len(), "a commit failed");
        match self.make_void() {
            Ok(()) => self.one_by_one(members),
            Err(unknown) => answer_all(members, &unknown),
        }
    }

    /// Makes sure that the commit that failed never comes true; until then nobody may be told that
    /// nothing was done. Errors: [`Error::CommitUnknown`].
    ///
    /// What it wrote may lie behind the end of the write-ahead log, unseen by all who have the log's
    /// index open, and is taken for done by the first one who opens the file after a crash. The next
    /// commit is written over it.
    fn make_void(&mut self) -> Result<(), Error> {
        let unknown = |error: &dyn std::fmt::Debug| {
            tracing::error!(?error, "whether a commit will come true is not known");
            Error::CommitUnknown(Driver::new(format!("{error:?}")))
        };
        // The index goes with the last connection, so the failed one waits for the new one.
        let failed = self.conn.take();
        self.reopen().map_err(|error| unknown(&error))?;
        drop(failed);
        let written = self.write_something();
        if written.is_err() {
            self.conn = None;
        }
        written.map_err(|error| unknown(&error))
    }

    /// Commits a transaction that changes nothing. SQLite leaves a page alone whose row is set to
    /// what it is, so the row is changed and changed back.
    fn write_something(&mut self) -> Result<(), Error> {
        self.begin(Deadline::after(VOID_TIME_MAX))?;
        let Some((conn, _)) = &mut self.conn else {
            return Err(Error::unavailable("the writer has no connection"));
        };
        for by in [1, -1] {
            diesel::update(database_state::table)
                .set(database_state::restores.eq(database_state::restores + by))
                .execute(conn)?;
        }
        self.commit_transaction()
    }

    /// Each member in a transaction of its own, after a group was lost.
    fn one_by_one(&mut self, members: Vec<Box<dyn Member>>) {
        tracing::warn!(
            members = members.len(),
            "the group was rolled back, its members run one by one"
        );
        self.conn = None;
        for mut member in members {
            if member.panicked() {
                member.answer();
                continue;
            }
            if let Err(error) = self.begin(member.deadline()) {
                refuse(member, error);
                continue;
            }
            let failed = match self.run(&mut *member) {
                Fate::Settled => self.commit_transaction().err().map(|error| {
                    let void = self.make_void();
                    void.err().unwrap_or(error)
                }),
                Fate::Lost => Some(Error::unavailable("SQLite rolled the write back")),
            };
            if let Some(error) = failed {
                tracing::error!(op = member.op(), error = ?error, "a write failed");
                self.conn = None;
                refuse(member, error);
                continue;
            }
            self.answer(vec![member]);
        }
    }

    fn answer(&self, members: Vec<Box<dyn Member>>) {
        if members.iter().any(|member| member.appended().is_some()) {
            self.wake.notify();
        }
        for member in members {
            member.answer();
        }
    }

    /// Lets go of the connection, and with it of an open transaction; the next group opens anew.
    pub(super) fn close(&mut self) {
        self.conn = None;
    }

    fn reopen(&mut self) -> Result<(), OpenError> {
        self.conn = None;
        let mut conn = connect(&self.path, Access::Write)?;
        let note = Note::attach(&mut conn);
        self.conn = Some((conn, note));
        Ok(())
    }
}

/// Takes back what the member did, its own savepoints first.
fn undo(conn: &mut Conn) -> bool {
    roll_back_to(conn, 1) && UNDO.execute(conn).is_ok() && RELEASE.execute(conn).is_ok()
}

fn refuse(mut member: Box<dyn Member>, error: Error) {
    member.refuse(error);
    member.answer();
}

fn answer_all(members: Vec<Box<dyn Member>>, error: &Error) {
    for mut member in members {
        if !member.panicked() {
            member.refuse(error.clone());
        }
        member.answer();
    }
}
