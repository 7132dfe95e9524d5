//! Putting a policy in force: whom it moves, and what it waits for.

use std::time::Duration;

use proto::pipeline::v1::{
    AcknowledgeFenceRequest, ActivatePolicyRequest, CancelPolicyActivationRequest,
    ConvertContactRequest, ListPolicyActivationsRequest, ListPositionsRequest,
    ListTransitionsRequest, WatchPolicyActivationRequest, policy_activation, transition,
};
use tonic::{Code, Request};

use crate::activating::{ADA, BOB, WORKSPACE, activate, active, create, populated, renamed};
use crate::suite::{HOLDER, Suite, eventually, metadata, on_each_engine, reason};

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
