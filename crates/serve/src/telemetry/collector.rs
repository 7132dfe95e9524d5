//! Where telemetry goes: the collector's address for each signal, the channel to it, and what it is
//! told about this process.

use std::path::PathBuf;
use std::time::Duration;

use http::Uri;
use opentelemetry::KeyValue;
use opentelemetry_otlp::ExporterBuildError;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::{EnvResourceDetector, TelemetryResourceDetector};
use tonic::transport::{Channel, Endpoint};
use types::{Clock, Ids};

use super::TelemetryError;
use super::variables::variable;
use crate::tls::{ClientFiles, ClientTls, Connector, Part};

/// How long a connection to the collector may take.
const CONNECT_TIME: Duration = Duration::from_secs(3);

/// The address of the collector for all signals.
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const CERTIFICATE: &str = "OTEL_EXPORTER_OTLP_CERTIFICATE";
const CLIENT_CERTIFICATE: &str = "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE";
const CLIENT_KEY: &str = "OTEL_EXPORTER_OTLP_CLIENT_KEY";

/// What leaves the process, and who it says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// Where a collector takes OTLP over gRPC: `http://host:port` or `https://host:port`, with the name
    /// of the setting it comes from. `None` leaves it to `OTEL_EXPORTER_OTLP_ENDPOINT` and its
    /// kindred; where those are not set either, nothing leaves the process.
    pub endpoint: Option<(&'static str, String)>,
    /// What the process is called (`service.name`) unless `OTEL_SERVICE_NAME` calls it something else.
    pub service: String,
    /// Its version (`service.version`).
    pub version: &'static str,
}

/// A kind of telemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    Traces,
    Metrics,
    Logs,
}

impl Signal {
    const ALL: [Self; 3] = [Self::Traces, Self::Metrics, Self::Logs];

    /// The variable that names an address for this signal alone.
    fn endpoint(self) -> &'static str {
        match self {
            Self::Traces => "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            Self::Metrics => "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
            Self::Logs => "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
        }
    }
}

/// The channels to the collectors, one for each signal that has one.
pub(super) struct Collector {
    channels: Vec<(Signal, Channel)>,
    resource: Resource,
}

impl Collector {
    /// Finds the addresses and makes ready to connect to them; nothing is connected to before there
    /// is something to send. Must be called within a tokio runtime.
    pub(super) async fn of(export: &Export) -> Result<Self, TelemetryError> {
        let mut channels = Vec::new();
        for signal in Signal::ALL {
            if let Some((key, endpoint)) = endpoint(export, signal) {
                channels.push((signal, channel(&key, &endpoint).await?));
            }
        }
        Ok(Self {
            channels,
            resource: resource(export),
        })
    }

    /// The channel for a signal; none where it stays in the process.
    pub(super) fn channel(&self, signal: Signal) -> Option<Channel> {
        let found = self.channels.iter().find(|(of, _)| *of == signal);
        found.map(|(_, channel)| channel.clone())
    }

    /// Whether traces leave the process.
    pub(super) fn exports_traces(&self) -> bool {
        self.channel(Signal::Traces).is_some()
    }

    /// What is said about this process.
    pub(super) fn resource(&self) -> &Resource {
        &self.resource
    }

    /// An exporter's refusal. Addresses are checked before, so it is about the variables for headers or
    /// compression.
    #[expect(clippy::needless_pass_by_value, reason = "the shape of map_err")]
    pub(super) fn refused(error: ExporterBuildError) -> TelemetryError {
        TelemetryError::setting("OTEL_EXPORTER_OTLP_*", error.to_string())
    }
}

/// The address for a signal, with the setting that names it. A flag is for all signals and comes before
/// the environment.
fn endpoint(export: &Export, signal: Signal) -> Option<(String, String)> {
    let given = export.endpoint.as_ref();
    let given = given.map(|(key, endpoint)| ((*key).to_owned(), endpoint.clone()));
    let named = |key: &str| variable(key).map(|endpoint| (key.to_owned(), endpoint));
    given
        .or_else(|| named(signal.endpoint()))
        .or_else(|| named(ENDPOINT))
}

async fn channel(key: &str, endpoint: &str) -> Result<Channel, TelemetryError> {
    let wrong = || {
        let problem = "expected http://host:port or https://host:port, where a collector takes OTLP \
                       over gRPC";
        TelemetryError::setting(key, format!("{endpoint:?}: {problem}"))
    };
    // Not quoted: what stands before the `@` may be a secret.
    if endpoint.contains('@') {
        let problem = "an address with a user is not taken; put credentials into \
                       OTEL_EXPORTER_OTLP_HEADERS";
        return Err(TelemetryError::setting(key, problem));
    }
    let uri: Uri = endpoint.parse().map_err(|_| wrong())?;
    if uri.authority().is_none() {
        return Err(wrong());
    }
    let ready = Endpoint::from(uri.clone())
        .connect_timeout(CONNECT_TIME)
        .timeout(timeout());
    match uri.scheme_str() {
        Some("http") => Ok(ready.connect_lazy()),
        Some("https") => {
            let connector = Connector::new(&uri, tls().await?).map_err(|_| wrong())?;
            Ok(ready.connect_with_connector_lazy(connector))
        }
        _ => Err(wrong()),
    }
}

/// How long one export may take: `OTEL_EXPORTER_OTLP_TIMEOUT` in milliseconds, by default ten seconds.
fn timeout() -> Duration {
    let given = variable("OTEL_EXPORTER_OTLP_TIMEOUT").and_then(|given| given.parse().ok());
    Duration::from_millis(given.unwrap_or(10_000))
}

/// Whom to trust to be the collector: the authorities that the variables name, or the system's.
async fn tls() -> Result<ClientTls, TelemetryError> {
    let file = |key| variable(key).map(PathBuf::from);
    let files = ClientFiles {
        authority: file(CERTIFICATE),
        pair: file(CLIENT_CERTIFICATE).zip(file(CLIENT_KEY)),
    };
    let started = ClientTls::start(files, Clock::system()).await;
    started.map_err(|error| {
        let key = match error.part {
            Part::Authority => CERTIFICATE,
            Part::Certificate => CLIENT_CERTIFICATE,
            Part::Key => CLIENT_KEY,
        };
        TelemetryError::setting(key, error.to_string())
    })
}

/// What is said about this process: our words first, then what `OTEL_RESOURCE_ATTRIBUTES` says
/// otherwise, then `OTEL_SERVICE_NAME`.
fn resource(export: &Export) -> Resource {
    let own = [
        KeyValue::new("service.name", export.service.clone()),
        KeyValue::new("service.version", export.version),
        KeyValue::new("service.instance.id", Ids::system().next()),
    ];
    let named = variable("OTEL_SERVICE_NAME").map(|name| KeyValue::new("service.name", name));
    Resource::builder_empty()
        .with_attributes(own)
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_detector(Box::new(EnvResourceDetector::new()))
        .with_attributes(named)
        .build()
}
