//! Metrics from events: how crates that know neither the network nor OpenTelemetry tell of theirs.
//!
//! An event of the target `clientele::metric` has the fields `metric` (a name of the table), `value`,
//! and the metric's labels under their names. Nobody listens while no metrics leave the process, and
//! then such an event costs next to nothing.

use std::sync::Arc;

use opentelemetry::{Key, KeyValue};
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::Context;

use super::instruments::Instruments;

/// The target of events that are metrics.
pub const TARGET: &str = "clientele::metric";

/// Records events that are metrics.
pub(super) fn layer<S>(instruments: Arc<Instruments>) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'span> tracing_subscriber::registry::LookupSpan<'span>,
{
    Recorder(instruments).with_filter(filter_fn(is_metric))
}

fn is_metric(metadata: &Metadata<'_>) -> bool {
    metadata.is_event() && metadata.target() == TARGET
}

struct Recorder(Arc<Instruments>);

impl<S: Subscriber> Layer<S> for Recorder {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut told = Told::default();
        event.record(&mut told);
        let Some((metric, instrument)) = self.0.get(&told.metric) else {
            debug_assert!(false, "{:?} is not in the table of metrics", told.metric);
            return;
        };
        let all = told.labels.iter();
        debug_assert!(
            all.clone()
                .all(|label| metric.labels.contains(&label.key.as_str())),
            "{} has other labels than the table says",
            metric.name
        );
        instrument.record(told.value, &told.labels);
    }
}

/// What an event tells.
#[derive(Default)]
struct Told {
    metric: String,
    value: f64,
    labels: Vec<KeyValue>,
}

impl Told {
    fn label(&mut self, field: &Field, value: impl Into<opentelemetry::Value>) {
        let key = Key::from_static_str(field.name());
        self.labels.push(KeyValue::new(key, value));
    }
}

impl Visit for Told {
    fn record_f64(&mut self, field: &Field, value: f64) {
        if field.name() == "value" {
            self.value = value;
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "metrics are no sums of money")]
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.record_f64(field, value as f64);
    }

    #[expect(clippy::cast_precision_loss, reason = "metrics are no sums of money")]
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.record_f64(field, value as f64);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.label(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "metric" {
            value.clone_into(&mut self.metric);
        } else {
            self.label(field, value.to_owned());
        }
    }

    // What has only a debug format is no label: it may hold anything.
    fn record_debug(&mut self, _field: &Field, _value: &dyn std::fmt::Debug) {}
}
