//! Whether the tables of PostgreSQL are kept apart by workspace.

use diesel::prelude::*;
use diesel::sql_types::Text;

use crate::{Conn, Error};

/// What of the database at hand is not kept apart as `CALL keep_apart` does it, a sentence each: tables
/// with a column `workspace`, and policies that let through more. Nothing on SQLite.
pub fn not_apart(conn: &mut Conn) -> Result<Vec<String>, Error> {
    let Conn::Postgres(conn) = conn else {
        return Ok(Vec::new());
    };
    let rows: Vec<Row> = diesel::sql_query(NOT_APART).load(conn)?;
    Ok(rows.into_iter().map(|row| row.told).collect())
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    told: String,
}

/// Rows that belong to no workspace may be shown to everybody, and changed by nobody.
const NOT_APART: &str = "\
    WITH t AS (SELECT c.* FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid \
        WHERE c.relkind IN ('r', 'p') AND c.relnamespace = current_schema()::regnamespace \
        AND a.attname = 'workspace' AND NOT a.attisdropped), \
    p AS (SELECT polrelid, polname, polcmd, polpermissive AND polroles = '{0}' AS for_all, \
            btrim(regexp_replace(pg_get_expr(polqual, polrelid), '\\s+', ' ', 'g')) AS shown, \
            polwithcheck IS NULL AS written_as_shown \
        FROM pg_policy), \
    own AS (SELECT polrelid FROM p WHERE polname = 'own_workspace' AND polcmd = '*' AND for_all \
        AND written_as_shown AND shown = 'CASE current_setting(''clientele.workspace''::text, true) \
WHEN ''*''::text THEN true ELSE (workspace = current_setting(''clientele.workspace''::text, true)) END') \
    SELECT t.relname || ' is not kept apart by workspace: CALL keep_apart' AS told FROM t \
        WHERE NOT (t.relrowsecurity AND t.relforcerowsecurity AND t.oid IN (SELECT polrelid FROM own)) \
    UNION ALL \
    SELECT t.relname || ' has the policy ' || p.polname AS told FROM t JOIN p ON p.polrelid = t.oid \
        WHERE p.polname <> 'own_workspace' \
        AND NOT (p.polcmd = 'r' AND p.shown = '(workspace = ''''::text)') \
    ORDER BY told";
