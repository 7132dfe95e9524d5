//! The two database engines that every end-to-end test runs on.

use std::fmt;

use crate::suite::binary;
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

/// Who owns the databases and migrates them.
const OWNER: &str = "clientele_e2e_owner";

/// Whom the services connect as: a role that owns nothing, before whom the second wall stands.
pub const ROLE: &str = "clientele_e2e_service";

/// Whose members the private server asks for their passwords.
const GUARDED: &str = "clientele_test_passwords";

/// Three fresh databases on the private server, migrated, dropped with this value.
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
        for role in [OWNER, ROLE] {
            databases.run(&format!(
                "DO $$ BEGIN CREATE ROLE {role} LOGIN; \
                 EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
            ));
        }
        for service in SERVICES {
            databases.run(&format!(
                "CREATE DATABASE {}_{service} OWNER {OWNER}",
                databases.prefix
            ));
            migrate(service, &databases.owner_url(service), ROLE);
        }
        databases
    }

    /// The URL of a service's database, as the role that the service connects as.
    pub fn url(&self, service: &str) -> String {
        self.url_of(service, ROLE)
    }

    /// The URL of a service's database, as its owner.
    pub fn owner_url(&self, service: &str) -> String {
        self.url_of(service, OWNER)
    }

    /// Gives a service's database a role that has to show this password, and from now on no other. False
    /// where the server lets everybody in, unlike that of `./dev postgres`.
    ///
    /// # Panics
    ///
    /// Panics where the server refuses.
    pub fn guard(&self, service: &str, password: &str) -> bool {
        let role = self.guarded();
        self.run(&format!(
            "DO $$ BEGIN CREATE ROLE {GUARDED}; \
             EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
        ));
        self.run(&format!(
            "DO $$ BEGIN CREATE ROLE {role} LOGIN IN ROLE {GUARDED}; \
             EXCEPTION WHEN duplicate_object THEN NULL; END $$"
        ));
        self.run(&format!("ALTER ROLE {role} PASSWORD '{password}'"));
        migrate(service, &self.owner_url(service), &role);
        PgConnection::establish(&self.guarded_url(service, "wrong")).is_err()
    }

    /// The URL of a service's database, as the role with the password.
    pub fn guarded_url(&self, service: &str, password: &str) -> String {
        self.url_of(service, &format!("{}:{password}", self.guarded()))
    }

    /// Has the server close the connections of the role with the password.
    pub fn cut_guarded(&self) {
        self.run(&format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{}'",
            self.guarded()
        ));
    }

    fn guarded(&self) -> String {
        format!("{}_guarded", self.prefix)
    }

    fn url_of(&self, service: &str, role: &str) -> String {
        let (base, _) = self.server.rsplit_once('/').expect("a URL with a database");
        let host = base.rsplit(['/', '@']).next().unwrap_or_default();
        format!("postgres://{role}@{host}/{}_{service}", self.prefix)
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
            "CREATE DATABASE {database} TEMPLATE {database}_backup OWNER {OWNER}"
        ));
    }

    fn run(&self, statement: &str) {
        let mut conn = PgConnection::establish(&self.server).expect("the private PostgreSQL");
        sql_query(statement)
            .execute(&mut conn)
            .expect("a statement on the private PostgreSQL");
    }
}

/// Brings a service's database to the present schema, and lets a role serve from it.
fn migrate(service: &str, url: &str, role: &str) {
    let migrated = std::process::Command::new(binary())
        .args(["migrate", service, "--grant-to", role])
        .args(["--database-url", url])
        .output()
        .expect("the clientele binary");
    assert!(migrated.status.success(), "{migrated:?}");
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
        self.run(&format!("DROP ROLE IF EXISTS {}", self.guarded()));
    }
}
