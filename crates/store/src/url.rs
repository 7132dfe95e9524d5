//! Which database a URL means.
//!
//! | URL | database |
//! | --- | --- |
//! | `sqlite:PATH`, `sqlite://PATH` | the SQLite file at PATH, made with its folder when absent |
//! | `postgres://...`, `postgresql://...` | PostgreSQL, in libpq's URI form |
//!
//! `sslmode` and what belongs to it are libpq's too (`sslmode=verify-full&sslrootcert=ca.pem`), in builds
//! with the cargo feature `postgres-tls`; others refuse a URL that asks for TLS.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;

use crate::options::OpenError;

/// Where a database is: a URL, and the file that holds it, if one does.
///
/// The file is read again for each new connection to PostgreSQL, so that a password which was changed
/// there needs no restart. Which engine it is, and SQLite's file, are those of the start.
///
/// `Debug` shows neither password nor host.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub struct DatabaseUrl {
    text: String,
    file: Option<PathBuf>,
}

impl DatabaseUrl {
    /// The same, which is also the content of this file.
    #[must_use]
    pub fn in_file(mut self, file: PathBuf) -> Self {
        self.file = Some(file);
        self
    }

    /// The URL as it was at the start.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The URL of PostgreSQL as it is now. Errors: the file can't be read or holds no such URL; the text
    /// names the file and nothing of what is in it.
    pub(crate) fn now(&self) -> Result<Cow<'_, str>, OpenError> {
        let Some(file) = &self.file else {
            return Ok(Cow::Borrowed(&self.text));
        };
        let refused = |problem: &dyn fmt::Display| {
            OpenError::Unreachable(format!("the URL in {}: {problem}", file.display()))
        };
        let read = std::fs::read_to_string(file).map_err(|error| refused(&error))?;
        match Target::parse(read.trim_end()) {
            Ok(Target::Postgres(url)) => Ok(Cow::Owned(url)),
            Ok(Target::Sqlite(_)) => Err(refused(&"it was of PostgreSQL at the start")),
            Err(error) => Err(refused(&error)),
        }
    }
}

impl<T: Into<String>> From<T> for DatabaseUrl {
    fn from(text: T) -> Self {
        Self {
            text: text.into(),
            file: None,
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("DatabaseUrl");
        shown.field("file", &self.file).finish_non_exhaustive()
    }
}

/// Where a store keeps its data, parsed from a URL.
///
/// `Debug` leaves out whatever may hold a password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Sqlite(PathBuf),
    Postgres(String),
}

/// Why a database URL is not usable: a fault of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It starts with no scheme at all.
    #[error("the database URL has no scheme; it must begin with sqlite: or postgres://")]
    SchemeMissing,
    /// The scheme is none that the suite knows.
    #[error("the database URL has the unknown scheme {scheme:?}; known are sqlite and postgres")]
    SchemeUnknown {
        /// What stands before the first colon.
        scheme: String,
    },
    /// An SQLite URL without a file, or naming a database in memory.
    #[error("an sqlite: URL must name a file")]
    FileMissing,
    /// The URL asks for TLS to PostgreSQL, which this build can't speak.
    #[error(
        "the database URL asks for sslmode={sslmode}, and this build speaks no TLS to PostgreSQL: take \
         one with the cargo feature postgres-tls (cargo build --release --features postgres-tls)"
    )]
    TlsMissing {
        /// What it asks for.
        sslmode: String,
    },
}

/// Whether this build speaks TLS to PostgreSQL.
const TLS: bool = cfg!(feature = "postgres-tls");

/// The values of `sslmode` with which libpq connects over TLS or not at all.
const TLS_MODES: [&str; 3] = ["require", "verify-ca", "verify-full"];

