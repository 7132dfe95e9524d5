//! Creates in one statement: the same as one by one, all or nothing.

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::AstPass;
use diesel::sql_types::{Array, Text};
use store::change_log::{LogPosition, NewChange, Scope, read_after};
use store::idempotency::{Claim, Keep, Key, RequestHash, Stored, claim, look_up};
use store::single::{Completed, Create, Created, Rows, create, create_all};
use store::testing::{hold_key, soon};
use store::{Conn, Error};
use types::Micros;

use crate::{at, ids, notes, on_each, on_postgres, remarks, settle};

fn key() -> Key {
    Key {
        workspace: "w".into(),
        principal: "local".into(),
        method: "notes.v1.NoteService/CreateNote".into(),
        request_id: "r".into(),
    }
}

fn stored(id: &str) -> Stored {
    Stored {
        resource: id.into(),
        revision: 1,
        response: Vec::new(),
    }
}

pub(crate) fn make(conn: &mut Conn, id: &str, with_key: bool) -> Result<Created, Error> {
    make_at(conn, id, with_key, at(0))
}

fn make_at(conn: &mut Conn, id: &str, with_key: bool, now: Micros) -> Result<Created, Error> {
    let (key, hash, answer) = (key(), RequestHash::of(b"content"), stored(id));
    let change = NewChange {
        workspace: "w",
        kind: "note.created",
        resource: id,
        revision: 1,
        payload: b"",
        paths: "",
        actor: "users/ada",
        request_id: "r",
        event_id: "e",
        record_time: at(5),
    };
    let completed = Completed {
        key: &key,
        hash: &hash,
        answer: &answer,
        now,
        keep: Keep::WEEK,
    };
    let rows = (
        diesel::insert_into(notes::table).values((
            notes::workspace.eq("w"),
            notes::id.eq(id),
            notes::title.eq(id),
            notes::count.eq(1),
        )),
        diesel::insert_into(remarks::table).values((
            remarks::workspace.eq("w"),
            remarks::id.eq(id),
            remarks::note.eq(id),
        )),
    );
    create(conn, with_key.then_some(completed), &change, rows)
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_log_and_key_are_written_together() {
    on_each(async |fresh| {
        let store = &fresh.store;
        let made = store
            .across()
            .write_single("test", soon(), |conn| make(conn, "a", true))
            .await
            .unwrap();
        let Created::At(position) = made else {
            panic!("the key was new");
        };
        settle(store, position).await;
        let found = store
            .across()
            .read("test", soon(), move |conn| {
                let page = read_after(conn, Scope::All, LogPosition::START, 10)?;
                let answer = look_up(conn, &key(), &RequestHash::of(b"content"), at(0))?;
                Ok::<_, Error>((
                    page.changes[0].position,
                    page.changes.len(),
                    answer,
                    ids(conn)?,
                ))
            })
            .await
            .unwrap();
        assert_eq!(
            found,
            (position, 1, Some(stored("a")), vec!["a".to_owned()])
        );
        // A repetition writes nothing, not even another row.
        let again = store
            .across()
            .write_single("test", soon(), |conn| make(conn, "b", true))
            .await;
        assert_eq!(again, Ok(Created::KeyTaken));
        assert_eq!(
            store.across().read("test", soon(), ids).await.unwrap(),
            ["a"]
        );
        let without = store
            .across()
            .write_single("test", soon(), |conn| make(conn, "c", false))
            .await;
        assert!(matches!(without, Ok(Created::At(_))));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_row_leaves_neither_log_nor_key() {
    on_each(async |fresh| {
        let store = &fresh.store;
        store
            .across()
            .write_single("test", soon(), |conn| make(conn, "a", false))
            .await
            .unwrap();
        let taken = store
            .across()
            .write_single("test", soon(), |conn| make(conn, "a", true))
            .await;
        assert!(
            matches!(taken, Err(Error::UniqueViolation { .. })),
            "{taken:?}"
        );
        let other = store
            .across()
            .write("test", soon(), |conn| make(conn, "b", true))
            .await;
        let Ok(Created::At(position)) = other else {
            panic!("the key was new: {other:?}");
        };
        settle(store, position).await;
        let page = store
            .across()
            .read("test", soon(), |conn| {
                read_after(conn, Scope::All, LogPosition::START, 10)
            })
            .await
            .unwrap();
        assert_eq!(page.changes.len(), 2);
    })
    .await;
}

/// Creates notes with these ids together, each under a key with the same name.
fn make_all(conn: &mut Conn, names: &[&str]) -> Result<Vec<LogPosition>, Error> {
    let keys: Vec<Key> = names
        .iter()
        .map(|name| Key {
            request_id: (*name).to_owned(),
            ..key()
        })
        .collect();
    let answers: Vec<Stored> = names.iter().map(|name| stored(name)).collect();
    let hash = RequestHash::of(b"content");
    let creates: Vec<Create<'_>> = names
        .iter()
        .zip(keys.iter().zip(&answers))
        .map(|(name, (key, answer))| Create {
            key: Some(Completed {
                key,
                hash: &hash,
                answer,
                now: at(0),
                keep: Keep::WEEK,
            }),
            change: NewChange {
                workspace: "w",
                kind: "note.created",
                resource: name,
                revision: 1,
                payload: name.as_bytes(),
                paths: "",
                actor: "users/ada",
                request_id: name,
                event_id: name,
                record_time: at(5),
            },
        })
        .collect();
    let made = create_all(conn, &creates, Notes(names))?;
    made.ok_or(Error::RequestInProgress)
}

struct Notes<'a>(&'a [&'a str]);

impl Rows for Notes<'_> {
    fn insert(self, conn: &mut SqliteConnection) -> QueryResult<()> {
        self.0.iter().try_for_each(|id| {
            diesel::insert_into(notes::table)
                .values((
                    notes::workspace.eq("w"),
                    notes::id.eq(id),
                    notes::title.eq(id),
                    notes::count.eq(1),
                ))
                .execute(conn)
                .map(|_| ())
        })
    }

    fn walk<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("notes AS (INSERT INTO notes (workspace, id, title, count) SELECT 'w', id, id, 1 FROM unnest(");
        out.push_bind_param::<Array<Text>, [&str]>(self.0)?;
        out.push_sql(") AS ids (id)), ");
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn creates_that_go_together_are_all_written_or_none() {
    on_each(async |fresh| {
        let store = &fresh.store;
        let together = |names: &'static [&'static str]| {
            store
                .across()
                .write_single("test", soon(), move |conn| make_all(conn, names))
        };
        let positions = together(&["c", "a", "b"]).await.unwrap();
        assert_eq!(positions.len(), 3);
        let last = positions.iter().max().unwrap();
        settle(store, *last).await;
        let logged = |after| {
            store.across().read("test", soon(), move |conn| {
                let page = read_after(conn, Scope::All, after, 10)?;
                let at = |change: store::change_log::Change| (change.resource, change.position);
                Ok::<_, Error>(page.changes.into_iter().map(at).collect::<Vec<_>>())
            })
        };
        let mut told: Vec<_> = ["c", "a", "b"]
            .map(String::from)
            .into_iter()
            .zip(positions.clone())
            .collect();
        told.sort_by_key(|(_, position)| *position);
        assert_eq!(logged(LogPosition::START).await.unwrap(), told);
        // The key of one, or the row of one, was there before.
        assert_eq!(together(&["d", "a"]).await, Err(Error::RequestInProgress));
        store
            .across()
            .write_single("test", soon(), |conn| make(conn, "e", false))
            .await
            .unwrap();
        let taken = together(&["f", "e"]).await;
        assert!(
            matches!(taken, Err(Error::UniqueViolation { .. })),
            "{taken:?}"
        );
        assert_eq!(
            store.across().read("test", soon(), ids).await.unwrap(),
            ["a", "b", "c", "e"]
        );
        let kept = store
            .across()
            .read("test", soon(), |conn| {
                let of = |request_id: &str| Key {
                    request_id: request_id.to_owned(),
                    ..key()
                };
                let hash = RequestHash::of(b"content");
                let found = ["a", "d", "f"].map(|name| look_up(conn, &of(name), &hash, at(0)));
                Ok::<_, Error>(found.map(|answer| answer.map(|answer| answer.is_some())))
            })
            .await
            .unwrap();
        assert_eq!(kept, [Ok(true), Ok(false), Ok(false)]);
        // Nothing that was rolled back is in the log either.
        assert!(together(&["f"]).await.is_ok());
        let after = logged(*last).await.unwrap();
        assert!(
            after
                .iter()
                .all(|(resource, _)| ["e", "f"].contains(&resource.as_str())),
            "{after:?}"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_with_one_key_one_writes() {
    on_each(async |fresh| {
        let mut creates = tokio::task::JoinSet::new();
        for number in 0..60 {
            let store = fresh.store.clone();
            creates.spawn(async move {
                store
                    .across()
                    .write_single("test", soon(), move |conn| {
                        make(conn, &number.to_string(), true)
                    })
                    .await
            });
        }
        let answers = creates.join_all().await;
        let made = answers
            .iter()
            .filter(|a| matches!(a, Ok(Created::At(_))))
            .count();
        let taken = answers
            .iter()
            .filter(|a| **a == Ok(Created::KeyTaken))
            .count();
        assert_eq!((made, taken), (1, 59), "{answers:?}");
        assert_eq!(
            fresh
                .store
                .across()
                .read("test", soon(), ids)
                .await
                .unwrap()
                .len(),
            1
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_being_written_elsewhere_is_found_out_by_claiming_it() {
    on_postgres(async |fresh| {
        let store = &fresh.store;
        let held = hold_key(store.clone(), key()).await;
        let begun = std::time::Instant::now();
        let made = store
            .across()
            .write_single("test", soon(), |conn| make(conn, "a", true))
            .await;
        assert_eq!(made, Ok(Created::KeyTaken));
        assert!(begun.elapsed().as_millis() < 1_900, "it is not run again");
        let hash = RequestHash::of(b"content");
        let claimed = store.across().write("test", soon(), move |conn| {
            claim(conn, &key(), &hash, at(0), Keep::WEEK)
        });
        assert_eq!(claimed.await, Err(Error::RequestInProgress));
        held.release().await;
        let made = store
            .across()
            .write_single("test", soon(), |conn| make(conn, "a", true))
            .await;
        assert!(matches!(made, Ok(Created::At(_))), "{made:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_whose_time_is_over_is_taken_again_by_claiming_it() {
    on_each(async |fresh| {
        let store = &fresh.store;
        let made = store
            .across()
            .write_single("test", soon(), |conn| make(conn, "a", true))
            .await;
        assert!(matches!(made, Ok(Created::At(_))), "{made:?}");
        let later = at(0).plus(std::time::Duration::from_hours(7 * 24));
        let again = store
            .across()
            .write_single("test", soon(), move |conn| make_at(conn, "b", true, later))
            .await;
        if again == Ok(Created::KeyTaken) {
            let hash = RequestHash::of(b"content");
            let claimed = store.across().write("test", soon(), move |conn| {
                claim(conn, &key(), &hash, later, Keep::WEEK)
            });
            assert_eq!(claimed.await, Ok(Claim::Fresh));
        } else {
            assert!(matches!(again, Ok(Created::At(_))), "{again:?}");
        }
    })
    .await;
}
