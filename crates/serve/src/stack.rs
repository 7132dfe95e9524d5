//! The one stack of layers around every call of every server, outermost first.

use std::time::Duration;

use tonic::service::Routes;
use tower::Layer;

use crate::config::Concurrency;
use crate::identity::Authenticator;
use crate::layers::{
    AuthenticateLayer, Calls, ClaimLayer, DeadlineLayer, Deadlines, DrainLayer, MessageLayer,
    PanicLayer, RequestInfoLayer, ShedLayer, TraceLayer,
};
use crate::load::{Loads, Proof};
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
    pub concurrency: Concurrency,
    pub proof: Proof,
}

/// The stack. A call passes it from the top down, its answer from the bottom up.
///
/// TLS ends below this stack, in `connections.rs`; what the trace layer sees leaves the process by
/// `telemetry`.
pub(crate) fn stack(parts: Parts) -> impl Layer<Routes, Service = impl Calls> + Clone {
    let loads = Loads::new(parts.rpcs.all(), &parts.concurrency);
    let patience = Duration::from_millis(parts.concurrency.queue_wait_ms);
    (
        // First, so that every answer, refusals of other layers included, has a span and a line.
        TraceLayer::new(parts.rpcs),
        // Outside of whatever may fail or time out: all faults of the server name their call.
        RequestInfoLayer,
        DrainLayer::new(parts.shutdown, parts.rotation),
        PanicLayer,
        DeadlineLayer::new(parts.deadlines),
        // Inside of those two, for a call may wait for its place; and before all that costs anything.
        ShedLayer::new(loads, patience),
        // Inside too: looking for a token's key takes time, and must not outlast the call.
        AuthenticateLayer::new(parts.authenticator),
        // As soon as it is known who calls.
        ClaimLayer::new(parts.proof),
        // Innermost, for it mends what tonic itself says about a message.
        MessageLayer,
    )
}
