//! What tonic itself says about a request's message, put as this API says it.
//!
//! tonic refuses a message above the limit with OUT_OF_RANGE, which in this API means an expired resume
//! token, and one that can't be read with INTERNAL, which means a fault of the server: whoever sends
//! such bytes could fill the server's log with errors.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{HeaderMap, Request, Response};
use pin_project_lite::pin_project;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};

use super::Calls;
use crate::refusals;

/// The header of a status that has details: it is not tonic's own.
const DETAILS: &str = "grpc-status-details-bin";

/// Turns tonic's refusals of messages into RESOURCE_EXHAUSTED `MESSAGE_TOO_LARGE` and INVALID_ARGUMENT
/// `FIELD_INVALID`.
#[derive(Clone, Copy, Debug, Default)]
pub struct MessageLayer;

impl<S> Layer<S> for MessageLayer {
    type Service = Message<S>;

    fn layer(&self, inner: S) -> Message<S> {
        Message { inner }
    }
}

/// The service of [`MessageLayer`].
#[derive(Clone, Debug)]
pub struct Message<S> {
    inner: S,
}

impl<S: Calls> Service<Request<Body>> for Message<S> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = MessageFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        MessageFuture {
            inner: self.inner.call(request),
        }
    }
}

pin_project! {
    /// The future of [`Message`].
    pub struct MessageFuture<F> {
        #[pin]
        inner: F,
    }
}

impl<F> Future for MessageFuture<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Ok(response) = ready!(self.project().inner.poll(cx));
        Poll::Ready(Ok(match mended(response.headers()) {
            Some(status) => status.into_http(),
            None => response,
        }))
    }
}

/// What to say in place of tonic's refusal of a message. Its text is all it gives: tests send every
/// kind of bad message, so a changed text does not pass unseen.
fn mended(headers: &HeaderMap) -> Option<Status> {
    let code = Code::from_bytes(headers.get(Status::GRPC_STATUS)?.as_bytes());
    if !matches!(code, Code::OutOfRange | Code::Internal) || headers.contains_key(DETAILS) {
        return None;
    }
    let status = Status::from_header_map(headers)?;
    let message = status.message();
    if code == Code::OutOfRange {
        let (found, limit) = oversized(message)?;
        Some(refusals::message_too_large(found, limit))
    } else {
        let (field, problem) = malformed(message)?;
        Some(refusals::message_malformed(&field, problem))
    }
}

/// The size found and the limit, in bytes, of a message that is too large.
fn oversized(message: &str) -> Option<(u64, u64)> {
    let sizes = message.strip_prefix("Error, decoded message length too large: found ")?;
    let (found, limit) = sizes
        .strip_suffix(" bytes")?
        .split_once(" bytes, the limit is: ")?;
    Some((found.parse().ok()?, limit.parse().ok()?))
}

/// Which field of a message can't be read, and why; the empty field is the message itself.
fn malformed(message: &str) -> Option<(String, &str)> {
    if message == "Missing request message." {
        return Some((String::new(), "there is none"));
    }
    if message == "Unexpected EOF decoding stream." {
        return Some((String::new(), "it ends early"));
    }
    if let Some(problem) = message.strip_prefix("protocol error: received message with ") {
        return Some((String::new(), problem));
    }
    let mut problem = message.strip_prefix("failed to decode Protobuf message: ")?;
    // The fields come as `Message.field`, the innermost first.
    let mut fields = Vec::new();
    while let Some((place, rest)) = problem.split_once(": ")
        && let Some((_, field)) = place.split_once('.')
        && !place.contains(' ')
    {
        fields.push(field.trim_start_matches("r#"));
        problem = rest;
    }
    fields.reverse();
    Some((fields.join("."), problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nested_field_is_named_from_the_request() {
        let text = "failed to decode Protobuf message: Contact.r#type: CreateContactRequest.contact: \
                    invalid wire type: Varint (expected LengthDelimited)";
        let (field, problem) = malformed(text).expect("tonic's");
        assert_eq!(field, "contact.type");
        assert_eq!(
            problem,
            "invalid wire type: Varint (expected LengthDelimited)"
        );
    }

    #[test]
    fn what_a_service_says_itself_stays() {
        for status in [
            Status::internal("the service failed"),
            Status::out_of_range("the resume token has expired"),
            refusals::message_too_large(2, 1),
        ] {
            assert!(mended(status.into_http::<Body>().headers()).is_none());
        }
    }
}
