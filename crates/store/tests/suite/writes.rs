//! Writes: all or nothing, alone or in a group, in time or not at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use diesel::prelude::*;
use store::testing::soon;
use store::{Conn, Error};
use types::Deadline;

use crate::{ids, notes, on_each, put, remarks};

#[tokio::test(flavor = "multi_thread")]
async fn an_error_rolls_back_and_the_next_write_goes_on() {
    on_each(async |fresh| {
        let refused: Result<(), Error> = fresh
            .store
            .across()
            .write("test", soon(), |conn| {
                put(conn, "gone")?;
                Err(Error::RequestIdReused)
            })
            .await;
        assert_eq!(refused, Err(Error::RequestIdReused));
        fresh
            .store
            .across()
            .write("test", soon(), |conn| put(conn, "kept"))
            .await
            .unwrap();
        assert_eq!(
            fresh.store.across().read("test", soon(), ids).await,
            Ok(vec!["kept".to_owned()])
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_rolls_back_only_its_own_write() {
    on_each(async |fresh| {
        let panicked = fresh
            .store
            .across()
            .write("test.panic", soon(), |conn| -> Result<(), Error> {
                put(conn, "gone")?;
                conn.transaction(|conn| -> Result<(), Error> {
                    put(conn, "gone too")?;
                    panic!("a defect")
                })
            })
            .await;
        assert_eq!(panicked, Err(Error::Panicked { op: "test.panic" }));
        fresh
            .store
            .across()
            .write("test", soon(), |conn| put(conn, "kept"))
            .await
            .unwrap();
        assert_eq!(
            fresh.store.across().read("test", soon(), ids).await,
            Ok(vec!["kept".to_owned()])
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_all_land_and_the_bad_ones_hurt_nobody() {
    on_each(async |fresh| {
        let mut writes = tokio::task::JoinSet::new();
        for number in 0..300 {
            let store = fresh.store.clone();
            writes.spawn(async move {
                let done = store
                    .across()
                    .write("test", soon(), move |conn| {
                        put(conn, &format!("{number:03}"))?;
                        match number % 10 {
                            3 => Err(Error::Contention),
                            // The title is taken: the engine refuses, and undoes, the second one.
                            5 => put(conn, &format!("{number:03}")),
                            7 => panic!("a defect"),
                            _ => Ok(()),
                        }
                    })
                    .await;
                if done.is_ok() {
                    // What was answered can be read at once.
                    let found = store
                        .across()
                        .read_point("test", soon(), ids)
                        .await
                        .unwrap();
                    assert!(found.contains(&format!("{number:03}")));
                }
                (number, done)
            });
        }
        let mut landed = Vec::new();
        while let Some(write) = writes.join_next().await {
            let (number, done) = write.unwrap();
            match (number % 10, done) {
                (3, Err(Error::Contention)) | (7, Err(Error::Panicked { .. })) => {}
                (5, Err(error)) => {
                    assert!(matches!(error, Error::UniqueViolation { .. }), "{error:?}");
                }
                (_, Ok(())) => landed.push(format!("{number:03}")),
                (_, other) => panic!("{number}: {other:?}"),
            }
        }
        landed.sort();
        assert_eq!(landed.len(), 210);
        assert_eq!(
            fresh.store.across().read("test", soon(), ids).await,
            Ok(landed)
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn violations_are_named_alike() {
    on_each(async |fresh| {
        let store = &fresh.store;
        store
            .across()
            .write("test", soon(), |conn| put(conn, "one"))
            .await
            .unwrap();
        let same_key = |conn: &mut Conn| insert(conn, "one", "another");
        let same_key = store.across().write("test", soon(), same_key).await.unwrap_err();
        let taken = |error: &Error, name: &str| {
            matches!(error, Error::UniqueViolation { constraint, .. } if constraint == name)
        };
        let primary = if fresh.engine.is_postgres() { "notes_pkey" } else { "notes_workspace_id_key" };
        assert!(taken(&same_key, primary), "{same_key:?}");
        let same_title = |conn: &mut Conn| insert(conn, "another", "one");
        let same_title = store.across().write("test", soon(), same_title).await.unwrap_err();
        assert!(taken(&same_title, "notes_workspace_title_key"), "{same_title:?}");
        let dangling = store.across().write("test", soon(), dangling).await.unwrap_err();
        assert_eq!(dangling, Error::ForeignKeyViolation);
    })
    .await;
}

fn insert(conn: &mut Conn, id: &str, title: &str) -> Result<usize, Error> {
    Ok(diesel::insert_into(notes::table)
        .values((
            notes::workspace.eq("w"),
            notes::id.eq(id),
            notes::title.eq(title),
            notes::count.eq(0),
        ))
        .execute(conn)?)
}

fn dangling(conn: &mut Conn) -> Result<usize, Error> {
    Ok(diesel::insert_into(remarks::table)
        .values((
            remarks::workspace.eq("w"),
            remarks::id.eq("r"),
            remarks::note.eq("absent"),
        ))
        .execute(conn)?)
}

/// Without stable plans SQLite plans every statement with a bound limit anew at each call.
#[tokio::test(flavor = "multi_thread")]
async fn sqlite_is_built_with_stable_plans_and_without_global_locks() {
    #[derive(QueryableByName)]
    struct Told {
        #[diesel(sql_type = diesel::sql_types::Text)]
        compile_options: String,
    }
    let fresh = crate::fresh(crate::engines().remove(0)).await;
    let told = fresh
        .store
        .across()
        .read("test", soon(), |conn| -> Result<_, Error> {
            Ok(diesel::sql_query("PRAGMA compile_options").load::<Told>(conn)?)
        });
    let told = told.await.unwrap();
    for option in ["ENABLE_QPSG", "THREADSAFE=2"] {
        assert!(
            told.iter().any(|one| one.compile_options == option),
            "{option}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_another_process_writes_whoever_is_late_is_told_so_and_keeps_nobody_waiting() {
    let fresh = crate::fresh(crate::engines().remove(0)).await;
    let file = fresh.url.strip_prefix("sqlite:").unwrap();
    let mut other = SqliteConnection::establish(file).unwrap();
    diesel::sql_query("BEGIN IMMEDIATE")
        .execute(&mut other)
        .unwrap();
    let soon_over = Deadline::after(Duration::from_millis(300));
    let write = |id: &'static str| {
        let across = fresh.store.across();
        across.write("test", soon_over, move |conn| put(conn, id))
    };
    // The first waits for longer than both have time.
    let (first, late) = tokio::join!(biased; write("first"), write("late"));
    assert_eq!(first, Err(Error::Contention));
    assert_eq!(late, Err(Error::DeadlineExceeded));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_violation_in_a_savepoint_can_be_handled() {
    on_each(async |fresh| {
        let handled = fresh
            .store
            .across()
            .write("test", soon(), |conn| {
                put(conn, "one")?;
                let twice = conn.transaction(|conn| put(conn, "one"));
                assert!(matches!(twice, Err(Error::UniqueViolation { .. })));
                put(conn, "two")
            })
            .await;
        assert_eq!(handled, Ok(()));
        let found = fresh.store.across().read("test", soon(), ids).await;
        assert_eq!(found, Ok(vec!["one".to_owned(), "two".to_owned()]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_begins_after_the_deadline() {
    on_each(async |fresh| {
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&runs);
        let late = Deadline::after(Duration::ZERO);
        let write = move |conn: &mut Conn| {
            counted.fetch_add(1, Ordering::SeqCst);
            put(conn, "late")
        };
        let store = &fresh.store;
        assert_eq!(
            store.across().write("test", late, write.clone()).await,
            Err(Error::DeadlineExceeded)
        );
        assert_eq!(
            store
                .across()
                .write_single("test", late, write.clone())
                .await,
            Err(Error::DeadlineExceeded)
        );
        assert_eq!(
            store.across().read("test", late, write.clone()).await,
            Err(Error::DeadlineExceeded)
        );
        assert_eq!(
            store.across().read_point("test", late, write).await,
            Err(Error::DeadlineExceeded)
        );
        assert_eq!(runs.load(Ordering::SeqCst), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_waits_past_its_deadline_is_not_run() {
    on_each(async |fresh| {
        if fresh.engine.is_postgres() {
            return;
        }
        let store = &fresh.store;
        let (release, held) = std::sync::mpsc::channel::<()>();
        let held = std::sync::Mutex::new(held);
        let (started, has_started) = tokio::sync::oneshot::channel();
        let started = std::sync::Mutex::new(Some(started));
        let slow = store.across().write("test.slow", soon(), move |conn| {
            if let Some(started) = started.lock().unwrap().take() {
                started.send(()).unwrap();
            }
            held.lock().unwrap().recv().unwrap();
            put(conn, "slow")
        });
        let hurried = async {
            has_started.await.unwrap();
            let deadline = Deadline::after(Duration::from_millis(20));
            let write = store
                .across()
                .write("test.hurried", deadline, |conn| put(conn, "hurried"));
            let let_go = async {
                crate::eventually("the deadline passes", async || deadline.expired()).await;
                release.send(()).unwrap();
            };
            tokio::join!(write, let_go).0
        };
        let (slow, hurried) = tokio::join!(slow, hurried);
        assert_eq!(slow, Ok(()));
        assert_eq!(hurried, Err(Error::DeadlineExceeded));
        assert_eq!(
            store.across().read("test", soon(), ids).await,
            Ok(vec!["slow".to_owned()])
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_savepoint_left_open_is_a_defect_not_a_commit() {
    on_each(async |fresh| {
        let left_open = fresh
            .store
            .across()
            .write("test", soon(), |conn| {
                use diesel::connection::{Connection, TransactionManager};
                <Conn as Connection>::TransactionManager::begin_transaction(conn)?;
                put(conn, "gone")
            })
            .await;
        assert!(
            matches!(left_open, Err(Error::Database(_))),
            "{left_open:?}"
        );
        fresh
            .store
            .across()
            .write("test", soon(), |conn| put(conn, "kept"))
            .await
            .unwrap();
        assert_eq!(
            fresh.store.across().read("test", soon(), ids).await,
            Ok(vec!["kept".to_owned()])
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_fails_the_big_write_and_spares_its_group() {
    on_each(async |fresh| {
        if fresh.engine.is_postgres() {
            return;
        }
        let store = &fresh.store;
        // The page limit stands for the end of the disk: reaching it rolls back the transaction.
        let limited = store.across().write("test", soon(), |conn| {
            use diesel::connection::SimpleConnection;
            Ok::<_, Error>(conn.batch_execute("PRAGMA max_page_count = 60")?)
        });
        limited.await.unwrap();
        let mut writes = tokio::task::JoinSet::new();
        for number in 0..40 {
            let store = store.clone();
            writes.spawn(async move {
                let id = if number == 20 {
                    "x".repeat(2_000_000)
                } else {
                    format!("{number:02}")
                };
                (
                    number,
                    store
                        .across()
                        .write("test", soon(), move |conn| put(conn, &id))
                        .await,
                )
            });
        }
        while let Some(write) = writes.join_next().await {
            let (number, done) = write.unwrap();
            match done {
                Ok(()) => {}
                // The limit is forgotten when the writer opens the file anew, so the big one may
                // also fit in the end.
                Err(Error::Unavailable(_)) => assert_eq!(number, 20),
                Err(other) => panic!("{number}: {other:?}"),
            }
        }
        let found = store.across().read("test", soon(), ids).await.unwrap();
        let small = found.iter().filter(|id| id.len() == 2).count();
        assert_eq!(small, 39);
    })
    .await;
}
