//! What telemetry costs where nobody looks at it.

use tracing::Level;

use crate::support::trace;

#[tokio::test(flavor = "multi_thread")]
async fn spans_of_libraries_are_not_opened() {
    trace().await;
    // HTTP/2 has a dozen spans a call: opened, they were a fifth of a point read.
    assert!(!tracing::span_enabled!(target: "h2::proto::connection", Level::DEBUG));
    assert!(!tracing::span_enabled!(target: "h2::proto::streams", Level::TRACE));
    assert!(!tracing::event_enabled!(target: "clientele::metric", Level::TRACE));
}
