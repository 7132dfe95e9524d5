//! Logs and traces of a process, set up once at its start.
//!
//! Invariant: logs never hold names, mails, phones or tokens. What a panic says may quote a
//! request, so only where it happened is logged.

use std::io::IsTerminal;

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use serde::Deserialize;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::{FilterExt, ParseError, filter_fn};
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, Layer};

use crate::current::Call;
use crate::layers::TARGET;

/// The shape of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// For people.
    Human,
    /// One JSON object per line.
    Json,
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Logs {
    /// The shape of the lines. Default: auto.
    pub format: Format,
    /// What is logged, in the syntax of `tracing_subscriber::EnvFilter`. Default: `info`.
    pub filter: String,
}

impl Default for Logs {
    fn default() -> Self {
        Self {
            format: Format::default(),
            filter: "info".to_owned(),
        }
    }
}

/// The libraries below tonic, which log every frame; a filter that wants them names them.
const QUIET: &str = "h2=warn,hyper=warn,hyper_util=warn,tower=warn,tonic=warn,opentelemetry=warn";

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter can't be read.
    #[error("the log filter can't be read: {0}")]
    Filter(#[from] ParseError),
    /// Something else has set up logging in this process.
    #[error("logging was set up before: {0}")]
    Twice(#[from] TryInitError),
}

/// The telemetry of the process. Keep it until the end of `main`: dropping it sends what is left.
#[derive(Debug)]
pub struct Telemetry {
    provider: SdkTracerProvider,
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Err(error) = self.provider.shutdown() {
            tracing::warn!(error = %error, "traces may be incomplete");
        }
    }
}

/// Sets up logs to standard error, traces with W3C propagation, and the panic hook.
pub fn init(logs: &Logs) -> Result<Telemetry, TelemetryError> {
    let filter = EnvFilter::try_new(format!("{QUIET},{}", logs.filter))?;
    let provider = tracer_provider();
    let lines = lines(
        logs.format,
        std::io::stderr().is_terminal(),
        std::io::stderr,
    );
    tracing_subscriber::registry()
        .with(spans(&provider))
        .with(lines.with_filter(filter.and(filter_fn(is_no_call))))
        .try_init()?;
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    opentelemetry::global::set_tracer_provider(provider.clone());
    std::panic::set_hook(Box::new(log_panic));
    Ok(Telemetry { provider })
}

/// The tracer provider. The OTLP exporter (issue "Safe to run") is added here, and with it a
/// sampling ratio: as long as no span leaves the process only those are recorded that a caller
/// has asked for, but every call has its ids and passes them on.
fn tracer_provider() -> SdkTracerProvider {
    SdkTracerProvider::builder()
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOff)))
        .build()
}

/// Turns the suite's spans into OpenTelemetry's. Independent of the log filter: a quiet log does
/// not cut traces. Spans of libraries are left out, the exporter's own calls above all.
fn spans<S>(provider: &SdkTracerProvider) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("clientele"))
        .with_context_activation(false)
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_filter(filter_fn(is_ours))
}

fn is_ours(metadata: &Metadata<'_>) -> bool {
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
    let root = metadata.target().split("::").next().unwrap_or_default();
    metadata.is_span() && *metadata.level() <= Level::INFO && OURS.contains(&root)
}

/// Keeps the spans of calls out of the log's layer, which would format each of them; lines get what
/// they need of their call from [`InCall`].
fn is_no_call(metadata: &Metadata<'_>) -> bool {
    !(metadata.is_span() && metadata.target() == TARGET)
}

fn lines<S, W>(format: Format, terminal: bool, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let human = match format {
        Format::Auto => terminal,
        Format::Human => true,
        Format::Json => false,
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let shape = tracing_subscriber::fmt::format();
    if human {
        let inner = shape.with_ansi(terminal).with_target(false);
        lines.event_format(InCall { inner, human }).boxed()
    } else {
        let inner = shape.json().flatten_event(true).with_span_list(false);
        lines
            .fmt_fields(JsonFields::new())
            .event_format(InCall { inner, human })
            .boxed()
    }
}

/// Log lines that name the call they were written in.
struct InCall<F> {
    inner: F,
    human: bool,
}

impl<S, N, F> FormatEvent<S, N> for InCall<F>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        let Some(Call { rpc, trace_id }) = Call::current() else {
            return self.inner.format_event(context, writer, event);
        };
        let mut line = String::new();
        self.inner
            .format_event(context, Writer::new(&mut line), event)?;
        if self.human {
            let rpc = rpc.name();
            return writeln!(writer, "{} rpc={rpc} trace_id={trace_id}", line.trim_end());
        }
        // Names of rpcs need no escaping: they are identifiers.
        write!(
            writer,
            "{{\"trace_id\":\"{trace_id}\",\"rpc.service\":\"{}\",\"rpc.method\":\"{}\",{}",
            rpc.service(),
            rpc.method(),
            line.strip_prefix('{').unwrap_or(&line)
        )
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpcs::Rpcs;
    use opentelemetry::trace::TraceId;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("not poisoned").write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// One line outside of a call, one inside.
    fn written(format: Format) -> Vec<String> {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let lines = lines(format, false, move || writer.clone());
        let subscriber = tracing_subscriber::registry().with(lines);
        tracing::subscriber::with_default(subscriber, || {
            let call = Call {
                rpc: Rpcs::read(&[]).expect("empty").find("/"),
                trace_id: TraceId::from(0xab),
            };
            tracing::info!(rows = 2, "outside");
            let entered = call.enter();
            tracing::info!(rows = 3, "inside");
            drop(entered);
            assert!(Call::current().is_none());
        });
        let bytes = buffer.0.lock().expect("not poisoned").clone();
        let text = String::from_utf8(bytes).expect("text");
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn json_lines_inside_a_call_name_it() {
        let lines: Vec<serde_json::Value> = written(Format::Json)
            .iter()
            .map(|line| serde_json::from_str(line).expect("an object per line"))
            .collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(
            (&lines[0]["message"], &lines[0]["rows"]),
            (&"outside".into(), &2.into())
        );
        assert_eq!(lines[0].get("trace_id"), None);
        assert_eq!(lines[1]["trace_id"], "000000000000000000000000000000ab");
        assert_eq!(lines[1]["rpc.service"], "unknown");
        assert_eq!(lines[1]["rows"], 3);
    }

    #[test]
    fn human_lines_inside_a_call_name_it_at_their_end() {
        let lines = written(Format::Human);
        assert!(lines[0].ends_with("outside rows=2"), "{lines:?}");
        let end = "inside rows=3 rpc=unknown/unknown trace_id=000000000000000000000000000000ab";
        assert!(lines[1].ends_with(end), "{lines:?}");
    }

    #[test]
    fn a_filter_that_can_not_be_read_is_an_error() {
        let logs = Logs {
            filter: "=====".to_owned(),
            ..Logs::default()
        };
        assert!(matches!(init(&logs), Err(TelemetryError::Filter(_))));
    }
}
