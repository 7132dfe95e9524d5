//! How many durable creates a second the store does: a row, its change and its idempotency key, at
//! 1, 16 and 64 callers; and reads of one row.
//!
//! `cargo run --release -p clientele-store --features testing --example throughput`, with
//! `CLIENTELE_TEST_POSTGRES_URL` for PostgreSQL. SQLite files lie in the temporary folder, which
//! `TMPDIR` moves to the disk that is to be measured.

#![expect(clippy::print_stdout, reason = "printing a table is its purpose")]
#![expect(
    missing_docs,
    reason = "the table! macro makes items that cannot be documented"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel_migrations::embed_migrations;
use store::change_log::{NewChange, append};
use store::idempotency::{Keep, Key, RequestHash, Stored, claim_complete};
use store::single::{Completed, create};
use store::testing::{engines, open};
use store::{Conn, Error, Migrations, Store};
use types::{Deadline, Micros};

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

/// The row's insert statement.
macro_rules! insert {
    ($id:expr) => {
        diesel::insert_into(notes::table).values((
            notes::workspace.eq("w"),
            notes::id.eq($id),
            notes::title.eq($id),
            notes::count.eq(1),
        ))
    };
}

const RUN: Duration = Duration::from_secs(4);

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => runtime.block_on(measure()),
        Err(error) => println!("no runtime: {error}"),
    }
}

async fn measure() {
    println!(
        "{:12} {:26} {:>9} {:>9} {:>9}",
        "engine", "calls/s at", "1", "16", "64"
    );
    for engine in engines() {
        for (label, kind) in [
            ("create, transaction", Kind::Transaction),
            ("create, one statement", Kind::Single),
            ("read one row", Kind::Read),
        ] {
            let url = engine.fresh_url().await;
            let store = open(&url, &MIGRATIONS);
            let mut rates = Vec::new();
            for callers in [1, 16, 64] {
                rates.push(rate(&store, kind, callers).await);
            }
            println!(
                "{:12} {:26} {:>9.0} {:>9.0} {:>9.0}",
                engine.name(),
                label,
                rates[0],
                rates[1],
                rates[2]
            );
        }
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Transaction,
    Single,
    Read,
}

async fn rate(store: &Store, kind: Kind, callers: usize) -> f64 {
    // Each run continues far above the ids of the one before it on the same store.
    let number = Arc::new(AtomicU64::new(callers as u64 * 1_000_000_000));
    let stop = Arc::new(AtomicBool::new(false));
    let mut tasks = tokio::task::JoinSet::new();
    let started = Instant::now();
    for _ in 0..callers {
        let (store, number, stop) = (store.clone(), Arc::clone(&number), Arc::clone(&stop));
        tasks.spawn(async move {
            let mut calls = 0_u32;
            while !stop.load(Ordering::Relaxed) {
                let id = format!("{:032}", number.fetch_add(1, Ordering::Relaxed));
                if let Err(error) = call(&store, kind, id).await {
                    println!("failed: {error:?}");
                    break;
                }
                calls += 1;
            }
            calls
        });
    }
    tokio::time::sleep(RUN).await;
    stop.store(true, Ordering::Relaxed);
    let calls: u32 = tasks.join_all().await.into_iter().sum();
    f64::from(calls) / started.elapsed().as_secs_f64()
}

async fn call(store: &Store, kind: Kind, id: String) -> Result<(), Error> {
    let deadline = Deadline::after(Duration::from_secs(5));
    match kind {
        Kind::Transaction => {
            let write = move |conn: &mut Conn| with(&id, |parts| one_by_one(conn, &id, parts));
            store.across().write("bench", deadline, write).await
        }
        Kind::Single => {
            let write = move |conn: &mut Conn| {
                with(&id, |(completed, change)| {
                    create(conn, Some(completed), &change, insert!(id.as_str())).map(|_| ())
                })
            };
            store.across().write_single("bench", deadline, write).await
        }
        Kind::Read => {
            let read = move |conn: &mut Conn| {
                let found = notes::table
                    .find(("w", &id))
                    .select(notes::count)
                    .first::<i64>(conn);
                found.optional()?;
                Ok(())
            };
            store.across().read_point("bench", deadline, read).await
        }
    }
}

fn one_by_one(
    conn: &mut Conn,
    id: &str,
    (done, change): (Completed<'_>, NewChange<'_>),
) -> Result<(), Error> {
    claim_complete(conn, done.key, done.hash, done.now, done.keep, done.answer)?;
    store::each!(conn, |c| insert!(id).execute(c))?;
    append(conn, &change)?;
    Ok(())
}

/// Calls with the key and the change of a create, some 300 bytes of payload.
fn with<T>(id: &str, f: impl FnOnce((Completed<'_>, NewChange<'_>)) -> T) -> T {
    let payload = [7_u8; 300];
    let key = Key {
        workspace: "w".to_owned(),
        principal: "local".to_owned(),
        method: "notes.v1.NoteService/CreateNote".to_owned(),
        request_id: id.to_owned(),
    };
    let hash = RequestHash::of(&payload);
    let answer = Stored {
        resource: id.to_owned(),
        revision: 1,
        response: payload.to_vec(),
    };
    let change = NewChange {
        workspace: "w",
        kind: "note.created",
        resource: id,
        revision: 1,
        payload: &payload,
        paths: "",
        actor: "users/ada",
        request_id: id,
        event_id: id,
        record_time: Micros(1),
    };
    let completed = Completed {
        key: &key,
        hash: &hash,
        answer: &answer,
        now: Micros(1),
        keep: Keep::WEEK,
    };
    f((completed, change))
}
