//! Metrics: a table of all there are, and the ways in which they are recorded.

mod calls;
mod events;
mod instruments;
mod process;
mod table;

use std::sync::Arc;

use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_otlp::{MetricExporter, WithTonicConfig as _};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

pub(crate) use calls::calls;
pub use events::TARGET;
pub use table::{Kind, METRICS, Metric};

use super::TelemetryError;
use super::collector::{Collector, Signal};
use instruments::Instruments;

/// What is sent as metrics, where there is a collector for them.
pub(super) struct Meters {
    pub(super) provider: SdkMeterProvider,
    instruments: Arc<Instruments>,
}

impl Meters {
    /// Begins to measure, and to send what was measured as often as `OTEL_METRIC_EXPORT_INTERVAL` says.
    pub(super) fn start(collector: &Collector) -> Result<Option<Self>, TelemetryError> {
        let Some(channel) = collector.channel(Signal::Metrics) else {
            return Ok(None);
        };
        let exporter = MetricExporter::builder().with_tonic().with_channel(channel);
        let exporter = exporter.build().map_err(Collector::refused)?;
        let provider = SdkMeterProvider::builder()
            .with_resource(collector.resource().clone())
            .with_periodic_exporter(exporter)
            .build();
        let meter = provider.meter("clientele");
        let instruments = Arc::new(Instruments::new(&meter));
        process::observe(&meter);
        calls::install(Arc::clone(&instruments));
        Ok(Some(Self {
            provider,
            instruments,
        }))
    }

    /// What records events that are metrics.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        events::layer(Arc::clone(&self.instruments))
    }
}
