//! Commits that fail: who is told that nothing was done, and who is told that nobody knows.

use std::path::PathBuf;
use std::sync::Mutex;

use diesel::prelude::*;
use store::testing::soon;
use store::{Conn, Error, Options, Store};

use crate::{MIGRATIONS, ids, put, remarks};

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
    let failing = store.write("test.failing", soon(), move |conn| {
        if let Some(started) = started.lock().unwrap().take() {
            started.send(()).unwrap();
            may_go.lock().unwrap().recv().unwrap();
        }
        first(conn)
    });
    let others = async {
        has_started.await.unwrap();
        let one = store.write("test", soon(), |conn| put(conn, "one"));
        let two = store.write("test", soon(), |conn| put(conn, "two"));
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
    let alone = store.write("test", soon(), fail_commit).await;
    assert!(matches!(alone, Err(Error::Unavailable(_))), "{alone:?}");
    // The failed commits changed nothing: what another connection saw is what was written over them.
    assert_ne!(version(), before);
    let [failing, one, two] = grouped(&store, fail_commit).await;
    assert!(matches!(failing, Err(Error::Unavailable(_))), "{failing:?}");
    assert_eq!((one, two), (Ok(()), Ok(())));
    assert_eq!(
        store.read("test", soon(), ids).await.unwrap(),
        ["one", "two"]
    );
    assert_eq!(
        store.write("test", soon(), |conn| put(conn, "x")).await,
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
        store.write("test", soon(), |conn| put(conn, "x")).await,
        Ok(())
    );
    assert_eq!(store.read("test", soon(), ids).await.unwrap(), ["x"]);
}
