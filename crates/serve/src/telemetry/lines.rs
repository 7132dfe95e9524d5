//! Log lines to standard error: for people or as JSON, each with the call it was written in.

use std::io::IsTerminal;

use serde::Deserialize;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer};

use super::TelemetryError;
use crate::current::Call;

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

/// Libraries that log every frame, or every attempt to connect; a filter that wants them names them.
const QUIET: &str = "async_nats=warn,h2=warn,hyper=warn,hyper_util=warn,tower=warn,tonic=warn,\
                     opentelemetry=warn";

/// The lines of the process, as the settings say.
pub(super) fn layer<S>(logs: &Logs) -> Result<impl Layer<S> + use<S>, TelemetryError>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let terminal = std::io::stderr().is_terminal();
    let lines = lines(logs.format, terminal, std::io::stderr);
    Ok(lines.with_filter(filter(logs)?.and(filter_fn(is_event))))
}

/// What is logged, of the suite and of libraries.
pub(super) fn filter(logs: &Logs) -> Result<EnvFilter, TelemetryError> {
    Ok(EnvFilter::try_new(format!("{QUIET},{}", logs.filter))?)
}

/// Keeps spans out of the log's layer, which would format each of them; lines get what they need of
/// their call from [`InCall`].
fn is_event(metadata: &Metadata<'_>) -> bool {
    metadata.is_event()
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
            "{{\"trace_id\":\"{trace_id}\",\"rpc.method\":\"{}\",{}",
            rpc.name(),
            line.strip_prefix('{').unwrap_or(&line)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpcs::Rpcs;
    use opentelemetry::trace::TraceId;
    use std::io::Write;
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::layer::SubscriberExt as _;

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
        assert_eq!(lines[1]["rpc.method"], "_OTHER");
        assert_eq!(lines[1]["rows"], 3);
    }

    #[test]
    fn human_lines_inside_a_call_name_it_at_their_end() {
        let lines = written(Format::Human);
        assert!(lines[0].ends_with("outside rows=2"), "{lines:?}");
        let end = "inside rows=3 rpc=_OTHER trace_id=000000000000000000000000000000ab";
        assert!(lines[1].ends_with(end), "{lines:?}");
    }

    #[test]
    fn a_filter_that_can_not_be_read_is_an_error() {
        let logs = Logs {
            filter: "=====".to_owned(),
            ..Logs::default()
        };
        assert!(matches!(filter(&logs), Err(TelemetryError::Filter(_))));
    }
}
