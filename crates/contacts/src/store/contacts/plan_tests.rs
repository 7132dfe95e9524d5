//! The plans of both engines for the lists, read over many rows.

use ::store::pages::Key;
use ::store::testing::{engines, open, soon};
use ::store::{Conn, Error, Store, each};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::{Integer, Text};

use super::list::{ContactList, Db, Query, SortKey, query};
use super::scan;
use crate::app::contact_filter;
use crate::store::MIGRATIONS;

/// A query whose plan is asked for. The engines answer in different columns.
struct Explain<Q, const SQLITE: bool>(Q);

impl<Q> diesel::query_builder::Query for Explain<Q, true> {
    type SqlType = (Integer, Integer, Integer, Text);
}

impl<Q> diesel::query_builder::Query for Explain<Q, false> {
    type SqlType = Text;
}

impl<Q, const SQLITE: bool> QueryId for Explain<Q, SQLITE> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q, const SQLITE: bool> RunQueryDsl<Conn> for Explain<Q, SQLITE> {}

impl<Q: QueryFragment<Db>, const SQLITE: bool> QueryFragment<Db> for Explain<Q, SQLITE> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Db>) -> QueryResult<()> {
        out.push_sql(if SQLITE {
            "EXPLAIN QUERY PLAN "
        } else {
            "EXPLAIN "
        });
        self.0.walk_ast(out)
    }
}

/// Fills two workspaces with so many contacts each.
fn fill(conn: &mut Conn, count: i64) -> Result<(), Error> {
    let columns = "workspace, contact, kind, state, revision, display_key, given_key, family_key, \
        company, owner, relationship_kinds, source_channel, source_campaign, ready_to_buy, \
        document, creator, updater, create_time, update_time, merged_into";
    let values = |ready: &str| {
        format!(
            "SELECT w, 'c' || n, 'PERSON', 'ACTIVE', 1, 'd' || (n % 977), '', 'f' || (n % 977), \
             CASE WHEN n % 2 = 0 THEN 'k' || (n % 500) ELSE '' END, 'o' || (n % 29), '', \
             'DIRECT', '', {ready}, '{{}}', '', '', n / 3, n % 1009, ''"
        )
    };
    let (sqlite, postgres) = (values("0"), values("FALSE"));
    let sqlite = format!(
        "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count}) \
         INSERT INTO contacts ({columns}) {sqlite} \
         FROM numbers CROSS JOIN (SELECT 'w' AS w UNION ALL SELECT 'other') AS workspaces"
    );
    let postgres = format!(
        "INSERT INTO contacts ({columns}) {postgres} \
         FROM generate_series(1, {count}) AS numbers (n) CROSS JOIN (VALUES ('w'), ('other')) AS workspaces (w)"
    );
    let text = if matches!(conn, Conn::Sqlite(_)) {
        sqlite
    } else {
        postgres
    };
    each!(conn, |c| diesel::sql_query(text).execute(c))?;
    let positions = "INSERT INTO contact_positions (workspace, contact, stage, role, revision, epoch) \
        SELECT workspace, contact, 'lead', 'LEAD', 1, 1 FROM contacts";
    each!(conn, |c| diesel::sql_query(positions).execute(c))?;
    let terms = "INSERT INTO contact_terms (workspace, field, term, contact) \
        SELECT workspace, 'email', contact || '@example.com', contact FROM contacts";
    each!(conn, |c| diesel::sql_query(terms).execute(c))?;
    Ok(())
}

/// Tells PostgreSQL's planner what there is, as the store does when a table has grown. Nobody tells
/// SQLite's.
fn analyze(conn: &mut Conn) -> Result<(), Error> {
    if matches!(conn, Conn::Postgres(_)) {
        diesel::sql_query("ANALYZE").execute(conn)?;
    }
    Ok(())
}

/// The steps in which the engine would carry out the query, without carrying it out.
fn explained(conn: &mut Conn, query: Query<'_>) -> Result<String, Error> {
    if matches!(conn, Conn::Sqlite(_)) {
        let rows: Vec<(i32, i32, i32, String)> = Explain::<_, true>(query).load(conn)?;
        let details: Vec<String> = rows.into_iter().map(|(.., detail)| detail).collect();
        return Ok(details.join("\n"));
    }
    Ok(Explain::<_, false>(query).load::<String>(conn)?.join("\n"))
}

async fn plan(store: &Store, list: ContactList) -> String {
    let plan = store
        .across()
        .read("plan", soon(), move |conn| explained(conn, query(&list)?));
    plan.await.expect("a plan")
}

fn list(order: (SortKey, bool), after: Option<Vec<Key>>) -> ContactList {
    ContactList {
        workspace: "w".to_owned(),
        filter: None,
        show_deleted: false,
        order: vec![order],
        after,
        limit: 101,
    }
}

