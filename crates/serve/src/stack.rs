//! The one stack of layers around every call of every server, outermost first.

use tonic::service::Routes;
use tower::Layer;

use crate::layers::{
    Calls, DeadlineLayer, Deadlines, DrainLayer, MessageSizeLayer, PanicLayer, RequestInfoLayer,
    TraceLayer,
};
use crate::rpcs::Rpcs;
use crate::streams::Shutdown;
use std::time::Duration;

/// What the stack is made from.
#[derive(Debug)]
pub(crate) struct Parts {
    pub rpcs: Rpcs,
    pub shutdown: Shutdown,
    pub rotation: Duration,
    pub deadlines: Deadlines,
}

/// The stack. A call passes it from the top down, its answer from the bottom up.
///
/// Three places are held for the issue "Safe to run"; until then a server binds loopback only:
/// - TLS, and the client's certificate, end below this stack, where `server.rs` hands connections
///   to tonic;
/// - telemetry leaves the process in `telemetry.rs`, where the tracer provider is built: the trace
///   layer has all it needs;
/// - authentication and load shedding are layers, marked below.
pub(crate) fn stack(parts: Parts) -> impl Layer<Routes, Service = impl Calls> + Clone {
    (
        // First, so that every answer, refusals of other layers included, has a span and a line.
        TraceLayer::new(parts.rpcs),
        // Outside of whatever may fail or time out: all faults of the server name their call.
        RequestInfoLayer,
        // Here: the concurrency limit with its short queue and its reserved lane, which sheds
        // with UNAVAILABLE OVERLOADED before any work is done for a call.
        // Here: the authenticator, which puts the caller's identity into the extensions; the
        // generated decorator asks `Admission` with it.
        DrainLayer::new(parts.shutdown, parts.rotation),
        PanicLayer,
        DeadlineLayer::new(parts.deadlines),
        // Innermost, for it mends what tonic itself says about a message.
        MessageSizeLayer,
    )
}
