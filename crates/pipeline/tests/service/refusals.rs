//! Bad requests: one answer names every bad field, whether the proto or the service knows the rule.

use prost_types::{Duration, FieldMask};
use proto::pipeline::v1::watch_transitions_request::Start;
use proto::pipeline::v1::{
    BatchConvertContactsRequest, ConvertContactRequest, CreatePolicyRequest, ListPositionsRequest,
    ListTransitionsRequest, Policy, PolicyDefinition, UpdatePolicyRequest, WatchTransitionsRequest,
    create_policy_request::Source,
};
use tonic::Status;

use crate::activating::{WORKSPACE, preset};
use crate::suite::{fields, on_each_engine, reason};

fn told(status: &Status) -> (String, Vec<String>) {
    (reason(status), fields(status))
}

fn invalid(fields: &[&str]) -> (String, Vec<String>) {
    let fields = fields.iter().map(|field| (*field).to_owned()).collect();
    ("FIELD_INVALID".to_owned(), fields)
}

/// A definition with one field that breaks a rule of the proto and two that the engine can't hold.
async fn bad(one: &crate::suite::Instance) -> PolicyDefinition {
    let mut bad = preset(one, "one-way").await;
    bad.display_name = "x".repeat(1_001);
    for stage in &mut bad.stages[..2] {
        stage.time_budget = Some(Duration {
            seconds: 1,
            nanos: 1,
        });
    }
    bad
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_policy_is_told_whole() {
    on_each_engine(async |suite| {
        let definition = bad(&suite.one).await;
        let request = CreatePolicyRequest {
            parent: WORKSPACE.to_owned(),
            policy_id: "ours".to_owned(),
            source: Some(Source::Definition(definition.clone())),
            ..CreatePolicyRequest::default()
        };
        let refused = suite.one.policies().create_policy(request).await;
        let expected = invalid(&[
            "definition.display_name",
            "definition.stages[0].time_budget",
            "definition.stages[1].time_budget",
        ]);
        assert_eq!(told(&refused.expect_err("refused")), expected);

        let request = UpdatePolicyRequest {
            policy: Some(Policy {
                name: format!("{WORKSPACE}/policies/default"),
                etag: "one".to_owned(),
                definition: Some(definition),
                ..Policy::default()
            }),
            etag: "other".to_owned(),
            update_mask: Some(FieldMask {
                paths: vec!["definition.stages".to_owned(), "colour".to_owned()],
            }),
            ..UpdatePolicyRequest::default()
        };
        let refused = suite.one.policies().update_policy(request).await;
        let expected = invalid(&[
            "policy.definition.display_name",
            "update_mask",
            "policy.definition.stages[0].time_budget",
            "policy.definition.stages[1].time_budget",
            "etag",
        ]);
        assert_eq!(told(&refused.expect_err("refused")), expected);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_batch_is_told_whole_and_moves_nobody() {
    on_each_engine(async |suite| {
        let ada = format!("{WORKSPACE}/contacts/ada");
        suite.directory.person(&ada, "");
        let before = suite.one.position(&ada).await.expect("a position");
        let convert = |contact: &str, note: &str| ConvertContactRequest {
            contact: contact.to_owned(),
            stage: "client".to_owned(),
            note: note.to_owned(),
            ..ConvertContactRequest::default()
        };
        let request = BatchConvertContactsRequest {
            parent: WORKSPACE.to_owned(),
            requests: vec![convert(&ada, "a\0b"), convert(&ada, ""), convert(&ada, "")],
            ..BatchConvertContactsRequest::default()
        };
        let refused = suite.one.positions().batch_convert_contacts(request).await;
        let expected = invalid(&[
            "requests[0].note",
            "requests[1].contact",
            "requests[2].contact",
        ]);
        assert_eq!(told(&refused.expect_err("refused")), expected);
        let after = suite.one.position(&ada).await.expect("a position");
        assert_eq!(after, before);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_list_and_a_bad_watch_are_told_whole() {
    on_each_engine(async |suite| {
        let request = ListPositionsRequest {
            parent: WORKSPACE.to_owned(),
            page_size: -1,
            page_token: "x".to_owned(),
            filter: "colour = red".to_owned(),
            order_by: "note".to_owned(),
            at_least_as_fresh_as: vec!["nonsense".to_owned()],
        };
        let refused = suite.one.positions().list_positions(request).await;
        let expected = invalid(&[
            "page_size",
            "filter",
            "order_by",
            "page_token",
            "at_least_as_fresh_as",
        ]);
        assert_eq!(told(&refused.expect_err("refused")), expected);

        let request = ListTransitionsRequest {
            parent: format!("{WORKSPACE}/contacts/-"),
            filter: "colour = red".to_owned(),
            ..ListTransitionsRequest::default()
        };
        let refused = suite.one.positions().list_transitions(request).await;
        let refused = refused.expect_err("refused");
        assert_eq!(reason(&refused), "FILTER_INVALID");

        let request = WatchTransitionsRequest {
            parent: WORKSPACE.to_owned(),
            start: Some(Start::ResumeToken("x".to_owned())),
            send_snapshot: true,
            heartbeat_interval: Some(Duration {
                seconds: 1,
                nanos: 0,
            }),
        };
        let refused = suite.one.positions().watch_transitions(request).await;
        let expected = invalid(&["heartbeat_interval", "resume_token", "send_snapshot"]);
        assert_eq!(told(&refused.expect_err("refused")), expected);
    })
    .await;
}
