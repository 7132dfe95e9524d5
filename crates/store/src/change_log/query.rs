//! The statement that reads the log, as each engine does it best.

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Binary, Nullable, Text};
use diesel::sqlite::Sqlite;

use super::LogPosition;

/// The state, and a change unless there is none.
pub(super) type Row = (StateRow, Option<ChangeRow>);

/// A change's columns, in nested tuples so that one that is absent is recognised as a whole.
pub(super) type ChangeRow = (
    (i64, i64, i64),
    (String, String, String, i64, Vec<u8>),
    (String, String, String, String, i64),
);

/// epoch, pruned_epoch, pruned_tx, pruned_id, horizon_tx, horizon_id.
pub(super) type StateRow = (i64, i64, i64, i64, i64, i64);

/// State and rows in one statement, so that they are of one snapshot and one round trip.
#[derive(Clone, Copy)]
pub(super) struct ReadAfter<'a> {
    /// None: all of them.
    pub(super) workspace: Option<&'a str>,
    pub(super) after: LogPosition,
    pub(super) limit: i64,
}

const COLUMNS: &str = "c.epoch, c.tx, c.id, c.workspace, c.kind, c.resource, c.revision, \
    c.payload, c.paths, c.actor, c.request_id, c.event_id, c.record_time";

impl Query for ReadAfter<'_> {
    type SqlType = (
        (BigInt, BigInt, BigInt, BigInt, BigInt, BigInt),
        Nullable<(
            (BigInt, BigInt, BigInt),
            (Text, Text, Text, BigInt, Binary),
            (Text, Text, Text, Text, BigInt),
        )>,
    );
}

impl<C> RunQueryDsl<C> for ReadAfter<'_> {}

impl QueryId for ReadAfter<'_> {
    // The text depends on the scope, so statements are cached by their text.
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl QueryFragment<Pg> for ReadAfter<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(
            "WITH h AS (SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS xmin) \
             SELECT s.epoch, s.pruned_epoch, s.pruned_tx, s.pruned_id, h.xmin, 0::bigint, ",
        );
        out.push_sql(COLUMNS);
        out.push_sql(
            " FROM database_state s CROSS JOIN h LEFT JOIN LATERAL (SELECT * FROM change_log c \
             WHERE (c.epoch < s.epoch OR c.tx < h.xmin) AND ",
        );
        // The row comparison begins as the index does that is to be used: the planner takes all
        // rows for one epoch's and would otherwise read the other workspaces' changes as well.
        match &self.workspace {
            Some(workspace) => {
                out.push_sql("c.workspace = ");
                out.push_bind_param::<Text, _>(workspace)?;
                out.push_sql(" AND (c.workspace, c.epoch, c.tx, c.id) > (");
                out.push_bind_param::<Text, _>(workspace)?;
                out.push_sql(", ");
            }
            None => out.push_sql("(c.epoch, c.tx, c.id) > ("),
        }
        out.push_bind_param::<BigInt, _>(&self.after.epoch)?;
        out.push_sql(", ");
        out.push_bind_param::<BigInt, _>(&self.after.tx)?;
        out.push_sql(", ");
        out.push_bind_param::<BigInt, _>(&self.after.id)?;
        out.push_sql(")");
        out.push_sql(" ORDER BY c.epoch, c.tx, c.id LIMIT ");
        out.push_bind_param::<BigInt, _>(&self.limit)?;
        out.push_sql(") c ON TRUE ORDER BY c.epoch, c.tx, c.id");
        Ok(())
    }
}

