//! What the role that a service connects as may do in PostgreSQL, and whether the second wall between
//! workspaces stands for it.
//!
//! The schema belongs to the role that migrates. A service needs no more than to read and write rows,
//! and connects best as another role, which [`grant`] lets do that. The wall (see
//! [`Store::within`](crate::Store::within)) stands for every role but for superusers and those with
//! `BYPASSRLS`, which PostgreSQL lets through each.

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};

use crate::Conn;
use crate::options::{OpenError, Options};
use crate::pool::Manager;

/// What a service does with tables, and with the table of the migrations.
const USED: &str = "SELECT quote_ident(current_user) AS role, \
     quote_ident(coalesce(current_schema(), 'public')) AS schema, \
     (SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user) AS unwalled, \
     coalesce((SELECT min(relname::text) FROM pg_class \
         WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') \
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
    let schema = used(&mut conn)?.schema;
    let to = format!("\"{}\"", role.replace('"', "\"\""));
    conn.batch_execute(&format!(
        "BEGIN; \
         GRANT USAGE ON SCHEMA {schema} TO {to}; \
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {to}; \
         REVOKE INSERT, UPDATE, DELETE ON __diesel_schema_migrations FROM {to}; \
         GRANT EXECUTE ON PROCEDURE renew_statistics(regclass) TO {to}; \
         COMMIT"
    ))
    .map_err(|error| OpenError::Role {
        role: role.to_owned(),
        problem: error.to_string(),
    })
}

/// Refuses a role that lacks what a service needs, and warns of one before which no wall stands.
pub(crate) fn check(conn: &mut Conn, service: &str) -> Result<(), OpenError> {
    let Conn::Postgres(conn) = conn else {
        return Ok(());
    };
    let used = used(conn)?;
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

fn used(conn: &mut PgConnection) -> Result<Used, OpenError> {
    diesel::sql_query(USED)
        .get_result(conn)
        .map_err(|error| OpenError::Unreachable(error.to_string()))
}
