//! What is told of each operation: a span in the trace of whoever asked for it, and how it ended.
//!
//! Names follow OpenTelemetry's database conventions (1.45). The span's target is `store::span`; it and
//! the events cost next to nothing while nobody listens.
//!
//! Invariant: an operation is told of by its static label, never by what it reads or writes.

use std::time::Instant;

use tracing::{Level, Span};

use crate::attempt::Mode;
use crate::measure;

/// An operation that runs.
pub(crate) struct Operation {
    op: &'static str,
    mode: Mode,
    service: &'static str,
    engine: &'static str,
    started: Instant,
    span: Span,
}

impl Operation {
    pub(crate) fn begin(
        op: &'static str,
        mode: Mode,
        service: &'static str,
        engine: &'static str,
    ) -> Self {
        Self {
            op,
            mode,
            service,
            engine,
            started: Instant::now(),
            span: span(op, service, engine),
        }
    }

    /// Tells that it is over: after how many attempts, and whether what it did is kept. It is not where
    /// the operation was refused, by its own rules or by the database.
    pub(crate) fn end(self, attempts: u32, kept: bool) {
        self.span.record("clientele.attempts", attempts);
        self.span.record("clientele.kept", kept);
        let elapsed = self.started.elapsed();
        tracing::debug!(
            target: "store::operation",
            op = self.op,
            mode = ?self.mode,
            attempts,
            kept,
            elapsed_us = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
            "done"
        );
        tracing::trace!(
            target: measure::TARGET,
            metric = "db.client.operation.duration",
            value = elapsed.as_secs_f64(),
            db.system.name = self.engine,
            db.namespace = self.service,
            db.operation.name = self.op,
            clientele.kept = kept,
        );
    }
}

/// The operation's span. Work that belongs to no trace gets none: tasks in the background look at the
/// database many times a second, and a trace of one look tells nothing.
fn span(op: &'static str, service: &'static str, engine: &'static str) -> Span {
    const TARGET: &str = "store::span";
    if !tracing::span_enabled!(target: TARGET, Level::INFO) || Span::current().is_none() {
        return Span::none();
    }
    tracing::info_span!(
        target: TARGET,
        "operation",
        otel.name = op,
        otel.kind = "client",
        db.system.name = engine,
        db.namespace = service,
        db.operation.name = op,
        clientele.attempts = tracing::field::Empty,
        clientele.kept = tracing::field::Empty,
    )
}
