//! The change log: one order, nothing skipped, nothing pruned that somebody needs.

use std::time::Duration;

use store::change_log::{
    Change, LogPosition, NewChange, Page, Scope, append, append_all, consumer, forget_consumer,
    horizon, is_expired, oldest, prune, read_after, register_consumer,
};
use store::testing::soon;
use store::{Conn, Error, Store};

use crate::{at, eventually, on_each, on_postgres, settle};

fn change<'a>(workspace: &'a str, resource: &'a str) -> NewChange<'a> {
    NewChange {
        workspace,
        kind: "note.created",
        resource,
        revision: 1,
        payload: b"payload",
        paths: "title",
        actor: "users/ada",
        request_id: "",
        event_id: "e",
        record_time: at(1_000),
    }
}

/// Logs a change per resource in one write, and waits until they can be read.
async fn log(store: &Store, workspace: &'static str, resources: &[&'static str]) -> LogPosition {
    let position = log_only(store, workspace, resources).await;
    settle(store, position).await;
    position
}

async fn log_only(
    store: &Store,
    workspace: &'static str,
    resources: &[&'static str],
) -> LogPosition {
    let resources: Vec<&'static str> = resources.to_vec();
    store
        .across()
        .write("test", soon(), move |conn| {
            let changes: Vec<_> = resources.iter().map(|r| change(workspace, r)).collect();
            append_all(conn, &changes)
        })
        .await
        .unwrap()
}

async fn read(store: &Store, scope: Scope<'static>, after: LogPosition, limit: i64) -> Page {
    store
        .across()
        .read("test", soon(), move |conn| {
            read_after(conn, scope, after, limit)
        })
        .await
        .unwrap()
}

fn resources(changes: &[Change]) -> Vec<&str> {
    changes
        .iter()
        .map(|change| change.resource.as_str())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_come_back_as_they_were_logged() {
    on_each(async |fresh| {
        let position = log(&fresh.store, "w", &["a"]).await;
        let page = read(&fresh.store, Scope::All, LogPosition::START, 10).await;
        let logged = change("w", "a");
        assert_eq!(
            page.changes,
            [Change {
                position,
                last: true,
                workspace: logged.workspace.into(),
                kind: logged.kind.into(),
                resource: logged.resource.into(),
                revision: logged.revision,
                payload: logged.payload.into(),
                paths: logged.paths.into(),
                actor: logged.actor.into(),
                request_id: logged.request_id.into(),
                event_id: logged.event_id.into(),
                record_time: logged.record_time,
            }]
        );
        assert!(page.through >= position && !page.more);
        assert_eq!(position.epoch, fresh.store.epoch());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_may_be_split_and_its_end_is_marked() {
    on_each(async |fresh| {
        let store = &fresh.store;
        log(store, "w", &["a", "b", "c"]).await;
        let both = store.across().write("test", soon(), |conn| {
            append(conn, &change("w", "d"))?;
            append(conn, &change("v", "e"))
        });
        settle(store, both.await.unwrap()).await;
        let first = read(store, Scope::All, LogPosition::START, 2).await;
        assert_eq!(resources(&first.changes), ["a", "b"]);
        assert!(first.more && !first.changes[1].last);
        let rest = read(store, Scope::All, first.through, 10).await;
        assert_eq!(resources(&rest.changes), ["c", "d", "e"]);
        let ends: Vec<bool> = rest.changes.iter().map(|change| change.last).collect();
        assert_eq!(ends, [true, false, true]);
        assert_eq!(rest.changes[1].position.tx, rest.changes[2].position.tx);
        // Within one workspace the same transaction ends where its part does.
        let scoped = read(store, Scope::Workspace("w"), first.through, 10).await;
        assert_eq!(resources(&scoped.changes), ["c", "d"]);
        assert!(scoped.changes[1].last);
        let nothing = read(store, Scope::All, rest.through, 10).await;
        assert!(nothing.changes.is_empty() && nothing.through >= rest.through);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolled_back_write_logs_nothing() {
    on_each(async |fresh| {
        let refused: Result<(), Error> = fresh
            .store
            .across()
            .write("test", soon(), |conn| {
                append(conn, &change("w", "gone"))?;
                Err(Error::Contention)
            })
            .await;
        assert_eq!(refused, Err(Error::Contention));
        log(&fresh.store, "w", &["kept"]).await;
        let page = read(&fresh.store, Scope::All, LogPosition::START, 10).await;
        assert_eq!(resources(&page.changes), ["kept"]);
    })
    .await;
}

/// The case that breaks a cursor over ids: the lower id commits after the higher one was read.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_commits_late_is_not_skipped() {
    on_postgres(async |fresh| {
        let store = &fresh.store;
        let (early, has_appended) = std::sync::mpsc::channel();
        let (commit, may_commit) = std::sync::mpsc::channel::<()>();
        let may_commit = std::sync::Mutex::new(may_commit);
        let slow = tokio::spawn({
            let store = store.clone();
            async move {
                let write = store.across().write("test.slow", soon(), move |conn| {
                    let position = append(conn, &change("w", "late"))?;
                    let _ = early.send(position);
                    let _ = may_commit.lock().unwrap().recv();
                    Ok::<_, Error>(())
                });
                write.await
            }
        });
        let late = tokio::task::spawn_blocking(move || has_appended.recv())
            .await
            .unwrap()
            .unwrap();
        let quick = log_only(store, "w", &["quick"]).await;
        assert!(late < quick);
        // The quick one is committed, but nothing may be read before the late one's fate is known.
        let page = read(store, Scope::All, LogPosition::START, 10).await;
        assert_eq!(resources(&page.changes), Vec::<&str>::new());
        assert!(page.through < late);
        commit.send(()).unwrap();
        slow.await.unwrap().unwrap();
        settle(store, quick).await;
        let page = read(store, Scope::All, page.through, 10).await;
        assert_eq!(resources(&page.changes), ["late", "quick"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_sees_every_change_of_concurrent_writers_once_and_in_order() {
    on_each(async |fresh| {
        let store = fresh.store.clone();
        let follower = tokio::spawn(async move {
            let mut after = LogPosition::START;
            let mut found: Vec<Change> = Vec::new();
            let mut seen = store.seen();
            while found.len() < 400 {
                let page = read(&store, Scope::All, after, 7).await;
                after = page.through;
                found.extend(page.changes);
                if !page.more {
                    store
                        .wait_for_change(&mut seen, Duration::from_secs(5))
                        .await;
                }
            }
            found
        });
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..20 {
            let store = fresh.store.clone();
            writers.spawn(async move {
                for number in 0..10 {
                    let write = store.across().write("test", soon(), move |conn| {
                        let resource = format!("{writer}/{number}");
                        append(conn, &change("w", &resource))?;
                        if (writer + number) % 3 == 0 {
                            std::thread::sleep(Duration::from_millis(3));
                        }
                        append(conn, &change("w", &resource))
                    });
                    write.await.unwrap();
                }
            });
        }
        writers.join_all().await;
        let found = tokio::time::timeout(Duration::from_secs(30), follower).await;
        let found = found.expect("the follower gets everything").unwrap();
        assert_eq!(found.len(), 400);
        assert!(
            found
                .windows(2)
                .all(|pair| pair[0].position < pair[1].position)
        );
        for pair in found.chunks(2) {
            assert_eq!(pair[0].resource, pair[1].resource);
            assert_eq!((pair[0].last, pair[1].last), (false, true));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pruning_stops_at_time_at_consumers_and_at_the_newest() {
    on_each(async |fresh| {
        let store = &fresh.store;
        let mut positions = Vec::new();
        for resource in ["a", "b", "c", "d"] {
            positions.push(log(store, "w", &[resource]).await);
        }
        let pruned = |older_than: i64, limit: i64| {
            store.across().write("test", soon(), move |conn| {
                prune(conn, at(older_than), limit)
            })
        };
        assert_eq!(pruned(1_000, 100).await, Ok(0));
        let confirmed = positions[1];
        let register = move |conn: &mut Conn| register_consumer(conn, "relay", confirmed, at(1));
        store
            .across()
            .write("test", soon(), register)
            .await
            .unwrap();
        let back = move |conn: &mut Conn| {
            register_consumer(conn, "relay", LogPosition::START, at(2))?;
            consumer(conn, "relay")
        };
        assert_eq!(
            store.across().write("test", soon(), back).await,
            Ok(Some(confirmed))
        );
        assert_eq!(pruned(2_000, 1).await, Ok(1));
        assert_eq!(pruned(2_000, 100).await, Ok(1));
        assert_eq!(pruned(2_000, 100).await, Ok(0));
        let newest = positions[3];
        let confirm = move |conn: &mut Conn| register_consumer(conn, "relay", newest, at(3));
        store.across().write("test", soon(), confirm).await.unwrap();
        assert_eq!(pruned(2_000, 100).await, Ok(1));
        let from_oldest = store.across().read("test", soon(), oldest).await.unwrap();
        assert_eq!(from_oldest, positions[2]);
        let page = read(store, Scope::All, from_oldest, 10).await;
        assert_eq!(resources(&page.changes), ["d"]);
        let expired = store
            .across()
            .read("test", soon(), move |conn| {
                read_after(conn, Scope::All, confirmed, 10)
            })
            .await;
        assert_eq!(
            expired,
            Err(Error::PositionExpired {
                oldest: from_oldest
            })
        );
        let start = |conn: &mut Conn| is_expired(conn, LogPosition::START);
        assert_eq!(store.across().read("test", soon(), start).await, Ok(true));
        let next = log(store, "w", &["e"]).await;
        assert!(next > positions[3]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_is_forgotten_holds_nothing_back() {
    on_each(async |fresh| {
        let store = &fresh.store;
        log(store, "w", &["a"]).await;
        log(store, "w", &["b"]).await;
        let pruned = || {
            store
                .across()
                .write("test", soon(), |conn| prune(conn, at(1_000_000), 100))
        };
        let register =
            |conn: &mut Conn| register_consumer(conn, "relay", LogPosition::START, at(1));
        store
            .across()
            .write("test", soon(), register)
            .await
            .unwrap();
        assert_eq!(pruned().await, Ok(0));
        let forget = |conn: &mut Conn| {
            forget_consumer(conn, "relay")?;
            consumer(conn, "relay")
        };
        assert_eq!(store.across().write("test", soon(), forget).await, Ok(None));
        assert_eq!(pruned().await, Ok(1), "the newest stays");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn positions_of_a_lost_life_are_expired() {
    on_each(async |fresh| {
        let store = &fresh.store;
        let kept = log(store, "w", &["a"]).await;
        let old_horizon = store.across().read("test", soon(), horizon).await.unwrap();
        let lost = LogPosition {
            id: kept.id + 1,
            tx: kept.tx + 1,
            ..kept
        };
        let before = store.epoch();
        let epoch = store.bump_epoch(soon()).await.unwrap();
        assert!(epoch.number > before && epoch.restores == 1);
        let next = log(store, "w", &["b"]).await;
        assert_eq!(next.epoch, epoch.number);
        let page = read(store, Scope::All, kept, 10).await;
        assert_eq!(resources(&page.changes), ["b"]);
        let expired = |position| {
            store
                .across()
                .read("test", soon(), move |conn| is_expired(conn, position))
        };
        assert_eq!(expired(lost).await, Ok(true));
        assert_eq!(expired(kept).await, Ok(false));
        assert_eq!(expired(next).await, Ok(false));
        // The idle end of a former life cannot be told from one that lost something.
        assert_eq!(expired(old_horizon).await, Ok(fresh.engine.is_postgres()));
        let foreign = LogPosition {
            epoch: epoch.number + 1,
            ..next
        };
        assert_eq!(expired(foreign).await, Ok(true));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn followers_are_woken_by_commits_here_and_elsewhere() {
    on_each(async |fresh| {
        let store = &fresh.store;
        let elsewhere = store::testing::open(&fresh.url, &crate::MIGRATIONS);
        let mut seen = store.seen();
        let long = Duration::from_secs(20);
        // The first poll wakes, whatever it finds.
        assert!(store.wait_for_change(&mut seen, long).await);
        assert!(
            !store
                .wait_for_change(&mut seen, Duration::from_millis(120))
                .await
        );
        let (woken, _) = tokio::join!(
            store.wait_for_change(&mut seen, long),
            log(store, "w", &["a"])
        );
        assert!(woken);
        eventually("it is quiet again", async || {
            let mut seen = store.seen();
            !store
                .wait_for_change(&mut seen, Duration::from_millis(120))
                .await
        })
        .await;
        let mut seen = store.seen();
        let (woken, _) = tokio::join!(
            store.wait_for_change(&mut seen, long),
            log(&elsewhere, "w", &["b"])
        );
        assert!(woken);
    })
    .await;
}
