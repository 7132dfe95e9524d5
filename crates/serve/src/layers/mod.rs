//! The tower layers around every call, each with one duty. `stack.rs` shows their order.
//!
//! Invariant: layers see undecoded bytes. What needs the decoded request (authorisation by
//! workspace, validation) stands in the decorator that `proto` generates; idempotency stands in the
//! store, inside the transaction.

mod authenticate;
mod body;
mod claim;
mod deadline;
mod drain;
mod message;
mod panic;
mod request_info;
mod shed;
mod trace;

use std::convert::Infallible;
use std::sync::Arc;

use http::{Request, Response};
use tonic::body::Body;
use tower::Service;

use crate::rpcs::Rpc;

pub(crate) use authenticate::AuthenticateLayer;
pub(crate) use claim::ClaimLayer;
pub(crate) use deadline::margin;
pub use deadline::{DeadlineLayer, Deadlines, deadline};
pub use drain::{DrainLayer, rotation};
pub use message::MessageLayer;
pub use panic::PanicLayer;
pub use request_info::RequestInfoLayer;
pub(crate) use shed::ShedLayer;
pub(crate) use trace::{TARGET, TraceLayer};

/// What every layer wraps and is itself: a service of gRPC calls that never fails, because a
/// failure is a response with a status.
pub trait Calls:
    Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
    + Clone
    + Send
    + 'static
{
}

impl<S> Calls for S where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static
{
}

/// Whether a request is for a server stream, as the trace layer found out.
fn streams(request: &Request<Body>) -> bool {
    request
        .extensions()
        .get::<Arc<Rpc>>()
        .is_some_and(|rpc| rpc.streams())
}
