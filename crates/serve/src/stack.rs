//! The one stack of layers around every call of every server, outermost first.

use std::time::Duration;

use tonic::service::Routes;
use tower::Layer;

use crate::identity::Authenticator;
use crate::layers::{
    AuthenticateLayer, Calls, DeadlineLayer, Deadlines, DrainLayer, MessageLayer, PanicLayer,
    RequestInfoLayer, TraceLayer,
};
use crate::rpcs::Rpcs;
use crate::streams::Shutdown;

/// What the stack is made from.
#[derive(Debug)]
pub(crate) struct Parts {
    pub rpcs: Rpcs,
    pub shutdown: Shutdown,
    pub rotation: Duration,
    pub deadlines: Deadlines,
    pub authenticator: Option<Authenticator>,
}

/// The stack. A call passes it from the top down, its answer from the bottom up.
///
/// TLS ends below this stack, in `connections.rs`. Two places are held for the issue "Safe to run":
/// - telemetry leaves the process in `telemetry.rs`, where the tracer provider is built: the trace
///   layer has all it needs;
/// - load shedding is a layer, marked below.
pub(crate) fn stack(parts: Parts) -> impl Layer<Routes, Service = impl Calls> + Clone {
    (
        // First, so that every answer, refusals of other layers included, has a span and a line.
        TraceLayer::new(parts.rpcs),
        // Outside of whatever may fail or time out: all faults of the server name their call.
        RequestInfoLayer,
        // Here: the concurrency limit with its short queue and its reserved lane, which sheds
        // with UNAVAILABLE OVERLOADED before any work is done for a call.
        DrainLayer::new(parts.shutdown, parts.rotation),
        PanicLayer,
        DeadlineLayer::new(parts.deadlines),
        // Inside of those two: looking for a token's key takes time, and must not outlast the call.
        AuthenticateLayer::new(parts.authenticator),
        // Innermost, for it mends what tonic itself says about a message.
        MessageLayer,
    )
}