impl QueryFragment<Sqlite> for ReadAfter<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql(
            "SELECT s.epoch, s.pruned_epoch, s.pruned_tx, s.pruned_id, \
             coalesce((SELECT n.tx FROM change_log n ORDER BY n.id DESC LIMIT 1), 0), \
             coalesce((SELECT max(n.id) FROM change_log n), 0), ",
        );
        out.push_sql(COLUMNS);
        out.push_sql(" FROM database_state s LEFT JOIN (SELECT * FROM change_log c WHERE c.id > ");
        out.push_bind_param::<BigInt, _>(&self.after.id)?;
        if let Some(workspace) = &self.workspace {
            out.push_sql(" AND c.workspace = ");
            out.push_bind_param::<Text, _>(workspace)?;
        }
        out.push_sql(" ORDER BY c.id LIMIT ");
        out.push_bind_param::<BigInt, _>(&self.limit)?;
        out.push_sql(") c ON TRUE ORDER BY c.id");
        Ok(())
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use diesel::debug_query;

    use super::*;
    use crate::testing::{engines, open, soon};
    use crate::{Conn, Error, Migrations};

    static NONE: Migrations = Migrations {
        sqlite: diesel_migrations::EmbeddedMigrations::new(&[]),
        postgres: diesel_migrations::EmbeddedMigrations::new(&[]),
        tables: &[],
    };

    #[derive(QueryableByName)]
    struct Line {
        #[diesel(sql_type = Text)]
        detail: String,
    }

    #[derive(QueryableByName)]
    struct PgLine {
        #[diesel(sql_type = Text, column_name = "QUERY PLAN")]
        detail: String,
    }

    /// The plan of the query for a reader in the middle of a log of many workspaces.
    fn plan(conn: &mut Conn, workspace: Option<&'static str>) -> Result<String, Error> {
        let query = ReadAfter {
            workspace,
            after: LogPosition::START,
            limit: 100,
        };
        let (text, lines) = match conn {
            Conn::Sqlite(c) => {
                let text = debug_query::<Sqlite, _>(&query).to_string();
                let text = text.replace("> ?", "> 5000").replace("= ?", "= 'w7'");
                let text = text.replace("LIMIT ?", "LIMIT 100");
                let explained = format!("EXPLAIN QUERY PLAN {text}");
                let lines: Vec<Line> = diesel::sql_query(explained).load(c)?;
                (
                    text,
                    lines.into_iter().map(|l| l.detail).collect::<Vec<_>>(),
                )
            }
            Conn::Postgres(c) => {
                diesel::sql_query("ANALYZE change_log").execute(c)?;
                let text = debug_query::<Pg, _>(&query).to_string();
                let binds: &[&str] = match workspace {
                    Some(_) => &["'w7'", "'w7'", "1", "5000", "5000", "100"],
                    None => &["1", "5000", "5000", "100"],
                };
                let text = (1..).zip(binds).fold(text, |text, (number, bind)| {
                    text.replace(&format!("${number}"), bind)
                });
                let explained = format!("EXPLAIN {text}");
                let lines: Vec<PgLine> = diesel::sql_query(explained).load(c)?;
                (text, lines.into_iter().map(|l| l.detail).collect())
            }
        };
        assert!(!text.contains('?') && !text.contains('$'), "{text}");
        Ok(lines.join("\n"))
    }

    fn fill(conn: &mut Conn) -> Result<(), Error> {
        let (numbers, epoch) = match conn {
            Conn::Sqlite(_) => (
                "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 10000)",
                "INSERT INTO change_log SELECT 1, n, n,",
            ),
            Conn::Postgres(_) => (
                "WITH n (n) AS (SELECT generate_series(1, 10000))",
                "INSERT INTO change_log OVERRIDING SYSTEM VALUE SELECT 1, n, n,",
            ),
        };
        diesel::sql_query(format!(
            "{numbers} {epoch} 'w' || (n % 100), '', '', 1, CAST('' AS {}), '', '', '', '', 1 FROM n",
            if matches!(conn, Conn::Sqlite(_)) { "BLOB" } else { "BYTEA" },
        ))
        .execute(conn)?;
        Ok(())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn reading_goes_by_an_index() {
        for engine in engines() {
            let url = engine.fresh_url().await;
            let store = open(&url, &NONE);
            store.across().write("test", soon(), fill).await.unwrap();
            let all = store
                .across()
                .write("test", soon(), |conn| plan(conn, None))
                .await
                .unwrap();
            let one = store
                .across()
                .write("test", soon(), |conn| plan(conn, Some("w")))
                .await
                .unwrap();
            let by_key = if engine.is_postgres() {
                "Index Scan using change_log_pkey"
            } else {
                "SEARCH c USING INTEGER PRIMARY KEY"
            };
            assert!(all.contains(by_key), "{all}");
            assert!(one.contains("change_log_workspace"), "{one}");
            assert!(!(all + &one).contains("Seq Scan on change_log"));
        }
    }
}
