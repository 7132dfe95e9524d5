//! Where events go, and what can be done about those that did not.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::Database;

/// Where a service publishes what happens; nowhere without `--nats-url`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Events")]
pub struct Bus {
    /// Publish events to the NATS server at this address, `nats://HOST:PORT` or `tls://HOST:PORT`.
    #[arg(long, env = "CLIENTELE_NATS_URL")]
    pub nats_url: Option<String>,
    /// The file with the NATS user's credentials (`.creds`).
    #[arg(long, env = "CLIENTELE_NATS_CREDENTIALS_FILE", requires = "nats_url")]
    pub nats_credentials_file: Option<PathBuf>,
    /// The authorities of the NATS server's certificate, a PEM file; those that the system trusts where
    /// not said.
    #[arg(long, env = "CLIENTELE_NATS_CA", requires = "nats_url")]
    pub nats_ca: Option<PathBuf>,
    /// The certificate that is shown to a NATS server which asks for one, a PEM file; read again for
    /// each connection.
    #[arg(long, env = "CLIENTELE_NATS_CERTIFICATE", requires_all = ["nats_url", "nats_key"])]
    pub nats_certificate: Option<PathBuf>,
    /// The key of that certificate, a PEM file.
    #[arg(long, env = "CLIENTELE_NATS_KEY", requires = "nats_certificate")]
    pub nats_key: Option<PathBuf>,
    /// What the subjects begin with on which NATS answers: `_INBOX_SERVICE` where not said,
    /// `_INBOX_clientele` for `up`. Whoever may listen there reads the answers, so each user of the NATS
    /// server has its own.
    #[arg(long, env = "CLIENTELE_NATS_INBOX", requires = "nats_url")]
    pub nats_inbox: Option<String>,
    /// How the data of events is encoded.
    #[arg(long, env = "CLIENTELE_EVENTS_FORMAT", default_value = "protobuf")]
    pub events_format: EventsFormat,
    /// What the subjects of events begin with.
    #[arg(long, env = "CLIENTELE_EVENTS_PREFIX", default_value = relay::Settings::PREFIX)]
    pub events_prefix: String,
    /// The JetStream stream that keeps the events; made where it is missing.
    #[arg(long, env = "CLIENTELE_EVENTS_STREAM", default_value = relay::Settings::STREAM)]
    pub events_stream: String,
    /// On how many servers of a NATS cluster the stream is, where it is made here: 1, 3 or 5.
    #[arg(long, env = "CLIENTELE_EVENTS_REPLICAS", default_value_t = 1)]
    pub events_replicas: usize,
}

/// How the data of events is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EventsFormat {
    /// Protobuf's binary form.
    Protobuf,
    /// Protobuf's JSON form.
    Json,
}

/// What can be done about events that were not published.
#[derive(Debug, Subcommand)]
pub enum Events {
    /// List the events that are parked, and why.
    Parked(Database),
    /// Try every refused event again now.
    Retry(Database),
    /// Forget a parked event: nobody is told of it, and what waits behind it goes on.
    Drop {
        /// The event's id, as `parked` lists it.
        event: String,
        /// The database.
        #[command(flatten)]
        database: Database,
    },
    /// Take the relay off for good: the change log is no longer kept for it, and parked events are
    /// forgotten. For a service that runs without --nats-url from now on.
    Stop(Database),
}
