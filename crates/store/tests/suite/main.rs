//! One suite for both engines: what the store promises, run on SQLite and, where a server is given,
//! on PostgreSQL.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(
    missing_docs,
    reason = "the table! macro makes items that cannot be documented"
)]

mod clocks;
mod commits;
mod crash;
mod crowds;
mod epochs;
mod feeds;
mod idempotency;
mod leases;
mod logs;
mod points;
mod postgres;
mod queries;
mod schema;
mod single;
mod walls;
mod writes;

use std::time::Duration;

use diesel::prelude::*;
use diesel_migrations::embed_migrations;
use store::change_log::{self, LogPosition};
use store::testing::{Engine, FreshUrl, engines, open, soon};
use store::{Conn, Error, Migrations, Store};
use types::Micros;

/// Tables for the tests to write in.
static MIGRATIONS: Migrations = Migrations {
    sqlite: embed_migrations!("tests/migrations/sqlite"),
    postgres: embed_migrations!("tests/migrations/postgres"),
    tables: &["notes", "remarks"],
};

diesel::table! {
    notes (workspace, id) {
        workspace -> Text,
        id -> Text,
        title -> Text,
        count -> BigInt,
    }
}

diesel::table! {
    remarks (workspace, id) {
        workspace -> Text,
        id -> Text,
        note -> Nullable<Text>,
    }
}

/// A fresh store and what keeps its database.
struct Fresh {
    engine: Engine,
    store: Store,
    url: FreshUrl,
}

/// Runs a check on a fresh store of each engine.
async fn on_each(check: impl AsyncFn(Fresh)) {
    for engine in engines() {
        check(fresh(engine).await).await;
    }
}

/// Runs a check on PostgreSQL only, where there is one.
async fn on_postgres(check: impl AsyncFn(Fresh)) {
    for engine in engines().into_iter().filter(Engine::is_postgres) {
        check(fresh(engine).await).await;
    }
}

async fn fresh(engine: Engine) -> Fresh {
    let url = engine.fresh_url().await;
    let store = open(&url, &MIGRATIONS);
    assert_eq!(store.engine(), engine.name());
    Fresh { engine, store, url }
}

/// Tries until the condition holds; fails after 20 s.
async fn eventually(what: &str, condition: impl AsyncFn() -> bool) {
    let given_up = tokio::time::Instant::now() + Duration::from_secs(20);
    while !condition().await {
        assert!(tokio::time::Instant::now() < given_up, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until followers of the log may see everything up to `position`. On PostgreSQL that takes
/// until all older transactions of the server have ended, also those of other tests' databases.
async fn settle(store: &Store, position: LogPosition) {
    eventually("the log settles", async || {
        let horizon = store
            .across()
            .read("test", soon(), change_log::horizon)
            .await
            .unwrap();
        horizon >= position
    })
    .await;
}

/// A note whose title is its id.
fn put(conn: &mut Conn, id: &str) -> Result<(), Error> {
    diesel::insert_into(notes::table)
        .values((
            notes::workspace.eq("w"),
            notes::id.eq(id),
            notes::title.eq(id),
            notes::count.eq(0),
        ))
        .execute(conn)?;
    Ok(())
}

fn ids(conn: &mut Conn) -> Result<Vec<String>, Error> {
    Ok(notes::table.select(notes::id).order(notes::id).load(conn)?)
}

fn at(micros: i64) -> Micros {
    Micros(micros)
}

/// Cuts all connections to the database but those of `admin`.
async fn cut_all(admin: &Store) {
    let cut = |conn: &mut Conn| {
        let others = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity \
                      WHERE datname = current_database() AND usename = current_user \
                      AND pid <> pg_backend_pid()";
        diesel::sql_query(others).execute(conn)?;
        Ok::<_, Error>(())
    };
    admin.across().read("test", soon(), cut).await.unwrap();
}
