//! One span and one log line per call, in the caller's trace.
//!
//! Names follow OpenTelemetry's rpc conventions (1.45): `rpc.system.name`, `rpc.method`,
//! `rpc.response.status_code`. Invariant: nothing of a request but its method is ever written here, so
//! no personal data can be.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Frame, SizeHint};
use opentelemetry::trace::{Status as SpanStatus, TraceContextExt, TraceId};
use pin_project_lite::pin_project;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};
use tracing::{Level, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::Calls;
use super::shed::Shed;
use crate::codes;
use crate::current::Call;
use crate::rpcs::{Kind, Rpc, Rpcs};
use crate::telemetry::metrics;
use crate::trace_context;

/// The target of spans and lines of calls, for log filters.
pub(crate) const TARGET: &str = "clientele::rpc";

/// Traces each call and puts its [`Rpc`] and its [`TraceId`] into the request's extensions.
#[derive(Clone, Debug)]
pub(crate) struct TraceLayer {
    rpcs: Arc<Rpcs>,
}

impl TraceLayer {
    pub(crate) fn new(rpcs: Rpcs) -> Self {
        Self {
            rpcs: Arc::new(rpcs),
        }
    }
}

impl<S> Layer<S> for TraceLayer {
    type Service = Trace<S>;

    fn layer(&self, inner: S) -> Trace<S> {
        Trace {
            inner,
            rpcs: Arc::clone(&self.rpcs),
        }
    }
}

/// The service of [`TraceLayer`].
#[derive(Clone, Debug)]
pub(crate) struct Trace<S> {
    inner: S,
    rpcs: Arc<Rpcs>,
}

impl<S: Calls> Service<Request<Body>> for Trace<S> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = TraceFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let outcome = Outcome::of(self.rpcs.find(request.uri().path()), request.headers());
        let extensions = request.extensions_mut();
        extensions.insert(Arc::clone(&outcome.call.rpc));
        extensions.insert(outcome.call.trace_id);
        TraceFuture {
            inner: outcome.scope(|| self.inner.call(request)),
            outcome: Some(outcome),
        }
    }
}

pin_project! {
    /// The future of [`Trace`].
    pub(crate) struct TraceFuture<F> {
        #[pin]
        inner: F,
        outcome: Option<Outcome>,
    }
}

impl<F> Future for TraceFuture<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(outcome) = this.outcome.as_ref() else {
            return Poll::Pending;
        };
        let Ok(response) = ready!(outcome.scope(|| this.inner.poll(cx)));
        let Some(mut outcome) = this.outcome.take() else {
            return Poll::Pending;
        };
        // A failed call has its status in the head; a unary call without one has succeeded.
        if let Some(code) = code_in(response.headers()) {
            outcome.shed = response.extensions().get::<Shed>().is_some();
            outcome.end(code, Some(response.headers()));
        } else if outcome.call.rpc.streams() {
            let traced = response.map(|inner| Body::new(TraceBody { inner, outcome }));
            return Poll::Ready(Ok(traced));
        } else {
            outcome.end(Code::Ok, None);
        }
        Poll::Ready(Ok(response))
    }
}

/// A stream that is traced to its end.
struct TraceBody {
    inner: Body,
    outcome: Outcome,
}

impl http_body::Body for TraceBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        let inner = Pin::new(&mut this.inner);
        let frame = ready!(this.outcome.scope_of_frame(|| inner.poll_frame(cx)));
        if let Some(Ok(frame)) = &frame
            && let Some(trailers) = frame.trailers_ref()
        {
            let code = code_in(trailers).unwrap_or(Code::Unknown);
            this.outcome.end(code, Some(trailers));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

fn code_in(headers: &HeaderMap) -> Option<Code> {
    let code = headers.get(Status::GRPC_STATUS)?;
    Some(Code::from_bytes(code.as_bytes()))
}

/// The log line of a call; the call it is about is added to every line.
macro_rules! line {
    ($level:expr, $code:expr, $duration_us:expr, $message:literal) => {
        tracing::event!(
            target: TARGET,
            $level,
            rpc.response.status_code = codes::name($code),
            duration_us = $duration_us,
            $message
        )
    };
}

/// A call in progress; whatever drops it unanswered has cancelled the call.
struct Outcome {
    call: Call,
    span: Span,
    begun: Instant,
    /// There was no place for it.
    shed: bool,
    ended: bool,
}

impl Outcome {
    fn of(rpc: Arc<Rpc>, headers: &HeaderMap) -> Self {
        let parent = trace_context::extract(headers);
        let span = tracing::info_span!(
            target: TARGET,
            "rpc",
            otel.name = rpc.name(),
            otel.kind = "server",
            rpc.system.name = "grpc",
            rpc.method = rpc.name(),
        );
        let remote = parent
            .as_ref()
            .map(|parent| parent.span().span_context().trace_id());
        if let Some(parent) = parent {
            // Refused only where the span is switched off; then there is nothing to attach.
            let _ = span.set_parent(parent);
        }
        let own = span.context().span().span_context().trace_id();
        let trace_id = match (own, remote) {
            (TraceId::INVALID, Some(remote)) => remote,
            // Without a tracer the call still gets an id to be asked about by.
            (TraceId::INVALID, None) => TraceId::from(rand::random::<u128>()),
            (own, _) => own,
        };
        if let Some(calls) = metrics::calls() {
            calls.begun(&rpc);
        }
        Self {
            call: Call { rpc, trace_id },
            span,
            begun: Instant::now(),
            shed: false,
            ended: false,
        }
    }

    /// Runs `work` as part of the call.
    fn scope<T>(&self, work: impl FnOnce() -> T) -> T {
        let _span = self.span.enter();
        let _call = self.call.enter();
        work()
    }

    /// The same for a part of a stream's answer. An endless stream looks for news as long as it lives:
    /// its span would get thousands of children that tell nothing.
    fn scope_of_frame<T>(&self, work: impl FnOnce() -> T) -> T {
        if self.call.rpc.kind() == Kind::Watch {
            let _call = self.call.enter();
            return work();
        }
        self.scope(work)
    }

    /// Tells how the call has ended: the headers or trailers that say so name the reason of a refusal.
    fn end(&mut self, code: Code, said: Option<&HeaderMap>) {
        if self.ended {
            return;
        }
        self.ended = true;
        // Set past the log's layers, which would format the whole span anew for a recorded field.
        self.span
            .set_attribute("rpc.response.status_code", codes::name(code));
        if codes::server_fault(code) {
            self.span.set_attribute("error.type", codes::name(code));
            self.span.set_status(SpanStatus::error(""));
        }
        let duration = self.begun.elapsed();
        if let Some(calls) = metrics::calls() {
            calls.ended(&self.call.rpc, code, duration, said);
        }
        let duration_us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        // That a stream ends with UNAVAILABLE is its rotation: the usual end.
        // Under overload a line for each call would make it worse; there is one for all of them.
        let is_usual = self.call.rpc.streams() || self.shed;
        self.scope(|| match code {
            Code::Internal | Code::Unknown | Code::DataLoss => {
                line!(Level::ERROR, code, duration_us, "call failed");
            }
            Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted if !is_usual => {
                line!(Level::WARN, code, duration_us, "call not served");
            }
            _ => line!(Level::DEBUG, code, duration_us, "call ended"),
        });
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        self.end(Code::Cancelled, None);
    }
}