impl Target {
    pub(crate) fn parse(url: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = url.split_once(':').ok_or(UrlError::SchemeMissing)?;
        match scheme {
            "sqlite" => {
                let path = rest.strip_prefix("//").unwrap_or(rest);
                if path.is_empty() || path == ":memory:" {
                    return Err(UrlError::FileMissing);
                }
                Ok(Self::Sqlite(PathBuf::from(path)))
            }
            "postgres" | "postgresql" => match tls_mode(url) {
                Some(sslmode) if !TLS => Err(UrlError::TlsMissing {
                    sslmode: sslmode.to_owned(),
                }),
                _ => Ok(Self::Postgres(url.to_owned())),
            },
            other => Err(UrlError::SchemeUnknown {
                scheme: other.to_owned(),
            }),
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => f.debug_tuple("Sqlite").field(path).finish(),
            Self::Postgres(_) => f.write_str("Postgres(..)"),
        }
    }
}

/// The `sslmode` of a libpq URI, if it is one that needs TLS.
fn tls_mode(url: &str) -> Option<&str> {
    let (_, query) = url.split_once('?')?;
    query
        .split('&')
        .filter_map(|pair| pair.strip_prefix("sslmode="))
        .find(|value| TLS_MODES.contains(value))
}

/// How libpq notices that a server has vanished without a word. What was sent and is not acknowledged
/// is given up after `tcp_user_timeout` (milliseconds). Who waits for an answer to what was acknowledged
/// has sent nothing: so the server is probed after `keepalives_idle` seconds of silence, and given up
/// after as many probes as `keepalives_count`, `keepalives_interval` apart. That is 14 seconds, where
/// the system's own settings take two hours.
const MANNERS: [(&str, &str); 5] = [
    ("connect_timeout", "5"),
    ("tcp_user_timeout", "15000"),
    ("keepalives_idle", "5"),
    ("keepalives_interval", "3"),
    ("keepalives_count", "3"),
];

/// A libpq URI with who connects and with [`MANNERS`], but for what it sets itself.
pub(crate) fn with_manners(url: &str, service: &str) -> String {
    let named = with_parameter(url, "application_name", &format!("clientele-{service}"));
    MANNERS.iter().fold(named, |url, (name, value)| {
        with_parameter(&url, name, value)
    })
}

