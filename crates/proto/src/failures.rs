//! What a failure of a service's database looks like on the wire, alike for every service.

use std::time::Duration;

use tonic::{Code, Status};
use types::Failure;

use crate::errors::v1::Reason;
use crate::status::{Refusal, without_reason};
use crate::validate::Violations;

/// When to come back where the wait is for another caller.
const SOON: Duration = Duration::from_millis(100);

/// The status that callers get.
#[must_use]
pub fn status(failure: Failure) -> Status {
    match failure {
        Failure::Contention => {
            let message = "others changed the same data at the same time; repeat after a pause";
            Refusal::new(Reason::ConcurrentUpdate, message)
                .retry_after(SOON)
                .into()
        }
        Failure::DeadlineExceeded => {
            without_reason(Code::DeadlineExceeded, "the deadline passed", "")
        }
        Failure::Overloaded => {
            Refusal::new(Reason::Overloaded, "too many writes are waiting; back off").into()
        }
        Failure::Unavailable => database("the database is not available"),
        Failure::CommitUnknown => database(
            "the database vanished while it committed: repeat with the same request_id to learn \
             whether it did",
        ),
        Failure::RequestIdReused => {
            let message = "request_id was used before with another request; take a new one";
            Refusal::new(Reason::RequestIdReused, message)
                .field_violation("request_id", "must be new for a new request")
                .into()
        }
        Failure::RequestInProgress => {
            let message = "a call with this request_id is still running; repeat it for its answer";
            Refusal::new(Reason::RequestInProgress, message)
                .retry_after(SOON)
                .into()
        }
        Failure::PageTokenMismatch => {
            let problem = "was not given out for this list with these arguments";
            Refusal::new(Reason::PageTokenMismatch, format!("page_token {problem}"))
                .metadata("changed", "page_token")
                .field_violation("page_token", problem)
                .into()
        }
        Failure::PageSizeNegative => {
            Violations::one("page_size", "int32.gte", "must not be negative").into()
        }
        Failure::Fault => without_reason(Code::Internal, "the service failed", ""),
    }
}

fn database(message: &'static str) -> Status {
    Refusal::new(Reason::UpstreamUnavailable, message)
        .metadata("upstream", "database")
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::{reason, retry_after};

    #[test]
    fn what_may_be_repeated_says_when_and_faults_say_nothing() {
        for (failure, wanted) in [
            (Failure::Contention, Some(Reason::ConcurrentUpdate)),
            (Failure::Overloaded, Some(Reason::Overloaded)),
            (Failure::Unavailable, Some(Reason::UpstreamUnavailable)),
            (Failure::CommitUnknown, Some(Reason::UpstreamUnavailable)),
            (Failure::RequestInProgress, Some(Reason::RequestInProgress)),
        ] {
            let status = status(failure);
            assert_eq!(reason(&status), wanted);
            assert!(retry_after(&status).is_some(), "{failure:?}");
        }
        for failure in [Failure::DeadlineExceeded, Failure::Fault] {
            let status = status(failure);
            assert_eq!((reason(&status), retry_after(&status)), (None, None));
        }
    }
}
