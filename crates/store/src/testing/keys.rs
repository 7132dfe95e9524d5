//! A database's keys, references and indexes as both engines can show them.

use std::collections::BTreeSet;

use diesel::prelude::*;
use diesel::sql_types::Text;

use crate::{Conn, Error};

/// What the tables are found by and bound with, a sentence each.
pub type Keys = BTreeSet<String>;

/// The order of the log is each engine's own, and so are its keys.
const APART: &str = "change_log ";

/// The keys of the database at hand, without those of the log and of Diesel's own table. Unique
/// indexes and constraints are told by their columns, other indexes by their names as well.
pub fn keys(conn: &mut Conn) -> Result<Keys, Error> {
    let rows: Vec<Row> = match conn {
        Conn::Sqlite(c) => diesel::sql_query(SQLITE).load(c)?,
        Conn::Postgres(c) => diesel::sql_query(POSTGRES).load(c)?,
    };
    let told = rows.into_iter().map(|row| row.told);
    Ok(told.filter(|told| !told.starts_with(APART)).collect())
}

/// What only one of the engines has, a sentence each.
pub fn key_differences(sqlite: &Keys, postgres: &Keys) -> Vec<String> {
    let only = |here: &Keys, there: &Keys, engine: &str| -> Vec<String> {
        let missing = here.difference(there);
        missing
            .map(|key| format!("{key} only in {engine}"))
            .collect()
    };
    let mut found = only(sqlite, postgres, "SQLite");
    found.extend(only(postgres, sqlite, "PostgreSQL"));
    found
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    told: String,
}

const SQLITE: &str = "\
    WITH t AS (SELECT name FROM sqlite_schema WHERE type = 'table' \
        AND name NOT LIKE 'sqlite!_%' ESCAPE '!' AND name <> '__diesel_schema_migrations'), \
    parts AS ( \
        SELECT t.name || ' has the primary key' AS told, c.name AS part, c.pk AS place, '' AS which \
        FROM t JOIN pragma_table_info(t.name) c WHERE c.pk > 0 \
        UNION ALL \
        SELECT t.name || CASE WHEN i.\"unique\" THEN ' has a unique key' \
            ELSE ' has the index ' || i.name END, \
            coalesce(c.name, 'an expression'), c.seqno, \
            i.name || CASE WHEN i.partial THEN ' partial' ELSE '' END \
        FROM t JOIN pragma_index_list(t.name) i JOIN pragma_index_info(i.name) c \
        WHERE i.origin <> 'pk' \
        UNION ALL \
        SELECT t.name || ' refers to ' || f.\"table\", f.\"from\" || ' = ' || f.\"to\", f.seq, f.id || '' \
        FROM t JOIN pragma_foreign_key_list(t.name) f) \
    SELECT told || ' (' || group_concat(part, ', ' ORDER BY place) || ')' || \
        CASE WHEN which LIKE '% partial' THEN ' in part' ELSE '' END AS told \
    FROM parts GROUP BY parts.told, which";

const POSTGRES: &str = "\
    WITH t AS (SELECT oid, relname FROM pg_class WHERE relkind IN ('r', 'p') \
        AND relnamespace = current_schema()::regnamespace \
        AND relname <> '__diesel_schema_migrations') \
    SELECT t.relname || CASE WHEN i.indisprimary THEN ' has the primary key' \
            WHEN i.indisunique THEN ' has a unique key' ELSE ' has the index ' || n.relname END \
        || ' (' || (SELECT string_agg(coalesce(c.attname, 'an expression'), ', ' ORDER BY k.place) \
            FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (number, place) \
            LEFT JOIN pg_attribute c ON c.attrelid = t.oid AND c.attnum = k.number AND k.number > 0) \
        || ')' || CASE WHEN i.indpred IS NULL THEN '' ELSE ' in part' END AS told \
    FROM t JOIN pg_index i ON i.indrelid = t.oid JOIN pg_class n ON n.oid = i.indexrelid \
    UNION ALL \
    SELECT t.relname || ' refers to ' || o.relname || ' (' || \
        (SELECT string_agg(a.attname || ' = ' || b.attname, ', ' ORDER BY k.place) \
            FROM unnest(f.conkey, f.confkey) WITH ORDINALITY AS k (here, there, place) \
            JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.here \
            JOIN pg_attribute b ON b.attrelid = f.confrelid AND b.attnum = k.there) || ')' \
    FROM t JOIN pg_constraint f ON f.conrelid = t.oid AND f.contype = 'f' \
        JOIN pg_class o ON o.oid = f.confrelid";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_tells_its_keys() {
        let mut conn = SqliteConnection::establish(":memory:").unwrap();
        for text in [
            "CREATE TABLE a (x TEXT, y TEXT, z TEXT, PRIMARY KEY (y, x), UNIQUE (z, x))",
            "CREATE TABLE b (n INTEGER PRIMARY KEY, p TEXT, q TEXT, \
             FOREIGN KEY (p, q) REFERENCES a (y, x))",
            "CREATE INDEX b_p ON b (q, p) WHERE p <> ''",
            "CREATE UNIQUE INDEX b_lower ON b (p, lower(q))",
        ] {
            diesel::sql_query(text).execute(&mut conn).unwrap();
        }
        let found = keys(&mut Conn::Sqlite(conn)).unwrap();
        let wanted = [
            "a has a unique key (z, x)",
            "a has the primary key (y, x)",
            "b has a unique key (p, an expression)",
            "b has the index b_p (q, p) in part",
            "b has the primary key (n)",
            "b refers to a (p = y, q = x)",
        ];
        assert_eq!(found, wanted.map(str::to_owned).into());
        assert!(key_differences(&found, &found).is_empty());
        let less = found.iter().skip(1).cloned().collect();
        let wanted = ["a has a unique key (z, x) only in SQLite"];
        assert_eq!(key_differences(&found, &less), wanted);
    }
}