#[tokio::test]
async fn pages_are_read_from_their_index_in_order() {
    for engine in engines() {
        let url = engine.fresh_url().await;
        let store = open(&url, &MIGRATIONS);
        store
            .across()
            .write("fill", soon(), |conn| fill(conn, 20_000))
            .await
            .expect("filled");
        store
            .across()
            .write("analyze", soon(), analyze)
            .await
            .expect("analysed");
        let id = || Key::Text("c9000".to_owned());
        for (key, index, at) in [
            (SortKey::CreateTime, "contacts_create_time", Key::Int(3_000)),
            (SortKey::UpdateTime, "contacts_update_time", Key::Int(500)),
            (
                SortKey::DisplayName,
                "contacts_display_key",
                Key::Text("d5".to_owned()),
            ),
            (
                SortKey::FamilyName,
                "contacts_family_key",
                Key::Text("f5".to_owned()),
            ),
            (SortKey::Owner, "contacts_owner", Key::Text("o2".to_owned())),
        ] {
            for descending in [false, true] {
                for after in [None, Some(vec![at.clone(), id()])] {
                    let is_first = after.is_none();
                    let plan = plan(&store, list((key, descending), after)).await;
                    let what = format!("{key:?} {descending} {is_first}\n{plan}");
                    assert!(plan.contains(index), "{what}");
                    // The names of the steps that sort: TEMP B-TREE on SQLite, Sort on PostgreSQL.
                    assert!(
                        !plan.contains("TEMP B-TREE") && !plan.contains("Sort"),
                        "{what}"
                    );
                    assert!(
                        !plan.contains("SCAN contacts") && !plan.contains("Seq Scan"),
                        "{what}"
                    );
                    // With the id, so that contacts with the same key are not read again.
                    let range = match store.engine() {
                        "sqlite" => plan.contains(",contact)>(") || plan.contains(",contact)<("),
                        _ => plan.lines().any(|step| {
                            step.contains("Index Cond:") && step.contains(", contact) ")
                        }),
                    };
                    assert_eq!(range, !is_first, "the page begins within the index: {what}");
                }
            }
        }
    }
}

/// Whoever is named by company or address is found by an index over that, and not by reading a whole
/// workspace in the order of the list.
#[tokio::test]
async fn few_contacts_are_found_by_what_their_filter_names() {
    for engine in engines() {
        let url = engine.fresh_url().await;
        let store = open(&url, &MIGRATIONS);
        let filled = store.across().write("fill", soon(), |conn| {
            fill(conn, 20_000)?;
            analyze(conn)
        });
        filled.await.expect("filled");
        let id = || Key::Text("c9000".to_owned());
        let by_creation = (SortKey::CreateTime, Key::Int(3_000));
        let by_name = (SortKey::DisplayName, Key::Text("d5".to_owned()));
        for (filter, index) in [
            ("company = \"workspaces/w/contacts/k8\"", "contacts_company"),
            (
                "company = \"workspaces/w/contacts/k8\" AND NOT kind = COMPANY AND state = ACTIVE",
                "contacts_company",
            ),
            ("email = \"c8@example.com\"", "contact_terms"),
            (
                "kind = PERSON AND email = \"c8@example.com\"",
                "contact_terms",
            ),
        ] {
            for (key, at) in [&by_creation, &by_name] {
                for after in [None, Some(vec![at.clone(), id()])] {
                    let is_first = after.is_none();
                    let list = ContactList {
                        filter: contact_filter(filter).expect("a filter"),
                        ..list((*key, false), after)
                    };
                    let plan = plan(&store, list).await;
                    let what = format!("{filter} {key:?} {is_first}\n{plan}");
                    assert!(plan.contains(index), "{what}");
                    for whole in ["contacts_create_time", "contacts_display_key"] {
                        assert!(!plan.contains(whole), "{what}");
                    }
                    assert!(
                        !plan.contains("SCAN contacts") && !plan.contains("Seq Scan"),
                        "{what}"
                    );
                    // PostgreSQL, which knows the values, may rather sort a few rows.
                    let ordered = index == "contacts_company" && *key == SortKey::CreateTime;
                    if ordered && store.engine() == "sqlite" {
                        assert!(!plan.contains("TEMP B-TREE"), "{what}");
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn a_scan_goes_on_where_it_was() {
    for engine in engines() {
        let url = engine.fresh_url().await;
        let store = open(&url, &MIGRATIONS);
        store
            .across()
            .write("fill", soon(), |conn| {
                fill(conn, 20_000)?;
                analyze(conn)
            })
            .await
            .expect("filled");
        for workspace in [Some("w"), None] {
            let plan = store.across().read("plan", soon(), move |conn| {
                let after = ("w".to_owned(), "c9000".to_owned());
                explained(conn, scan(workspace, Some(&after), 100))
            });
            let plan = plan.await.expect("a plan");
            let range = match (store.engine(), workspace) {
                ("sqlite", Some(_)) => "(workspace=? AND contact>?)",
                ("sqlite", None) => "((workspace,contact)>(?,?))",
                (_, Some(_)) => "(contact > 'c9000'::text)",
                (_, None) => "(ROW(workspace, contact) > ",
            };
            assert!(plan.contains(range), "{workspace:?}\n{plan}");
            assert!(!plan.contains("TEMP B-TREE"), "{plan}");
        }
    }
}

#[tokio::test]
async fn both_engines_have_one_schema() {
    let differences = ::store::testing::parity(&MIGRATIONS)
        .await
        .expect("both schemas");
    assert_eq!(differences, Vec::<String>::new());
}
