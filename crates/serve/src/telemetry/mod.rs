//! Telemetry of a process, set up once at its start: lines to standard error always, and traces, metrics
//! and lines over OTLP where a collector is named ([`Export`]).
//!
//! Traces never depend on how much is logged, and the collector is never waited for: what leaves the
//! process goes through bounded queues, each emptied by a thread of its own, and what does not fit is
//! dropped and counted in the log.
//!
//! Invariant: nothing here holds names, mails, phones or tokens. What a panic says may quote a
//! request, so only where it happened is logged.

mod collector;
mod lines;
mod logs;
pub mod metrics;
mod traces;
mod variables;

use std::sync::mpsc;
use std::time::{Duration, Instant};

use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, Registry};

pub use collector::Export;
pub use lines::{Format, Logs};

/// How long the end of the process waits for the collector to take what is left.
const FLUSH_TIME: Duration = Duration::from_secs(3);

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter can't be read.
    #[error("the log filter can't be read: {0}")]
    Filter(#[from] ParseError),
    /// Something else has set up logging in this process.
    #[error("logging was set up before: {0}")]
    Twice(#[from] TryInitError),
    /// A setting of the export can't be used.
    #[error("{problem}")]
    Setting {
        /// The flag or the variable.
        key: String,
        /// What is wrong with its value.
        problem: String,
    },
}

impl TelemetryError {
    fn setting(key: &str, problem: impl Into<String>) -> Self {
        Self::Setting {
            key: key.to_owned(),
            problem: problem.into(),
        }
    }
}

/// The telemetry of the process. Keep it until the end of `main`: dropping it sends what is left, for
/// at most three seconds.
#[derive(Debug)]
pub struct Telemetry {
    tracers: SdkTracerProvider,
    meters: Option<SdkMeterProvider>,
    loggers: Option<SdkLoggerProvider>,
}

/// What sends the rest of a signal.
type Flush = Box<dyn FnOnce() -> OTelSdkResult + Send>;

impl Telemetry {
    fn flushes(&self) -> Vec<(&'static str, Flush)> {
        let tracers = self.tracers.clone();
        let flush = move || tracers.shutdown_with_timeout(FLUSH_TIME);
        let mut flushes: Vec<(&str, Flush)> = vec![("traces", Box::new(flush))];
        if let Some(meters) = self.meters.clone() {
            let flush = move || meters.shutdown_with_timeout(FLUSH_TIME);
            flushes.push(("metrics", Box::new(flush)));
        }
        if let Some(loggers) = self.loggers.clone() {
            let flush = move || loggers.shutdown_with_timeout(FLUSH_TIME);
            flushes.push(("logs", Box::new(flush)));
        }
        flushes
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        let until = Instant::now() + FLUSH_TIME;
        let (ended, ends) = mpsc::channel();
        let mut open = 0;
        for (signal, flush) in self.flushes() {
            let ended = ended.clone();
            // A thread each: a collector that hangs makes none of them wait for another.
            let flush = move || {
                let _ = ended.send((signal, flush()));
            };
            let started = std::thread::Builder::new().name(format!("flush-{signal}"));
            open += usize::from(started.spawn(flush).is_ok());
        }
        for _ in 0..open {
            let left = until.saturating_duration_since(Instant::now());
            match ends.recv_timeout(left) {
                Ok((_, Ok(()))) => {}
                Ok((signal, Err(error))) => {
                    tracing::warn!(signal, %error, "telemetry may be incomplete");
                }
                Err(_) => {
                    tracing::warn!("the collector did not take the last telemetry in time");
                    return;
                }
            }
        }
    }
}

/// Sets up lines to standard error, traces with W3C propagation, and the panic hook. Must be called
/// within a tokio runtime.
///
/// Errors: the setting that can't be used.
pub async fn init(logs: &Logs, export: &Export) -> Result<Telemetry, TelemetryError> {
    variables::check()?;
    let collector = collector::Collector::of(export).await?;
    let tracers = traces::provider(&collector)?;
    let meters = metrics::Meters::start(&collector)?;
    let loggers = logs::provider(&collector)?;
    // Not one `Option` among them: a layer that is not there is one without a filter, for which every
    // span of every library would be opened.
    let mut layers: Vec<Box<dyn Layer<Registry> + Send + Sync>> = vec![
        traces::layer(&tracers, collector.exports_traces()).boxed(),
        lines::layer(logs)?.boxed(),
    ];
    if let Some(meters) = &meters {
        layers.push(meters.layer().boxed());
    }
    if let Some(loggers) = &loggers {
        layers.push(logs::layer(loggers, logs)?.boxed());
    }
    tracing_subscriber::registry().with(layers).try_init()?;
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    opentelemetry::global::set_tracer_provider(tracers.clone());
    std::panic::set_hook(Box::new(log_panic));
    Ok(Telemetry {
        tracers,
        meters: meters.map(|meters| meters.provider),
        loggers,
    })
}

fn log_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let (file, line) = panic
        .location()
        .map_or(("unknown", 0), |place| (place.file(), place.line()));
    tracing::error!(
        panic.file = file,
        panic.line = line,
        panic.thread = thread.name().unwrap_or("unnamed"),
        "a task panicked; its message is withheld, for it may quote a request"
    );
}
