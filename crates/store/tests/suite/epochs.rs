//! Epochs: one per life of the database.

use std::sync::Mutex;
use std::time::Duration;

use diesel::prelude::*;
use store::testing::{open, soon};
use store::{Error, Options, Store, epoch};

use crate::{MIGRATIONS, eventually, on_each, on_postgres, single};

#[tokio::test(flavor = "multi_thread")]
async fn an_epoch_stays_over_a_restart_and_grows_with_a_restore() {
    on_each(async |fresh| {
        let first = fresh
            .store
            .across()
            .read("test", soon(), epoch::current)
            .await
            .unwrap();
        assert_eq!(first.number, fresh.store.epoch());
        let restarted = open(&fresh.url, &MIGRATIONS);
        assert_eq!(restarted.epoch(), first.number);
        let bumped = restarted.bump_epoch(soon()).await.unwrap();
        assert!(bumped.number > first.number);
        assert_eq!(bumped.restores, first.restores + 1);
        assert_eq!(open(&fresh.url, &MIGRATIONS).epoch(), bumped.number);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_store_notices_an_epoch_that_another_process_began() {
    on_each(async |fresh| {
        let first = fresh.store.epoch();
        let bumped = open(&fresh.url, &MIGRATIONS)
            .bump_epoch(soon())
            .await
            .unwrap();
        eventually("the new epoch is noticed", async || {
            fresh.store.epoch() != first
        })
        .await;
        assert_eq!(fresh.store.epoch(), bumped.number);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_looks_sees_the_present_epoch_at_once() {
    on_each(async |fresh| {
        let other = open(&fresh.url, &MIGRATIONS);
        let bumped = other.bump_epoch(soon()).await.unwrap();
        assert_eq!(fresh.store.epoch_look(soon()).await, Ok(bumped.number));
        assert_eq!(fresh.store.epoch(), bumped.number);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_timeline_is_noticed_by_the_first_connection() {
    on_postgres(async |fresh| {
        let first = fresh.store.epoch();
        // As if the server had been promoted since: what is stored is an older timeline.
        let older = fresh.store.across().write("test", soon(), |conn| {
            Ok::<_, Error>(
                diesel::sql_query("UPDATE database_state SET timeline = timeline - 1")
                    .execute(conn)?,
            )
        });
        assert_eq!(older.await, Ok(1));
        let promoted = open(&fresh.url, &MIGRATIONS);
        assert!(promoted.epoch() > first);
        let stored = promoted
            .across()
            .read("test", soon(), epoch::current)
            .await
            .unwrap();
        assert_eq!((stored.number, stored.restores), (promoted.epoch(), 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_epoch_ends_when_all_that_was_logged_in_it_is_committed() {
    on_postgres(async |fresh| {
        let hasty = Store::open(Options {
            lock_timeout: Duration::from_millis(100),
            ..Options::new("test", &*fresh.url, &MIGRATIONS)
        })
        .unwrap();
        let (first, has_logged) = tokio::sync::oneshot::channel();
        let (go_on, may_go) = std::sync::mpsc::channel::<()>();
        let (first, may_go) = (Mutex::new(Some(first)), Mutex::new(may_go));
        let slow = fresh
            .store
            .across()
            .write("test.slow", soon(), move |conn| {
                single::make(conn, "a", false)?;
                if let Some(first) = first.lock().unwrap().take() {
                    first.send(()).unwrap();
                }
                let _ = may_go.lock().unwrap().recv();
                Ok::<_, Error>(())
            });
        let meanwhile = async {
            has_logged.await.unwrap();
            assert_eq!(hasty.bump_epoch(soon()).await, Err(Error::LockTimeout));
            go_on.send(()).unwrap();
        };
        assert_eq!(tokio::join!(slow, meanwhile).0, Ok(()));
        assert!(hasty.bump_epoch(soon()).await.is_ok());
    })
    .await;
}
