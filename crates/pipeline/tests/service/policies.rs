//! Policies and their activation.

use std::collections::BTreeMap;
use std::time::Duration;

use prost_types::FieldMask;
use proto::contacts::v1::{Contact, contact};
use proto::pipeline::v1::{
    AcknowledgeFenceRequest, ActivatePolicyRequest, CancelPolicyActivationRequest,
    ConvertContactRequest, CreatePolicyRequest, GetActivePolicyRequest, GetPolicyRequest,
    ListPoliciesRequest, ListPolicyActivationsRequest, ListPositionsRequest, ListPresetsRequest,
    ListTransitionsRequest, Policy, PolicyActivation, PolicyDefinition, UpdatePolicyRequest,
    WatchPolicyActivationRequest, create_policy_request::Source, policy, policy_activation,
    transition,
};
use tonic::{Code, Request, Status};

use crate::suite::{HOLDER, Instance, Suite, eventually, metadata, on_each_engine, reason};

const WORKSPACE: &str = "workspaces/default";
const ADA: &str = "workspaces/default/contacts/ada";
const BOB: &str = "workspaces/default/contacts/bob";

async fn preset(instance: &Instance, id: &str) -> PolicyDefinition {
    let answer = instance
        .policies()
        .list_presets(ListPresetsRequest::default())
        .await;
    let presets = answer.expect("presets").into_inner().presets;
    assert_eq!(presets.len(), 5);
    assert_eq!(presets[0].id, "one-way");
    presets
        .into_iter()
        .find(|preset| preset.id == id)
        .and_then(|preset| preset.definition)
        .expect("the preset")
}

async fn create(
    instance: &Instance,
    id: &str,
    definition: PolicyDefinition,
) -> Result<Policy, Status> {
    let request = CreatePolicyRequest {
        parent: WORKSPACE.to_owned(),
        policy_id: id.to_owned(),
        source: Some(Source::Definition(definition)),
        ..CreatePolicyRequest::default()
    };
    let answer = instance.policies().create_policy(request).await?;
    Ok(answer.into_inner().policy.expect("a policy"))
}

async fn activate(
    instance: &Instance,
    revision: &str,
    stage_map: &[(&str, &str)],
    validate_only: bool,
) -> Result<PolicyActivation, Status> {
    let request = ActivatePolicyRequest {
        name: revision.to_owned(),
        stage_map: stage_map
            .iter()
            .map(|(from, to)| ((*from).to_owned(), (*to).to_owned()))
            .collect(),
        validate_only,
        ..ActivatePolicyRequest::default()
    };
    let answer = instance.policies().activate_policy(request).await?;
    Ok(answer.into_inner().activation.expect("an activation"))
}

async fn active(instance: &Instance) -> (Policy, PolicyActivation) {
    let request = GetActivePolicyRequest {
        parent: WORKSPACE.to_owned(),
    };
    let answer = instance
        .policies()
        .get_active_policy(request)
        .await
        .expect("one");
    let answer = answer.into_inner();
    (
        answer.policy.expect("a policy"),
        answer.activation.expect("an activation"),
    )
}

/// The preset `free-switch` with its stages renamed by this map.
fn renamed(mut definition: PolicyDefinition, names: &[(&str, &str)]) -> PolicyDefinition {
    let names: BTreeMap<&str, &str> = names.iter().copied().collect();
    let rename = |id: &mut String| {
        if let Some(to) = names.get(id.as_str()) {
            *id = (*to).to_owned();
        }
    };
    rename(&mut definition.initial);
    definition.create_in.iter_mut().for_each(rename);
    for stage in &mut definition.stages {
        rename(&mut stage.id);
    }
    for transition in &mut definition.transitions {
        rename(&mut transition.from);
        rename(&mut transition.to);
    }
    definition.triggers.clear();
    definition
}

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

/// Ada is a lead and Bob a client, under `free-switch`.
async fn populated(suite: &Suite) -> PolicyDefinition {
    suite.one.activate_preset("default", "free-switch").await;
    for (contact, stage) in [(ADA, "lead"), (BOB, "client")] {
        suite.directory.person(contact, "");
        suite.one.position(contact).await.expect("a position");
        suite.one.convert(contact, stage).await.expect("converted");
    }
    preset(&suite.one, "free-switch").await
}

