//! W3C trace context in the headers of a call, in and out.
//!
//! The propagator is used directly and not through OpenTelemetry's global one: calls of the suite
//! carry `traceparent` whether or not telemetry was set up.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::TraceContextExt;
use opentelemetry_sdk::propagation::TraceContextPropagator;

/// The caller's context; `None` without a valid `traceparent`.
pub(crate) fn extract(headers: &HeaderMap) -> Option<Context> {
    if !headers.contains_key("traceparent") {
        return None;
    }
    let none = Context::new();
    let context = TraceContextPropagator::new().extract_with_context(&none, &In(headers));
    context.span().span_context().is_valid().then_some(context)
}

/// Writes `context` into the headers of an outgoing call, unless it is empty.
pub(crate) fn inject(context: &Context, headers: &mut HeaderMap) {
    TraceContextPropagator::new().inject_context(context, &mut Out(headers));
}

struct In<'a>(&'a HeaderMap);

impl Extractor for In<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

struct Out<'a>(&'a mut HeaderMap);

impl Injector for Out<'_> {
    fn set(&mut self, key: &str, value: String) {
        if value.is_empty() {
            return;
        }
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(key.as_bytes()),
            HeaderValue::try_from(value),
        ) {
            self.0.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn headers(traceparent: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(
            HeaderName::from_static("traceparent"),
            HeaderValue::from_static(traceparent),
        )])
    }

    #[test]
    fn what_comes_in_goes_out() {
        let context = extract(&headers(PARENT)).expect("valid");
        let mut out = HeaderMap::new();
        inject(&context, &mut out);
        assert_eq!(out.get("traceparent").expect("set"), PARENT);
        assert!(!out.contains_key("tracestate"));
    }

    #[test]
    fn nonsense_is_no_context() {
        for value in [
            "",
            "00",
            "00-0-0-0",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert!(extract(&headers(value)).is_none(), "{value}");
        }
        assert!(extract(&HeaderMap::new()).is_none());
    }
}
