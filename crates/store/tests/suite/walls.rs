//! The second wall between workspaces: what row level security of PostgreSQL keeps from a query that
//! forgot its workspace.

use diesel::prelude::*;
use store::testing::{SERVICE, not_apart, soon, with_role};
use store::{Conn, Error, OpenError, Options, Store, grant};

use crate::{Fresh, MIGRATIONS, notes, on_postgres, remarks};

/// A note in a workspace, with a remark on it.
fn put(conn: &mut Conn, workspace: &str, id: &str) -> Result<(), Error> {
    diesel::insert_into(notes::table)
        .values((
            notes::workspace.eq(workspace),
            notes::id.eq(id),
            notes::title.eq(id),
            notes::count.eq(0),
        ))
        .execute(conn)?;
    diesel::insert_into(remarks::table)
        .values((
            remarks::workspace.eq(workspace),
            remarks::id.eq(id),
            remarks::note.eq(id),
        ))
        .execute(conn)?;
    Ok(())
}

/// All notes there are, by a query that forgot to ask for one workspace's.
fn forgetful(conn: &mut Conn) -> Result<Vec<(String, String)>, Error> {
    Ok(notes::table
        .select((notes::workspace, notes::id))
        .order((notes::workspace, notes::id))
        .load(conn)?)
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "it is compared with what a query answers"
)]
fn rows(expected: &[(&str, &str)]) -> Result<Vec<(String, String)>, Error> {
    let owned = |(workspace, id): &(&str, &str)| ((*workspace).to_owned(), (*id).to_owned());
    Ok(expected.iter().map(owned).collect())
}

/// The store of the role that serves, which owns nothing.
fn served(fresh: &Fresh) -> Store {
    let options = |url: &str| Options::new("test", url, &MIGRATIONS);
    grant(&options(&fresh.url), SERVICE).unwrap();
    Store::open(options(&with_role(&fresh.url, SERVICE))).unwrap()
}

