//! The gate: what somebody holds is given back before it is taken away.

use std::time::Duration;

use proto::contacts::v1::contact;
use proto::pipeline::v1::{
    BatchConvertContactsRequest, CancelTransitionRequest, ConvertContactRequest, Recall, position,
};
use tonic::Request;
use types::Clock;

use crate::holding::{
    OTHER, acknowledge, allowed, forget, free_switch, hasty, held_client, orders,
};
use crate::suite::{eventually, metadata, on_each_engine, reason};

const ADA: &str = "workspaces/default/contacts/ada";
const BOB: &str = "workspaces/default/contacts/bob";

#[tokio::test(flavor = "multi_thread")]
async fn without_a_holder_one_transaction_does_it_all() {
    on_each_engine(async |suite| {
        free_switch(suite).await;
        suite.directory.person(ADA, "");
        suite.one.position(ADA).await.expect("a position");
        suite.one.convert(ADA, "client").await.expect("a client");
        let done = suite.one.convert(ADA, "lead").await.expect("a lead again");
        assert_eq!(done.state(), position::State::Open);
        assert_eq!(done.lost, ["invoice", "portal_login", "project"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_demotion_waits_for_exactly_its_acknowledgement() {
    on_each_engine(async |suite| {
        free_switch(suite).await;
        held_client(suite, ADA).await;
        let request_id = "0190163d-8694-739b-aea5-966c26f8ad91";
        let waiting = hasty(&suite.one, ADA, "lead", request_id)
            .await
            .expect("accepted");
        assert_eq!(waiting.state(), position::State::Revoking);
        assert!(waiting.transition.is_none());
        let shown = waiting.position.expect("a position");
        assert_eq!(
            (shown.stage.as_str(), shown.pending_stage.as_str()),
            ("client", "lead")
        );
        assert!(shown.pending_time.is_some());

        // Everything else is refused meanwhile, and nothing is given out.
        let refused = suite
            .one
            .convert(ADA, "contact")
            .await
            .expect_err("a move waits");
        assert_eq!(reason(&refused), "TRANSITION_PENDING");
        assert_eq!(metadata(&refused, "to"), "lead");
        assert!(metadata(&refused, "since").starts_with("20"));
        let refused = suite.one.acquire(ADA).await.expect_err("a move waits");
        assert_eq!(reason(&refused), "TRANSITION_PENDING");
        assert!(!allowed(&suite.one, ADA, "invoice").await);
        assert!(allowed(&suite.one, ADA, "proposal").await);

        // Acknowledgements of anything else change nothing.
        let told = orders(&suite.one).await;
        let recall = told.recalls[0].clone();
        assert_eq!(
            (recall.contact.as_str(), recall.stage.as_str()),
            (ADA, "lead")
        );
        assert!(recall.entitlements.contains(&"proposal".to_owned()));
        assert!(!recall.entitlements.contains(&"invoice".to_owned()));
        for grant_revision in [recall.grant_revision - 1, recall.grant_revision + 1] {
            let other = Recall {
                grant_revision,
                ..recall.clone()
            };
            assert!(!acknowledge(&suite.one, &other, told.epoch).await);
        }
        assert!(!acknowledge(&suite.one, &recall, told.epoch + 1).await);
        let unmoved = suite.one.position(ADA).await.expect("a position");
        assert_eq!(unmoved.state(), position::State::Revoking);

        assert!(acknowledge(&suite.one, &recall, told.epoch).await);
        assert!(!acknowledge(&suite.one, &recall, told.epoch).await);
        let moved = suite.one.position(ADA).await.expect("a position");
        assert_eq!(
            (moved.state(), moved.stage.as_str()),
            (position::State::Open, "lead")
        );

        // A repetition tells how it ended.
        let again = hasty(&suite.one, ADA, "lead", request_id)
            .await
            .expect("again");
        assert_eq!(again.state(), position::State::Open);
        assert_eq!(again.transition.expect("the move").to_stage, "lead");
        let grant = suite.one.acquire(ADA).await.expect("a grant");
        assert!(grant.grant_revision > recall.grant_revision);
        assert!(!grant.entitlements.contains(&"invoice".to_owned()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_call_waits_for_the_acknowledgement() {
    on_each_engine(async |suite| {
        free_switch(suite).await;
        held_client(suite, ADA).await;
        let answering = async {
            let told = orders(&suite.one).await;
            assert!(acknowledge(&suite.one, &told.recalls[0], told.epoch).await);
        };
        let (done, ()) = tokio::join!(suite.one.convert(ADA, "lead"), answering);
        let done = done.expect("converted");
        assert_eq!(done.state(), position::State::Open);
        let transition = done.transition.expect("a transition");
        assert_eq!(
            (transition.from_stage.as_str(), transition.to_stage.as_str()),
            ("client", "lead")
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn giving_up_keeps_the_holder_and_voids_the_recall() {
    on_each_engine(async |suite| {
        free_switch(suite).await;
        held_client(suite, ADA).await;
        hasty(&suite.one, ADA, "lead", "").await.expect("accepted");
        let told = orders(&suite.one).await;
        let recall = told.recalls[0].clone();
        let request = CancelTransitionRequest {
            contact: ADA.to_owned(),
            request_id: "0190163d-8694-739b-aea5-966c26f8ad92".to_owned(),
            ..CancelTransitionRequest::default()
        };
        let tried = CancelTransitionRequest {
            validate_only: true,
            ..request.clone()
        };
        let tried = suite.one.positions().cancel_transition(tried).await;
        let would_be = tried.expect("tried").into_inner().position;
        let would_be = would_be.expect("a position");
        assert_eq!(
            (would_be.state(), would_be.etag.as_str()),
            (position::State::Open, "")
        );
        let cancelled = suite
            .one
            .positions()
            .cancel_transition(request.clone())
            .await;
        let position = cancelled
            .expect("given up")
            .into_inner()
            .position
            .expect("a position");
        assert_eq!(
            (position.state(), position.stage.as_str()),
            (position::State::Open, "client")
        );
        assert!(!acknowledge(&suite.one, &recall, told.epoch).await);
        let again = suite
            .one
            .positions()
            .cancel_transition(request.clone())
            .await
            .expect("again");
        assert_eq!(
            again
                .metadata()
                .get("clientele-replayed")
                .expect("the mark"),
            "1"
        );
        let none = CancelTransitionRequest {
            request_id: String::new(),
            ..request
        };
        let refused = suite
            .one
            .positions()
            .cancel_transition(none)
            .await
            .expect_err("none waits");
        assert_eq!(reason(&refused), "TRANSITION_NOT_ALLOWED");
        // The holder may not have heard of the recall: the next move waits for it again.
        let waiting = hasty(&suite.one, ADA, "lead", "").await.expect("accepted");
        assert_eq!(waiting.state(), position::State::Revoking);
        let told = orders(&suite.one).await;
        assert!(told.recalls[0].grant_revision > recall.grant_revision);
        assert!(acknowledge(&suite.one, &told.recalls[0], told.epoch).await);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_takes_the_place_of_a_move_that_waits() {
    on_each_engine(async |suite| {
        free_switch(suite).await;
        held_client(suite, ADA).await;
        hasty(&suite.one, ADA, "lead", "").await.expect("accepted");
        let first = orders(&suite.one).await;
        suite.directory.change(ADA, |contact| {
            contact.state = contact::State::Deleting as i32;
        });
        let second = eventually("the other recall", || async {
            let told = orders(&suite.one).await;
            told.recalls[0].stage.is_empty().then_some(told)
        })
        .await;
        assert!(second.recalls[0].entitlements.is_empty());
        assert!(second.recalls[0].grant_revision > first.recalls[0].grant_revision);
        assert!(!acknowledge(&suite.one, &first.recalls[0], first.epoch).await);
        let cancel = CancelTransitionRequest {
            contact: ADA.to_owned(),
            ..CancelTransitionRequest::default()
        };
        let refused = suite.one.positions().cancel_transition(cancel).await;
        assert_eq!(
            reason(&refused.expect_err("a removal")),
            "TRANSITION_NOT_ALLOWED"
        );
        let contact = suite.directory.get(ADA).expect("the contact");
        assert_eq!(contact.state(), contact::State::Deleting);
        assert!(acknowledge(&suite.one, &second.recalls[0], second.epoch).await);
        eventually("the confirmation", || async {
            let contact = suite.directory.get(ADA).expect("the contact");
            (contact.state() == contact::State::Deleted).then_some(())
        })
        .await;
        let refused = suite.one.acquire(ADA).await.expect_err("it is deleted");
        assert_eq!(reason(&refused), "RESOURCE_DELETED");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_the_two_transactions_loses_nothing() {
    on_each_engine(async |suite| {
        free_switch(suite).await;
        let epoch = suite.one.attach().await;
        held_client(suite, ADA).await;
        hasty(&suite.one, ADA, "lead", "").await.expect("accepted");
        suite
            .one
            .attach_as(OTHER, 1, epoch)
            .await
            .expect("attached");
        suite.directory.person(BOB, "");
        suite.one.position(BOB).await.expect("a position");
        suite.one.convert(BOB, "client").await.expect("a client");
        let granted = suite.one.acquire_as(OTHER, 1, BOB).await;
        granted.expect("a grant");
        hasty(&suite.one, BOB, "lead", "").await.expect("accepted");
        // No time completes it: not a month, and no look at what waits.
        let clock = Clock::fixed(Clock::system().now().plus(Duration::from_hours(30 * 24)));
        suite.restart_at(clock).await;
        forget(suite, OTHER).await;
        eventually("the sweeper, who sees what nobody holds", || async {
            let swept = suite.one.position(BOB).await.expect("a position");
            (swept.state() == position::State::Open).then_some(())
        })
        .await;
        let still = suite.one.position(ADA).await.expect("a position");
        assert_eq!(
            (still.state(), still.stage.as_str()),
            (position::State::Revoking, "client")
        );
        let told = orders(&suite.one).await;
        assert!(acknowledge(&suite.one, &told.recalls[0], told.epoch).await);
        suite.restart().await;
        let moved = suite.one.position(ADA).await.expect("a position");
        assert_eq!(
            (moved.state(), moved.stage.as_str()),
            (position::State::Open, "lead")
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_atomic_batch_completes_with_its_last_acknowledgement_and_is_given_up_as_one() {
    on_each_engine(async |suite| {
        free_switch(suite).await;
        held_client(suite, ADA).await;
        held_client(suite, BOB).await;
        let cy = "workspaces/default/contacts/cy";
        suite.directory.person(cy, "");
        suite.one.position(cy).await.expect("a position");
        let batch = BatchConvertContactsRequest {
            parent: "workspaces/default".to_owned(),
            requests: [(ADA, "lead"), (BOB, "contact"), (cy, "lead")]
                .into_iter()
                .map(|(contact, stage)| ConvertContactRequest {
                    contact: contact.to_owned(),
                    stage: stage.to_owned(),
                    ..ConvertContactRequest::default()
                })
                .collect(),
            atomic: true,
            ..BatchConvertContactsRequest::default()
        };
        for give_up in [true, false] {
            let mut request = Request::new(batch.clone());
            request.set_timeout(Duration::from_millis(800));
            let done = suite.one.positions().batch_convert_contacts(request).await;
            for one in done.expect("accepted").into_inner().conversions {
                let response = one.response.expect("an answer");
                assert_eq!(response.state(), position::State::Revoking);
            }
            let told = orders(&suite.one).await;
            assert_eq!(
                told.recalls.len(),
                2,
                "whoever loses nothing is not recalled"
            );
            assert!(!acknowledge(&suite.one, &told.recalls[0], told.epoch).await);
            if give_up {
                let cancel = CancelTransitionRequest {
                    contact: cy.to_owned(),
                    ..CancelTransitionRequest::default()
                };
                suite
                    .one
                    .positions()
                    .cancel_transition(cancel)
                    .await
                    .expect("given up");
            }
            assert_eq!(
                acknowledge(&suite.one, &told.recalls[1], told.epoch).await,
                !give_up
            );
            for (contact, before, after) in [
                (ADA, "client", "lead"),
                (BOB, "client", "contact"),
                (cy, "contact", "lead"),
            ] {
                let position = suite.one.position(contact).await.expect("a position");
                assert_eq!(position.state(), position::State::Open);
                assert_eq!(position.stage, if give_up { before } else { after });
            }
        }
    })
    .await;
}
