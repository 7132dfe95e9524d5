//! ConvertContact, its refusals and repetitions, and what is read of it afterwards.

use proto::contacts::v1::{Contact, Role};
use proto::pipeline::v1::{
    CheckEntitlementRequest, ConvertContactRequest, GetPositionRequest, ListTransitionsRequest,
    position,
};
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::suite::{metadata, on_each_engine, reason};

const ADA: &str = "workspaces/default/contacts/ada";
const REQUEST_ID: &str = "0190163d-8694-739b-aea5-966c26f8ad90";

#[tokio::test(flavor = "multi_thread")]
async fn a_conversion_answers_what_it_gives_and_one_way_never_goes_back() {
    on_each_engine(async |suite| {
        suite.directory.person(ADA, "");
        let done = suite.one.convert(ADA, "client").await.expect("converted");
        assert_eq!(done.state(), position::State::Open);
        let transition = done.transition.expect("a transition");
        assert!(transition.skip);
        assert_eq!(
            (transition.from_stage.as_str(), transition.revision),
            ("lead", 2)
        );
        assert_eq!(done.gained.len(), 7);
        assert!(done.lost.is_empty() && !done.consistency_token.is_empty());
        for stage in ["lead", "prospect", "client"] {
            let refused = suite
                .one
                .convert(ADA, stage)
                .await
                .expect_err("never backward");
            assert_eq!(refused.code(), Code::FailedPrecondition);
            assert_eq!(reason(&refused), "TRANSITION_NOT_ALLOWED");
            assert_eq!(metadata(&refused, "from"), "client");
            assert_eq!(metadata(&refused, "to"), stage);
        }
        let unknown = suite
            .one
            .convert(ADA, "vip")
            .await
            .expect_err("no such stage");
        assert_eq!(
            (unknown.code(), reason(&unknown).as_str()),
            (Code::InvalidArgument, "STAGE_UNKNOWN")
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn facts_are_read_fresh_and_every_failed_guard_is_listed() {
    on_each_engine(async |suite| {
        let person = suite.directory.person(ADA, "");
        suite.directory.put(Contact {
            emails: Vec::new(),
            ..person.clone()
        });
        let refused = suite
            .one
            .convert(ADA, "client")
            .await
            .expect_err("no e-mail");
        assert_eq!(reason(&refused), "GUARD_NOT_MET");
        let failure = refused
            .get_details_precondition_failure()
            .expect("a failure");
        assert_eq!(failure.violations[0].r#type, "GUARD");
        assert!(!metadata(&refused, "guards").is_empty());
        suite.directory.put(person);
        suite
            .one
            .convert(ADA, "client")
            .await
            .expect("now there is one");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repetition_is_answered_from_memory_also_after_a_restart() {
    on_each_engine(async |suite| {
        suite.directory.person(ADA, "");
        let request = ConvertContactRequest {
            contact: ADA.to_owned(),
            stage: "prospect".to_owned(),
            note: "naïve \u{202e}note\u{1F600}".to_owned(),
            request_id: REQUEST_ID.to_owned(),
            ..ConvertContactRequest::default()
        };
        let first = suite
            .one
            .convert_with(request.clone())
            .await
            .expect("converted");
        suite.one.convert(ADA, "client").await.expect("converted");
        suite.restart().await;
        let again = suite
            .one
            .positions()
            .convert_contact(request.clone())
            .await
            .expect("again");
        assert_eq!(
            again
                .metadata()
                .get("clientele-replayed")
                .expect("the mark"),
            "1"
        );
        assert_eq!(again.into_inner(), first);
        let other = ConvertContactRequest {
            stage: "client".to_owned(),
            ..request.clone()
        };
        let reused = suite
            .one
            .convert_with(other)
            .await
            .expect_err("another request");
        assert_eq!(reason(&reused), "REQUEST_ID_REUSED");
        let zero = ConvertContactRequest {
            request_id: "00000000-0000-0000-0000-000000000000".to_owned(),
            ..request
        };
        let unfilled = suite.one.convert_with(zero).await.expect_err("the zero id");
        assert_eq!(reason(&unfilled), "FIELD_INVALID");
        let moved = suite.one.position(ADA).await.expect("a position");
        assert_eq!((moved.stage.as_str(), moved.revision), ("client", 3));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn validate_only_changes_nothing_and_an_old_etag_is_refused() {
    on_each_engine(async |suite| {
        suite.directory.person(ADA, "");
        let before = suite.one.position(ADA).await.expect("a position");
        let request = ConvertContactRequest {
            contact: ADA.to_owned(),
            stage: "prospect".to_owned(),
            validate_only: true,
            request_id: REQUEST_ID.to_owned(),
            ..ConvertContactRequest::default()
        };
        let tried = suite
            .one
            .convert_with(request.clone())
            .await
            .expect("tried");
        let would_be = tried.position.expect("a position");
        assert_eq!(
            (would_be.stage.as_str(), would_be.etag.as_str()),
            ("prospect", "")
        );
        assert_eq!(tried.consistency_token, "");
        assert_eq!(suite.one.position(ADA).await.expect("a position"), before);
        suite
            .one
            .convert_with(ConvertContactRequest {
                validate_only: false,
                etag: before.etag.clone(),
                ..request.clone()
            })
            .await
            .expect("the etag is right");
        let stale = ConvertContactRequest {
            stage: "client".to_owned(),
            validate_only: false,
            etag: before.etag,
            request_id: String::new(),
            ..request
        };
        let refused = suite
            .one
            .convert_with(stale)
            .await
            .expect_err("the etag is old");
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::Aborted, "ETAG_MISMATCH")
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_that_cannot_be_stored_are_refused() {
    on_each_engine(async |suite| {
        suite.directory.person(ADA, "");
        let request = ConvertContactRequest {
            contact: ADA.to_owned(),
            stage: "prospect".to_owned(),
            note: "a\0b".to_owned(),
            ..ConvertContactRequest::default()
        };
        let refused = suite.one.convert_with(request).await.expect_err("a NUL");
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::InvalidArgument, "FIELD_INVALID")
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_is_readable_as_of_any_time() {
    on_each_engine(async |suite| {
        suite.directory.person(ADA, "");
        let opened = suite.one.position(ADA).await.expect("a position");
        let done = suite.one.convert(ADA, "prospect").await.expect("converted");
        let moved = done.transition.expect("a transition").effective_time;
        for (as_of, stage, role) in [
            (
                Some(prost_types::Timestamp {
                    seconds: 1,
                    nanos: 0,
                }),
                "",
                Role::Unspecified,
            ),
            (opened.enter_time, "lead", Role::Lead),
            (moved, "prospect", Role::Prospect),
        ] {
            let request = GetPositionRequest {
                name: format!("{ADA}/position"),
                as_of,
                ..GetPositionRequest::default()
            };
            let answer = suite
                .one
                .positions()
                .get_position(request)
                .await
                .expect("a position");
            let position = answer.into_inner().position.expect("a position");
            assert_eq!((position.stage.as_str(), position.role()), (stage, role));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn entitlements_are_checked_and_unknown_ones_denied() {
    on_each_engine(async |suite| {
        suite.directory.person(ADA, "prospect");
        for (entitlement, allowed) in [("proposal", true), ("invoice", false), ("teleport", false)]
        {
            let request = CheckEntitlementRequest {
                contact: ADA.to_owned(),
                entitlement: entitlement.to_owned(),
                ..CheckEntitlementRequest::default()
            };
            let answer = suite.one.entitlements().check_entitlement(request).await;
            let answer = answer.expect("an answer").into_inner();
            assert_eq!(answer.allowed, allowed, "{entitlement}");
            assert_eq!(
                (answer.stage.as_str(), answer.role()),
                ("prospect", Role::Prospect)
            );
            assert!(!answer.reason.is_empty() && !answer.consistency_token.is_empty());
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reason_and_an_effective_time_are_kept_in_the_history() {
    on_each_engine(async |suite| {
        suite.directory.person(ADA, "");
        let opened = suite
            .one
            .position(ADA)
            .await
            .expect("a position")
            .enter_time;
        let request = ConvertContactRequest {
            contact: ADA.to_owned(),
            stage: "client".to_owned(),
            reason: "confirmed business".to_owned(),
            note: "on the phone".to_owned(),
            effective_time: opened,
            ..ConvertContactRequest::default()
        };
        suite
            .one
            .convert_with(request.clone())
            .await
            .expect("converted");
        let early = ConvertContactRequest {
            effective_time: Some(prost_types::Timestamp {
                seconds: 1,
                nanos: 0,
            }),
            stage: "prospect".to_owned(),
            contact: "workspaces/default/contacts/bob".to_owned(),
            ..request
        };
        suite
            .directory
            .person("workspaces/default/contacts/bob", "");
        let refused = suite
            .one
            .convert_with(early)
            .await
            .expect_err("before the opening");
        assert_eq!(reason(&refused), "FIELD_INVALID");
        let request = ListTransitionsRequest {
            parent: ADA.to_owned(),
            ..ListTransitionsRequest::default()
        };
        let answer = suite
            .one
            .positions()
            .list_transitions(request)
            .await
            .expect("a list");
        let history = answer.into_inner().transitions;
        let last = history.last().expect("two moves");
        assert_eq!(
            (last.reason.as_str(), last.note.as_str()),
            ("confirmed business", "on the phone")
        );
        assert_eq!((last.effective_time, history.len()), (opened, 2));
        assert_eq!(last.hash.len(), 64);
    })
    .await;
}
