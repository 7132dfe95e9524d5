//! Commits that fail: who is told that nothing was done, and who is told that nobody knows.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use diesel::prelude::*;
use store::idempotency::{Claim, Keep, Key, RequestHash, claim, complete};
use store::single::Created;
use store::testing::{open, soon};
use store::{Conn, Error, Options, Store};

use crate::{MIGRATIONS, at, cut_all, ids, on_postgres, put, remarks};

/// Breaks a reference that SQLite looks at only when it commits, so that the commit fails.
fn fail_commit(conn: &mut Conn) -> Result<(), Error> {
    diesel::sql_query("PRAGMA defer_foreign_keys = ON").execute(conn)?;
    diesel::insert_into(remarks::table)
        .values((
            remarks::workspace.eq("w"),
            remarks::id.eq("r"),
            remarks::note.eq("absent"),
        ))
        .execute(conn)?;
    Ok(())
}

/// A store over a file in a folder of its own, which nobody else knows.
fn sqlite() -> (tempfile::TempDir, PathBuf, Store) {
    let root = tempfile::TempDir::new().unwrap();
    let folder = root.path().join("data");
    let url = format!("sqlite:{}", folder.join("test.db").display());
    let store = Store::open(Options::new("test", &url, &MIGRATIONS).migrating()).unwrap();
    (root, folder, store)
}

