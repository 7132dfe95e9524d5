//! Databases for tests, and a look at their schema: with the feature `testing`.
//!
//! Tests of everything above run once per engine:
//!
//! ```no_run
//! # async fn doc(migrations: &'static store::Migrations) {
//! for engine in store::testing::engines() {
//!     let url = engine.fresh_url().await;
//!     let store = store::testing::open(&url, migrations);
//!     // ...
//! }
//! # }
//! ```

mod apart;
mod databases;
mod held;
mod keys;
mod schema;

pub use apart::not_apart;
pub use databases::{Engine, FreshUrl, POSTGRES_URL, SERVICE, engines, with_role};
pub use held::{HeldKey, age_leases, hold_key, older_transaction};
pub use keys::{Keys, key_differences, keys};
pub use schema::{Column, Kind, Schema, differences, schema};

use std::collections::BTreeSet;

use types::Deadline;

use crate::{Error, Migrations, Options, Store, migrate, roles};

/// Opens a migrated store.
///
/// Panics when that fails, as tests like it.
#[expect(
    clippy::expect_used,
    reason = "a test cannot go on without its database"
)]
pub fn open(url: &str, migrations: &'static Migrations) -> Store {
    Store::open(Options::new("test", url, migrations).migrating()).expect("the store opens")
}

/// A deadline that no test reaches unless something hangs.
pub fn soon() -> Deadline {
    Deadline::after(std::time::Duration::from_secs(20))
}

/// What differs between the two engines after all migrations ran: names of migrations, tables,
/// columns, their kinds and whether they may be null, primary and unique keys, references and
/// indexes; also PostgreSQL's text columns that are not compared byte by byte as SQLite's are, and its
/// tables that are not kept apart by workspace; and whether [`Migrations::tables`] names each table. Empty when PostgreSQL is not there to be compared.
pub async fn parity(migrations: &'static Migrations) -> Result<Vec<String>, Error> {
    let (sqlite, postgres) = migrate::names_by_engine(migrations);
    if sqlite != postgres {
        return Ok(vec![format!(
            "the migrations differ: SQLite {sqlite:?}, PostgreSQL {postgres:?}"
        )]);
    }
    let mut schemas = Vec::new();
    for engine in engines() {
        let url = engine.fresh_url().await;
        let store = open(&url, migrations);
        let shown = store.across().read("testing.schema", soon(), |conn| {
            Ok::<_, Error>((schema(conn)?, keys(conn)?, not_apart(conn)?))
        });
        schemas.push(shown.await?);
    }
    Ok(match schemas.as_slice() {
        [
            (sqlite, sqlite_keys, _),
            (postgres, postgres_keys, not_apart),
        ] => {
            let mut found = differences(sqlite, postgres);
            let listed: BTreeSet<&str> = roles::ours(migrations).collect();
            let there: BTreeSet<&str> = postgres.keys().map(String::as_str).collect();
            let unlisted = listed.symmetric_difference(&there);
            found.extend(unlisted.map(|table| format!("{table} is there or listed, and not both")));
            found.extend(key_differences(sqlite_keys, postgres_keys));
            found.extend(not_apart.iter().cloned());
            found
        }
        _ => Vec::new(),
    })
}
