//! Refusals carry what the API promises and stay small.

use super::*;
use crate::reasons;

#[test]
fn a_refusal_arrives_with_everything() {
    let status = Refusal::new(Reason::GuardNotMet, "a guard is not met")
        .metadata("contact", "workspaces/default/contacts/ada")
        .precondition("GUARD", "has-email", "needs an e-mail address")
        .resource("clientele.dev/Contact", "workspaces/default/contacts/ada")
        .retry_after(Duration::from_secs(3))
        .trace("0af7651916cd43dd8448eb211c80319c")
        .into_status();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(status.message(), "a guard is not met");
    assert_eq!(reason(&status), Some(Reason::GuardNotMet));
    assert_eq!(
        metadata(&status)["contact"],
        "workspaces/default/contacts/ada"
    );
    assert_eq!(retry_after(&status), Some(Duration::from_secs(3)));
    let details = status.get_error_details();
    let failure = details
        .precondition_failure()
        .expect("a PreconditionFailure");
    assert_eq!(failure.violations[0].subject, "has-email");
    assert_eq!(
        details.error_info().expect("an ErrorInfo").domain,
        "clientele.dev"
    );
    assert_eq!(
        details
            .resource_info()
            .expect("a ResourceInfo")
            .resource_type,
        "clientele.dev/Contact"
    );
    assert!(details.request_info().is_some());
}

#[test]
fn violations_become_a_bad_request() {
    let mut violations = Violations::one("contact.title", "string.max_len", "must be short");
    violations.push(
        "contact.emails[0].address",
        "string.min_len",
        "must not be empty",
    );
    let status = Status::from(violations);
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(status.message(), "contact.title must be short (and 1 more)");
    assert_eq!(reason(&status), Some(Reason::FieldInvalid));
    assert_eq!(metadata(&status)["violations"], "2");
    let details = status.get_error_details();
    let request = details.bad_request().expect("a BadRequest");
    assert_eq!(
        request.field_violations[1].field,
        "contact.emails[0].address"
    );
}

#[test]
fn the_worst_request_still_gets_a_small_status() {
    let mut violations = Violations::default();
    for index in 0..5000 {
        let field = format!("contact.labels[\"{}\"].part{index}", "ü".repeat(200));
        violations.push(field, "string.pattern", "é".repeat(2000));
    }
    let status = Refusal::from(violations)
        .metadata("long", "x".repeat(100_000))
        .into_status();
    assert!(
        status.details().len() <= DETAILS_BYTES_MAX,
        "{}",
        status.details().len()
    );
    let found = metadata(&status);
    assert_eq!(found["violations"], "5000");
    let kept = status
        .get_error_details()
        .bad_request()
        .expect("some are kept")
        .clone();
    assert!(!kept.field_violations.is_empty());
    let omitted: usize = found["omitted"].parse().expect("a number");
    assert_eq!(omitted + kept.field_violations.len(), 5000);
    assert!(status.message().chars().count() <= MESSAGE_CHARS_MAX);
}

#[test]
fn metadata_alone_never_bursts_the_limit() {
    const KEYS: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
    let mut refusal = Refusal::new(Reason::StageUnmapped, "m".repeat(100_000))
        .resource("clientele.dev/Contact", "é".repeat(10_000));
    for key in KEYS {
        refusal = refusal.metadata(key, "\u{10000}".repeat(10_000));
    }
    let status = refusal.into_status();
    assert!(status.details().len() <= DETAILS_BYTES_MAX);
    assert_eq!(reason(&status), Some(Reason::StageUnmapped));
}

#[test]
fn the_message_is_cut_by_what_is_sent_of_it() {
    for text in ["\u{10000}", "é", " ", "m", "%", "a sentence of words "] {
        let status = Refusal::new(Reason::EtagMismatch, text.repeat(1000)).into_status();
        let headers = status.clone().into_http::<()>().into_parts().0.headers;
        let sent = headers[Status::GRPC_MESSAGE].len();
        assert!(sent <= MESSAGE_BYTES_MAX, "{text}: {sent}");
        let kept = status.message().chars().count();
        assert!(kept >= MESSAGE_BYTES_MAX / 12, "{text}: {kept}");
    }
}

#[test]
fn unavailable_always_says_when_to_come_back() {
    for known in reasons().filter(|reason| reason.code() == Code::Unavailable) {
        let status = Refusal::new(known, "not now").into_status();
        assert_eq!(
            retry_after(&status),
            Some(RETRY_DEFAULT),
            "{}",
            known.wire_name()
        );
    }
    let status = Refusal::new(Reason::EtagMismatch, "changed").into_status();
    assert_eq!(retry_after(&status), None);
}

#[test]
fn reasons_of_others_are_not_ours() {
    let details = ErrorDetails::with_error_info("ETAG_MISMATCH", "example.com", HashMap::new());
    let status = Status::with_error_details(Code::Aborted, "theirs", details);
    assert_eq!(reason(&status), None);
    assert!(metadata(&status).is_empty());
    assert_eq!(reason(&Status::internal("a fault")), None);
    assert_eq!(
        reason(&without_reason(Code::Internal, "a fault", "trace")),
        None
    );
}

#[test]
fn a_status_can_travel_in_a_message() {
    let status = Refusal::new(Reason::GuardNotMet, "a guard is not met").into_status();
    let wire = to_wire(&status);
    assert_eq!(
        (wire.code, wire.message.as_str()),
        (9, "a guard is not met")
    );
    assert!(wire.details[0].type_url.ends_with("google.rpc.ErrorInfo"));
    assert_eq!(to_wire(&Status::internal("a fault")).details, []);
}
