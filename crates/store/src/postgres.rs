//! PostgreSQL: connections made safe, and transactions with as few round trips as they can have.
//!
//! A round trip costs as much as the work. So nothing is asked at checkout, the statement timeout
//! of the session is only changed when it is far off, and where it is, the change rides along with
//! `BEGIN` in one message.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use diesel::connection::{
    AnsiTransactionManager, Connection, SimpleConnection, TransactionManager,
};
use diesel::prelude::*;
use diesel::sql_types::{Integer, Text};
use types::Deadline;

use crate::attempt::{Act, Attempt, Mode};
use crate::context::{self, KeyFate};
use crate::failure::Failure;
use crate::options::OpenError;
use crate::pool::{Ready, depth, roll_back_to};
use crate::scope::SETTING;
use crate::url::with_manners;
use crate::{Conn, Error};

/// The statement timeout of a new session: a little more than the default deadline of a call.
pub(crate) const STATEMENT_TIMEOUT_MS: u64 = 6_000;

/// A transaction whose client went silent is ended by the server after this.
const IDLE_IN_TRANSACTION_MS: u64 = 10_000;

/// What is required of the settings that make commits durable.
const ON: &str = "it must be on, or acknowledged writes are lost in a crash";

/// The lowest server version, as `server_version_num`.
const OLDEST: i32 = 140_000;

/// Opens a session and makes sure that the server keeps what it acknowledges.
pub(crate) fn connect(url: &str, service: &str, lock_timeout: Duration) -> Result<Conn, OpenError> {
    let mut conn = PgConnection::establish(&with_manners(url, service))
        .map_err(|error| OpenError::Unreachable(error.to_string()))?;
    check(&mut conn)?;
    // Compiling a plan takes tens of milliseconds, and a wrong guess of the planner is enough for it.
    conn.batch_execute(&format!(
        "SET lock_timeout = {}; SET statement_timeout = {STATEMENT_TIMEOUT_MS}; SET jit = off; \
         SET idle_in_transaction_session_timeout = {IDLE_IN_TRANSACTION_MS}",
        lock_timeout.as_millis(),
    ))
    .map_err(|error| OpenError::Unreachable(error.to_string()))?;
    Ok(Conn::Postgres(conn))
}

#[derive(QueryableByName)]
struct Settings {
    #[diesel(sql_type = Text)]
    fsync: String,
    #[diesel(sql_type = Text)]
    full_page_writes: String,
    #[diesel(sql_type = Text)]
    synchronous_commit: String,
    #[diesel(sql_type = Text)]
    lc_messages: String,
    #[diesel(sql_type = Text)]
    server_encoding: String,
    #[diesel(sql_type = Text)]
    in_recovery: String,
    #[diesel(sql_type = Integer)]
    version: i32,
}

fn check(conn: &mut PgConnection) -> Result<(), OpenError> {
    let found: Settings = diesel::sql_query(
        "SELECT current_setting('fsync') AS fsync, \
         current_setting('full_page_writes') AS full_page_writes, \
         current_setting('synchronous_commit') AS synchronous_commit, \
         current_setting('lc_messages') AS lc_messages, \
         current_setting('server_encoding') AS server_encoding, \
         pg_is_in_recovery()::text AS in_recovery, \
         current_setting('server_version_num')::int AS version",
    )
    .get_result(conn)
    .map_err(|error| OpenError::Unreachable(error.to_string()))?;
    if found.version < OLDEST {
        return Err(OpenError::EngineTooOld {
            engine: "PostgreSQL",
            found: (found.version / 10_000).to_string(),
            needed: "14",
        });
    }
    for (setting, value, right, required) in [
        ("fsync", &found.fsync, found.fsync == "on", ON),
        (
            "full_page_writes",
            &found.full_page_writes,
            found.full_page_writes == "on",
            ON,
        ),
        (
            "synchronous_commit",
            &found.synchronous_commit,
            found.synchronous_commit != "off",
            ON,
        ),
        (
            "server_encoding",
            &found.server_encoding,
            found.server_encoding == "UTF8",
            "it must be UTF8",
        ),
        (
            "in_recovery",
            &found.in_recovery,
            found.in_recovery == "false",
            "this is a standby; the URL must lead to the primary",
        ),
    ] {
        if !right {
            return Err(OpenError::Setting {
                setting,
                value: value.clone(),
                required,
            });
        }
    }
    speak_english(conn, found.lc_messages)
}

