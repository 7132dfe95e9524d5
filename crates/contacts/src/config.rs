//! What the service needs to be told.

use serde::Deserialize;
use store::DatabaseUrl;

/// The service's configuration.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The database: `sqlite:PATH` or `postgres://...`.
    pub database_url: DatabaseUrl,
    /// Whether to bring an older schema up to date at the start; otherwise it is refused. Default:
    /// false.
    #[serde(default)]
    pub migrate: bool,
    /// PostgreSQL connections at most; calls queue in front of them. More than about sixteen on two
    /// cores make everything slower. Default: 16.
    #[serde(default = "pool_max")]
    pub pool_max: u32,
}

impl Config {
    /// The configuration with this database and the defaults.
    pub fn new(database_url: impl Into<DatabaseUrl>) -> Self {
        Self {
            database_url: database_url.into(),
            migrate: false,
            pool_max: pool_max(),
        }
    }
}

fn pool_max() -> u32 {
    16
}
