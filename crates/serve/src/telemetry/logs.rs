//! Log lines over OTLP, beside those to standard error, with the trace and the span that they were
//! written in.

use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_otlp::{LogExporter, WithTonicConfig as _};
use opentelemetry_sdk::logs::SdkLoggerProvider;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::registry::LookupSpan;

use super::collector::{Collector, Signal};
use super::lines::{self, Logs};
use super::{TelemetryError, metrics};

/// The crates whose lines leave the process. Libraries' do not: those of the exporter would cause
/// further ones, and nobody has looked at what the others say.
const OURS: [&str; 8] = [
    "clientele",
    "contacts",
    "pipeline",
    "billing",
    "store",
    "serve",
    "relay",
    "policy",
];

/// What sends lines, where there is a collector for them.
pub(super) fn provider(collector: &Collector) -> Result<Option<SdkLoggerProvider>, TelemetryError> {
    let Some(channel) = collector.channel(Signal::Logs) else {
        return Ok(None);
    };
    let exporter = LogExporter::builder().with_tonic().with_channel(channel);
    let exporter = exporter.build().map_err(Collector::refused)?;
    let provider = SdkLoggerProvider::builder()
        .with_resource(collector.resource().clone())
        .with_batch_exporter(exporter)
        .build();
    Ok(Some(provider))
}

/// Sends what is logged, by the same filter as on standard error.
pub(super) fn layer<S>(
    provider: &SdkLoggerProvider,
    logs: &Logs,
) -> Result<impl Layer<S> + use<S>, TelemetryError>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let filter = lines::filter(logs)?.and(filter_fn(is_ours));
    Ok(OpenTelemetryTracingBridge::new(provider).with_filter(filter))
}

fn is_ours(metadata: &Metadata<'_>) -> bool {
    let root = metadata.target().split("::").next().unwrap_or_default();
    metadata.is_event() && metadata.target() != metrics::TARGET && OURS.contains(&root)
}
