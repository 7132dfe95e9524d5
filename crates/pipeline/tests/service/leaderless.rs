//! Companies that have lost their primary contact, and wait to lose their position with it.

use proto::contacts::v1::contact;
use proto::pipeline::v1::{
    CancelTransitionRequest, CancelTransitionResponse, ListTransitionsRequest,
    policy_definition::Mode, position, transition,
};
use tonic::Status;

use crate::activating::{ADA, BOB, activate, create, preset};
use crate::companies::{COMPANY, associate, company, follows, stands};
use crate::company_switches::look_at;
use crate::holding::new_epoch;
use crate::suite::{Suite, eventually, on_each_engine, reason};

async fn cancel(suite: &Suite) -> Result<CancelTransitionResponse, Status> {
    let request = CancelTransitionRequest {
        contact: COMPANY.to_owned(),
        ..CancelTransitionRequest::default()
    };
    let answer = suite.one.positions().cancel_transition(request).await?;
    Ok(answer.into_inner())
}

/// What a conversion of the company is refused with, whose move waits.
async fn refused_to_move(suite: &Suite) -> String {
    let refused = suite.one.convert(COMPANY, "lead").await;
    let refused = refused.expect_err("its move waits");
    assert_eq!(reason(&refused), "TRANSITION_PENDING");
    refused.message().to_owned()
}

/// A client whose only person has left while nobody knows what may be held: the move to no position
/// waits for the holder.
async fn on_its_way_to_no_position(suite: &mut Suite) {
    suite.one.attach().await;
    let mut definition = preset(&suite.one, "free-switch").await;
    definition.mode = Mode::CompanyFirst as i32;
    let new = create(&suite.one, "companies", definition).await;
    let activated = activate(&suite.one, &new.expect("created").revision, &[], false).await;
    activated.expect("activated");
    company(suite);
    associate(suite, ADA);
    follows(suite, ADA).await;
    suite.one.convert(ADA, "client").await.expect("a client");
    stands(suite, COMPANY, "client").await;
    new_epoch(suite).await;
    suite.directory.change(ADA, |ada| ada.company.clear());
    look_at(suite, ADA).await;
    eventually("the move that waits", || async {
        let position = suite.one.position(COMPANY).await.expect("a position");
        (position.state() == position::State::Revoking).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_company_on_its_way_to_no_position_is_called_back_for_somebody_else() {
    on_each_engine(async |suite| {
        on_its_way_to_no_position(suite).await;
        let told = refused_to_move(suite).await;
        assert!(
            told.contains("no position") && told.contains("CancelTransition"),
            "{told}"
        );
        associate(suite, BOB);
        suite.one.convert(BOB, "client").await.expect("a client");
        let cancelled = cancel(suite).await.expect("called back");
        let position = cancelled.position.expect("a position");
        assert_eq!(
            (position.state(), position.stage.as_str()),
            (position::State::Open, "client")
        );
        follows(suite, BOB).await;
        stands(suite, COMPANY, "client").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_company_that_is_deleted_on_its_way_to_no_position_is_gone() {
    on_each_engine(async |suite| {
        on_its_way_to_no_position(suite).await;
        suite
            .directory
            .change(COMPANY, |gone| gone.state = contact::State::Deleting as i32);
        // It takes the place of the move that waits.
        let removal = "UPDATE pending_transitions SET to_stage = to_stage \
            WHERE contact = 'example-ltd' AND moves LIKE '%\"DELETION\"%'";
        eventually("the removal that waits", || async {
            (suite.sql(removal) == Ok(1)).then_some(())
        })
        .await;
        let told = refused_to_move(suite).await;
        assert!(
            told.contains("removal") && !told.contains("CancelTransition"),
            "{told}"
        );
        let kept = cancel(suite).await.expect_err("it is going away");
        assert_eq!(reason(&kept), "TRANSITION_NOT_ALLOWED");
        suite.one.attach().await;
        eventually("the confirmation", || async {
            let company = suite.directory.get(COMPANY).expect("the contact");
            (company.state() == contact::State::Deleted).then_some(())
        })
        .await;
        let request = ListTransitionsRequest {
            parent: COMPANY.to_owned(),
            ..ListTransitionsRequest::default()
        };
        let history = suite.one.positions().list_transitions(request).await;
        let history = history.expect("a history").into_inner().transitions;
        let last = history.last().expect("a move");
        assert_eq!(
            (last.cause(), last.to_stage.as_str()),
            (transition::Cause::Removal, "")
        );
    })
    .await;
}
