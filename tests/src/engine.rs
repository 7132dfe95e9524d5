//! The two database engines that every end-to-end test runs on.

use std::fmt;

use diesel::{Connection, PgConnection, RunQueryDsl, sql_query};

/// A database engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Files in the suite's data folder.
    Sqlite,
    /// Three databases of the private server named by `CLIENTELE_TEST_POSTGRES_URL`.
    Postgres,
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        })
    }
}

/// The engines that can be tested here: both, or SQLite alone (said in one line) where no
/// PostgreSQL was given. `./dev test` always gives one.
pub fn engines() -> Vec<Engine> {
    if server_url().is_some() {
        return vec![Engine::Sqlite, Engine::Postgres];
    }
    println!("skipped on PostgreSQL: CLIENTELE_TEST_POSTGRES_URL is not set (./dev test sets it)");
    vec![Engine::Sqlite]
}

fn server_url() -> Option<String> {
    std::env::var("CLIENTELE_TEST_POSTGRES_URL")
        .ok()
        .filter(|url| !url.is_empty())
}

/// Three fresh databases on the private server, dropped with this value.
pub struct Databases {
    server: String,
    prefix: String,
}

/// The services, each of which has a database of its own.
pub const SERVICES: [&str; 3] = ["contacts", "pipeline", "billing"];

impl Databases {
    /// Creates the databases.
    ///
    /// # Panics
    ///
    /// Panics where there is no server or it refuses.
    pub fn create() -> Self {
        let server = server_url().expect("CLIENTELE_TEST_POSTGRES_URL");
        let prefix = format!("e2e_{}", types::Ids::system().next().replace('-', ""));
        let databases = Self { server, prefix };
        for service in SERVICES {
            databases.run(&format!("CREATE DATABASE {}_{service}", databases.prefix));
        }
        databases
    }

    /// The URL of a service's database.
    pub fn url(&self, service: &str) -> String {
        let (base, _) = self.server.rsplit_once('/').expect("a URL with a database");
        format!("{base}/{}_{service}", self.prefix)
    }

    /// Has the server close the connections to a service's database and refuse new ones.
    pub fn shut(&self, service: &str) {
        let database = format!("{}_{service}", self.prefix);
        self.run(&format!(
            "ALTER DATABASE {database} WITH ALLOW_CONNECTIONS false"
        ));
        self.run(&format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'"
        ));
    }

    /// Has the server take connections to a service's database again.
    pub fn reopen(&self, service: &str) {
        self.run(&format!(
            "ALTER DATABASE {}_{service} WITH ALLOW_CONNECTIONS true",
            self.prefix
        ));
    }

    /// Copies a service's database as it is, in place of an earlier copy; connections to it are closed
    /// for that.
    pub fn back_up(&self, service: &str) {
        let database = format!("{}_{service}", self.prefix);
        self.shut(service);
        self.run(&format!("DROP DATABASE IF EXISTS {database}_backup"));
        self.run(&format!(
            "CREATE DATABASE {database}_backup TEMPLATE {database}"
        ));
        self.reopen(service);
    }

    /// Puts the copy of a service's database in its place.
    pub fn restore(&self, service: &str) {
        let database = format!("{}_{service}", self.prefix);
        self.run(&format!("DROP DATABASE {database} WITH (FORCE)"));
        self.run(&format!(
            "CREATE DATABASE {database} TEMPLATE {database}_backup"
        ));
    }

    fn run(&self, statement: &str) {
        let mut conn = PgConnection::establish(&self.server).expect("the private PostgreSQL");
        sql_query(statement)
            .execute(&mut conn)
            .expect("a statement on the private PostgreSQL");
    }
}

impl Drop for Databases {
    fn drop(&mut self) {
        for service in SERVICES {
            for copy in ["", "_backup"] {
                self.run(&format!(
                    "DROP DATABASE IF EXISTS {}_{service}{copy} WITH (FORCE)",
                    self.prefix
                ));
            }
        }
    }
}
