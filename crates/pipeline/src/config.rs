//! The settings of the pipeline service.

use serde::Deserialize;
use store::DatabaseUrl;

/// The settings of the pipeline service. Every field has a default but `database_url`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where its database is: `sqlite:PATH` or `postgres://...`.
    pub database_url: DatabaseUrl,
    /// Whether to bring an older schema up to date at start; otherwise it is refused.
    #[serde(default)]
    pub migrate: bool,
    /// Connections to PostgreSQL at most; more than about sixteen on two cores make all slower.
    #[serde(default = "pool_max")]
    pub pool_max: u32,
    /// Where the contacts service is: `http://host:port`, or `https://host:port` with `tls`.
    #[serde(default = "contacts_uri")]
    pub contacts_uri: String,
    /// How pipeline proves to contacts who it is. Default: not at all, for loopback.
    #[serde(skip)]
    pub credential: serve::Credential,
    /// Whom pipeline trusts to be contacts, and the certificate that it shows. Default: no TLS.
    #[serde(skip)]
    pub tls: Option<serve::tls::ClientTls>,
    /// How often histories are sealed, in seconds.
    #[serde(default = "seal_interval_seconds")]
    pub seal_interval_seconds: u64,
}

fn pool_max() -> u32 {
    16
}

fn contacts_uri() -> String {
    "http://127.0.0.1:50051".to_owned()
}

fn seal_interval_seconds() -> u64 {
    60
}

impl Config {
    /// The defaults, with this database.
    pub fn new(database_url: impl Into<DatabaseUrl>) -> Self {
        Self {
            database_url: database_url.into(),
            migrate: false,
            pool_max: pool_max(),
            contacts_uri: contacts_uri(),
            credential: serve::Credential::None,
            tls: None,
            seal_interval_seconds: seal_interval_seconds(),
        }
    }
}