/// What two writes come to that share a group with one whose commit fails: it runs `first` once
/// both of them wait.
async fn grouped(
    store: &Store,
    first: impl Fn(&mut Conn) -> Result<(), Error> + Send + Sync + 'static,
) -> [Result<(), Error>; 3] {
    let (queued, may_go) = std::sync::mpsc::channel::<()>();
    let (started, has_started) = tokio::sync::oneshot::channel();
    let (may_go, started) = (Mutex::new(may_go), Mutex::new(Some(started)));
    let failing = store.across().write("test.failing", soon(), move |conn| {
        if let Some(started) = started.lock().unwrap().take() {
            started.send(()).unwrap();
            may_go.lock().unwrap().recv().unwrap();
        }
        first(conn)
    });
    let others = async {
        has_started.await.unwrap();
        let one = store
            .across()
            .write("test", soon(), |conn| put(conn, "one"));
        let two = store
            .across()
            .write("test", soon(), |conn| put(conn, "two"));
        // Polled after the two, which are in the queue then.
        let go = async { queued.send(()).unwrap() };
        tokio::join!(biased; one, two, go)
    };
    let (failing, (one, two, ())) = tokio::join!(failing, others);
    [failing, one, two]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_failed_is_void_before_anybody_hears_that_nothing_was_done() {
    let (_root, folder, store) = sqlite();
    let file = folder.join("test.db").display().to_string();
    let mut witness = SqliteConnection::establish(&file).unwrap();
    let mut version = || {
        diesel::sql_query("PRAGMA data_version")
            .get_result::<Version>(&mut witness)
            .unwrap()
            .data_version
    };
    let before = version();
    let alone = store.across().write("test", soon(), fail_commit).await;
    assert!(matches!(alone, Err(Error::Unavailable(_))), "{alone:?}");
    // The failed commits changed nothing: what another connection saw is what was written over them.
    assert_ne!(version(), before);
    let [failing, one, two] = grouped(&store, fail_commit).await;
    assert!(matches!(failing, Err(Error::Unavailable(_))), "{failing:?}");
    assert_eq!((one, two), (Ok(()), Ok(())));
    assert_eq!(
        store.across().read("test", soon(), ids).await.unwrap(),
        ["one", "two"]
    );
    assert_eq!(
        store
            .across()
            .write("test", soon(), |conn| put(conn, "x"))
            .await,
        Ok(())
    );
}

#[derive(QueryableByName)]
struct Version {
    #[diesel(sql_type = diesel::sql_types::Integer)]
    data_version: i32,
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failed_commit_that_may_come_true_nobody_is_told_that_nothing_was_done() {
    let (root, folder, store) = sqlite();
    let aside = root.path().join("aside");
    let answers = grouped(&store, {
        let (folder, aside) = (folder.clone(), aside.clone());
        move |conn| {
            fail_commit(conn)?;
            // The file cannot be opened anew.
            std::fs::rename(&folder, &aside).unwrap();
            std::fs::write(&folder, "").unwrap();
            Ok(())
        }
    })
    .await;
    for answer in answers {
        assert!(matches!(answer, Err(Error::CommitUnknown(_))), "{answer:?}");
    }
    std::fs::remove_file(&folder).unwrap();
    std::fs::rename(&aside, &folder).unwrap();
    assert_eq!(
        store
            .across()
            .write("test", soon(), |conn| put(conn, "x"))
            .await,
        Ok(())
    );
    assert_eq!(
        store.across().read("test", soon(), ids).await.unwrap(),
        ["x"]
    );
}

/// Creates a note under a request key, in a transaction.
fn create_once(conn: &mut Conn) -> Result<Claim, Error> {
    let (key, hash) = (once(), RequestHash::of(b"content"));
    let claimed = claim(conn, &key, &hash, at(0), Keep::WEEK)?;
    if claimed == Claim::Fresh {
        put(conn, "a")?;
        complete(conn, &key, "a", 1, b"")?;
    }
    Ok(claimed)
}

/// Creates it as if this had been the transaction's own commit, whose answer did not come back.
fn elsewhere(conn: &mut Conn, admin: &Store) -> Result<(), Error> {
    let done = admin.across().write("test", soon(), create_once);
    tokio::runtime::Handle::current().block_on(done)?;
    let other = Key {
        request_id: "other".into(),
        ..once()
    };
    claim(conn, &other, &RequestHash::of(b""), at(0), Keep::WEEK)?;
    Ok(())
}

fn once() -> Key {
    Key {
        workspace: "w".into(),
        principal: "local".into(),
        method: "notes.v1.NoteService/CreateNote".into(),
        request_id: "r".into(),
    }
}

/// Cuts the connection that runs the transaction, so that its commit finds nobody.
fn cut_own(conn: &mut Conn, admin: &Store) -> Result<(), Error> {
    #[derive(QueryableByName)]
    struct Own {
        #[diesel(sql_type = diesel::sql_types::Integer)]
        pid: i32,
    }
    let own: Own = diesel::sql_query("SELECT pg_backend_pid() AS pid").get_result(conn)?;
    let cut = admin.across().read("test", soon(), move |conn| {
        let cut = format!("SELECT pg_terminate_backend({}, 10000)", own.pid);
        Ok::<_, Error>(diesel::sql_query(cut).execute(conn)?)
    });
    tokio::runtime::Handle::current().block_on(cut)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_with_a_key_outlives_its_connection() {
    on_postgres(async |fresh| {
        let admin = open(&fresh.url, &MIGRATIONS);
        cut_all(&admin).await;
        let create = |conn: &mut Conn| crate::single::make(conn, "a", true);
        let made = fresh
            .store
            .across()
            .write_single("test", soon(), create)
            .await;
        assert!(matches!(made, Ok(Created::At(_))), "{made:?}");
        assert_eq!(
            fresh
                .store
                .across()
                .read("test", soon(), ids)
                .await
                .unwrap(),
            ["a"]
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_in_doubt_is_looked_up_and_answered_or_run_again() {
    for landed in [false, true] {
        on_postgres(async |fresh| {
            let admin = open(&fresh.url, &MIGRATIONS);
            let runs = Arc::new(AtomicUsize::new(0));
            let ran = Arc::clone(&runs);
            let write = fresh.store.across().write("test", soon(), move |conn| {
                if ran.fetch_add(1, Ordering::SeqCst) > 0 {
                    return create_once(conn);
                }
                if landed {
                    elsewhere(conn, &admin)?;
                } else {
                    create_once(conn)?;
                }
                cut_own(conn, &admin)?;
                Ok(Claim::Fresh)
            });
            let answer = write.await.unwrap();
            assert_eq!(matches!(answer, Claim::Replay(_)), landed, "{answer:?}");
            assert_eq!(runs.load(Ordering::SeqCst), 2);
            assert_eq!(
                fresh
                    .store
                    .across()
                    .read("test", soon(), ids)
                    .await
                    .unwrap(),
                ["a"]
            );
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_after_a_commit_in_doubt_settles_nothing() {
    on_postgres(async |fresh| {
        let admin = open(&fresh.url, &MIGRATIONS);
        for keyed in [false, true] {
            let runs = AtomicUsize::new(0);
            let admin = admin.clone();
            let write = fresh.store.across().write("test", soon(), move |conn| {
                if runs.fetch_add(1, Ordering::SeqCst) > 0 {
                    return Err(Error::ForeignKeyViolation);
                }
                if keyed {
                    create_once(conn)?;
                }
                cut_own(conn, &admin)
            });
            let answer = write.await;
            assert!(
                matches!(answer, Err(Error::CommitUnknown(_))),
                "{keyed}: {answer:?}"
            );
        }
        // Some services tell of an earlier answer by a refusal.
        let runs = AtomicUsize::new(0);
        let found = fresh.store.across().write("test", soon(), move |conn| {
            if runs.fetch_add(1, Ordering::SeqCst) > 0 {
                assert!(matches!(create_once(conn)?, Claim::Replay(_)));
                return Err(Error::Overloaded);
            }
            elsewhere(conn, &admin)?;
            cut_own(conn, &admin)
        });
        assert_eq!(found.await, Err(Error::Overloaded));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_or_found_is_answered_though_its_transaction_could_not_be_ended() {
    on_postgres(async |fresh| {
        let admin = open(&fresh.url, &MIGRATIONS);
        let store = fresh.store.across();
        let made = store.write("test", soon(), create_once).await;
        assert_eq!(made, Ok(Claim::Fresh));
        let cutting = admin.clone();
        let read = fresh
            .store
            .across()
            .read_snapshot("test", soon(), move |conn| {
                let found = ids(conn)?;
                cut_own(conn, &cutting)?;
                Ok::<_, Error>(found)
            });
        assert_eq!(read.await, Ok(vec!["a".to_owned()]));
        let runs = AtomicUsize::new(0);
        let repeated = fresh.store.across().write("test", soon(), move |conn| {
            let claimed = create_once(conn)?;
            if runs.fetch_add(1, Ordering::SeqCst) == 0 {
                cut_own(conn, &admin)?;
            }
            Ok::<_, Error>(claimed)
        });
        let repeated = repeated.await;
        assert!(matches!(repeated, Ok(Claim::Replay(_))), "{repeated:?}");
    })
    .await;
}
