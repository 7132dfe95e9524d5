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

/// Adds `name=value` to a libpq URI that does not set `name` itself.
pub(crate) fn with_parameter(url: &str, name: &str, value: &str) -> String {
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

    #[test]
    fn parameters_are_added_unless_given() {
        assert_eq!(with_parameter("p://h/d", "a", "1"), "p://h/d?a=1");
        assert_eq!(with_parameter("p://h/d?b=2", "a", "1"), "p://h/d?b=2&a=1");
        assert_eq!(with_parameter("p://h/d?a=2", "a", "1"), "p://h/d?a=2");
    }
}
