//! TLS to PostgreSQL, in builds that speak it: `./dev slow` runs this against a server that has a
//! certificate for `localhost`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;

use diesel::prelude::*;
use diesel_migrations::EmbeddedMigrations;
use store::testing::{Engine, FreshUrl, engines, soon};
use store::{Conn, Error, Migrations, OpenError, Options, Store};

static NONE: Migrations = Migrations {
    sqlite: EmbeddedMigrations::new(&[]),
    postgres: EmbeddedMigrations::new(&[]),
    tables: &[],
};

/// The variable that holds the path of the server's authority, `ca.crt`; beside it is that of somebody
/// else, `other.crt`.
const AUTHORITY: &str = "CLIENTELE_TEST_POSTGRES_CA";

/// A database, and the certificates that may be trusted.
struct Place {
    url: FreshUrl,
    authority: PathBuf,
}

impl Place {
    async fn new() -> Self {
        let postgres = engines().into_iter().find(Engine::is_postgres);
        let engine = postgres.expect("CLIENTELE_TEST_POSTGRES_URL, as ./dev slow sets it");
        let authority = std::env::var_os(AUTHORITY);
        let authority = authority.expect("CLIENTELE_TEST_POSTGRES_CA, as ./dev slow sets it");
        Self {
            url: engine.fresh_url().await,
            authority: authority.into(),
        }
    }

    /// Opens the database as the server is called `host`, trusting what is in the file.
    async fn open(&self, host: &str, sslmode: &str, trusted: &str) -> Result<Store, OpenError> {
        let (before, rest) = self.url.split_once('@').unwrap();
        let (_, port) = rest.split_once(':').unwrap();
        let trusted = self.authority.with_file_name(trusted);
        let trusted = trusted.display();
        let url = format!("{before}@{host}:{port}?sslmode={sslmode}&sslrootcert={trusted}");
        let options = Options::new("test", url, &NONE).migrating();
        let opened = tokio::task::spawn_blocking(|| Store::open(options)).await;
        opened.unwrap()
    }
}

#[derive(QueryableByName)]
struct Session {
    #[diesel(sql_type = diesel::sql_types::Bool)]
    encrypted: bool,
}

/// Whether what is asked of the store goes over TLS.
async fn is_encrypted(store: &Store) -> bool {
    let read = store.across().read("test", soon(), |conn: &mut Conn| {
        let query = "SELECT ssl AS encrypted FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        Ok::<_, Error>(
            diesel::sql_query(query)
                .get_result::<Session>(conn)?
                .encrypted,
        )
    });
    read.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_the_right_certificate_is_spoken_to_over_tls() {
    let place = Place::new().await;
    for (host, sslmode) in [
        ("localhost", "verify-full"),
        ("localhost", "verify-ca"),
        ("127.0.0.1", "verify-ca"),
        ("127.0.0.1", "require"),
    ] {
        let opened = place.open(host, sslmode, "ca.crt").await;
        let store = opened.unwrap_or_else(|error| panic!("{host} {sslmode}: {error}"));
        assert!(is_encrypted(&store).await, "{host} {sslmode}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_another_certificate_is_not_spoken_to() {
    let place = Place::new().await;
    for (host, sslmode, trusted, told) in [
        (
            "localhost",
            "verify-full",
            "other.crt",
            "certificate verify failed",
        ),
        (
            "localhost",
            "verify-ca",
            "other.crt",
            "certificate verify failed",
        ),
        ("localhost", "verify-full", "none.crt", "none.crt"),
        ("127.0.0.1", "verify-full", "ca.crt", "127.0.0.1"),
    ] {
        match place.open(host, sslmode, trusted).await {
            Err(OpenError::Unreachable(text)) => {
                assert!(text.contains(told), "{host} {sslmode} {trusted}: {text}");
            }
            Err(error) => panic!("{host} {sslmode} {trusted}: {error}"),
            Ok(_) => panic!("{host} {sslmode} {trusted} was spoken to"),
        }
    }
}
