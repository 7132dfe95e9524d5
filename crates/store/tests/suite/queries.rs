//! Queries: the macros, ranges of text and places in a list answer alike on both engines.

use diesel::prelude::*;
use store::testing::soon;
use store::{Beyond, Conn, Error, prefix_end};

use crate::{ids, notes, on_each, put};

const TITLES: [&str; 7] = [
    "Ada",
    "ADAMANT",
    "50% off",
    "50 off",
    "under_score",
    "Émile",
    "a\\b",
];

fn fill(conn: &mut Conn) -> Result<(), Error> {
    let rows: Vec<_> = TITLES
        .iter()
        .map(|title| {
            (
                notes::workspace.eq("w"),
                notes::id.eq(*title),
                notes::title.eq(*title),
                notes::count.eq(1),
            )
        })
        .collect();
    store::each!(conn, |c| diesel::insert_into(notes::table)
        .values(&rows)
        .execute(c))?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn beginnings_are_found_by_range() {
    on_each(async |fresh| {
        fresh
            .store
            .across()
            .write("test", soon(), fill)
            .await
            .unwrap();
        let found = fresh
            .store
            .across()
            .read("test", soon(), |conn| -> Result<Vec<String>, Error> {
                Ok(notes::table
                    .filter(notes::title.ge("50"))
                    .filter(notes::title.lt(prefix_end("50").unwrap_or_default()))
                    .select(notes::id)
                    .order(notes::id)
                    .load(conn)?)
            })
            .await
            .unwrap();
        assert_eq!(found, ["50 off", "50% off"]);
    })
    .await;
}

/// The ids after a place, in the order of counts and ids.
fn after(conn: &mut Conn, descending: bool, count: i64, id: &str) -> Result<Vec<String>, Error> {
    let place = Beyond::new(descending)
        .key(notes::count, count)
        .key(notes::id, id.to_owned());
    let found = notes::table.filter(place).select(notes::id).into_boxed();
    let found = if descending {
        found.order((notes::count.desc(), notes::id.desc()))
    } else {
        found.order((notes::count, notes::id))
    };
    Ok(found.load(conn)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_goes_on_within_rows_of_one_value() {
    on_each(async |fresh| {
        fresh
            .store
            .across()
            .write("test", soon(), fill)
            .await
            .unwrap();
        let sorted = fresh
            .store
            .across()
            .read("test", soon(), ids)
            .await
            .unwrap();
        for (number, id) in sorted.iter().enumerate() {
            for descending in [false, true] {
                let (below, at, above) = if descending {
                    (&[][..], &sorted[..number], &sorted[..])
                } else {
                    (&sorted[..], &sorted[number + 1..], &[][..])
                };
                for (count, wanted) in [(0, below), (1, at), (2, above)] {
                    let place = id.clone();
                    let found = fresh.store.across().read("test", soon(), move |conn| {
                        after(conn, descending, count, &place)
                    });
                    let mut found = found.await.unwrap();
                    if descending {
                        found.reverse();
                    }
                    assert_eq!(found, wanted, "{count} {id} {descending}");
                }
            }
        }
    })
    .await;
}

#[derive(Debug, PartialEq, Queryable, Selectable)]
#[diesel(table_name = notes)]
struct Note {
    id: String,
    count: i64,
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_derived_connection_lacks_goes_through_the_macros() {
    on_each(async |fresh| {
        let done = fresh
            .store
            .across()
            .write("test", soon(), |conn| -> Result<(), Error> {
                put(conn, "a")?;
                let again = store::each!(conn, |c| diesel::insert_into(notes::table)
                    .values((
                        notes::workspace.eq("w"),
                        notes::id.eq("a"),
                        notes::title.eq("a"),
                        notes::count.eq(0),
                    ))
                    .on_conflict_do_nothing()
                    .execute(c))?;
                assert_eq!(again, 0);
                let raised: Note = store::each!(conn, |c| diesel::update(notes::table)
                    .set(notes::count.eq(notes::count + 2))
                    .returning(Note::as_returning())
                    .get_result(c))?;
                assert_eq!(
                    raised,
                    Note {
                        id: "a".into(),
                        count: 2
                    }
                );
                let boxed: Vec<Note> = store::each!(conn, |c| notes::table
                    .filter(notes::count.gt(1))
                    .select(Note::as_select())
                    .into_boxed()
                    .load(c))?;
                assert_eq!(boxed.len(), 1);
                let locked = store::locked!(
                    conn,
                    update,
                    notes::table.find(("w", "a")).select(Note::as_select()) => first::<Note>
                )?;
                assert_eq!(locked.count, 2);
                let absent = store::locked!(
                    conn,
                    share,
                    notes::table.find(("w", "b")).select(notes::count) => first::<i64>
                )
                .optional()?;
                assert_eq!(absent, None);
                let all: Vec<String> =
                    store::locked!(conn, share, notes::table.select(notes::id) => load)?;
                assert_eq!(all, ["a"]);
                Ok(())
            })
            .await;
        assert_eq!(done, Ok(()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_stays_as_it_was() {
    on_each(async |fresh| {
        fresh
            .store
            .across()
            .write("test", soon(), |conn| put(conn, "a"))
            .await
            .unwrap();
        let (first, has_read) = std::sync::mpsc::channel::<()>();
        let (go_on, may_go) = std::sync::mpsc::channel::<()>();
        let may_go = std::sync::Mutex::new(may_go);
        let store = fresh.store.clone();
        let reading = tokio::spawn(async move {
            store
                .across()
                .read_snapshot("test", soon(), move |conn| {
                    let before = ids(conn)?;
                    let _ = first.send(());
                    let _ = may_go.lock().unwrap().recv();
                    Ok::<_, Error>((before, ids(conn)?))
                })
                .await
        });
        tokio::task::spawn_blocking(move || has_read.recv())
            .await
            .unwrap()
            .unwrap();
        fresh
            .store
            .across()
            .write("test", soon(), |conn| put(conn, "b"))
            .await
            .unwrap();
        go_on.send(()).unwrap();
        let (before, after) = reading.await.unwrap().unwrap();
        assert_eq!(before, after);
        assert_eq!(
            fresh
                .store
                .across()
                .read("test", soon(), ids)
                .await
                .unwrap()
                .len(),
            2
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panicking_read_is_reported_and_the_pool_survives() {
    on_each(async |fresh| {
        for _ in 0..40 {
            let panicked = fresh
                .store
                .across()
                .read_point("test", soon(), |_| -> Result<(), Error> {
                    panic!("a defect")
                })
                .await;
            assert_eq!(panicked, Err(Error::Panicked { op: "test" }));
        }
        assert_eq!(fresh.store.check(soon()).await, Ok(()));
    })
    .await;
}