/// Some failures can only be told apart by their text, so the text must be English.
fn speak_english(conn: &mut PgConnection, found: String) -> Result<(), OpenError> {
    if matches!(found.as_str(), "" | "C" | "POSIX" | "C.UTF-8" | "C.utf8")
        || found.starts_with("en")
    {
        return Ok(());
    }
    conn.batch_execute("SET lc_messages = 'C'")
        .map_err(|_| OpenError::Setting {
            setting: "lc_messages",
            value: found,
            required: "it must be C or English: ALTER DATABASE ... SET lc_messages = 'C'",
        })
}

/// Runs `f` once on a borrowed connection, on the calling thread.
pub(crate) fn attempt<T, E, F>(ready: &mut Ready, act: &Act, f: &F) -> Attempt<T, E>
where
    E: From<Error>,
    F: Fn(&mut Conn) -> Result<T, E>,
{
    let (op, mode) = (act.op, act.mode);
    ready.note.wipe();
    if let Err(error) = begin(ready, act) {
        return failed(ready, mode, error);
    }
    ready.note.wipe();
    context::begin();
    let result = catch_unwind(AssertUnwindSafe(|| f(&mut ready.conn)));
    let key = context::key();
    let appended = context::end();
    let Ok(result) = result else {
        ready.broken = !roll_back_to(&mut ready.conn, 0);
        return Attempt::Answered(Err(Error::Panicked { op }.into()), None);
    };
    match result {
        Ok(value) => match finish(ready, op, mode) {
            Ok(()) => Attempt::Answered(Ok(value), appended),
            Err(error @ Error::CommitUnknown(_))
                if matches!(key, KeyFate::Written | KeyFate::Found) =>
            {
                Attempt::Unknown(error)
            }
            Err(error) => Attempt::Answered(Err(error.into()), None),
        },
        Err(error) => {
            ready.broken = !roll_back_to(&mut ready.conn, 0) || ready.note.spent();
            let unknown = mode == Mode::SingleWrite && ready.note.cut();
            if unknown {
                let lost = Error::CommitUnknown(crate::Driver::new("the connection was lost"));
                return if key == KeyFate::Written {
                    Attempt::Unknown(lost)
                } else {
                    Attempt::Answered(Err(lost.into()), None)
                };
            }
            let waits_on = ready.note.locked_out() && !act.hasty;
            let again = ready.note.transient() || waits_on;
            if (again && key != KeyFate::Taken) || ready.note.spent() {
                Attempt::Again(error)
            } else if key == KeyFate::Found {
                Attempt::Settled(error)
            } else {
                Attempt::Answered(Err(error), None)
            }
        }
    }
}

/// Begins, with the settings of the session made to fit: the statement timeout, and for whom it acts.
///
/// Within a transaction they are its own and go out together with `BEGIN`. Statements that are
/// transactions by themselves need those of the session changed, which takes a message of its own,
/// but only where they differ from what the connection was used for last.
fn begin(ready: &mut Ready, act: &Act) -> Result<(), diesel::result::Error> {
    let Conn::Postgres(conn) = &mut ready.conn else {
        return Err(diesel::result::Error::NotInTransaction);
    };
    let timeout = statement_timeout(ready.statement_timeout_ms, act.deadline);
    let scope = (ready.scope != act.scope).then_some(&act.scope);
    let begin = match act.mode {
        Mode::Write => "BEGIN ISOLATION LEVEL READ COMMITTED",
        Mode::Snapshot => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        Mode::SingleWrite | Mode::Read => {
            let settings = settings("SET", timeout, scope);
            if !settings.is_empty() {
                conn.batch_execute(&settings)?;
                ready.statement_timeout_ms = timeout.unwrap_or(ready.statement_timeout_ms);
                ready.scope = Arc::clone(&act.scope);
            }
            return Ok(());
        }
    };
    let settings = settings("SET LOCAL", timeout, scope);
    AnsiTransactionManager::begin_transaction_sql(conn, &format!("{begin};{settings}"))
}

