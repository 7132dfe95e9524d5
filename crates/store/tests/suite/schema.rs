//! Migrations: the same on both engines, and never run unasked.

use std::time::Duration;

use diesel::prelude::*;
use store::testing::{Engine, engines, open, parity, soon};
use store::{OpenError, Options, Store, UrlError, migrate, pending};

use crate::MIGRATIONS;

#[tokio::test(flavor = "multi_thread")]
async fn both_engines_have_the_same_schema() {
    assert_eq!(parity(&MIGRATIONS).await, Ok(Vec::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_schema_is_refused_until_it_is_migrated() {
    for engine in engines() {
        let url = engine.fresh_url().await;
        let options = || Options::new("test", &*url, &MIGRATIONS);
        let wanted = [
            "0001_create_plumbing",
            "0002_create_parked_changes",
            "0101_create_notes",
        ];
        assert_eq!(pending(&options()).unwrap(), wanted);
        let Err(OpenError::SchemaOld { pending: missing }) = Store::open(options()) else {
            panic!("an empty database was opened");
        };
        assert_eq!(missing, wanted);
        assert_eq!(migrate(&options()).unwrap(), wanted);
        assert_eq!(migrate(&options()).unwrap(), Vec::<String>::new());
        assert_eq!(pending(&options()).unwrap(), Vec::<String>::new());
        let store = Store::open(options()).unwrap();
        assert_eq!(store.check(soon()).await, Ok(()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_start_together_migrate_once() {
    for engine in engines().into_iter().filter(Engine::is_postgres) {
        let url = engine.fresh_url().await;
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| open(&url, &MIGRATIONS));
            }
        });
    }
}

/// The advisory lock of migrations.
const LOCK: i64 = 0x636c_6965_6e74;

#[tokio::test(flavor = "multi_thread")]
async fn migrations_wait_as_long_as_it_takes() {
    for engine in engines().into_iter().filter(Engine::is_postgres) {
        let url = engine.fresh_url().await;
        let mut other = PgConnection::establish(&url).unwrap();
        let mut say = |query: String| diesel::sql_query(query).execute(&mut other).unwrap();
        say(format!("SELECT pg_advisory_lock({LOCK})"));
        let migrated = std::thread::scope(|scope| {
            let migrating = scope.spawn(|| {
                migrate(&Options {
                    lock_timeout: Duration::from_millis(50),
                    ..Options::new("test", &*url, &MIGRATIONS)
                })
            });
            let waits = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() \
                         AND wait_event_type = 'Lock' AND query_start < now() - interval '300 ms'";
            while !migrating.is_finished() && say(waits.to_owned()) == 0 {
                std::thread::yield_now();
            }
            say(format!("SELECT pg_advisory_unlock({LOCK})"));
            migrating.join().unwrap()
        });
        assert_eq!(migrated.unwrap().len(), 3);
    }
}

#[test]
fn an_unknown_scheme_is_a_fault_of_the_configuration() {
    let opened = Store::open(Options::new("test", "mysql://x/y", &MIGRATIONS));
    let Err(OpenError::Url(UrlError::SchemeUnknown { scheme })) = opened else {
        panic!("a mysql URL was accepted");
    };
    assert_eq!(scheme, "mysql");
}

#[test]
fn a_database_that_is_not_there_says_so() {
    for url in [
        "postgres://nobody@127.0.0.1:1/none",
        "sqlite:/proc/none/a.db",
    ] {
        let opened = Store::open(Options::new("test", url, &MIGRATIONS).migrating());
        assert!(matches!(opened, Err(OpenError::Unreachable(_))), "{url}");
    }
}
