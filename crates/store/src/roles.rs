//! What the role that a service connects as may do in PostgreSQL, and whether the second wall between
//! workspaces stands for it.
//!
//! The schema belongs to the role that migrates. A service needs no more than to read and write rows,
//! and connects best as another role, which [`grant`] lets do that. The wall (see
//! [`Store::within`](crate::Store::within)) stands for every role but for superusers and those with
//! `BYPASSRLS`, which PostgreSQL lets through each.

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::{Array, Bool, Text};

use crate::Conn;
use crate::options::{Migrations, OpenError, Options};
use crate::pool::Manager;

/// The tables of this crate's own migrations.
pub(crate) const PLUMBING: [&str; 7] = [
    "change_log",
    "change_log_consumers",
    "cursors",
    "database_state",
    "idempotency_keys",
    "leases",
    "parked_changes",
];

/// Diesel's table of the migrations, which a service only reads.
const DIESELS: &str = "__diesel_schema_migrations";

/// What a service does with its tables, and with that of the migrations. Of other tables in its schema
/// nothing is asked.
const USED: &str = "SELECT quote_ident(current_user) AS role, \
     quote_ident(coalesce(current_schema(), 'public')) AS schema, \
     (SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user) AS unwalled, \
     coalesce((SELECT min(relname::text) FROM pg_class \
         WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') \
         AND (relname = ANY($1) OR relname = '__diesel_schema_migrations') \
         AND NOT (has_table_privilege(oid, 'SELECT') \
             AND (relname = '__diesel_schema_migrations' \
                 OR (has_table_privilege(oid, 'INSERT') AND has_table_privilege(oid, 'UPDATE') \
                     AND has_table_privilege(oid, 'DELETE'))))), '') AS refused";

#[derive(QueryableByName)]
struct Used {
    #[diesel(sql_type = Text)]
    role: String,
    #[diesel(sql_type = Text)]
    schema: String,
    #[diesel(sql_type = Bool)]
    unwalled: bool,
    #[diesel(sql_type = Text)]
    refused: String,
}

/// Lets `role` serve from the database at `options.url`: read and write rows, nothing else. To be called
/// as the owner, after each migration. Blocks. Errors: [`OpenError::Role`] on SQLite, which has none,
/// and where the server does not know the role.
pub fn grant(options: &Options, role: &str) -> Result<(), OpenError> {
    let Conn::Postgres(mut conn) = Manager::new(options)?.first()? else {
        return Err(OpenError::Role {
            role: role.to_owned(),
            problem: "SQLite has no roles".to_owned(),
        });
    };
    let schema = used(&mut conn, options.migrations)?.schema;
    let tables: Vec<String> = ours(options.migrations)
        .map(|table| format!("{schema}.{table}"))
        .collect();
    let tables = tables.join(", ");
    let to = format!("\"{}\"", role.replace('"', "\"\""));
    conn.batch_execute(&format!(
        "BEGIN; \
         GRANT USAGE ON SCHEMA {schema} TO {to}; \
         GRANT SELECT, INSERT, UPDATE, DELETE ON {tables} TO {to}; \
         GRANT SELECT ON {schema}.{DIESELS} TO {to}; \
         GRANT EXECUTE ON PROCEDURE renew_statistics(regclass) TO {to}; \
         COMMIT"
    ))
    .map_err(|error| OpenError::Role {
        role: role.to_owned(),
        problem: error.to_string(),
    })
}

/// Refuses a role that lacks what a service needs, and warns of one before which no wall stands.
pub(crate) fn check(
    conn: &mut Conn,
    migrations: &Migrations,
    service: &str,
) -> Result<(), OpenError> {
    let Conn::Postgres(conn) = conn else {
        return Ok(());
    };
    let used = used(conn, migrations)?;
    if !used.refused.is_empty() {
        return Err(OpenError::Role {
            problem: format!(
                "it may not use the table {}; as the owner of the tables run `clientele migrate \
                 {service} --grant-to {}`",
                used.refused, used.role
            ),
            role: used.role,
        });
    }
    if used.unwalled {
        tracing::warn!(
            service,
            role = used.role,
            "the second wall between workspaces is off: PostgreSQL shows every row to a superuser and \
             to a role with BYPASSRLS; connect as another role (docs/security.md)"
        );
    }
    Ok(())
}

/// The names of all tables that a service with these migrations uses.
pub(crate) fn ours(migrations: &Migrations) -> impl Iterator<Item = &'static str> {
    PLUMBING.iter().chain(migrations.tables).copied()
}

fn used(conn: &mut PgConnection, migrations: &Migrations) -> Result<Used, OpenError> {
    let tables: Vec<&str> = ours(migrations).collect();
    diesel::sql_query(USED)
        .bind::<Array<Text>, _>(tables)
        .get_result(conn)
        .map_err(|error| OpenError::Unreachable(error.to_string()))
}
