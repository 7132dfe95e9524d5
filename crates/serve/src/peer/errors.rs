//! What the transport reports, in the codes of the API.
//!
//! tonic says CANCELLED for a deadline that passed, UNKNOWN or INTERNAL for a connection that
//! broke. For a caller there are only two cases: too late, or not reachable now.

use http::{HeaderValue, Response};
use tonic::body::Body;
use tonic::{Code, Status};

use crate::refusals;

/// The text with which tonic reports an expired deadline, on both sides.
const TIMEOUT_EXPIRED: &str = "Timeout expired";
const TIMEOUT_EXPIRED_ENCODED: &[u8] = b"Timeout%20expired";

/// The status of a call that the transport failed. Whether the peer has seen it is unknown.
pub(super) fn of_transport(
    error: Box<dyn std::error::Error + Send + Sync>,
    upstream: &str,
) -> Status {
    of_status(&Status::from_error(error), upstream)
}

/// The same for an error that already became a status.
pub(super) fn of_status(status: &Status, upstream: &str) -> Status {
    if is_timeout(status) {
        return deadline_exceeded();
    }
    // The transport's words name addresses of this network: they go to the log, not to callers.
    tracing::debug!(error = %status, upstream, "a peer was not reached");
    refusals::upstream_unavailable(upstream)
}

/// Mends the one status that a peer's tonic gets wrong itself.
pub(super) fn mend(response: Response<Body>) -> Response<Body> {
    let header = |name| response.headers().get(name).map(HeaderValue::as_bytes);
    // Compared as it is on the wire: decoding a status costs more, and panics on bad details.
    let late = header(Status::GRPC_STATUS) == Some(b"1")
        && header(Status::GRPC_MESSAGE) == Some(TIMEOUT_EXPIRED_ENCODED);
    if late {
        deadline_exceeded().into_http()
    } else {
        response
    }
}

pub(super) fn deadline_exceeded() -> Status {
    Status::deadline_exceeded("another service did not answer before the deadline")
}

fn is_timeout(status: &Status) -> bool {
    status.code() == Code::Cancelled && status.message() == TIMEOUT_EXPIRED
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_an_expired_deadline_is_still_tonics() {
        assert_eq!(tonic::TimeoutExpired(()).to_string(), TIMEOUT_EXPIRED);
        let status = of_transport(Box::new(tonic::TimeoutExpired(())), "pipeline");
        assert_eq!(status.code(), Code::DeadlineExceeded);
    }

    #[test]
    fn a_peers_late_cancelled_becomes_a_deadline() {
        let late = Status::cancelled(TIMEOUT_EXPIRED).into_http();
        let mended = Status::from_header_map(mend(late).headers()).expect("a status");
        assert_eq!(mended.code(), Code::DeadlineExceeded);
        let other = Status::cancelled("by the user").into_http();
        let same = Status::from_header_map(mend(other).headers()).expect("a status");
        assert_eq!(same.code(), Code::Cancelled);
    }

    #[test]
    fn every_other_fault_of_the_transport_is_unavailable_and_names_no_address() {
        for status in [
            Status::unknown("transport error: 192.0.2.1:50051"),
            Status::internal("h2 protocol error"),
            Status::cancelled("operation was canceled"),
        ] {
            let mended = of_status(&status, "pipeline");
            assert_eq!(mended.code(), Code::Unavailable);
            assert!(!mended.message().contains("192"), "{mended}");
        }
    }
}
