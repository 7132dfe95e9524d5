//! What only PostgreSQL does: deadlocks, lock waits, cancelled statements, connections that break.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use diesel::prelude::*;
use store::testing::{open, soon};
use store::{Conn, Error, OpenError, Options, Store};
use types::Deadline;

use crate::{MIGRATIONS, cut_all, eventually, ids, notes, on_postgres, put};

fn raise(conn: &mut Conn, id: &str) -> Result<(), Error> {
    diesel::update(notes::table.find(("w", id)))
        .set(notes::count.eq(notes::count + 1))
        .execute(conn)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_planner_soon_knows_of_a_table_that_fills() {
    on_postgres(async |fresh| {
        let fill = |conn: &mut Conn| (0..1000).try_for_each(|id| put(conn, &format!("n{id}")));
        fresh
            .store
            .across()
            .write("test", soon(), fill)
            .await
            .unwrap();
        eventually("the table is analyzed", async || {
            let known = fresh
                .store
                .across()
                .read("test", soon(), |conn| -> Result<_, Error> {
                    let query =
                        "SELECT reltuples::int AS count FROM pg_class WHERE relname = 'notes'";
                    Ok(diesel::sql_query(query).get_result::<Known>(conn)?)
                });
            known.await.unwrap().count == 1000
        })
        .await;
    })
    .await;
}

#[derive(QueryableByName)]
struct Known {
    #[diesel(sql_type = diesel::sql_types::Integer)]
    count: i32,
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_compiled_for_a_statement_of_milliseconds() {
    on_postgres(async |fresh| {
        let setting = fresh.store.across().read("test", soon(), |conn| {
            let query = "SELECT (current_setting('jit') = 'off')::int AS count";
            Ok::<_, Error>(diesel::sql_query(query).get_result::<Known>(conn)?)
        });
        assert_eq!(setting.await.unwrap().count, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_made_steady_is_prepared_once_and_kept() {
    on_postgres(async |fresh| {
        let twice = |conn: &mut Conn| -> Result<_, Error> {
            put(conn, "a")?;
            for count in [1, 2] {
                let row = notes::table.find(("w", "a"));
                store::steady!(conn, diesel::update(row).set(notes::count.eq(count)))?;
            }
            let query = "SELECT count(*)::int AS count FROM pg_prepared_statements \
                         WHERE statement LIKE 'UPDATE %notes%'";
            Ok(diesel::sql_query(query).get_result::<Known>(conn)?.count)
        };
        assert_eq!(
            fresh.store.across().write("test", soon(), twice).await,
            Ok(1)
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadlock_is_run_again() {
    on_postgres(async |fresh| {
        let store = &fresh.store;
        let both = |conn: &mut Conn| {
            put(conn, "a")?;
            put(conn, "b")
        };
        store.across().write("test", soon(), both).await.unwrap();
        // Longer than the server's deadlock_timeout of 1 s, which is what ends the embrace.
        let barrier = Arc::new(Barrier::new(2));
        let runs = Arc::new(AtomicUsize::new(0));
        let patient = Store::open(Options {
            lock_timeout: Duration::from_secs(10),
            ..Options::new("test", &*fresh.url, &MIGRATIONS)
        })
        .unwrap();
        let embrace = |first: &'static str, second: &'static str| {
            let (barrier, runs, store) = (Arc::clone(&barrier), Arc::clone(&runs), patient.clone());
            async move {
                let write = store.across().write("test", soon(), move |conn| {
                    let run = runs.fetch_add(1, Ordering::SeqCst);
                    raise(conn, first)?;
                    if run < 2 {
                        barrier.wait();
                    }
                    raise(conn, second)
                });
                write.await
            }
        };
        let (one, other) = tokio::join!(embrace("a", "b"), embrace("b", "a"));
        assert_eq!((one, other), (Ok(()), Ok(())));
        assert_eq!(runs.load(Ordering::SeqCst), 3);
        let counts = store
            .across()
            .read("test", soon(), |conn| -> Result<Vec<i64>, Error> {
                Ok(notes::table.select(notes::count).load(conn)?)
            });
        assert_eq!(counts.await, Ok(vec![2, 2]));
    })
    .await;
}

/// What a write comes to that finds a row locked each time it is tried, for this many times.
async fn behind_a_lock(store: &Store, tries: usize) -> Result<(), Error> {
    store
        .across()
        .write("test", soon(), |conn| put(conn, "a"))
        .await?;
    let (first, has_locked) = std::sync::mpsc::channel::<()>();
    let (go_on, may_go) = std::sync::mpsc::channel::<()>();
    let may_go = std::sync::Mutex::new(may_go);
    let holder = tokio::spawn({
        let store = store.clone();
        async move {
            let write = store.across().write("test.slow", soon(), move |conn| {
                raise(conn, "a")?;
                let _ = first.send(());
                let _ = may_go.lock().unwrap().recv();
                Ok::<_, Error>(())
            });
            write.await
        }
    });
    tokio::task::spawn_blocking(move || has_locked.recv())
        .await
        .unwrap()
        .unwrap();
    let runs = AtomicUsize::new(0);
    let unlock = go_on.clone();
    let waited = store.across().write("test", soon(), move |conn| {
        if runs.fetch_add(1, Ordering::SeqCst) == tries {
            let _ = unlock.send(());
        }
        raise(conn, "a")
    });
    let waited = waited.await;
    let _ = go_on.send(());
    holder.await.unwrap()?;
    waited
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_locked_by_another_is_waited_for_again_but_not_for_ever() {
    on_postgres(async |fresh| {
        let hasty = Store::open(Options {
            lock_timeout: Duration::from_millis(100),
            ..Options::new("test", &*fresh.url, &MIGRATIONS)
        })
        .unwrap();
        assert_eq!(behind_a_lock(&hasty, 2).await, Ok(()));
    })
    .await;
    on_postgres(async |fresh| {
        let hasty = Store::open(Options {
            lock_timeout: Duration::from_millis(100),
            ..Options::new("test", &*fresh.url, &MIGRATIONS)
        })
        .unwrap();
        assert_eq!(
            behind_a_lock(&hasty, usize::MAX).await,
            Err(Error::LockTimeout)
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_is_cut_short_at_the_deadline() {
    on_postgres(async |fresh| {
        let sleep = |conn: &mut Conn| {
            diesel::sql_query("SELECT pg_sleep(15)").execute(conn)?;
            Ok::<_, Error>(())
        };
        let store = &fresh.store;
        let started = std::time::Instant::now();
        let short = || Deadline::after(Duration::from_millis(200));
        assert_eq!(
            store.across().write("test", short(), sleep).await,
            Err(Error::DeadlineExceeded)
        );
        assert_eq!(
            store.across().read("test", short(), sleep).await,
            Err(Error::DeadlineExceeded)
        );
        assert_eq!(
            store.across().write_single("test", short(), sleep).await,
            Err(Error::DeadlineExceeded)
        );
        assert!(started.elapsed() < Duration::from_secs(10));
        // The next one has its own time again.
        let write = store.across().write("test", soon(), |conn| {
            diesel::sql_query("SELECT pg_sleep(0.6)").execute(conn)?;
            put(conn, "a")
        });
        assert_eq!(write.await, Ok(()));
        let read = store.across().read("test", soon(), |conn| {
            diesel::sql_query("SELECT pg_sleep(0.6)").execute(conn)?;
            Ok::<_, Error>(())
        });
        assert_eq!(read.await, Ok(()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closure_that_goes_on_after_a_failure_is_not_taken_for_done() {
    on_postgres(async |fresh| {
        let swallowed = fresh
            .store
            .across()
            .write("test", soon(), |conn| {
                put(conn, "a")?;
                drop(put(conn, "a"));
                Ok::<_, Error>(())
            })
            .await;
        assert!(
            matches!(swallowed, Err(Error::Database(_))),
            "{swallowed:?}"
        );
        assert_eq!(
            fresh.store.across().read("test", soon(), ids).await,
            Ok(Vec::new())
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_were_cut_are_replaced_without_an_error() {
    on_postgres(async |fresh| {
        let store = &fresh.store;
        // Several connections, so that more than one is found cut.
        let mut reads = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let store = store.clone();
            reads.spawn(async move {
                let read = store.across().read("test", soon(), |conn| {
                    diesel::sql_query("SELECT pg_sleep(0.2)").execute(conn)?;
                    Ok::<_, Error>(())
                });
                read.await
            });
        }
        reads.join_all().await;
        cut_all(&open(&fresh.url, &MIGRATIONS)).await;
        for number in 0..20 {
            let write = store
                .across()
                .write("test", soon(), move |conn| put(conn, &number.to_string()));
            assert_eq!(write.await, Ok(()));
        }
        assert_eq!(
            store
                .across()
                .read("test", soon(), ids)
                .await
                .unwrap()
                .len(),
            20
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_forgets_commits_is_refused() {
    on_postgres(async |fresh| {
        let off = fresh.store.across().write("test", soon(), |conn| {
            #[derive(QueryableByName)]
            struct Name {
                #[diesel(sql_type = diesel::sql_types::Text)]
                name: String,
            }
            let found: Name =
                diesel::sql_query("SELECT current_database()::text AS name").get_result(conn)?;
            let name = found.name;
            diesel::sql_query(format!(
                "ALTER DATABASE {name} SET synchronous_commit = off"
            ))
            .execute(conn)?;
            Ok::<_, Error>(())
        });
        off.await.unwrap();
        let opened = Store::open(Options::new("test", &*fresh.url, &MIGRATIONS));
        let Err(OpenError::Setting { setting, value, .. }) = opened else {
            panic!("a forgetful server was accepted");
        };
        assert_eq!((setting, value.as_str()), ("synchronous_commit", "off"));
    })
    .await;
}
