//! Migrations: this crate's plumbing first, then the service's tables.

use diesel::connection::SimpleConnection as _;
use diesel::migration::{Migration, MigrationSource};
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel::sqlite::Sqlite;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use types::Clock;

use crate::options::{Migrations, OpenError, Options};
use crate::pool::Manager;
use crate::scope::{EVERY, SETTING};
use crate::url::Target;
use crate::{Conn, epoch};

const SQLITE: EmbeddedMigrations = embed_migrations!("../../migrations/store/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("../../migrations/store/postgres");

/// The advisory lock under which replicas that start together migrate one after the other.
const MIGRATION_LOCK: i64 = 0x636c_6965_6e74;

/// Brings the database at `options.url` up to date; answers the names of the migrations that ran.
///
/// Meant for `clientele migrate`; services that may migrate by themselves open with
/// [`Options::migrate`].
pub fn migrate(options: &Options) -> Result<Vec<String>, OpenError> {
    let mut conn = Manager::new(options)?.first()?;
    run(&mut conn, options.migrations, &options.clock)
}

/// The names of the migrations that have not run on the database at `options.url`, in their order.
pub fn pending(options: &Options) -> Result<Vec<String>, OpenError> {
    let manager = Manager::new(options)?;
    if let Target::Sqlite(path) = manager.target()
        && !path.exists()
    {
        return Ok(names::<Sqlite>([&SQLITE, &options.migrations.sqlite]));
    }
    missing(&mut manager.first()?, options.migrations)
}

pub(crate) fn run(
    conn: &mut Conn,
    migrations: &'static Migrations,
    clock: &Clock,
) -> Result<Vec<String>, OpenError> {
    let ran = match conn {
        Conn::Sqlite(c) => apply(c, &[&SQLITE, &migrations.sqlite])?,
        Conn::Postgres(c) => {
            // Whoever finds everything done need not be the owner, who alone may do it.
            if missing_in_postgres(c, [&POSTGRES, &migrations.postgres])?.is_empty() {
                return Ok(Vec::new());
            }
            let session = patiently(c)?;
            advisory(c, "pg_advisory_lock")?;
            let ran = apply(c, &[&POSTGRES, &migrations.postgres]);
            advisory(c, "pg_advisory_unlock")?;
            set_timeouts(c, &session)?;
            ran?
        }
    };
    epoch::reconcile(conn, clock.now())
        .map_err(|error| OpenError::Migration(format!("the epoch row: {error:?}")))?;
    Ok(ran)
}

pub(crate) fn missing(
    conn: &mut Conn,
    migrations: &'static Migrations,
) -> Result<Vec<String>, OpenError> {
    Ok(match conn {
        Conn::Sqlite(c) => named(&unapplied(c, &[&SQLITE, &migrations.sqlite])?),
        Conn::Postgres(c) => missing_in_postgres(c, [&POSTGRES, &migrations.postgres])?,
    })
}

/// Diesel would first make its table where there is none, which only the owner may: so it is read
/// as it is.
fn missing_in_postgres(
    conn: &mut PgConnection,
    sources: [&EmbeddedMigrations; 2],
) -> Result<Vec<String>, OpenError> {
    let failed = |error: diesel::result::Error| OpenError::Migration(error.to_string());
    let is_readable = "SELECT coalesce(has_table_privilege(to_regclass('__diesel_schema_migrations'), \
                       'SELECT'), false) AS yes";
    let readable: IsReadable = diesel::sql_query(is_readable)
        .get_result(conn)
        .map_err(failed)?;
    let ran: Vec<Version> = if readable.yes {
        let ran = diesel::sql_query("SELECT version FROM __diesel_schema_migrations").load(conn);
        ran.map_err(failed)?
    } else {
        Vec::new()
    };
    let has_run = |name: &String| {
        ran.iter()
            .any(|ran| name.starts_with(&format!("{}_", ran.version)))
    };
    let mut missing = names::<diesel::pg::Pg>(sources);
    missing.retain(|name| !has_run(name));
    Ok(missing)
}

#[derive(QueryableByName)]
struct IsReadable {
    #[diesel(sql_type = diesel::sql_types::Bool)]
    yes: bool,
}

#[derive(QueryableByName)]
struct Version {
    #[diesel(sql_type = Text)]
    version: String,
}

fn apply<C, DB>(
    conn: &mut C,
    sources: &[&'static EmbeddedMigrations],
) -> Result<Vec<String>, OpenError>
where
    C: MigrationHarness<DB>,
    DB: diesel::backend::Backend,
{
    let mut ran = Vec::new();
    for migration in unapplied(conn, sources)? {
        conn.run_migration(&*migration)
            .map_err(|error| OpenError::Migration(format!("{}: {error}", migration.name())))?;
        ran.push(migration.name().to_string());
    }
    Ok(ran)
}

fn unapplied<C, DB>(
    conn: &mut C,
    sources: &[&'static EmbeddedMigrations],
) -> Result<Vec<Box<dyn Migration<DB>>>, OpenError>
where
    C: MigrationHarness<DB>,
    DB: diesel::backend::Backend,
{
    let mut pending = Vec::new();
    for source in sources {
        pending.extend(
            conn.pending_migrations(Borrowed(source))
                .map_err(|error| OpenError::Migration(error.to_string()))?,
        );
    }
    Ok(pending)
}

fn advisory(conn: &mut PgConnection, function: &str) -> Result<(), OpenError> {
    diesel::sql_query(format!("SELECT {function}({MIGRATION_LOCK})"))
        .execute(conn)
        .map(|_| ())
        .map_err(|error| OpenError::Migration(error.to_string()))
}

/// The times after which a session gives up a statement, or waiting for a lock.
#[derive(QueryableByName)]
struct Timeouts {
    #[diesel(sql_type = Text)]
    statement: String,
    #[diesel(sql_type = Text)]
    lock: String,
}

/// Lets statements and waits take as long as they need, which is long where a migration changes a
/// big table or another replica is at it; answers the timeouts that the session had.
fn patiently(conn: &mut PgConnection) -> Result<Timeouts, OpenError> {
    let session = diesel::sql_query(
        "SELECT current_setting('statement_timeout') AS statement, \
         current_setting('lock_timeout') AS lock",
    )
    .get_result(conn)
    .map_err(|error| OpenError::Migration(error.to_string()))?;
    // Migrations move rows of every workspace.
    conn.batch_execute(&format!("SET {SETTING} = '{EVERY}'"))
        .map_err(|error| OpenError::Migration(error.to_string()))?;
    let none = Timeouts {
        statement: "0".to_owned(),
        lock: "0".to_owned(),
    };
    set_timeouts(conn, &none)?;
    Ok(session)
}

fn set_timeouts(conn: &mut PgConnection, timeouts: &Timeouts) -> Result<(), OpenError> {
    let Timeouts { statement, lock } = timeouts;
    conn.batch_execute(&format!(
        "SET statement_timeout = '{statement}'; SET lock_timeout = '{lock}'"
    ))
    .map_err(|error| OpenError::Migration(error.to_string()))
}

fn named<DB: diesel::backend::Backend>(migrations: &[Box<dyn Migration<DB>>]) -> Vec<String> {
    migrations.iter().map(|m| m.name().to_string()).collect()
}

/// The names of the migrations in `sources`, each source's in their order.
fn names<DB: diesel::backend::Backend>(sources: [&EmbeddedMigrations; 2]) -> Vec<String> {
    let mut all = Vec::new();
    for source in sources {
        let mut found = named::<DB>(&source.migrations().unwrap_or_default());
        found.sort_unstable();
        all.extend(found);
    }
    all
}

/// The names of SQLite's and of PostgreSQL's migrations, this crate's own included.
#[cfg(feature = "testing")]
pub(crate) fn names_by_engine(migrations: &Migrations) -> (Vec<String>, Vec<String>) {
    (
        names::<Sqlite>([&SQLITE, &migrations.sqlite]),
        names::<diesel::pg::Pg>([&POSTGRES, &migrations.postgres]),
    )
}

/// Lends embedded migrations, which are neither `Copy` nor taken by reference.
struct Borrowed<'a>(&'a EmbeddedMigrations);

impl<DB: diesel::backend::Backend> MigrationSource<DB> for Borrowed<'_> {
    fn migrations(&self) -> diesel::migration::Result<Vec<Box<dyn Migration<DB>>>> {
        self.0.migrations()
    }
}
