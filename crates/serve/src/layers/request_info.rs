//! Faults of the server tell which call it was: RequestInfo with the trace id.
//!
//! INTERNAL, UNKNOWN and DEADLINE_EXCEEDED say nothing else to the outside; with the id an operator
//! finds the call in the logs.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{HeaderMap, Request, Response};
use opentelemetry::trace::TraceId;
use pin_project_lite::pin_project;
use tonic::body::Body;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use tower::{Layer, Service};

use super::body::Trailers;
use super::{Calls, streams};

/// Adds RequestInfo to the server's own faults.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestInfoLayer;

impl<S> Layer<S> for RequestInfoLayer {
    type Service = RequestInfo<S>;

    fn layer(&self, inner: S) -> RequestInfo<S> {
        RequestInfo { inner }
    }
}

/// The service of [`RequestInfoLayer`].
#[derive(Clone, Debug)]
pub struct RequestInfo<S> {
    inner: S,
}

impl<S: Calls> Service<Request<Body>> for RequestInfo<S> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = RequestInfoFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        RequestInfoFuture {
            trace_id: request.extensions().get().copied(),
            streams: streams(&request),
            inner: self.inner.call(request),
        }
    }
}

pin_project! {
    /// The future of [`RequestInfo`].
    pub struct RequestInfoFuture<F> {
        #[pin]
        inner: F,
        trace_id: Option<TraceId>,
        streams: bool,
    }
}

impl<F> Future for RequestInfoFuture<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(mut response) = ready!(this.inner.poll(cx));
        let Some(trace_id) = *this.trace_id else {
            return Poll::Ready(Ok(response));
        };
        if response.headers().contains_key(Status::GRPC_STATUS) {
            describe(response.headers_mut(), trace_id);
        } else if *this.streams {
            response = response
                .map(|body| Trailers::of(body, move |trailers| describe(trailers, trace_id)));
        }
        Poll::Ready(Ok(response))
    }
}

/// Adds the trace id to the status in `headers` if it is the server's fault.
fn describe(headers: &mut HeaderMap, trace_id: TraceId) {
    let code = headers
        .get(Status::GRPC_STATUS)
        .map_or(Code::Ok, |code| Code::from_bytes(code.as_bytes()));
    if !matches!(
        code,
        Code::Internal | Code::Unknown | Code::DeadlineExceeded
    ) {
        return;
    }
    let Some(bare) = Status::from_header_map(headers) else {
        return;
    };
    let mut details = bare.get_error_details();
    details.set_request_info(trace_id.to_string(), "");
    let described = Status::with_error_details(code, bare.message(), details);
    // Only the status headers are written: the others stay as they are.
    let _ = described.add_header(headers);
}
