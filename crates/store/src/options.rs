//! How a store is opened, and why opening can fail.

use std::any::Any;
use std::time::Duration;

use diesel_migrations::EmbeddedMigrations;
use types::Clock;

use crate::url::{DatabaseUrl, UrlError};

/// A service's migrations, the same names for both engines.
///
/// Versions 0001 to 0099 belong to this crate; a service numbers its own from 0101. So that both
/// engines answer alike, PostgreSQL's text columns are `COLLATE "C"`, SQLite's key columns are
/// declared `NOT NULL`, constraints and unique indexes bear PostgreSQL's default names, and triggers
/// of SQLite refuse with `RAISE(ABORT, ...)`. [`testing::parity`](crate::testing::parity) (feature
/// `testing`) checks what can be checked.
pub struct Migrations {
    /// For SQLite.
    pub sqlite: EmbeddedMigrations,
    /// For PostgreSQL.
    pub postgres: EmbeddedMigrations,
    /// The tables that there are after all of them, without this crate's own: what a service needs
    /// rights on, whatever else lies in its schema.
    pub tables: &'static [&'static str],
}

/// What a caller keeps from others for as long as the database works for it, even where it has gone.
pub type Held = Option<Box<dyn Any + Send>>;

/// What [`Store::open`](crate::Store::open) needs to know.
pub struct Options {
    /// `sqlite:PATH` or `postgres://...`.
    pub url: DatabaseUrl,
    /// The service's name: PostgreSQL's `application_name`, and a label in logs.
    pub service: &'static str,
    /// The service's tables.
    pub migrations: &'static Migrations,
    /// Whether to bring an older schema up to date; otherwise it is refused.
    pub migrate: bool,
    /// The time of epochs and retention.
    pub clock: Clock,
    /// PostgreSQL connections at most; operations queue in front of them. More than about sixteen
    /// on two cores make everything slower.
    pub connections: u32,
    /// SQLite connections for reading at most; there is one more, for writing.
    pub readers: u32,
    /// How long a row lock is waited for (PostgreSQL).
    pub lock_timeout: Duration,
    /// Asked by each operation in the task that asks for it: a thread of a database can't be stopped, so
    /// whoever goes away must not be forgotten before it is done.
    pub held: fn() -> Held,
}

impl Options {
    /// The defaults: no migration, the system's clock, 16 connections, 8 readers, 1 s for locks.
    pub fn new(
        service: &'static str,
        url: impl Into<DatabaseUrl>,
        migrations: &'static Migrations,
    ) -> Self {
        Self {
            url: url.into(),
            service,
            migrations,
            migrate: false,
            clock: Clock::system(),
            connections: 16,
            readers: 8,
            lock_timeout: Duration::from_secs(1),
            held: || None,
        }
    }

    /// The same, migrating by itself.
    #[must_use]
    pub fn migrating(mut self) -> Self {
        self.migrate = true;
        self
    }
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL is wrong: a fault of the configuration.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The database cannot be reached or made.
    #[error("the database cannot be opened: {0}")]
    Unreachable(String),
    /// The server would lose acknowledged writes, or answer in a way that is not understood.
    #[error("the database server has {setting} = {value}; {required}")]
    Setting {
        /// The server's setting.
        setting: &'static str,
        /// Its value.
        value: String,
        /// What it must be, and how to make it so.
        required: &'static str,
    },
    /// The engine is older than this suite needs.
    #[error("{engine} {found} is too old, {needed} or newer is needed")]
    EngineTooOld {
        /// The engine's name.
        engine: &'static str,
        /// Its version.
        found: String,
        /// The lowest version that will do.
        needed: &'static str,
    },
    /// The schema lacks migrations and opening was not asked to run them.
    #[error("the schema is older than needed, run `clientele migrate`; missing: {}", pending.join(", "))]
    SchemaOld {
        /// The migrations that have not run, in their order.
        pending: Vec<String>,
    },
    /// The role that connects, or is to be let in, will not do.
    #[error("the database role {role}: {problem}")]
    Role {
        /// Its name.
        role: String,
        /// Why not, and what to do.
        problem: String,
    },
    /// A migration failed; it was rolled back.
    #[error("a migration failed: {0}")]
    Migration(String),
}