/// Runs a check on a store of the owner, and on one of a role that owns nothing, with a note in
/// workspace `a` and one in `b`.
async fn on_both_roles(check: impl AsyncFn(&Store)) {
    for owner in [true, false] {
        on_postgres(async |fresh| {
            let store = if owner {
                fresh.store.clone()
            } else {
                served(&fresh)
            };
            for workspace in ["a", "b"] {
                let write = store.within(workspace);
                let write = write.write("test", soon(), |conn| put(conn, workspace, "n"));
                assert_eq!(write.await, Ok(()));
            }
            check(&store).await;
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_forgot_its_workspace_sees_its_own() {
    on_both_roles(async |store| {
        for workspace in ["a", "b", "a"] {
            let own = rows(&[(workspace, "n")]);
            let within = || store.within(workspace);
            assert_eq!(within().read("test", soon(), forgetful).await, own);
            assert_eq!(within().read_point("test", soon(), forgetful).await, own);
            assert_eq!(within().read_snapshot("test", soon(), forgetful).await, own);
            assert_eq!(within().write("test", soon(), forgetful).await, own);
            assert_eq!(within().write_single("test", soon(), forgetful).await, own);
        }
        let all = rows(&[("a", "n"), ("b", "n")]);
        assert_eq!(store.across().read("test", soon(), forgetful).await, all);
        assert_eq!(store.across().write("test", soon(), forgetful).await, all);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_workspace_sees_nothing() {
    on_both_roles(async |store| {
        for nobody in ["", "*", "c", "a' OR true --", "\\' OR true --", "a\0", "A"] {
            let seen = store.within(nobody).read("test", soon(), forgetful).await;
            // What follows a NUL is not sent to the server.
            let expected = rows(if nobody == "a\0" { &[("a", "n")] } else { &[] });
            assert_eq!(seen, expected, "{nobody:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_into_another_workspace() {
    on_both_roles(async |store| {
        let written = store
            .within("a")
            .write("test", soon(), |conn| put(conn, "b", "new"))
            .await;
        assert!(matches!(written, Err(Error::Database(_))), "{written:?}");
        let touched = store.within("a").write("test", soon(), |conn| {
            let moved = diesel::update(remarks::table)
                .set(remarks::note.eq(None::<String>))
                .execute(conn)?;
            let gone = diesel::delete(remarks::table).execute(conn)?;
            Ok::<_, Error>((moved, gone))
        });
        assert_eq!(touched.await, Ok((1, 1)));
        let left = store.across().read("test", soon(), |conn| {
            let left = remarks::table.select((remarks::workspace, remarks::note));
            Ok::<_, Error>(left.load::<(String, Option<String>)>(conn)?)
        });
        assert_eq!(left.await, Ok(vec![("b".into(), Some("n".into()))]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_says_nothing_sees_and_writes_nothing() {
    on_postgres(async |fresh| {
        let store = served(&fresh);
        let write = store.within("a");
        let write = write.write("test", soon(), |conn| put(conn, "a", "n"));
        write.await.unwrap();
        let mut raw = PgConnection::establish(&with_role(&fresh.url, SERVICE)).unwrap();
        let mut run = |text: &str| diesel::sql_query(text).execute(&mut raw);
        assert_eq!(run("SELECT FROM notes"), Ok(0));
        assert_eq!(run("UPDATE notes SET count = 1"), Ok(0));
        assert_eq!(run("DELETE FROM remarks"), Ok(0));
        assert!(run("INSERT INTO notes VALUES ('a', 'm', 'm', 0)").is_err());
        run("BEGIN").unwrap();
        run("SET LOCAL clientele.workspace = 'a'").unwrap();
        assert_eq!(run("SELECT FROM notes"), Ok(1));
        run("COMMIT").unwrap();
        assert_eq!(run("SELECT FROM notes"), Ok(0));
        for forbidden in [
            "TRUNCATE remarks",
            "ALTER TABLE notes DISABLE ROW LEVEL SECURITY",
            "DROP POLICY own_workspace ON notes",
            "CREATE TABLE more (id INTEGER)",
            "DELETE FROM __diesel_schema_migrations",
        ] {
            assert!(run(forbidden).is_err(), "{forbidden}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_was_not_let_in_is_told_how_it_is() {
    on_postgres(async |fresh| {
        let options = |url: &str| Options::new("test", url, &MIGRATIONS);
        let stranger = with_role(&fresh.url, SERVICE);
        let Err(OpenError::Role { problem, .. }) = Store::open(options(&stranger)) else {
            panic!("a role without rights was let in");
        };
        assert!(
            problem.contains("--grant-to clientele_test_service"),
            "{problem}"
        );
        let unknown = grant(&options(&fresh.url), "no\"body");
        assert!(
            matches!(unknown, Err(OpenError::Role { .. })),
            "{unknown:?}"
        );
        grant(&options(&fresh.url), SERVICE).unwrap();
        // It may be told to migrate, where there is nothing to do.
        drop(Store::open(options(&stranger).migrating()).unwrap());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_are_not_ours_are_neither_asked_for_nor_given() {
    on_postgres(async |fresh| {
        let made = fresh.store.across().write("test", soon(), |conn| {
            diesel::sql_query("CREATE TABLE somebodys (id INTEGER)").execute(conn)?;
            // Not even its owner may read it.
            let shut = "REVOKE ALL ON somebodys FROM CURRENT_USER";
            diesel::sql_query(shut).execute(conn)?;
            Ok::<_, Error>(())
        });
        made.await.unwrap();
        drop(Store::open(Options::new("test", &*fresh.url, &MIGRATIONS)).unwrap());
        let store = served(&fresh);
        let asked = store.across().read("test", soon(), |conn| {
            let asked = "SELECT has_table_privilege('somebodys', 'SELECT, INSERT') AS may";
            Ok::<_, Error>(diesel::sql_query(asked).get_result::<May>(conn)?.may)
        });
        assert_eq!(asked.await, Ok(false));
    })
    .await;
}

#[derive(QueryableByName)]
struct May {
    #[diesel(sql_type = diesel::sql_types::Bool)]
    may: bool,
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wall_stays_where_a_write_was_rolled_back() {
    on_both_roles(async |store| {
        let failed = store.within("b").write("test", soon(), |conn| {
            put(conn, "b", "undone")?;
            Err::<(), _>(Error::RequestInProgress)
        });
        assert_eq!(failed.await, Err(Error::RequestInProgress));
        let read = store.within("a").read("test", soon(), forgetful);
        assert_eq!(read.await, rows(&[("a", "n")]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_not_kept_apart_is_found_out() {
    on_postgres(async |fresh| {
        let found = |statements: &'static [&'static str]| {
            fresh.store.across().write("test", soon(), move |conn| {
                for text in statements {
                    diesel::sql_query(*text).execute(conn)?;
                }
                not_apart(conn)
            })
        };
        assert_eq!(found(&[]).await, Ok(Vec::new()));
        let late = found(&["CREATE TABLE late (workspace TEXT PRIMARY KEY)"]);
        let told = "late is not kept apart by workspace: CALL keep_apart";
        assert_eq!(late.await, Ok(vec![told.to_owned()]));
        let apart = found(&[
            "CALL keep_apart('late')",
            "CREATE POLICY everybodys ON late FOR SELECT USING (workspace = '')",
        ]);
        assert_eq!(apart.await, Ok(Vec::new()));
        let open = found(&["CREATE POLICY open ON late USING (true)"]);
        assert_eq!(open.await, Ok(vec!["late has the policy open".to_owned()]));
        let weak = found(&[
            "DROP POLICY open ON late",
            "ALTER TABLE late NO FORCE ROW LEVEL SECURITY",
        ]);
        assert_eq!(weak.await, Ok(vec![told.to_owned()]));
    })
    .await;
}
