//! Outgoing calls to the suite's other services.
//!
//! A [`Peer`] is a channel with the duties of a good caller built in: it keeps the connection
//! alive, names the calling service, carries trace context and deadline on, and turns what the
//! transport says into the codes of the API. Generated clients take it as their channel.

mod backoff;
mod call;
mod credential;
mod errors;
mod link;
mod resolve;
mod retry;

use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::{HeaderValue, Request, Response};
use opentelemetry::StringValue;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::Service;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use types::Deadline;

use crate::tls::ClientTls;
use link::{Link, Route};

pub use backoff::Backoff;
pub use credential::{Credential, CredentialError, TokenFile};
pub use resolve::Resolver;
pub use retry::Budget;

/// The metadata key with which a service of the suite names itself.
pub const PEER_KEY: &str = "clientele-peer";

/// Why a peer's address is refused.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// Not a URI that can be called.
    #[error("{uri:?} is not the address of a peer: expected http://host:port or https://host:port")]
    Address {
        /// What was given.
        uri: String,
    },
    /// A URI of TLS, and nothing is known of whom to trust.
    #[error("{uri:?} needs TLS, which is not set up for calls to peers")]
    Unsecured {
        /// What was given.
        uri: String,
    },
    /// Not a name that fits into metadata.
    #[error("{name:?} is not the name of a service")]
    Name {
        /// What was given.
        name: String,
    },
}

/// A channel to one other service. Clones share the connection and the retry budget.
#[derive(Debug)]
pub struct Peer {
    link: Arc<Link>,
    /// The channel that was found ready and takes the next call.
    ready: Option<Route>,
    name: HeaderValue,
    credential: Credential,
    budget: Arc<Budget>,
}

impl Clone for Peer {
    fn clone(&self) -> Self {
        Self {
            link: Arc::clone(&self.link),
            // Readiness is for one call only, and the original may be about to make it.
            ready: None,
            name: self.name.clone(),
            credential: self.credential.clone(),
            budget: Arc::clone(&self.budget),
        }
    }
}

impl Peer {
    /// A channel to `uri` that connects at the first call and again after every loss. `name` is the
    /// service that calls: `contacts`, `pipeline` or `billing`.
    ///
    /// A name may stand for several replicas, such as a headless Service of Kubernetes: it is looked up
    /// every few seconds, and calls go to each replica in turn.
    ///
    /// Must be called within a tokio runtime.
    pub fn connect_lazy(uri: &str, name: &str) -> Result<Self, PeerError> {
        Self::connect_lazy_over(uri, name, None)
    }

    /// The same, where an `https://` address is reached over TLS. When the files of `tls` change, calls
    /// from then on go over a new connection, and those that go on over the old one finish there.
    pub fn connect_lazy_over(
        uri: &str,
        name: &str,
        tls: Option<ClientTls>,
    ) -> Result<Self, PeerError> {
        Self::connect_lazy_by(Resolver::system(), uri, name, tls)
    }

    /// The same, where `resolver` tells the addresses of the replicas.
    pub fn connect_lazy_by(
        resolver: Resolver,
        uri: &str,
        name: &str,
        tls: Option<ClientTls>,
    ) -> Result<Self, PeerError> {
        let name = HeaderValue::from_str(name).map_err(|_| PeerError::Name {
            name: name.to_owned(),
        })?;
        let link = Arc::new(Link::new(uri, tls)?);
        resolve::keep(&link, resolver);
        Ok(Self {
            link,
            ready: None,
            name,
            credential: Credential::None,
            budget: Arc::new(Budget::default()),
        })
    }

    /// The same channel, on which this service proves who it is.
    #[must_use]
    pub fn with_credential(mut self, credential: Credential) -> Self {
        self.credential = credential;
        self
    }

    /// Repeats `call` while the peer is UNAVAILABLE, inside the deadline and the peer's budget. Only
    /// for reads and calls that may be repeated: the lost answer may have been a success.
    pub async fn retry<T, F, Fut>(&self, deadline: Deadline, call: F) -> Result<T, Status>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, Status>>,
    {
        retry::retry(&self.budget, deadline, call).await
    }
}

/// A request to a peer that must be answered by `deadline`. The peer is given a little less, so that
/// its answer still arrives in time.
///
/// A stream is asked for with a plain [`tonic::Request`]: streams have no deadline. A unary call of
/// the suite made with one gets five seconds.
pub fn request<T>(deadline: Deadline, message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.extensions_mut().insert(deadline);
    request
}

impl Service<Request<Body>> for Peer {
    type Response = Response<Body>;
    type Error = Status;
    type Future = BoxFuture<'static, Result<Response<Body>, Status>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        let route = self.ready.get_or_insert_with(|| self.link.route());
        let polled = route.channel.poll_ready(cx);
        if let Poll::Ready(Err(_)) = polled
            && let Some(route) = self.ready.take()
            && let Some(address) = route.address
        {
            self.link.lose(address);
        }
        polled.map_err(|error| errors::of_transport(Box::new(error), call::UNKNOWN))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match call::prepare(request, &self.name, &self.credential) {
            Ok(prepared) => {
                let host = StringValue::from(self.link.host());
                prepared.span.set_attribute("server.address", host);
                let route = self.ready.take();
                let mut route = route.unwrap_or_else(|| self.link.route());
                let answer = route.channel.call(prepared.request);
                let link = Arc::clone(&self.link);
                Box::pin(async move {
                    let finished =
                        call::finish(answer, prepared.span, prepared.upstream, prepared.rpc).await;
                    // An error is the transport's; what the peer itself says is an answer.
                    if let (Err(status), Some(address)) = (&finished, route.address)
                        && status.code() == Code::Unavailable
                    {
                        link.lose(address);
                    }
                    finished
                })
            }
            Err(refusal) => Box::pin(std::future::ready(Err(refusal))),
        }
    }
}
