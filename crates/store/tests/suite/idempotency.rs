//! Idempotency: a request is done once, whoever repeats it and whenever.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use store::idempotency::{
    Claim, Keep, Key, RequestHash, Stored, claim, claim_complete, complete, look_up, prune,
};
use store::testing::{open, soon};
use store::{Conn, Error};

use crate::{MIGRATIONS, at, ids, on_each, on_postgres, put};

fn key(request_id: &str) -> Key {
    Key {
        workspace: "w".into(),
        principal: "local".into(),
        method: "notes.v1.NoteService/CreateNote".into(),
        request_id: request_id.into(),
    }
}

fn stored() -> Stored {
    Stored {
        resource: "workspaces/w/notes/a".into(),
        revision: 1,
        response: b"answer".to_vec(),
    }
}

/// A create as a service does it: claim, write, complete.
fn create(conn: &mut Conn, request_id: &str, content: &[u8]) -> Result<Claim, Error> {
    let (key, hash) = (key(request_id), RequestHash::of(content));
    let claimed = claim(conn, &key, &hash, at(0), Keep::WEEK)?;
    if claimed == Claim::Fresh {
        put(conn, request_id)?;
        let stored = stored();
        complete(
            conn,
            &key,
            &stored.resource,
            stored.revision,
            &stored.response,
        )?;
    }
    Ok(claimed)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_hundred_at_once_one_is_fresh() {
    on_each(async |fresh| {
        let mut requests = tokio::task::JoinSet::new();
        for _ in 0..100 {
            let store = fresh.store.clone();
            requests.spawn(async move {
                store
                    .across()
                    .write("test", soon(), |conn| create(conn, "same", b"content"))
                    .await
            });
        }
        let answers = requests.join_all().await;
        let fresh_ones = answers.iter().filter(|a| **a == Ok(Claim::Fresh)).count();
        let replays = answers
            .iter()
            .filter(|a| **a == Ok(Claim::Replay(stored())))
            .count();
        assert_eq!((fresh_ones, replays), (1, 99), "{answers:?}");
        assert_eq!(
            fresh
                .store
                .across()
                .read("test", soon(), ids)
                .await
                .unwrap(),
            ["same"]
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_content_is_refused() {
    on_each(async |fresh| {
        let store = &fresh.store;
        store
            .across()
            .write("test", soon(), |conn| create(conn, "r", b"one"))
            .await
            .unwrap();
        let reused = store
            .across()
            .write("test", soon(), |conn| create(conn, "r", b"two"))
            .await;
        assert_eq!(reused, Err(Error::RequestIdReused));
        let looked = |content: &'static [u8]| {
            store.across().read("test", soon(), move |conn| {
                look_up(conn, &key("r"), &RequestHash::of(content), at(0))
            })
        };
        assert_eq!(looked(b"one").await, Ok(Some(stored())));
        assert_eq!(looked(b"two").await, Err(Error::RequestIdReused));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_request_leaves_no_key() {
    on_each(async |fresh| {
        let failed: Result<(), Error> = fresh
            .store
            .across()
            .write("test", soon(), |conn| {
                create(conn, "r", b"one")?;
                Err(Error::LockTimeout)
            })
            .await;
        assert_eq!(failed, Err(Error::LockTimeout));
        let again = fresh
            .store
            .across()
            .write("test", soon(), |conn| create(conn, "r", b"two"))
            .await;
        assert_eq!(again, Ok(Claim::Fresh));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_outlives_the_process() {
    on_each(async |mut fresh| {
        let answer = stored();
        let first = fresh.store.across().write("test", soon(), move |conn| {
            let (key, hash) = (key("r"), RequestHash::of(b"one"));
            claim_complete(conn, &key, &hash, at(0), Keep::Forever, &answer)
        });
        assert_eq!(first.await, Ok(Claim::Fresh));
        fresh.store = open(&fresh.url, &MIGRATIONS);
        let again = fresh
            .store
            .across()
            .write("test", soon(), |conn| create(conn, "r", b"one"))
            .await;
        assert_eq!(again, Ok(Claim::Replay(stored())));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_end_after_their_time_and_those_for_ever_do_not() {
    on_each(async |fresh| {
        let store = &fresh.store;
        let week = Duration::from_hours(7 * 24);
        let claimed = |request_id: &'static str, keep, now| {
            store.across().write("test", soon(), move |conn| {
                let hash = RequestHash::of(request_id.as_bytes());
                claim_complete(conn, &key(request_id), &hash, now, keep, &stored())
            })
        };
        for (request_id, keep) in [("week", Keep::WEEK), ("money", Keep::Forever)] {
            assert_eq!(claimed(request_id, keep, at(0)).await, Ok(Claim::Fresh));
        }
        let later = at(0).plus(week);
        let replay = Claim::Replay(stored());
        assert_eq!(
            claimed("week", Keep::WEEK, later.minus(Duration::from_micros(1))).await,
            Ok(replay.clone())
        );
        assert_eq!(
            claimed("money", Keep::Forever, later).await,
            Ok(replay.clone())
        );
        // Over, but not pruned yet.
        let looked = |request_id: &'static str| {
            store.across().read("test", soon(), move |conn| {
                let hash = RequestHash::of(request_id.as_bytes());
                look_up(conn, &key(request_id), &hash, later)
            })
        };
        assert_eq!(looked("week").await, Ok(None));
        assert_eq!(looked("money").await, Ok(Some(stored())));
        assert_eq!(claimed("week", Keep::WEEK, later).await, Ok(Claim::Fresh));
        let pruned = |now| {
            store
                .across()
                .write("test", soon(), move |conn| prune(conn, now, 10))
        };
        assert_eq!(pruned(later).await, Ok(0));
        assert_eq!(pruned(later.plus(week)).await, Ok(1));
        assert_eq!(
            claimed("money", Keep::Forever, later.plus(week)).await,
            Ok(replay)
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_being_written_elsewhere_is_in_progress() {
    on_postgres(async |fresh| {
        let (first, has_claimed) = std::sync::mpsc::channel::<()>();
        let (go_on, may_go) = std::sync::mpsc::channel::<()>();
        let may_go = std::sync::Mutex::new(may_go);
        let store = fresh.store.clone();
        let slow = tokio::spawn(async move {
            let write = store.across().write("test.slow", soon(), move |conn| {
                let claimed = create(conn, "r", b"one");
                let _ = first.send(());
                let _ = may_go.lock().unwrap().recv();
                claimed
            });
            write.await
        });
        tokio::task::spawn_blocking(move || has_claimed.recv())
            .await
            .unwrap()
            .unwrap();
        let runs = Arc::new(AtomicUsize::new(0));
        let ran = Arc::clone(&runs);
        let second = fresh
            .store
            .across()
            .write("test", soon(), move |conn| {
                ran.fetch_add(1, Ordering::SeqCst);
                create(conn, "r", b"one")
            })
            .await;
        assert_eq!(second, Err(Error::RequestInProgress));
        assert_eq!(
            runs.load(Ordering::SeqCst),
            1,
            "waiting for a key is not repeated"
        );
        go_on.send(()).unwrap();
        assert_eq!(slow.await.unwrap(), Ok(Claim::Fresh));
    })
    .await;
}
