//! Point reads that wait together are read together; each gets what is its own.

use std::collections::HashMap;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use diesel::prelude::*;
use futures::future::join_all;
use store::points::Points;
use store::testing::soon;
use store::{Conn, Error};
use types::Deadline;

use crate::{Fresh, notes, on_each, on_postgres};

/// Titles by id; the row `corrupt` makes no sense.
fn titles(
    conn: &mut Conn,
    workspace: &str,
    ids: &[String],
) -> Result<HashMap<String, String>, Error> {
    let found: Vec<(String, String)> = notes::table
        .filter(notes::workspace.eq(workspace))
        .filter(notes::id.eq_any(ids))
        .select((notes::id, notes::title))
        .load(conn)?;
    match found.iter().find(|(id, _)| id == "corrupt") {
        Some((id, _)) => Err(Error::Corrupt {
            table: "notes",
            id: id.clone(),
        }),
        None => Ok(found.into_iter().collect()),
    }
}

/// Notes whose title is their id in capitals.
async fn with_notes(fresh: &Fresh, workspace: &'static str, ids: &'static [&'static str]) {
    let written = fresh
        .store
        .within(workspace)
        .write("test", soon(), move |conn| {
            for id in ids {
                let row = (
                    notes::workspace.eq(workspace),
                    notes::id.eq(id),
                    notes::title.eq(id.to_uppercase()),
                    notes::count.eq(1),
                );
                diesel::insert_into(notes::table)
                    .values(row)
                    .execute(conn)?;
            }
            Ok::<_, Error>(())
        });
    written.await.unwrap();
}

/// Titles, and how many were asked for by each statement. The first statement waits until it is told to
/// go on, so that what comes meanwhile is read together.
struct Held {
    points: Points<String, String>,
    begun: Receiver<usize>,
    go_on: Sender<()>,
}

fn held() -> Held {
    let (begins, begun) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel();
    let may_go_on = Mutex::new(Some(may_go_on));
    let points = Points::new("test", move |conn, workspace, ids: &[String]| {
        let _ = begins.send(ids.len());
        let held = may_go_on.lock().unwrap().take();
        if let Some(held) = held {
            let _ = held.recv();
        }
        titles(conn, workspace, ids)
    });
    Held {
        points,
        begun,
        go_on,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_gets_its_own_row_and_nobody_gets_one_that_is_not_there() {
    on_each(async |fresh| {
        with_notes(&fresh, "w", &["a", "b", "c"]).await;
        with_notes(&fresh, "v", &["d"]).await;
        let points = Points::new("test", titles);
        let ids = (0..200).map(|n| ["a", "b", "c", "d", "none"][n % 5]);
        let got = ids.clone().map(|id| {
            let (points, store) = (points.clone(), fresh.store.clone());
            let got = async move { points.get(&store, "w", id.to_owned(), soon()).await };
            tokio::spawn(got)
        });
        for (id, got) in ids.zip(join_all(got).await) {
            let there = ["a", "b", "c"].contains(&id).then(|| id.to_uppercase());
            assert_eq!(got.unwrap().unwrap(), there, "{id}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres_what_waits_goes_together() {
    on_postgres(async |fresh| {
        with_notes(&fresh, "w", &["a", "b", "c", "d"]).await;
        let Held {
            points,
            begun,
            go_on,
        } = held();
        let points = Arc::new(points);
        let read = |id: &'static str| {
            let (points, store) = (Arc::clone(&points), fresh.store.clone());
            tokio::spawn(async move { points.get(&store, "w", id.to_owned(), soon()).await })
        };
        // The first is held; of those that come then one goes by itself, the rest wait for it.
        let first = read("a");
        let begun = tokio::task::spawn_blocking(move || (begun.recv().unwrap(), begun));
        let (count, begun) = begun.await.unwrap();
        assert_eq!(count, 1);
        let others: Vec<_> = (0..40).map(|n| read(["b", "c", "d"][n % 3])).collect();
        for other in others {
            assert!(other.await.unwrap().unwrap().is_some());
        }
        assert!(!first.is_finished());
        go_on.send(()).unwrap();
        assert_eq!(first.await.unwrap().unwrap().as_deref(), Some("A"));
        drop(points);
        let sizes: Vec<usize> = begun.iter().collect();
        assert_eq!(sizes.iter().sum::<usize>(), 40, "each was asked for once");
        assert!(sizes.len() < 40, "some went together: {sizes:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_makes_no_sense_is_only_its_own_readers_error() {
    on_each(async |fresh| {
        with_notes(&fresh, "w", &["a", "corrupt"]).await;
        let points = Points::new("test", titles);
        let got = (0..64).map(|n| {
            let (points, store) = (points.clone(), fresh.store.clone());
            let id = if n % 2 == 0 { "a" } else { "corrupt" };
            tokio::spawn(async move { points.get(&store, "w", id.to_owned(), soon()).await })
        });
        for (n, got) in join_all(got).await.into_iter().enumerate() {
            let got = got.unwrap();
            match n % 2 {
                0 => assert_eq!(got.unwrap().as_deref(), Some("A")),
                _ => assert!(matches!(got, Err(Error::Corrupt { .. })), "{got:?}"),
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_no_time_is_told_so_and_holds_nobody_up() {
    on_postgres(async |fresh| {
        with_notes(&fresh, "w", &["a", "b"]).await;
        let Held { points, go_on, .. } = held();
        let (theirs, store) = (points.clone(), fresh.store.clone());
        let first = tokio::spawn(async move {
            let brief = Deadline::after(Duration::from_millis(50));
            theirs.get(&store, "w", "a".to_owned(), brief).await
        });
        let late = first.await.unwrap();
        assert!(matches!(late, Err(Error::DeadlineExceeded)), "{late:?}");
        let other = points.get(&fresh.store, "w", "b".to_owned(), soon()).await;
        assert_eq!(other.unwrap().as_deref(), Some("B"));
        go_on.send(()).unwrap();
    })
    .await;
}
