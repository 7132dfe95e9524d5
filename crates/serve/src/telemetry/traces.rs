//! Spans: those of calls, in and out, and those of database operations.

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithTonicConfig};
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::registry::LookupSpan;

use super::TelemetryError;
use super::collector::{Collector, Signal};
use crate::layers::TARGET;

/// The target of the spans of database operations, which `store` opens.
const DATABASE: &str = "store::span";

/// The tracer provider. As long as no span leaves the process none is recorded but those that a caller
/// has asked for, but every call has its ids and passes them on. With a collector it samples as
/// `OTEL_TRACES_SAMPLER` says: everything, unless the caller decided otherwise.
pub(super) fn provider(collector: &Collector) -> Result<SdkTracerProvider, TelemetryError> {
    let builder = SdkTracerProvider::builder();
    let Some(channel) = collector.channel(Signal::Traces) else {
        let sampler = Sampler::ParentBased(Box::new(Sampler::AlwaysOff));
        return Ok(builder.with_sampler(sampler).build());
    };
    let exporter = SpanExporter::builder().with_tonic().with_channel(channel);
    let exporter = exporter.build().map_err(Collector::refused)?;
    Ok(builder
        .with_resource(collector.resource().clone())
        .with_batch_exporter(exporter)
        .build())
}

/// Turns the suite's spans into OpenTelemetry's. Independent of the log filter: a quiet log does
/// not cut traces. Spans of libraries are left out, those of the exporter's own calls above all; and
/// those of the database while nobody would see them.
pub(super) fn layer<S>(provider: &SdkTracerProvider, exported: bool) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let ours = move |metadata: &Metadata<'_>| {
        metadata.is_span()
            && (metadata.target() == TARGET || exported && metadata.target() == DATABASE)
    };
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("clientele"))
        // What is sent as logs takes its trace from the activated context.
        .with_context_activation(exported)
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_filter(filter_fn(ours).with_max_level_hint(LevelFilter::INFO))
}
