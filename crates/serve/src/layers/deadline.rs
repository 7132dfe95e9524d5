//! The deadline of every call: kept by the server until the answer begins, with DEADLINE_EXCEEDED.
//!
//! tonic reads `grpc-timeout` too, but answers CANCELLED when it passes, and a client of tonic
//! gives up at the same moment without looking. So this layer fires a little earlier than both.
//! A unary call's answer comes all at once. A stream has this time to open, for its request may never
//! come to an end either; once it is open it has no deadline and is rotated instead.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderMap, Request, Response};
use pin_project_lite::pin_project;
use tokio::time::Sleep;
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};
use types::Deadline;

use super::Calls;

/// How long calls may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// The time of a call that asks for none. Default: 5 s.
    pub default: Duration,
    /// The most that a call gets, whatever it asks for. Default: 30 s.
    pub max: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            default: Duration::from_secs(5),
            max: Duration::from_secs(30),
        }
    }
}

impl Deadlines {
    /// The time a call with these headers gets.
    fn time(self, headers: &HeaderMap) -> Duration {
        match headers
            .get("grpc-timeout")
            .and_then(|v| parse(v.as_bytes()))
        {
            Some(asked) => asked.saturating_sub(margin(asked)).min(self.max),
            None => self.default,
        }
    }
}

/// By how much a deadline is kept before the one who set it gives up: 5 %, at least 5 ms and at
/// most 50 ms, and never more than half of it.
pub(crate) fn margin(timeout: Duration) -> Duration {
    (timeout / 20)
        .clamp(Duration::from_millis(5), Duration::from_millis(50))
        .min(timeout / 2)
}

/// Parses a `grpc-timeout` as the gRPC protocol writes it: up to eight digits and a unit. tonic
/// ignores an invalid one, and so do we.
fn parse(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let amount: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    match unit {
        b'H' => Some(Duration::from_secs(amount * 3600)),
        b'M' => Some(Duration::from_secs(amount * 60)),
        b'S' => Some(Duration::from_secs(amount)),
        b'm' => Some(Duration::from_millis(amount)),
        b'u' => Some(Duration::from_micros(amount)),
        b'n' => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

/// The deadline of a call, to be handed to the database and to peers.
///
/// A request that did not come through the stack (a test that calls a handler directly) gets the
/// default of five seconds.
pub fn deadline<T>(request: &tonic::Request<T>) -> Deadline {
    request
        .extensions()
        .get::<Deadline>()
        .copied()
        .unwrap_or_else(|| Deadline::after(Deadlines::default().default))
}

/// Gives each call its [`Deadline`] and ends it when that passes before the answer has begun.
#[derive(Clone, Copy, Debug, Default)]
pub struct DeadlineLayer {
    deadlines: Deadlines,
}

impl DeadlineLayer {
    /// The layer with these times.
    #[must_use]
    pub fn new(deadlines: Deadlines) -> Self {
        Self { deadlines }
    }
}

impl<S> Layer<S> for DeadlineLayer {
    type Service = KeepDeadline<S>;

    fn layer(&self, inner: S) -> KeepDeadline<S> {
        KeepDeadline {
            inner,
            deadlines: self.deadlines,
        }
    }
}

/// The service of [`DeadlineLayer`].
#[derive(Clone, Debug)]
pub struct KeepDeadline<S> {
    inner: S,
    deadlines: Deadlines,
}

impl<S: Calls> Service<Request<Body>> for KeepDeadline<S> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = DeadlineFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let time = self.deadlines.time(request.headers());
        let deadline = Deadline::after(time);
        request.extensions_mut().insert(deadline);
        DeadlineFuture {
            inner: Some(self.inner.call(request)),
            deadline,
            sleep: None,
        }
    }
}

pin_project! {
    /// The future of [`KeepDeadline`].
    pub struct DeadlineFuture<F> {
        #[pin]
        inner: Option<F>,
        deadline: Deadline,
        // Made when the call first waits: one that answers at once never touches the timer.
        #[pin]
        sleep: Option<Sleep>,
    }
}

impl<F> Future for DeadlineFuture<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some(inner) = this.inner.as_mut().as_pin_mut() else {
            return Poll::Pending;
        };
        if let Poll::Ready(answer) = inner.poll(cx) {
            return Poll::Ready(answer);
        }
        if this.sleep.is_none() {
            let sleep = tokio::time::sleep_until(this.deadline.instant().into());
            this.sleep.set(Some(sleep));
        }
        match this.sleep.as_pin_mut().map(|sleep| sleep.poll(cx)) {
            Some(Poll::Ready(())) => {
                // The handler is dropped before anyone hears that its time is over.
                this.inner.set(None);
                let status =
                    Status::deadline_exceeded("the call was not answered before its deadline");
                Poll::Ready(Ok(status.into_http()))
            }
            _ => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn time(grpc_timeout: Option<&'static str>) -> Duration {
        let mut headers = HeaderMap::new();
        if let Some(value) = grpc_timeout {
            headers.insert("grpc-timeout", HeaderValue::from_static(value));
        }
        Deadlines::default().time(&headers)
    }

    #[test]
    fn a_call_gets_what_it_asks_for_less_a_margin_and_at_most_the_cap() {
        let ms = Duration::from_millis;
        for (asked, got) in [
            (None, ms(5_000)),
            (Some("1S"), ms(950)),
            (Some("400m"), ms(380)),
            (Some("20000u"), ms(15)),
            (Some("6m"), ms(3)),
            (Some("1H"), ms(30_000)),
            (Some("99999999H"), ms(30_000)),
            // Not a timeout: as if none was sent.
            (Some("100000000S"), ms(5_000)),
            (Some("S"), ms(5_000)),
            (Some("5 S"), ms(5_000)),
            (Some("5s"), ms(5_000)),
        ] {
            assert_eq!(time(asked), got, "{asked:?}");
        }
    }

    #[tokio::test]
    async fn a_call_that_is_late_is_dropped_and_answered() {
        let (handler, dropped) = tokio::sync::oneshot::channel::<()>();
        let handler = std::sync::Arc::new(std::sync::Mutex::new(Some(handler)));
        let late = tower::service_fn(move |request: Request<Body>| {
            let held = handler.lock().expect("not poisoned").take();
            async move {
                let _held = (held, request.extensions().get::<Deadline>().copied());
                std::future::pending::<Result<Response<Body>, Infallible>>().await
            }
        });
        let mut request = Request::new(Body::empty());
        let timeout = HeaderValue::from_static("100m");
        request.headers_mut().insert("grpc-timeout", timeout);
        let begun = std::time::Instant::now();
        let Ok(answer) = DeadlineLayer::default().layer(late).call(request).await;
        let status = Status::from_header_map(answer.headers()).expect("a status");
        assert_eq!(status.code(), tonic::Code::DeadlineExceeded);
        assert!(begun.elapsed() >= Duration::from_millis(95));
        dropped.await.expect_err("the handler is gone");
    }
}
