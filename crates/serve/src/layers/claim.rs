//! Takes the rank of a peer's call from those that are none: that only say so, or that call an rpc
//! which is for peers alone.
//!
//! Places are given before anybody knows who calls. So this stands inside of the token's check, and
//! before the call's body is read: who has no proof can hold none of the reserved places.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use super::Calls;
use crate::load::{Class, Handle, Proof};
use crate::rpcs::Rpc;

/// Takes the rank of a peer's call from those that are none.
#[derive(Clone, Debug)]
pub(crate) struct ClaimLayer {
    proof: Arc<Proof>,
}

impl ClaimLayer {
    pub(crate) fn new(proof: Proof) -> Self {
        Self {
            proof: Arc::new(proof),
        }
    }
}

impl<S> Layer<S> for ClaimLayer {
    type Service = Claim<S>;

    fn layer(&self, inner: S) -> Claim<S> {
        Claim {
            inner,
            proof: Arc::clone(&self.proof),
        }
    }
}

/// The service of [`ClaimLayer`].
#[derive(Clone, Debug)]
pub(crate) struct Claim<S> {
    inner: S,
    proof: Arc<Proof>,
}

impl<S: Calls> Service<Request<Body>> for Claim<S> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = ClaimFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match self.judge(&request) {
            Ok(()) => ClaimFuture::Calling {
                inner: self.inner.call(request),
            },
            Err(status) => ClaimFuture::Refused {
                answer: Some(status.into_http()),
            },
        }
    }
}

impl<S> Claim<S> {
    fn judge(&self, request: &Request<Body>) -> Result<(), Status> {
        let extensions = request.extensions();
        let (Some(place), Some(rpc)) = (extensions.get::<Handle>(), extensions.get::<Arc<Rpc>>())
        else {
            return Ok(());
        };
        let headers = request.headers();
        let is_critical = Proof::is_claimed(headers) || rpc.class() == Class::Critical;
        if !is_critical || self.proof.is_given(headers, extensions) {
            return Ok(());
        }
        place.demote(rpc.class().min(Class::Default))
    }
}

pin_project! {
    /// The future of [`Claim`].
    #[project = Judged]
    pub(crate) enum ClaimFuture<F> {
        /// Past the check.
        Calling { #[pin] inner: F },
        /// Not past it.
        Refused { answer: Option<Response<Body>> },
    }
}

impl<F> Future for ClaimFuture<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            Judged::Calling { inner } => inner.poll(cx),
            Judged::Refused { answer } => answer
                .take()
                .map_or(Poll::Pending, |answer| Poll::Ready(Ok(answer))),
        }
    }
}