/// The statements that change what has to be changed of the settings, each begun by `set`.
fn settings(set: &str, timeout: Option<u64>, scope: Option<&Arc<str>>) -> String {
    let timeout = timeout.map(|ms| format!("{set} statement_timeout = {ms};"));
    let scope = scope.map(|scope| format!("{set} {SETTING} = {};", quoted(scope)));
    timeout.unwrap_or_default() + &scope.unwrap_or_default()
}

/// A text as a literal of SQL, whatever is in it and whatever `standard_conforming_strings` says.
fn quoted(text: &str) -> String {
    let text: String = text.chars().filter(|c| *c != '\0').collect();
    let text = text.replace('\\', "\\\\").replace('\'', "''");
    format!("E'{text}'")
}

/// The statement timeout to set, if the session's is too far from what the deadline leaves: below
/// it, or above it twice over.
fn statement_timeout(session_ms: u64, deadline: Deadline) -> Option<u64> {
    let left = u64::try_from(deadline.remaining().as_millis()).unwrap_or(u64::MAX);
    let left = left.clamp(1, 3_600_000);
    if left <= session_ms && session_ms <= 2 * left + 100 {
        return None;
    }
    Some(left + left / 4 + 1)
}

/// Ends the transaction whose closure answered `Ok`.
///
/// A commit is never cut short: the server stops the clock of `statement_timeout` before it
/// commits, and nothing here cancels.
fn finish(ready: &mut Ready, op: &'static str, mode: Mode) -> Result<(), Error> {
    match mode {
        Mode::SingleWrite => {
            let statements = ready.note.statements();
            if statements > 1 {
                debug_assert!(false, "{op}: {statements} statements in a single write");
                tracing::error!(op, statements, "a single write was not one statement");
            }
            return Ok(());
        }
        Mode::Read => return Ok(()),
        Mode::Write | Mode::Snapshot => {}
    }
    // PostgreSQL answers COMMIT of a failed transaction with success, having rolled it back. A
    // closure that went on after a failure without a savepoint is found out here.
    let sound = depth(&mut ready.conn) == Some(1)
        && (!ready.note.failed() || ready.conn.batch_execute("SELECT 1").is_ok());
    if !sound {
        ready.broken = !roll_back_to(&mut ready.conn, 0);
        return Err(Error::database(format!(
            "{op} went on after a failed statement, or left a savepoint open"
        )));
    }
    let committed = <Conn as Connection>::TransactionManager::commit_transaction(&mut ready.conn);
    if mode == Mode::Snapshot {
        // What was read is whole, whatever became of the end of it.
        ready.broken = committed.is_err();
        return Ok(());
    }
    committed.map_err(|error| {
        ready.broken = true;
        match Failure::of(&error) {
            Failure::Closed => Error::CommitUnknown(crate::Driver::new(error)),
            _ => error.into(),
        }
    })
}

fn failed<T, E: From<Error>>(
    ready: &mut Ready,
    mode: Mode,
    error: diesel::result::Error,
) -> Attempt<T, E> {
    tracing::debug!(?mode, error = ?error, "no transaction could be begun");
    ready.broken = true;
    let again = matches!(Failure::of(&error), Failure::Closed | Failure::Transient);
    let error = Error::from(error).into();
    if again {
        Attempt::Again(error)
    } else {
        Attempt::Answered(Err(error), None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_session_timeout_is_left_alone_while_it_fits() {
        let deadline = |ms| Deadline::after(Duration::from_millis(ms));
        assert_eq!(statement_timeout(6_000, deadline(5_000)), None);
        assert_eq!(statement_timeout(6_000, deadline(3_100)), None);
        let short = statement_timeout(6_000, deadline(1_000)).unwrap();
        assert!((1_000..1_300).contains(&short));
        let long = statement_timeout(6_000, deadline(30_000)).unwrap();
        assert!((30_000..40_000).contains(&long));
    }
}
