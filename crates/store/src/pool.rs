//! Connections: how each engine's are made ready, and the pool that lends them.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use diesel::connection::Connection;
use diesel::r2d2::R2D2Connection;
use types::Clock;

use crate::attempt::Mode;
use crate::failure::Note;
use crate::options::{OpenError, Options};
use crate::url::{DatabaseUrl, Target};
use crate::{Conn, epoch, postgres, sqlite};

/// A pool of connections to one database.
pub(crate) type Pool = r2d2::Pool<Manager>;

/// After so long without use a connection is asked before a single write is sent over it. If it was
/// cut meanwhile, nobody could tell whether the statement had reached the server.
const IDLE_MAX: Duration = Duration::from_secs(1);

/// A connection that was borrowed from the pool.
pub(crate) type Lent = r2d2::PooledConnection<Manager>;

/// A connection with what the plumbing knows about it.
pub(crate) struct Ready {
    pub(crate) conn: Conn,
    pub(crate) note: Note,
    /// The session's statement timeout in milliseconds (PostgreSQL).
    pub(crate) statement_timeout_ms: u64,
    /// For whom the session acts outside of transactions (PostgreSQL); empty for nobody.
    pub(crate) scope: Arc<str>,
    /// The number of the last outage when this connection was made or last seen to work.
    pub(crate) outage: u64,
    /// When it was last used.
    pub(crate) used: Instant,
    /// Set when the connection must not be lent again.
    pub(crate) broken: bool,
}

/// Makes connections by the scheme of the URL.
///
/// Invariant: no connection to PostgreSQL is lent before the stored epoch matches the server, so a
/// failover is noticed by the first connection to the new primary.
#[derive(Clone)]
pub(crate) struct Manager {
    url: DatabaseUrl,
    target: Target,
    service: &'static str,
    lock_timeout: Duration,
    clock: Clock,
    epoch: Arc<AtomicI64>,
    outages: Arc<AtomicU64>,
}

