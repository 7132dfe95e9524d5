//! Messages above the limit are refused as the gRPC specification says.
//!
//! tonic refuses them with OUT_OF_RANGE, which in this API means an expired resume token.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};

use super::Calls;
use crate::refusals;

/// Turns tonic's OUT_OF_RANGE for an oversized message into RESOURCE_EXHAUSTED
/// `MESSAGE_TOO_LARGE`.
#[derive(Clone, Copy, Debug, Default)]
pub struct MessageSizeLayer;

impl<S> Layer<S> for MessageSizeLayer {
    type Service = MessageSize<S>;

    fn layer(&self, inner: S) -> MessageSize<S> {
        MessageSize { inner }
    }
}

/// The service of [`MessageSizeLayer`].
#[derive(Clone, Debug)]
pub struct MessageSize<S> {
    inner: S,
}

impl<S: Calls> Service<Request<Body>> for MessageSize<S> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = MessageSizeFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        MessageSizeFuture {
            inner: self.inner.call(request),
        }
    }
}

pin_project! {
    /// The future of [`MessageSize`].
    pub struct MessageSizeFuture<F> {
        #[pin]
        inner: F,
    }
}

impl<F> Future for MessageSizeFuture<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Ok(response) = ready!(self.project().inner.poll(cx));
        let refused = response.headers().contains_key(Status::GRPC_STATUS);
        Poll::Ready(Ok(match refused.then(|| oversized(&response)).flatten() {
            Some((found, limit)) => refusals::message_too_large(found, limit).into_http(),
            None => response,
        }))
    }
}

/// The size found and the limit, in bytes, if tonic refused the message for its size. Its text is
/// all it gives; a test sends an oversized message, so a changed text does not pass unseen.
fn oversized(response: &Response<Body>) -> Option<(u64, u64)> {
    let code = response.headers().get(Status::GRPC_STATUS)?;
    if Code::from_bytes(code.as_bytes()) != Code::OutOfRange {
        return None;
    }
    let status = Status::from_header_map(response.headers())?;
    let sizes = status
        .message()
        .strip_prefix("Error, decoded message length too large: found ")?;
    let (found, limit) = sizes
        .strip_suffix(" bytes")?
        .split_once(" bytes, the limit is: ")?;
    Some((found.parse().ok()?, limit.parse().ok()?))
}
