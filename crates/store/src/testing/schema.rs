//! A database's schema as both engines can show it.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};

use crate::{Conn, Error};

/// Tables by name, each with its columns by name.
pub type Schema = BTreeMap<String, BTreeMap<String, Column>>;

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// What it holds.
    pub kind: Kind,
    /// Whether it may be null.
    pub nullable: bool,
    /// Text that is not compared byte by byte.
    pub linguistic: bool,
}

/// What a column holds, as far as both engines tell.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Kind {
    /// SQLite's `INTEGER`: any of the next three.
    Integer,
    Int4,
    Int8,
    Bool,
    Double,
    Text,
    Bytes,
    /// A type the suite does not use.
    Other(String),
}

impl Kind {
    fn of(name: &str) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "integer" => Self::Integer,
            "int4" | "int" => Self::Int4,
            "int8" | "bigint" => Self::Int8,
            "bool" | "boolean" => Self::Bool,
            "float8" | "real" | "double" => Self::Double,
            "text" | "varchar" => Self::Text,
            "bytea" | "blob" => Self::Bytes,
            other => Self::Other(other.to_owned()),
        }
    }

    fn agrees(&self, other: &Self) -> bool {
        let counts =
            |kind: &Self| matches!(kind, Self::Integer | Self::Int4 | Self::Int8 | Self::Bool);
        match (self, other) {
            (Self::Integer, kind) | (kind, Self::Integer) => counts(kind),
            (one, other) => one == other && !matches!(one, Self::Other(_)),
        }
    }
}

/// The schema of the database at hand, without Diesel's own table.
pub fn schema(conn: &mut Conn) -> Result<Schema, Error> {
    let rows: Vec<Row> = match conn {
        Conn::Sqlite(c) => diesel::sql_query(SQLITE).load(c)?,
        Conn::Postgres(c) => diesel::sql_query(POSTGRES).load(c)?,
    };
    let mut schema = Schema::new();
    for row in rows {
        let column = Column {
            kind: Kind::of(&row.kind),
            nullable: row.nullable,
            linguistic: row.linguistic,
        };
        schema
            .entry(row.table_name)
            .or_default()
            .insert(row.column_name, column);
    }
    Ok(schema)
}

/// What differs between SQLite's schema and PostgreSQL's, a sentence each.
pub fn differences(sqlite: &Schema, postgres: &Schema) -> Vec<String> {
    let mut found = Vec::new();
    for table in sqlite
        .keys()
        .chain(postgres.keys().filter(|t| !sqlite.contains_key(*t)))
    {
        let (Some(left), Some(right)) = (sqlite.get(table), postgres.get(table)) else {
            let only = if sqlite.contains_key(table) {
                "SQLite"
            } else {
                "PostgreSQL"
            };
            found.push(format!("table {table} is only in {only}"));
            continue;
        };
        for column in left
            .keys()
            .chain(right.keys().filter(|c| !left.contains_key(*c)))
        {
            match (left.get(column), right.get(column)) {
                (Some(left), Some(right)) => compare(&mut found, table, column, left, right),
                (left, _) => {
                    let only = if left.is_some() {
                        "SQLite"
                    } else {
                        "PostgreSQL"
                    };
                    found.push(format!("column {table}.{column} is only in {only}"));
                }
            }
        }
    }
    found
}

fn compare(found: &mut Vec<String>, table: &str, column: &str, left: &Column, right: &Column) {
    if !left.kind.agrees(&right.kind) {
        let (left, right) = (&left.kind, &right.kind);
        found.push(format!("column {table}.{column} is {left:?} and {right:?}"));
    }
    if left.nullable != right.nullable {
        let only = if left.nullable {
            "SQLite"
        } else {
            "PostgreSQL"
        };
        found.push(format!(
            "column {table}.{column} may be null only in {only}"
        ));
    }
    if right.linguistic {
        found.push(format!(
            "column {table}.{column} must be COLLATE \"C\" in PostgreSQL, as SQLite compares"
        ));
    }
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    table_name: String,
    #[diesel(sql_type = Text)]
    column_name: String,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Bool)]
    nullable: bool,
    #[diesel(sql_type = Bool)]
    linguistic: bool,
}

// The alias of the row number is never null, though it is not declared so.
const SQLITE: &str = "\
    SELECT t.name AS table_name, c.name AS column_name, c.type AS kind, \
        (c.\"notnull\" = 0 AND NOT (upper(c.type) = 'INTEGER' AND c.pk = 1)) AS nullable, \
        0 AS linguistic \
    FROM sqlite_schema t JOIN pragma_table_info(t.name) c \
    WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite!_%' ESCAPE '!' \
        AND t.name <> '__diesel_schema_migrations'";

const POSTGRES: &str = "\
    SELECT t.relname::text AS table_name, c.attname::text AS column_name, \
        y.typname::text AS kind, NOT c.attnotnull AS nullable, \
        (c.attcollation <> 0 AND l.collname <> 'C') AS linguistic \
    FROM pg_class t JOIN pg_attribute c ON c.attrelid = t.oid \
        JOIN pg_type y ON y.oid = c.atttypid \
        LEFT JOIN pg_collation l ON l.oid = c.attcollation \
    WHERE t.relkind IN ('r', 'p') AND t.relnamespace = current_schema()::regnamespace \
        AND c.attnum > 0 AND NOT c.attisdropped \
        AND t.relname <> '__diesel_schema_migrations'";
