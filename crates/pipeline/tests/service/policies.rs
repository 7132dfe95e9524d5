//! Policies and their revisions.

use prost_types::FieldMask;
use proto::pipeline::v1::{
    CreatePolicyRequest, GetActivePolicyRequest, GetPolicyRequest, ListPoliciesRequest, Policy,
    UpdatePolicyRequest, create_policy_request::Source, policy, policy_activation,
};
use tonic::Code;

use crate::activating::{WORKSPACE, active, create, preset};
use crate::suite::{metadata, on_each_engine, reason};

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_exists_once_it_is_named_under_one_way() {
    on_each_engine(async |suite| {
        let (policy, activation) = active(&suite.one).await;
        assert_eq!(policy.name, "workspaces/default/policies/default");
        assert_eq!(
            policy.revision,
            "workspaces/default/policies/default/revisions/1"
        );
        assert_eq!(
            (policy.preset.as_str(), policy.state()),
            ("one-way", policy::State::Active)
        );
        assert_eq!(
            (activation.number, activation.state()),
            (1, policy_activation::State::Complete)
        );
        // Many who name a new workspace at once agree on it.
        let mut asks = tokio::task::JoinSet::new();
        for _ in 0..16 {
            let mut policies = suite.one.policies();
            asks.spawn(async move {
                let request = GetActivePolicyRequest {
                    parent: "workspaces/fresh".to_owned(),
                };
                policies
                    .get_active_policy(request)
                    .await
                    .expect("one")
                    .into_inner()
            });
        }
        let answers = asks.join_all().await;
        assert!(answers.windows(2).all(|pair| pair[0] == pair[1]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_preset_can_be_created_and_read_back_as_it_is() {
    on_each_engine(async |suite| {
        for id in [
            "one-way",
            "free-switch",
            "relationship",
            "verified-interest",
            "call-driven",
        ] {
            let written = preset(&suite.one, id).await;
            let request = CreatePolicyRequest {
                parent: WORKSPACE.to_owned(),
                policy_id: id.to_owned(),
                source: Some(Source::Preset(id.to_owned())),
                ..CreatePolicyRequest::default()
            };
            let created = suite.one.policies().create_policy(request.clone()).await;
            let created = created
                .expect("created")
                .into_inner()
                .policy
                .expect("a policy");
            assert_eq!(created.definition, Some(written));
            let again = suite.one.policies().create_policy(request).await;
            assert_eq!(
                reason(&again.expect_err("the id is taken")),
                "RESOURCE_EXISTS"
            );
            let request = GetPolicyRequest {
                name: created.revision.clone(),
            };
            let read = suite
                .one
                .policies()
                .get_policy(request)
                .await
                .expect("read");
            assert_eq!(read.into_inner().policy, Some(created));
        }
        let mut names = Vec::new();
        let mut token = String::new();
        loop {
            let request = ListPoliciesRequest {
                parent: WORKSPACE.to_owned(),
                page_size: 2,
                page_token: token,
                ..ListPoliciesRequest::default()
            };
            let page = suite
                .one
                .policies()
                .list_policies(request)
                .await
                .expect("a page");
            let page = page.into_inner();
            names.extend(page.policies.into_iter().map(|policy| policy.name));
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(names.len(), 6);
        assert!(names.windows(2).all(|pair| pair[0] < pair[1]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hard_rule_and_every_other_fault_is_refused_when_a_policy_is_saved() {
    on_each_engine(async |suite| {
        let good = preset(&suite.one, "one-way").await;
        let mut granting = good.clone();
        granting.stages[0].entitlements.push("invoice".to_owned());
        granting.initial = "nowhere".to_owned();
        let refused = create(&suite.one, "p", granting)
            .await
            .expect_err("a lead is not invoiced");
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::InvalidArgument, "POLICY_INVALID")
        );
        let faults: i32 = metadata(&refused, "faults").parse().expect("a number");
        assert!(faults >= 2);
        let mut wrong = good.clone();
        wrong.guards[0].expression = "contact.has_emial".to_owned();
        let guard = wrong.guards[0].id.clone();
        let refused = create(&suite.one, "p", wrong)
            .await
            .expect_err("a misspelt field");
        assert_eq!(reason(&refused), "POLICY_EXPRESSION_INVALID");
        assert_eq!(metadata(&refused, "guard"), guard);
        let mut endless = good;
        endless.guards[0].expression = format!("{}true", "true && ".repeat(2000));
        let refused = create(&suite.one, "p", endless)
            .await
            .expect_err("too long");
        assert_eq!(reason(&refused), "POLICY_EXPRESSION_INVALID");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_makes_the_next_revision() {
    on_each_engine(async |suite| {
        let definition = preset(&suite.one, "one-way").await;
        let first = create(&suite.one, "mine", definition.clone())
            .await
            .expect("created");
        let mut wanted = definition.clone();
        wanted.display_name = "Ours".to_owned();
        wanted.stages.clear();
        let update = UpdatePolicyRequest {
            policy: Some(Policy {
                name: first.name.clone(),
                definition: Some(wanted),
                etag: first.etag.clone(),
                ..Policy::default()
            }),
            update_mask: Some(FieldMask {
                paths: vec!["definition.display_name".to_owned()],
            }),
            ..UpdatePolicyRequest::default()
        };
        let second = suite
            .one
            .policies()
            .update_policy(update.clone())
            .await
            .expect("updated");
        let second = second.into_inner().policy.expect("a policy");
        assert_eq!(
            (second.revision_number, second.name.as_str()),
            (2, first.name.as_str())
        );
        let said = second.definition.expect("a definition");
        assert_eq!((said.display_name.as_str(), said.stages.len()), ("Ours", 3));
        let stale = suite.one.policies().update_policy(update.clone()).await;
        assert_eq!(
            reason(&stale.expect_err("the etag is old")),
            "ETAG_MISMATCH"
        );
        for (paths, expected) in [
            (vec![], "UPDATE_MASK_REQUIRED"),
            (vec!["colour".to_owned()], "UPDATE_MASK_INVALID"),
            (
                vec!["*".to_owned(), "definition".to_owned()],
                "UPDATE_MASK_INVALID",
            ),
        ] {
            let mut update = update.clone();
            update.policy.as_mut().expect("a policy").etag.clear();
            update.update_mask = Some(FieldMask { paths });
            let refused = suite.one.policies().update_policy(update).await;
            assert_eq!(reason(&refused.expect_err("a bad mask")), expected);
        }
        let revisions = ListPoliciesRequest {
            parent: first.name.clone(),
            ..ListPoliciesRequest::default()
        };
        let listed = suite
            .one
            .policies()
            .list_policies(revisions)
            .await
            .expect("a list");
        let numbers: Vec<i64> = listed
            .into_inner()
            .policies
            .iter()
            .map(|policy| policy.revision_number)
            .collect();
        assert_eq!(numbers, [2, 1]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_updates_without_an_etag_that_meet_one_wins_and_the_others_are_told_so() {
    on_each_engine(async |suite| {
        let definition = preset(&suite.one, "one-way").await;
        let first = create(&suite.one, "ours", definition).await;
        let first = first.expect("created");
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let mut policies = suite.one.policies();
            let update = UpdatePolicyRequest {
                policy: Some(Policy {
                    etag: String::new(),
                    ..first.clone()
                }),
                update_mask: Some(FieldMask {
                    paths: vec!["definition".to_owned()],
                }),
                ..UpdatePolicyRequest::default()
            };
            calls.spawn(async move { policies.update_policy(update).await });
        }
        let mut won = 0;
        while let Some(done) = calls.join_next().await {
            match done.expect("an answer") {
                Ok(_) => won += 1,
                Err(refused) => assert_eq!(reason(&refused), "CONCURRENT_UPDATE"),
            }
        }
        assert!(won > 0);
    })
    .await;
}
