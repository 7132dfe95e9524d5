//! A panic in a handler or its stream becomes a clean INTERNAL.
//!
//! Without this tonic resets the stream, which clients see as CANCELLED or UNKNOWN, and may take
//! for their own doing. The connection and the other calls on it live on either way.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use pin_project_lite::pin_project;
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use super::body::trailers_of;
use super::{Calls, streams};

/// Catches panics. What panicked and where is logged by the hook that `telemetry` sets.
#[derive(Clone, Copy, Debug, Default)]
pub struct PanicLayer;

impl<S> Layer<S> for PanicLayer {
    type Service = CatchPanic<S>;

    fn layer(&self, inner: S) -> CatchPanic<S> {
        CatchPanic { inner }
    }
}

/// The service of [`PanicLayer`].
#[derive(Clone, Debug)]
pub struct CatchPanic<S> {
    inner: S,
}

impl<S: Calls> Service<Request<Body>> for CatchPanic<S> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = CatchPanicFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let streams = streams(&request);
        let inner = catch_unwind(AssertUnwindSafe(|| self.inner.call(request))).ok();
        CatchPanicFuture { inner, streams }
    }
}

pin_project! {
    /// The future of [`CatchPanic`].
    pub struct CatchPanicFuture<F> {
        // Empty when the call panicked before it became a future.
        #[pin]
        inner: Option<F>,
        streams: bool,
    }
}

impl<F> Future for CatchPanicFuture<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(inner) = this.inner.as_pin_mut() else {
            return Poll::Ready(Ok(panicked().into_http()));
        };
        let Ok(polled) = catch_unwind(AssertUnwindSafe(|| inner.poll(cx))) else {
            return Poll::Ready(Ok(panicked().into_http()));
        };
        let Ok(response) = ready!(polled);
        if *this.streams && !response.headers().contains_key(Status::GRPC_STATUS) {
            return Poll::Ready(Ok(response.map(|body| Body::new(CatchPanicBody::of(body)))));
        }
        Poll::Ready(Ok(response))
    }
}

fn panicked() -> Status {
    Status::internal("the server failed while it handled this call")
}

/// A stream whose panics become its last frame.
struct CatchPanicBody {
    inner: Option<Body>,
}

impl CatchPanicBody {
    fn of(inner: Body) -> Self {
        Self { inner: Some(inner) }
    }
}

impl http_body::Body for CatchPanicBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        let Some(inner) = &mut this.inner else {
            return Poll::Ready(None);
        };
        catch_unwind(AssertUnwindSafe(|| Pin::new(inner).poll_frame(cx))).unwrap_or_else(|_| {
            this.inner = None;
            Poll::Ready(Some(Ok(trailers_of(&panicked()))))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
