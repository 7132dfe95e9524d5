//! Following the log: each change once, transaction by transaction, and nothing missed meanwhile.

use std::time::Duration;

use store::change_log::{LogPosition, NewChange, append_all, prune};
use store::feed::{BATCH_MAX, Feed, Step};
use store::testing::soon;
use store::{Error, Store};

use crate::{at, on_each, settle};

/// Logs so many changes in one write; every other one is of the kind `note.seen`.
async fn log(store: &Store, workspace: &'static str, count: usize) -> LogPosition {
    let position = store.across().write("test", soon(), move |conn| {
        let changes: Vec<_> = (0..count)
            .map(|number| NewChange {
                workspace,
                kind: ["note.created", "note.seen"][number % 2],
                resource: "note",
                revision: i64::try_from(number).unwrap(),
                payload: b"",
                paths: "",
                actor: "users/ada",
                request_id: "",
                event_id: "e",
                record_time: at(1_000),
            })
            .collect();
        append_all(conn, &changes)
    });
    position.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_come_one_by_one_and_large_ones_in_parts() {
    on_each(async |fresh| {
        log(&fresh.store, "w", 2).await;
        log(&fresh.store, "other", 1).await;
        let last = log(&fresh.store, "w", BATCH_MAX + 1).await;
        settle(&fresh.store, last).await;
        let mut feed = Feed::workspace(fresh.store.clone(), "w", LogPosition::START);
        let mut sizes = Vec::new();
        let through = loop {
            match feed.next(Duration::ZERO).await.unwrap() {
                Step::Batch(batch) => sizes.push((batch.changes.len(), batch.more)),
                Step::Idle { through } => break through,
            }
        };
        assert_eq!(sizes, [(2, false), (BATCH_MAX, true), (1, false)]);
        assert!(through >= last);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_feed_wakes_up_and_leaves_out_what_it_was_told_to() {
    on_each(async |fresh| {
        let first = log(&fresh.store, "w", 2).await;
        settle(&fresh.store, first).await;
        let mut feed = Feed::all(&fresh.store, first).only(|kind| kind == "note.seen");
        let begun = tokio::time::Instant::now();
        let idle = feed.next(Duration::from_millis(20)).await.unwrap();
        assert!(matches!(idle, Step::Idle { .. }));
        let (step, _) = tokio::join!(
            feed.next(Duration::from_secs(10)),
            log(&fresh.store, "w", 4)
        );
        let Step::Batch(batch) = step.unwrap() else {
            panic!("the change must wake the feed");
        };
        let revisions: Vec<i64> = batch.changes.iter().map(|change| change.revision).collect();
        assert_eq!((revisions, batch.more), (vec![1, 3], false));
        assert!(begun.elapsed() < Duration::from_secs(5));
        let bulk = Feed::all(&fresh.store, LogPosition::START)
            .page(Duration::ZERO)
            .await
            .unwrap();
        assert_eq!(bulk.changes.len(), 6);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_whose_next_change_is_gone_says_so() {
    on_each(async |fresh| {
        let first = log(&fresh.store, "w", 1).await;
        log(&fresh.store, "w", 1).await;
        let last = log(&fresh.store, "w", 1).await;
        settle(&fresh.store, last).await;
        let pruned = fresh
            .store
            .across()
            .write("test", soon(), |conn| prune(conn, at(2_000), 2));
        assert_eq!(pruned.await.unwrap(), 2);
        let mut feed = Feed::all(&fresh.store, first);
        let found = feed.next(Duration::ZERO).await;
        assert!(matches!(found, Err(Error::PositionExpired { .. })));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_workspace_goes_on_over_the_end_of_an_epoch_that_others_wrote_in() {
    on_each(async |fresh| {
        let store = &fresh.store;
        let first = log(store, "quiet", 1).await;
        settle(store, first).await;
        let mut feed = Feed::workspace(store.clone(), "quiet", first);
        let Step::Idle { through } = feed.next(Duration::ZERO).await.unwrap() else {
            panic!("nothing happened");
        };
        let other = log(store, "busy", 1).await;
        settle(store, other).await;
        store.bump_epoch(soon()).await.unwrap();
        let next = log(store, "quiet", 1).await;
        settle(store, next).await;
        let mut resumed = Feed::workspace(store.clone(), "quiet", through);
        for feed in [&mut feed, &mut resumed] {
            let Step::Batch(batch) = feed.next(Duration::ZERO).await.unwrap() else {
                panic!("it is told");
            };
            assert_eq!(batch.through, next);
        }
        let lost = LogPosition {
            tx: other.tx + 1,
            id: other.id + 1,
            ..other
        };
        let mut expired = Feed::workspace(store.clone(), "quiet", lost);
        let step = expired.next(Duration::ZERO).await;
        assert!(
            matches!(step, Err(Error::PositionExpired { .. })),
            "{step:?}"
        );
    })
    .await;
}