impl Manager {
    pub(crate) fn new(options: &Options) -> Result<Self, OpenError> {
        Ok(Self {
            url: options.url.clone(),
            target: Target::parse(options.url.text())?,
            service: options.service,
            lock_timeout: options.lock_timeout,
            clock: options.clock.clone(),
            epoch: Arc::default(),
            outages: Arc::default(),
        })
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    /// The number of the epoch that was seen last.
    pub(crate) fn epoch(&self) -> Arc<AtomicI64> {
        Arc::clone(&self.epoch)
    }

    /// The first connection: makes the file where there is none, and checks the engine.
    pub(crate) fn first(&self) -> Result<Conn, OpenError> {
        match &self.target {
            Target::Sqlite(path) => sqlite::connect(path, sqlite::Access::Write),
            Target::Postgres(_) => self.connect_to_postgres(),
        }
    }

    fn connect_to_postgres(&self) -> Result<Conn, OpenError> {
        postgres::connect(&self.url.now()?, self.service, self.lock_timeout)
    }

    /// A connection was found closed: those that idle in the pool are doubtful from now on.
    pub(crate) fn note_outage(&self) {
        self.outages.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether a borrowed connection may be used: one that idled through an outage is asked, and for
    /// a single write one that idled long.
    pub(crate) fn trust(&self, ready: &mut Ready, mode: Mode) -> bool {
        let outage = self.outages.load(Ordering::Relaxed);
        let stale = mode == Mode::SingleWrite && ready.used.elapsed() >= IDLE_MAX;
        if ready.outage != outage || stale {
            if ready.conn.ping().is_err() {
                ready.broken = true;
                return false;
            }
            ready.outage = outage;
        }
        true
    }

    /// The pool: `max` connections, made as they are needed.
    pub(crate) fn pool(self, max: u32) -> Result<Pool, OpenError> {
        r2d2::Pool::builder()
            .max_size(max)
            .min_idle(Some(1))
            .test_on_check_out(false)
            .connection_timeout(Duration::from_secs(10))
            .error_handler(Box::new(LogConnectFailure))
            .build(self)
            .map_err(|error| OpenError::Unreachable(error.to_string()))
    }
}

impl r2d2::ManageConnection for Manager {
    type Connection = Ready;
    type Error = OpenError;

    fn connect(&self) -> Result<Ready, OpenError> {
        let outage = self.outages.load(Ordering::Relaxed);
        let mut conn = match &self.target {
            Target::Sqlite(path) => sqlite::connect(path, sqlite::Access::Read)?,
            Target::Postgres(_) => {
                let mut conn = self.connect_to_postgres()?;
                let epoch = epoch::reconcile(&mut conn, self.clock.now())
                    .map_err(|error| OpenError::Unreachable(format!("{error:?}")))?;
                self.epoch.fetch_max(epoch.number, Ordering::Relaxed);
                conn
            }
        };
        let note = Note::attach(&mut conn);
        Ok(Ready {
            conn,
            note,
            statement_timeout_ms: postgres::STATEMENT_TIMEOUT_MS,
            scope: Arc::from(""),
            outage,
            used: Instant::now(),
            broken: false,
        })
    }

    fn is_valid(&self, ready: &mut Ready) -> Result<(), OpenError> {
        ready
            .conn
            .ping()
            .map_err(|error| OpenError::Unreachable(error.to_string()))
    }

    fn has_broken(&self, ready: &mut Ready) -> bool {
        ready.broken || std::thread::panicking() || ready.conn.is_broken()
    }
}

/// How deep the connection is in transactions: 0 outside, one more for each savepoint. `None` when
/// the connection is of no further use.
pub(crate) fn depth(conn: &mut Conn) -> Option<u32> {
    use diesel::connection::TransactionManager;
    <Conn as Connection>::TransactionManager::transaction_manager_status_mut(conn)
        .transaction_depth()
        .ok()
        .map(|depth| depth.map_or(0, std::num::NonZeroU32::get))
}

/// Rolls back until the connection is `target` deep. False when that failed.
pub(crate) fn roll_back_to(conn: &mut Conn, target: u32) -> bool {
    use diesel::connection::TransactionManager;
    loop {
        match depth(conn) {
            Some(depth) if depth == target => return true,
            Some(depth) if depth > target => {
                let rolled = <Conn as Connection>::TransactionManager::rollback_transaction(conn);
                if rolled.is_err() {
                    return false;
                }
            }
            _ => return false,
        }
    }
}

#[derive(Debug)]
struct LogConnectFailure;

impl r2d2::HandleError<OpenError> for LogConnectFailure {
    fn handle_error(&self, error: OpenError) {
        tracing::warn!(%error, "no new connection to the database");
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use diesel::prelude::*;

    use super::*;
    use crate::Migrations;
    use crate::testing::{Engine, engines, open};

    static NONE: Migrations = Migrations {
        sqlite: diesel_migrations::EmbeddedMigrations::new(&[]),
        postgres: diesel_migrations::EmbeddedMigrations::new(&[]),
        tables: &[],
    };

    #[test]
    fn a_single_write_goes_over_no_connection_that_was_cut_while_it_idled() {
        for engine in engines().into_iter().filter(Engine::is_postgres) {
            let url = engine.fresh();
            drop(open(&url, &NONE));
            let manager = Manager::new(&Options::new("test", &*url, &NONE)).unwrap();
            let mut ready = r2d2::ManageConnection::connect(&manager).unwrap();
            let cut = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity \
                       WHERE datname = current_database() AND usename = current_user \
                       AND pid <> pg_backend_pid()";
            let mut admin = manager.first().unwrap();
            diesel::sql_query(cut).execute(&mut admin).unwrap();
            assert!(
                manager.trust(&mut ready, Mode::SingleWrite),
                "it was in use just now"
            );
            ready.used = Instant::now().checked_sub(IDLE_MAX).unwrap();
            assert!(manager.trust(&mut ready, Mode::Write), "its BEGIN tells");
            assert!(!manager.trust(&mut ready, Mode::SingleWrite));
            assert!(ready.broken);
        }
    }
}
