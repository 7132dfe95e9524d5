//! SQLite: connections made safe, and the one thread that writes.

mod group;
mod member;
mod read;
mod writer;

use std::path::Path;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;

pub(crate) use read::attempt;
pub(crate) use writer::Writer;

use crate::Conn;
use crate::options::OpenError;

/// Below this SQLite had a defect of its write-ahead log that could lose a commit.
const OLDEST: (u32, u32, u32) = (3, 51, 3);

/// How long opening waits for one who closes the file.
const CLOSING_TIME: Duration = Duration::from_secs(5);

/// What SQLite says to one who comes while the file is kept.
const LOCKED: &str = "database is locked";

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// The writer's, and the first one, which makes the file.
    Write,
    /// A reader's: the engine refuses writes on it.
    Read,
}

/// Opens the database file, making it and its folder when absent. Waits for whoever closes it as the
/// last one and keeps it to himself for that moment, since not every pragma does.
pub(crate) fn connect(path: &Path, access: Access) -> Result<Conn, OpenError> {
    let until = Instant::now() + CLOSING_TIME;
    loop {
        match connect_once(path, access) {
            Err(OpenError::Unreachable(text)) if text == LOCKED && Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(10));
            }
            outcome => return outcome,
        }
    }
}

fn connect_once(path: &Path, access: Access) -> Result<Conn, OpenError> {
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        std::fs::create_dir_all(folder).map_err(unreachable)?;
    }
    let text = path.to_str().ok_or_else(|| {
        OpenError::Unreachable("the path of the SQLite file is not UTF-8".to_owned())
    })?;
    // A path that begins like a URI would be read as one.
    let name = if text.starts_with("file:") {
        format!("./{text}")
    } else {
        text.to_owned()
    };
    let mut conn = SqliteConnection::establish(&name).map_err(unreachable)?;
    check_version(&mut conn)?;
    conn.batch_execute(
        "PRAGMA busy_timeout = 1000; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; \
         PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY;",
    )
    .map_err(unreachable)?;
    match access {
        Access::Write => {
            conn.batch_execute("PRAGMA cache_size = -16000; PRAGMA journal_size_limit = 67108864;")
                .map_err(unreachable)?;
            require_wal(&mut conn)?;
        }
        Access::Read => conn
            .batch_execute("PRAGMA cache_size = -4000; PRAGMA query_only = ON;")
            .map_err(unreachable)?,
    }
    Ok(Conn::Sqlite(conn))
}

#[derive(QueryableByName)]
struct Answer {
    #[diesel(sql_type = Text)]
    answer: String,
}

fn check_version(conn: &mut SqliteConnection) -> Result<(), OpenError> {
    let found = diesel::sql_query("SELECT sqlite_version() AS answer")
        .get_result::<Answer>(conn)
        .map_err(unreachable)?
        .answer;
    let mut parts = found.split('.').map(|part| part.parse().unwrap_or(0));
    let mut part = || parts.next().unwrap_or(0);
    if (part(), part(), part()) < OLDEST {
        return Err(OpenError::EngineTooOld {
            engine: "SQLite",
            found,
            needed: "3.51.3",
        });
    }
    Ok(())
}

fn require_wal(conn: &mut SqliteConnection) -> Result<(), OpenError> {
    // The pragma answers with the mode that is in force, under a column named after itself.
    let mode = diesel::sql_query("PRAGMA journal_mode = WAL")
        .get_result::<JournalMode>(conn)
        .map_err(unreachable)?
        .journal_mode;
    if mode == "wal" {
        return Ok(());
    }
    Err(OpenError::Setting {
        setting: "journal_mode",
        value: mode,
        required: "the file must lie on a local file system that supports a write-ahead log",
    })
}

#[derive(QueryableByName)]
struct JournalMode {
    #[diesel(sql_type = Text)]
    journal_mode: String,
}

fn unreachable(error: impl std::fmt::Display) -> OpenError {
    OpenError::Unreachable(error.to_string())
}
