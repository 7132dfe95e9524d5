//! One outgoing call: what goes into its headers, and what is made of its answer.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body::{Frame, SizeHint};
use opentelemetry::trace::Status as SpanStatus;
use tonic::body::Body;
use tonic::transport::channel::ResponseFuture;
use tonic::{Code, GrpcMethod, Status};
use tracing::{Instrument, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use types::Deadline;

use super::{Credential, PEER_KEY, errors};
use crate::layers::{Deadlines, TARGET, margin};
use crate::rpcs::{self, suite_service};
use crate::telemetry::metrics;
use crate::{codes, trace_context};

/// The name of what a request without a method calls.
pub(super) const UNKNOWN: &str = "unknown";

/// A request that is ready to go.
pub(super) struct Prepared {
    pub request: Request<Body>,
    pub span: Span,
    pub upstream: String,
    /// The rpc, `package.Service/Method`.
    pub rpc: String,
}

/// Opens the client span and writes the headers: who calls and its proof, the trace, and what is left of the
/// deadline. Refused at once if nothing is left.
pub(super) fn prepare(
    mut request: Request<Body>,
    name: &HeaderValue,
    credential: &Credential,
) -> Result<Prepared, Status> {
    let deadline = deadline_of(&request);
    let method = request.extensions().get::<GrpcMethod<'static>>();
    let service = method.map_or(UNKNOWN, GrpcMethod::service);
    let rpc = method.map_or_else(
        || rpcs::UNKNOWN.to_owned(),
        |method| format!("{}/{}", method.service(), method.method()),
    );
    let span = client_span(&rpc);
    let upstream = suite_service(service).to_owned();
    let headers = request.headers_mut();
    headers.insert(PEER_KEY, name.clone());
    if let Some(proof) = credential.header() {
        headers.insert(header::AUTHORIZATION, proof);
    }
    trace_context::inject(&span.context(), headers);
    if let Some(deadline) = deadline {
        let left = deadline.remaining();
        let timeout = left.saturating_sub(margin(left));
        if timeout.is_zero() {
            return Err(errors::deadline_exceeded());
        }
        headers.insert("grpc-timeout", grpc_timeout(timeout));
    }
    Ok(Prepared {
        request,
        span,
        upstream,
        rpc,
    })
}

/// The deadline that the request was given; a unary call of the suite that was given none gets the
/// default, for a caller that waits for ever is a fault in itself.
fn deadline_of(request: &Request<Body>) -> Option<Deadline> {
    let given = request.extensions().get::<Deadline>().copied();
    given.or_else(|| {
        let method = proto::method(request.uri().path())?;
        (!method.streaming).then(|| Deadline::after(Deadlines::default().default))
    })
}

/// Waits for the answer and mends its status.
pub(super) async fn finish(
    answer: ResponseFuture,
    span: Span,
    upstream: String,
    rpc: String,
) -> Result<Response<Body>, Status> {
    let begun = Instant::now();
    let answered = answer.instrument(span.clone()).await;
    let answered = match answered {
        Ok(response) => Ok(errors::mend(response).map(|inner| PeerBody::of(inner, upstream))),
        Err(error) => Err(errors::of_transport(Box::new(error), &upstream)),
    };
    let code = match &answered {
        Ok(response) => response
            .headers()
            .get(Status::GRPC_STATUS)
            .map_or(Code::Ok, |code| Code::from_bytes(code.as_bytes())),
        Err(status) => status.code(),
    };
    if let Some(calls) = metrics::calls() {
        calls.peer_ended(rpc, code, begun.elapsed());
    }
    span.set_attribute("rpc.response.status_code", codes::name(code));
    if code != Code::Ok {
        span.set_attribute("error.type", codes::name(code));
        span.set_status(SpanStatus::error(""));
    }
    answered
}

fn client_span(rpc: &str) -> Span {
    tracing::info_span!(
        target: TARGET,
        "peer call",
        otel.name = rpc,
        otel.kind = "client",
        rpc.system.name = "grpc",
        rpc.method = rpc,
    )
}

/// A time as `grpc-timeout` writes it: at most eight digits and a unit, rounded down.
fn grpc_timeout(timeout: Duration) -> HeaderValue {
    const DIGITS_MAX: u128 = 99_999_999;
    let micros = timeout.as_micros();
    let text = if micros <= DIGITS_MAX {
        format!("{micros}u")
    } else {
        format!("{}m", (micros / 1_000).min(DIGITS_MAX))
    };
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("0u"))
}

/// The body of an answer, whose broken connections say UNAVAILABLE.
struct PeerBody {
    inner: Body,
    upstream: String,
}

impl PeerBody {
    fn of(inner: Body, upstream: String) -> Body {
        Body::new(Self { inner, upstream })
    }
}

impl http_body::Body for PeerBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        // A peer's own status arrives as trailers; an error here is the transport's.
        let this = self.get_mut();
        Pin::new(&mut this.inner)
            .poll_frame(cx)
            .map_err(|status| errors::of_status(&status, &this.upstream))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The `grpc-timeout` of a call to this path, in microseconds.
    fn timeout(path: &str, deadline: Option<Deadline>) -> Option<u64> {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = path.parse().expect("a path");
        if let Some(deadline) = deadline {
            request.extensions_mut().insert(deadline);
        }
        let name = HeaderValue::from_static("billing");
        let prepared = prepare(request, &name, &Credential::None).expect("there is time");
        assert_eq!(prepared.request.headers()[PEER_KEY], "billing");
        let header = prepared
            .request
            .headers()
            .get("grpc-timeout")?
            .to_str()
            .ok()?
            .to_owned();
        Some(
            header
                .strip_suffix('u')
                .expect("micros")
                .parse()
                .expect("a number"),
        )
    }

    #[test]
    fn unary_calls_of_the_suite_have_a_deadline_and_streams_have_none() {
        for method in proto::methods() {
            let timeout = timeout(method.path, None);
            assert_eq!(timeout.is_some(), !method.streaming, "{}", method.path);
            assert!(timeout.is_none_or(|micros| micros <= 4_950_000));
        }
    }

    #[test]
    fn a_given_deadline_is_passed_on_less_a_margin() {
        let passed = timeout("/a/b", Some(Deadline::after(Duration::from_millis(400))));
        let passed = passed.expect("set");
        assert!(passed <= 380_000 && passed > 200_000, "{passed}");
        assert_eq!(timeout("/a/b", None), None);
    }

    #[test]
    fn a_timeout_has_at_most_eight_digits() {
        for (timeout, text) in [
            (Duration::from_micros(1), "1u"),
            (Duration::from_millis(950), "950000u"),
            (Duration::from_secs(99), "99000000u"),
            (Duration::from_secs(100), "100000m"),
            (Duration::from_secs(u64::from(u32::MAX)), "99999999m"),
        ] {
            assert_eq!(grpc_timeout(timeout), text);
        }
    }
}
