//! The instruments behind the table's metrics.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter, UpDownCounter};

use super::table::{Kind, METRICS, Metric};

/// Where a metric's values go.
pub(super) enum Instrument {
    Counter(Counter<f64>),
    Histogram(Histogram<f64>),
    Gauge(Gauge<f64>),
    UpDown(UpDownCounter<f64>),
    Age(Ages),
}

/// Ages as they were reported, and when, by their labels.
type Ages = Arc<Mutex<HashMap<Vec<KeyValue>, (f64, Instant)>>>;

impl Instrument {
    /// None for what `process.rs` looks at.
    fn new(meter: &Meter, metric: &Metric) -> Option<Self> {
        let Metric {
            name,
            unit,
            kind,
            meaning,
            ..
        } = *metric;
        macro_rules! build {
            ($build:ident) => {
                meter.$build(name).with_unit(unit).with_description(meaning)
            };
        }
        Some(match kind {
            Kind::Look | Kind::LookCounter => return None,
            Kind::Counter => Self::Counter(build!(f64_counter).build()),
            Kind::Histogram(bounds) => Self::Histogram(
                build!(f64_histogram)
                    .with_boundaries(bounds.to_vec())
                    .build(),
            ),
            Kind::Gauge => Self::Gauge(build!(f64_gauge).build()),
            Kind::UpDown => Self::UpDown(build!(f64_up_down_counter).build()),
            Kind::Age => {
                let ages = Ages::default();
                let seen = Arc::clone(&ages);
                build!(f64_observable_gauge)
                    .with_callback(move |observer| {
                        let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                        for (labels, (age, reported)) in &*seen {
                            observer.observe(age + reported.elapsed().as_secs_f64(), labels);
                        }
                    })
                    .build();
                Self::Age(ages)
            }
        })
    }

    pub(super) fn record(&self, value: f64, labels: &[KeyValue]) {
        match self {
            Self::Counter(counter) => counter.add(value, labels),
            Self::Histogram(histogram) => histogram.record(value, labels),
            Self::Gauge(gauge) => gauge.record(value, labels),
            Self::UpDown(level) => level.add(value, labels),
            Self::Age(ages) => {
                let mut ages = ages.lock().unwrap_or_else(PoisonError::into_inner);
                ages.insert(labels.to_vec(), (value, Instant::now()));
            }
        }
    }
}

/// The instruments of all metrics of the table, by name.
pub(super) struct Instruments(HashMap<&'static str, (&'static Metric, Instrument)>);

impl Instruments {
    pub(super) fn new(meter: &Meter) -> Self {
        let made = METRICS.iter().filter_map(|metric| {
            let instrument = Instrument::new(meter, metric)?;
            Some((metric.name, (metric, instrument)))
        });
        Self(made.collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&(&'static Metric, Instrument)> {
        self.0.get(name)
    }
}