/// Adds `name=value` to a libpq URI that does not set `name` itself.
fn with_parameter(url: &str, name: &str, value: &str) -> String {
    let query = url.split_once('?').map(|(_, query)| query);
    let prefix = format!("{name}=");
    match query {
        Some(query) if query.split('&').any(|pair| pair.starts_with(&prefix)) => url.to_owned(),
        Some("") => format!("{url}{prefix}{value}"),
        Some(_) => format!("{url}&{prefix}{value}"),
        None => format!("{url}?{prefix}{value}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_urls_name_a_file() {
        for (url, path) in [
            ("sqlite:data/a.db", "data/a.db"),
            ("sqlite://data/a.db", "data/a.db"),
            ("sqlite:///var/a.db", "/var/a.db"),
        ] {
            assert_eq!(Target::parse(url), Ok(Target::Sqlite(path.into())));
        }
        assert_eq!(Target::parse("sqlite::memory:"), Err(UrlError::FileMissing));
        assert_eq!(Target::parse("sqlite://"), Err(UrlError::FileMissing));
    }

    #[test]
    fn a_url_in_a_file_is_what_the_file_says_now() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("url");
        let url = DatabaseUrl::from("postgres://u:first@h/d").in_file(file.clone());
        assert!(!format!("{url:?}").contains("first"));
        assert_eq!(
            DatabaseUrl::from("postgres://h/d").now().unwrap(),
            "postgres://h/d"
        );
        std::fs::write(&file, "postgres://u:second@h/d\n").unwrap();
        assert_eq!(url.now().unwrap(), "postgres://u:second@h/d");
        for content in ["", "sqlite:third.db", "mysql://u:third@h/d", "third"] {
            std::fs::write(&file, content).unwrap();
            let told = url.now().unwrap_err().to_string();
            assert!(told.contains(file.to_str().unwrap()), "{told}");
            assert!(!told.contains("third"), "{told}");
        }
        std::fs::remove_file(&file).unwrap();
        assert!(url.now().is_err());
    }

    #[test]
    fn an_unknown_scheme_is_named() {
        assert_eq!(
            Target::parse("mysql://host/db"),
            Err(UrlError::SchemeUnknown {
                scheme: "mysql".into()
            })
        );
        assert_eq!(Target::parse("a.db"), Err(UrlError::SchemeMissing));
    }

    #[test]
    fn tls_is_refused_by_a_build_without_it_and_never_left_out() {
        for mode in ["require", "verify-ca", "verify-full"] {
            for url in [
                format!("postgres://u:secret@h/d?sslmode={mode}"),
                format!("postgresql://u:secret@h/d?a=b&sslmode={mode}&sslrootcert=ca.pem"),
            ] {
                let parsed = Target::parse(&url);
                if TLS {
                    assert_eq!(parsed, Ok(Target::Postgres(url)));
                    continue;
                }
                let told = parsed.expect_err("this build can't").to_string();
                assert!(
                    told.contains(mode) && told.contains("postgres-tls"),
                    "{told}"
                );
                assert!(!told.contains("secret"), "{told}");
            }
        }
        for rest in [
            "",
            "?sslmode=disable",
            "?sslmode=prefer",
            "?notsslmode=require",
        ] {
            let url = format!("postgres://h/d{rest}");
            assert_eq!(Target::parse(&url), Ok(Target::Postgres(url)));
        }
    }

    /// When the kernel asks next whether the peer of this connection is there, in hundredths of a
    /// second; `None` where it was not to ask.
    #[cfg(target_os = "linux")]
    fn next_probe([client, server]: [std::net::SocketAddr; 2]) -> Option<u64> {
        let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
        let [client, server] = [client, server].map(|end| format!(":{:04X}", end.port()));
        // A port may be that of an older connection to somebody else too.
        let line = table.lines().find(|line| {
            let mut ends = line.split_whitespace().skip(1);
            let mut ends_with = |port: &str| ends.next().is_some_and(|end| end.ends_with(port));
            ends_with(&client) && ends_with(&server)
        })?;
        // `02:000001F4`: the timer that keeps the connection alive, and what is left of it.
        let timer = line.split_whitespace().nth(5)?.strip_prefix("02:")?;
        u64::from_str_radix(timer, 16).ok()
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_server_that_vanishes_is_noticed_within_seconds_unless_the_url_has_other_wishes() {
        use diesel::{Connection as _, PgConnection};

        for (query, longest) in [("", 500), ("?keepalives_idle=60", 6_000)] {
            // It accepts, and says nothing.
            let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let address = server.local_addr().unwrap();
            let url = format!("postgres://{address}/d{query}");
            let client = std::thread::spawn(move || {
                PgConnection::establish(&with_manners(&url, "test")).map(drop)
            });
            let (connection, client_address) = server.accept().unwrap();
            let given_up = std::time::Instant::now() + std::time::Duration::from_secs(4);
            let probe = loop {
                let probe = next_probe([client_address, address]);
                if probe.is_some() || std::time::Instant::now() > given_up {
                    break probe;
                }
                std::thread::yield_now();
            };
            drop(connection);
            let probe = probe.expect("the connection is kept alive");
            assert!(
                probe <= longest && longest <= probe + 500,
                "{query}: the next probe is due in {probe}"
            );
            assert!(client.join().unwrap().is_err());
        }
    }

    #[test]
    fn parameters_are_added_unless_given() {
        let url = "p://h/d?tcp_user_timeout=1&keepalives_count=9";
        assert_eq!(
            with_manners(url, "s"),
            "p://h/d?tcp_user_timeout=1&keepalives_count=9&application_name=clientele-s\
             &connect_timeout=5&keepalives_idle=5&keepalives_interval=3"
        );
        assert_eq!(with_parameter("p://h/d", "a", "1"), "p://h/d?a=1");
        assert_eq!(with_parameter("p://h/d?b=2", "a", "1"), "p://h/d?b=2&a=1");
        assert_eq!(with_parameter("p://h/d?a=2", "a", "1"), "p://h/d?a=2");
    }
}
