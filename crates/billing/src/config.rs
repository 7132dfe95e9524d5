//! The settings of the service.

use serde::Deserialize;
use store::DatabaseUrl;

/// What billing needs to know to run.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `sqlite:PATH` or `postgres://...`.
    pub database_url: DatabaseUrl,
    /// Whether to bring an older schema up to date; otherwise it is refused. Default: no.
    #[serde(default)]
    pub migrate: bool,
    /// Database connections at most. Default: 16, more make two cores slower.
    #[serde(default = "pool_max")]
    pub pool_max: u32,
    /// Where pipeline answers, `http://host:port`, or `https://host:port` with `tls`.
    pub pipeline_uri: String,
    /// How billing proves to pipeline who it is. Default: not at all, for loopback.
    #[serde(skip)]
    pub credential: serve::Credential,
    /// Whom billing trusts to be pipeline, and the certificate that it shows. Default: no TLS.
    #[serde(skip)]
    pub tls: Option<serve::tls::ClientTls>,
}

fn pool_max() -> u32 {
    16
}
