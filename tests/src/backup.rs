//! A copy of a service's database, taken while the service runs, and put back when it does not.

use std::path::PathBuf;

use diesel::{Connection, RunQueryDsl, SqliteConnection, sql_query};
use tempfile::TempDir;

use crate::suite::Suite;

/// A backup of one service's database.
pub struct Backup {
    service: &'static str,
    /// Where the copy of an SQLite file lies; PostgreSQL keeps its copy itself.
    folder: TempDir,
}

impl Backup {
    /// Takes a backup: `VACUUM INTO` on SQLite; on PostgreSQL a database that is made from this one,
    /// for which the service's connections are closed for a moment.
    ///
    /// # Panics
    ///
    /// Panics when it can't be taken.
    pub fn of(suite: &Suite, service: &'static str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let backup = Self { service, folder };
        if let Some(databases) = suite.databases() {
            databases.back_up(service);
            return backup;
        }
        let database = suite.database_url(service);
        let database = database.strip_prefix("sqlite:").expect("a file");
        let mut conn = SqliteConnection::establish(database).expect("the database");
        sql_query(format!("VACUUM INTO '{}'", backup.copy().display()))
            .execute(&mut conn)
            .expect("a backup");
        backup
    }

    /// Puts the backup in the place of the database, whose service must not run.
    ///
    /// # Panics
    ///
    /// Panics when it can't be done.
    pub fn restore(&self, suite: &Suite) {
        if let Some(databases) = suite.databases() {
            return databases.restore(self.service);
        }
        let database = suite.database_url(self.service);
        let database = database.strip_prefix("sqlite:").expect("a file");
        for suffix in ["-wal", "-shm"] {
            let beside = PathBuf::from(format!("{database}{suffix}"));
            // After a clean end there is none.
            if beside.exists() {
                std::fs::remove_file(beside).expect("a file that can be removed");
            }
        }
        std::fs::copy(self.copy(), database).expect("the backup in its place");
    }

    fn copy(&self) -> PathBuf {
        self.folder.path().join("backup.db")
    }
}