#[tokio::test(flavor = "multi_thread")]
async fn people_in_flight_are_mapped_and_a_stage_without_a_map_blocks() {
    on_each_engine(async |suite| {
        let definition = populated(suite).await;
        let new = renamed(definition, &[("lead", "warm"), ("contact", "cold")]);
        let new = create(&suite.one, "new", new).await.expect("created");
        let refused = activate(&suite.one, &new.revision, &[], false)
            .await
            .expect_err("unmapped");
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::FailedPrecondition, "STAGE_UNMAPPED")
        );
        assert_eq!(
            (metadata(&refused, "stage"), metadata(&refused, "contacts")),
            ("lead".into(), "1".into())
        );
        let wrong = activate(&suite.one, &new.revision, &[("lead", "hot")], false).await;
        assert_eq!(reason(&wrong.expect_err("no such stage")), "STAGE_UNKNOWN");
        let map = [("lead", "cold")];
        let tried = activate(&suite.one, &new.revision, &map, true)
            .await
            .expect("tried");
        assert_eq!(tried.name, "");
        assert_eq!(
            (tried.position_count, tried.move_count, tried.stay_count),
            (2, 1, 1)
        );
        assert_eq!(tried.loss_counts.get("proposal"), Some(&1));
        assert!(tried.gain_counts.is_empty());
        let (before, _) = active(&suite.one).await;
        assert_eq!(before.name, "workspaces/default/policies/free-switch");

        let done = activate(&suite.one, &new.revision, &map, false)
            .await
            .expect("activated");
        assert_eq!(done.number, 3);
        // Reads apply the map at once.
        let ada = suite.one.position(ADA).await.expect("a position");
        assert_eq!(ada.stage, "cold");
        let watch = WatchPolicyActivationRequest {
            name: done.name.clone(),
        };
        let mut stream = suite
            .one
            .policies()
            .watch_policy_activation(watch)
            .await
            .expect("a stream")
            .into_inner();
        let mut last = None;
        while let Some(told) = stream.message().await.expect("a message") {
            last = told.activation;
        }
        let last = last.expect("told");
        assert_eq!(last.state(), policy_activation::State::Complete);
        let request = ListTransitionsRequest {
            parent: ADA.to_owned(),
            filter: "cause = ACTIVATION".to_owned(),
            ..ListTransitionsRequest::default()
        };
        let moved = suite
            .one
            .positions()
            .list_transitions(request)
            .await
            .expect("a list");
        let moved = moved.into_inner().transitions;
        assert_eq!(moved.len(), 1);
        assert_eq!(
            (moved[0].from_stage.as_str(), moved[0].to_stage.as_str()),
            ("lead", "cold")
        );
        assert_eq!(moved[0].policy_revision, new.revision);
        assert_eq!(moved[0].cause(), transition::Cause::Activation);
        suite
            .one
            .convert(ADA, "warm")
            .await
            .expect("under the new policy");
        let every = ListPolicyActivationsRequest {
            parent: WORKSPACE.to_owned(),
            ..ListPolicyActivationsRequest::default()
        };
        let all = suite
            .one
            .policies()
            .list_policy_activations(every)
            .await
            .expect("a list");
        let numbers: Vec<i64> = all
            .into_inner()
            .activations
            .iter()
            .map(|activation| activation.number)
            .collect();
        assert_eq!(numbers, [3, 2, 1]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_conversions_apply_a_map_that_is_not_written_yet() {
    for engine in store::testing::engines() {
        let suite = Suite::with_background(&engine, false).await;
        let definition = populated(&suite).await;
        let new = renamed(definition, &[("lead", "warm")]);
        let new = create(&suite.one, "new", new).await.expect("created");
        let done = activate(&suite.one, &new.revision, &[("lead", "warm")], false).await;
        assert_eq!(
            done.expect("activated").state(),
            policy_activation::State::Mapping
        );
        for (filter, expected) in [("stage = warm", 1), ("stage = lead", 0), ("role = LEAD", 1)] {
            let request = ListPositionsRequest {
                parent: WORKSPACE.to_owned(),
                filter: filter.to_owned(),
                ..ListPositionsRequest::default()
            };
            let page = suite
                .one
                .positions()
                .list_positions(request)
                .await
                .expect("a page");
            assert_eq!(page.into_inner().positions.len(), expected, "{filter}");
        }
        let done = suite.one.convert(ADA, "client").await.expect("converted");
        let transition = done.transition.expect("a transition");
        assert_eq!(
            (transition.from_stage.as_str(), transition.revision),
            ("warm", 4)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_activation_that_takes_away_waits_for_its_fence() {
    on_each_engine(async |suite| {
        suite.one.attach().await;
        let mut definition = populated(suite).await;
        suite.one.acquire(BOB).await.expect("a grant");
        for stage in &mut definition.stages {
            stage.entitlements.retain(|key| key != "project");
        }
        let new = create(&suite.one, "less", definition)
            .await
            .expect("created");
        let waiting = activate(&suite.one, &new.revision, &[], false)
            .await
            .expect("accepted");
        assert_eq!(waiting.state(), policy_activation::State::Activating);
        for refused in [
            suite
                .one
                .convert(ADA, "client")
                .await
                .expect_err("an activation waits"),
            suite
                .one
                .acquire(ADA)
                .await
                .expect_err("an activation waits"),
            activate(&suite.one, &new.revision, &[], false)
                .await
                .expect_err("one waits"),
        ] {
            assert_eq!(reason(&refused), "TRANSITION_PENDING");
            assert_eq!(metadata(&refused, "to"), new.revision);
        }
        let (before, _) = active(&suite.one).await;
        assert_eq!(before.name, "workspaces/default/policies/free-switch");
        let epoch = suite.one.attach().await;
        let acknowledge = |number: i64, epoch: i64| AcknowledgeFenceRequest {
            workspace: WORKSPACE.to_owned(),
            holder: HOLDER.to_owned(),
            min_policy_activation: number,
            epoch,
        };
        for (number, told) in [(waiting.number, epoch + 1), (waiting.number - 1, epoch)] {
            let answer = suite
                .one
                .entitlements()
                .acknowledge_fence(acknowledge(number, told))
                .await;
            assert!(!answer.expect("an answer").into_inner().completed);
        }

        // Given up: the policy before goes on under a number that passes the fence.
        let cancel = CancelPolicyActivationRequest {
            name: waiting.name.clone(),
            ..CancelPolicyActivationRequest::default()
        };
        let given_up = suite
            .one
            .policies()
            .cancel_policy_activation(cancel.clone())
            .await;
        let given_up = given_up
            .expect("given up")
            .into_inner()
            .activation
            .expect("one");
        assert_eq!(given_up.state(), policy_activation::State::Cancelled);
        let again = suite.one.policies().cancel_policy_activation(cancel).await;
        assert_eq!(
            reason(&again.expect_err("it is over")),
            "TRANSITION_NOT_ALLOWED"
        );
        let grant = suite.one.acquire(BOB).await.expect("a grant");
        assert!(grant.policy_activation > waiting.number);
        assert!(grant.entitlements.contains(&"project".to_owned()));

        let waiting = activate(&suite.one, &new.revision, &[], false)
            .await
            .expect("accepted");
        suite.restart().await;
        let request = acknowledge(waiting.number, epoch);
        let answer = suite
            .one
            .entitlements()
            .acknowledge_fence(request)
            .await
            .expect("an answer");
        assert!(answer.into_inner().completed);
        let (now, activation) = active(&suite.one).await;
        assert_eq!(
            (now.revision, activation.number),
            (new.revision, waiting.number)
        );
        let grant = suite.one.acquire(BOB).await.expect("a grant");
        assert_eq!(grant.policy_activation, waiting.number);
        assert!(!grant.entitlements.contains(&"project".to_owned()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_company_first_mode_a_company_stands_where_its_primary_contact_stands() {
    on_each_engine(async |suite| {
        suite.one.attach().await;
        let mut definition = preset(&suite.one, "one-way").await;
        definition.mode = proto::pipeline::v1::policy_definition::Mode::CompanyFirst as i32;
        let new = create(&suite.one, "companies", definition)
            .await
            .expect("created");
        activate(&suite.one, &new.revision, &[], false)
            .await
            .expect("activated");
        let company = "workspaces/default/contacts/example-ltd";
        suite.directory.put(Contact {
            name: company.to_owned(),
            kind: contact::Kind::Company as i32,
            ..Contact::default()
        });
        let alone = suite.one.position(company).await.expect("a position");
        assert_eq!(alone.stage, "");
        suite.directory.person(ADA, "");
        suite
            .directory
            .change(ADA, |ada| ada.company = company.to_owned());
        suite.directory.person(BOB, "");
        suite
            .directory
            .change(BOB, |bob| bob.company = company.to_owned());
        eventually("the company's opening", || async {
            let position = suite.one.position(company).await.expect("a position");
            (position.stage == "lead").then_some(())
        })
        .await;
        let refused = suite
            .one
            .convert(company, "client")
            .await
            .expect_err("it follows");
        assert_eq!(reason(&refused), "TRANSITION_NOT_ALLOWED");
        // The second associate does not move it, the first does, in the same transaction.
        suite.one.convert(BOB, "client").await.expect("a client");
        assert_eq!(
            suite.one.position(company).await.expect("a position").stage,
            "lead"
        );
        suite.one.convert(ADA, "client").await.expect("a client");
        let moved = suite.one.position(company).await.expect("a position");
        assert_eq!(moved.stage, "client");
        // Documents are the company's, not the person's.
        let grant = suite.one.acquire(company).await.expect("a grant");
        assert!(grant.entitlements.contains(&"invoice".to_owned()));
        let grant = suite.one.acquire(ADA).await.expect("a grant");
        assert!(!grant.entitlements.contains(&"invoice".to_owned()));
        assert!(grant.entitlements.contains(&"portal_login".to_owned()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_activation_answers_the_activation_as_it_is_by_then() {
    on_each_engine(async |suite| {
        let definition = populated(suite).await;
        let new = renamed(definition, &[("lead", "warm")]);
        let new = create(&suite.one, "new", new).await.expect("created");
        let request = ActivatePolicyRequest {
            name: new.revision,
            stage_map: [("lead".to_owned(), "warm".to_owned())].into(),
            request_id: "0190163d-8694-739b-aea5-966c26f8ad93".to_owned(),
            ..ActivatePolicyRequest::default()
        };
        let first = suite
            .one
            .policies()
            .activate_policy(request.clone())
            .await
            .expect("one");
        let first = first.into_inner();
        let again = eventually("the end of the mapping", || async {
            let again = suite
                .one
                .policies()
                .activate_policy(request.clone())
                .await
                .expect("again");
            assert_eq!(
                again
                    .metadata()
                    .get("clientele-replayed")
                    .expect("the mark"),
                "1"
            );
            let again = again.into_inner();
            let activation = again.activation.clone().expect("an activation");
            (activation.state() == policy_activation::State::Complete).then_some(again)
        })
        .await;
        assert_eq!(again.consistency_token, first.consistency_token);
        let (first, again) = (
            first.activation.expect("one"),
            again.activation.expect("one"),
        );
        assert_eq!((first.name, first.number), (again.name, 3));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_move_to_a_vanishing_stage_needs_a_map_too() {
    on_each_engine(async |suite| {
        suite.one.attach().await;
        let definition = populated(suite).await;
        suite.one.acquire(BOB).await.expect("a grant");
        let mut request = Request::new(ConvertContactRequest {
            contact: BOB.to_owned(),
            stage: "contact".to_owned(),
            ..ConvertContactRequest::default()
        });
        request.set_timeout(Duration::from_millis(500));
        suite
            .one
            .positions()
            .convert_contact(request)
            .await
            .expect("accepted");
        let new = renamed(definition, &[("contact", "cold")]);
        let new = create(&suite.one, "new", new).await.expect("created");
        let refused = activate(&suite.one, &new.revision, &[], false)
            .await
            .expect_err("unmapped");
        assert_eq!(
            (
                reason(&refused).as_str(),
                metadata(&refused, "stage").as_str()
            ),
            ("STAGE_UNMAPPED", "contact")
        );
    })
    .await;
}
