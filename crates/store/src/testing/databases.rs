//! A fresh database per test, on each engine that is there.

use std::io::Write;
use std::ops::Deref;
use std::sync::Once;

use diesel::prelude::*;
use tempfile::TempDir;

/// The variable that holds the URL of a superuser of a private PostgreSQL server.
pub const POSTGRES_URL: &str = "CLIENTELE_TEST_POSTGRES_URL";

/// Who owns the databases of tests on PostgreSQL: no superuser, who would see through the wall between
/// workspaces.
const OWNER: &str = "clientele_test_owner";

/// Another role, which owns nothing.
pub const SERVICE: &str = "clientele_test_service";

/// An engine that tests can have databases of.
#[derive(Clone, Debug)]
pub struct Engine {
    /// The URL of the server to make databases on; none for SQLite.
    server: Option<String>,
}

/// The URL of a database that nobody else uses; the database goes when this is dropped.
pub struct FreshUrl {
    url: String,
    server: Option<(String, String)>,
    _folder: Option<TempDir>,
}

/// SQLite always, and PostgreSQL when [`POSTGRES_URL`] is set; otherwise one line says that it is
/// left out.
pub fn engines() -> Vec<Engine> {
    static SAY: Once = Once::new();
    let mut engines = vec![Engine { server: None }];
    match std::env::var(POSTGRES_URL) {
        Ok(server) if !server.is_empty() => engines.push(Engine {
            server: Some(server),
        }),
        // Not by eprintln!, which the test runner would keep to itself.
        _ => SAY.call_once(|| {
            let line = format!("{POSTGRES_URL} is not set: PostgreSQL is left out\n");
            drop(std::io::stderr().write_all(line.as_bytes()));
        }),
    }
    engines
}

impl Engine {
    /// `sqlite` or `postgresql`, as [`Store::engine`](crate::Store::engine) says.
    pub fn name(&self) -> &'static str {
        if self.is_postgres() {
            "postgresql"
        } else {
            "sqlite"
        }
    }

    /// Whether this is PostgreSQL.
    pub fn is_postgres(&self) -> bool {
        self.server.is_some()
    }

    /// A new, empty database. Panics when it cannot be made.
    #[expect(
        clippy::expect_used,
        reason = "a test cannot go on without its database"
    )]
    pub async fn fresh_url(&self) -> FreshUrl {
        let engine = self.clone();
        tokio::task::spawn_blocking(move || engine.fresh())
            .await
            .expect("a fresh database")
    }

    /// The same, blocking.
    #[expect(
        clippy::expect_used,
        reason = "a test cannot go on without its database"
    )]
    pub fn fresh(&self) -> FreshUrl {
        let Some(server) = &self.server else {
            let folder = TempDir::new().expect("a temporary folder");
            return FreshUrl {
                url: format!("sqlite:{}", folder.path().join("test.db").display()),
                server: None,
                _folder: Some(folder),
            };
        };
        make_roles(server).expect("the roles of the tests");
        let name = format!("test_{:032x}", rand::random::<u128>());
        let mut conn = PgConnection::establish(server).expect("the PostgreSQL server answers");
        diesel::sql_query(format!(
            "CREATE DATABASE {name} OWNER {OWNER} TEMPLATE template0"
        ))
        .execute(&mut conn)
        .expect("a database is created");
        FreshUrl {
            url: with_role(&with_database(server, &name), OWNER),
            server: Some((server.clone(), name)),
            _folder: None,
        }
    }
}

impl Deref for FreshUrl {
    type Target = str;

    fn deref(&self) -> &str {
        &self.url
    }
}

impl Drop for FreshUrl {
    #[expect(clippy::print_stderr, reason = "a test that leaves something says so")]
    fn drop(&mut self) {
        let Some((server, name)) = &self.server else {
            return;
        };
        let dropped = PgConnection::establish(server)
            .map_err(|error| error.to_string())
            .and_then(|mut conn| {
                diesel::sql_query(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
                    .execute(&mut conn)
                    .map_err(|error| error.to_string())
            });
        if let Err(error) = dropped {
            eprintln!("the database {name} is left behind: {error}");
        }
    }
}

/// Makes the roles that are not there yet. Tests that run at once may all try.
fn make_roles(server: &str) -> QueryResult<()> {
    let mut conn = PgConnection::establish(server)
        .map_err(|error| diesel::result::Error::QueryBuilderError(error.into()))?;
    for role in [OWNER, SERVICE] {
        diesel::sql_query(format!(
            "DO $$ BEGIN CREATE ROLE {role} LOGIN; \
             EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
        ))
        .execute(&mut conn)?;
    }
    Ok(())
}

/// The URL with another role in it.
pub fn with_role(url: &str, role: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", url));
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let host = rest[..end]
        .rsplit_once('@')
        .map_or(0, |(user, _)| user.len() + 1);
    format!("{scheme}://{role}@{}", &rest[host..])
}

/// The server's URL with another database in its path.
fn with_database(server: &str, name: &str) -> String {
    let (base, query) = match server.split_once('?') {
        Some((base, query)) => (base, format!("?{query}")),
        None => (server, String::new()),
    };
    let authority = base.find("://").map_or(0, |at| at + 3);
    let end = base[authority..]
        .find('/')
        .map_or(base.len(), |at| authority + at);
    format!("{}/{name}{query}", &base[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_of_a_url_is_replaced() {
        assert_eq!(
            with_database("postgres://u@h:1/a?x=1", "b"),
            "postgres://u@h:1/b?x=1"
        );
        assert_eq!(with_database("postgres://u@h:1", "b"), "postgres://u@h:1/b");
    }

    #[test]
    fn the_role_of_a_url_is_replaced() {
        for url in ["postgres://u:p@h:1/a?x=1", "postgres://h:1/a?x=1"] {
            assert_eq!(with_role(url, "r"), "postgres://r@h:1/a?x=1");
        }
    }
}
