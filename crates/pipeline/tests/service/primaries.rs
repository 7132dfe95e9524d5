//! Naming the primary contact of a company by hand.

use proto::pipeline::v1::{
    ListTransitionsRequest, Position, SetPrimaryContactRequest, SetPrimaryContactResponse,
    Transition, policy_definition::Mode, position, transition,
};
use tonic::Status;
use tonic_types::StatusExt as _;

use crate::activating::{ADA, BOB, activate, create, preset};
use crate::companies::{
    COMPANY, associate, companies_first, company, delete, follows, one_way, stands,
};
use crate::company_switches::look_at;
use crate::holding::{hasty, new_epoch};
use crate::suite::{Suite, metadata, on_each_engine, reason};

const REQUEST_ID: &str = "7f1c1f6e-9a57-4f0a-8f0d-0d6c6f3b2a11";

fn naming(primary: &str) -> SetPrimaryContactRequest {
    SetPrimaryContactRequest {
        company: COMPANY.to_owned(),
        primary_contact: primary.to_owned(),
        ..SetPrimaryContactRequest::default()
    }
}

async fn name_with(
    suite: &Suite,
    request: SetPrimaryContactRequest,
) -> Result<SetPrimaryContactResponse, Status> {
    let answer = suite.one.positions().set_primary_contact(request).await?;
    Ok(answer.into_inner())
}

async fn name(suite: &Suite, primary: &str) -> Result<SetPrimaryContactResponse, Status> {
    name_with(suite, naming(primary)).await
}

async fn the_company(suite: &Suite) -> Position {
    suite.one.position(COMPANY).await.expect("a position")
}

async fn history(suite: &Suite) -> Vec<Transition> {
    let request = ListTransitionsRequest {
        parent: COMPANY.to_owned(),
        ..ListTransitionsRequest::default()
    };
    let answer = suite.one.positions().list_transitions(request).await;
    answer.expect("a history").into_inner().transitions
}

/// A company that follows Ada, a lead, and to which Bob belongs, who stands in `stage`.
async fn with_bob_in(suite: &Suite, stage: &str) -> String {
    let revision = companies_first(suite).await;
    company(suite);
    associate(suite, ADA);
    stands(suite, COMPANY, "lead").await;
    associate(suite, BOB);
    suite.one.convert(BOB, stage).await.expect("converted");
    follows(suite, ADA).await;
    revision
}

#[tokio::test(flavor = "multi_thread")]
async fn the_company_stands_where_whoever_is_named_stands() {
    on_each_engine(async |suite| {
        with_bob_in(suite, "client").await;
        let tried = SetPrimaryContactRequest {
            validate_only: true,
            ..naming(BOB)
        };
        let tried = name_with(suite, tried).await.expect("tried");
        let would_be = tried.position.expect("a position");
        assert_eq!(
            (would_be.stage.as_str(), would_be.etag.as_str()),
            ("client", "")
        );
        assert_eq!(tried.consistency_token, "");
        let before = the_company(suite).await;
        assert_eq!(
            (before.stage.as_str(), before.primary_contact.as_str()),
            ("lead", ADA)
        );

        let named = name(suite, BOB).await.expect("named");
        assert_eq!(named.primary_contact, BOB);
        assert!(!named.consistency_token.is_empty());
        let position = the_company(suite).await;
        assert_eq!(named.position.as_ref(), Some(&position));
        assert_eq!(
            (position.stage.as_str(), position.primary_contact.as_str()),
            ("client", BOB)
        );
        let moves = history(suite).await;
        let last = moves.last().expect("a move");
        assert_eq!((moves.len(), last.to_stage.as_str()), (2, "client"));
        assert_eq!(
            (last.cause(), last.actor.as_str()),
            (transition::Cause::Command, "billing")
        );

        // There are no documents, so it may go down as well; whoever leads it moves it from then on.
        let named = name(suite, ADA).await.expect("named");
        assert_eq!(named.position.expect("a position").stage, "lead");
        suite.one.convert(ADA, "prospect").await.expect("converted");
        assert_eq!(the_company(suite).await.stage, "prospect");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn naming_is_done_once_however_often_it_is_asked_for() {
    on_each_engine(async |suite| {
        with_bob_in(suite, "client").await;
        let request = SetPrimaryContactRequest {
            request_id: REQUEST_ID.to_owned(),
            ..naming(BOB)
        };
        let first = name_with(suite, request.clone()).await.expect("named");
        name(suite, ADA).await.expect("named");
        let again = suite.one.positions().set_primary_contact(request).await;
        let again = again.expect("the same answer");
        assert!(again.metadata().contains_key("clientele-replayed"));
        assert_eq!(again.into_inner(), first);
        let position = the_company(suite).await;
        assert_eq!(position.primary_contact, ADA);

        // Who is primary already is named without a trace; somebody else in the same stage is told.
        name(suite, ADA).await.expect("named");
        assert_eq!(the_company(suite).await, position);
        let stale = SetPrimaryContactRequest {
            etag: first.position.expect("a position").etag,
            ..naming(BOB)
        };
        let refused = name_with(suite, stale).await.expect_err("it is stale");
        assert_eq!(reason(&refused), "ETAG_MISMATCH");
        suite.one.convert(ADA, "client").await.expect("a client");
        let before = the_company(suite).await;
        name(suite, BOB).await.expect("named");
        let after = the_company(suite).await;
        assert_ne!(after.etag, before.etag);
        assert_eq!(after.revision, before.revision);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repetition_shows_where_the_company_stands_once_its_move_is_over() {
    on_each_engine(async |suite| {
        suite.one.attach().await;
        let mut definition = preset(&suite.one, "free-switch").await;
        definition.mode = Mode::CompanyFirst as i32;
        let new = create(&suite.one, "free", definition).await;
        let activated = activate(&suite.one, &new.expect("created").revision, &[], false).await;
        activated.expect("activated");
        company(suite);
        associate(suite, ADA);
        follows(suite, ADA).await;
        associate(suite, BOB);
        suite.one.convert(ADA, "client").await.expect("a client");
        stands(suite, COMPANY, "client").await;
        // Nobody knows what may be held until the holder has attached again.
        new_epoch(suite).await;
        let request = SetPrimaryContactRequest {
            request_id: REQUEST_ID.to_owned(),
            ..naming(BOB)
        };
        let state = async || {
            let named = name_with(suite, request.clone()).await.expect("named");
            let position = named.position.expect("a position");
            (position.state(), position.stage)
        };
        for _ in 0..2 {
            let waits = (position::State::Revoking, "client".to_owned());
            assert_eq!(state().await, waits);
        }
        suite.one.attach().await;
        stands(suite, COMPANY, "contact").await;
        let done = (position::State::Open, "contact".to_owned());
        assert_eq!(state().await, done);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_named_leads_until_it_leaves() {
    on_each_engine(async |suite| {
        let companies = with_bob_in(suite, "client").await;
        name(suite, BOB).await.expect("named");
        let contacts = one_way(suite, Mode::Contact).await;
        let contacts = create(&suite.one, "contacts", contacts).await;
        let contacts = contacts.expect("created").revision;
        for revision in [&contacts, &companies] {
            let activated = activate(&suite.one, revision, &[], false).await;
            activated.expect("activated");
            let shown = the_company(suite).await.primary_contact;
            assert_eq!(shown, if revision == &companies { BOB } else { "" });
        }
        look_at(suite, COMPANY).await;
        let looked_at = the_company(suite).await;
        assert_eq!(
            (looked_at.stage.as_str(), looked_at.primary_contact.as_str()),
            ("client", BOB)
        );
        delete(suite, BOB).await;
        follows(suite, ADA).await;
        stands(suite, COMPANY, "lead").await;
    })
    .await;
}

/// Naming Bob, a prospect, is refused: the company would lose what a client alone has.
async fn refused_to_lose(suite: &Suite) {
    let before = the_company(suite).await;
    assert_eq!(before.stage, "client");
    for validate_only in [true, false] {
        let request = SetPrimaryContactRequest {
            validate_only,
            ..naming(BOB)
        };
        let refused = name_with(suite, request).await.expect_err("it would lose");
        assert_eq!(reason(&refused), "TRANSITION_NOT_ALLOWED");
        assert_eq!(metadata(&refused, "contact"), COMPANY);
        assert_eq!(metadata(&refused, "lost"), "invoice, project");
        let details = refused.get_details_precondition_failure();
        let violations = details.expect("violations").violations;
        let lost: Vec<(&str, &str)> = violations
            .iter()
            .map(|violation| (violation.r#type.as_str(), violation.subject.as_str()))
            .collect();
        assert_eq!(
            lost,
            [("ENTITLEMENT", "invoice"), ("ENTITLEMENT", "project")]
        );
    }
    assert_eq!(the_company(suite).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn naming_takes_nothing_away_from_a_company_with_a_grant_or_with_documents() {
    on_each_engine(async |suite| {
        suite.one.attach().await;
        with_bob_in(suite, "prospect").await;
        suite.one.convert(ADA, "client").await.expect("a client");
        let granted = suite.one.acquire(COMPANY).await.expect("a grant");
        refused_to_lose(suite).await;
        let again = suite.one.acquire(COMPANY).await.expect("a grant");
        assert_eq!(again.grant_revision, granted.grant_revision);

        // A holder that gave its grant back said that there are documents.
        for change in [
            "DELETE FROM grant_holders WHERE contact = 'example-ltd'",
            "UPDATE positions SET documents_exist = TRUE WHERE contact = 'example-ltd'",
        ] {
            assert_eq!(suite.sql(change), Ok(1));
        }
        refused_to_lose(suite).await;
        suite.one.convert(BOB, "client").await.expect("a client");
        let named = name(suite, BOB).await.expect("it loses nothing");
        assert_eq!(named.primary_contact, BOB);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_person_of_the_company_can_be_named_and_only_where_companies_come_first() {
    on_each_engine(async |suite| {
        company(suite);
        associate(suite, ADA);
        let refused = name(suite, ADA).await.expect_err("contacts come first");
        assert_eq!(reason(&refused), "TRANSITION_NOT_ALLOWED");
        assert!(metadata(&refused, "policy_revision").contains("/policies/"));

        companies_first(suite).await;
        suite.directory.person(BOB, "");
        let other = "workspaces/default/contacts/other-ltd";
        for (company, primary, subject) in [
            (COMPANY, BOB, BOB),
            (COMPANY, COMPANY, COMPANY),
            (BOB, ADA, BOB),
        ] {
            let request = SetPrimaryContactRequest {
                company: company.to_owned(),
                ..naming(primary)
            };
            let refused = name_with(suite, request)
                .await
                .expect_err("no person of it");
            assert_eq!(reason(&refused), "TRANSITION_NOT_ALLOWED");
            assert_eq!(metadata(&refused, "contact"), subject);
        }
        for (company, primary, expected) in [
            (other, ADA, "RESOURCE_NOT_FOUND"),
            (COMPANY, other, "RESOURCE_NOT_FOUND"),
            (
                COMPANY,
                "workspaces/elsewhere/contacts/ada",
                "FIELD_INVALID",
            ),
        ] {
            let request = SetPrimaryContactRequest {
                company: company.to_owned(),
                ..naming(primary)
            };
            let refused = name_with(suite, request)
                .await
                .expect_err("it is not there");
            assert_eq!(reason(&refused), expected);
        }
        follows(suite, ADA).await;
        delete(suite, ADA).await;
        let refused = name(suite, ADA).await.expect_err("she is gone");
        assert_eq!(reason(&refused), "RESOURCE_DELETED");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_named_whose_move_waits() {
    on_each_engine(async |suite| {
        suite.one.attach().await;
        let mut definition = preset(&suite.one, "free-switch").await;
        definition.mode = Mode::CompanyFirst as i32;
        let new = create(&suite.one, "free", definition).await;
        let activated = activate(&suite.one, &new.expect("created").revision, &[], false).await;
        activated.expect("activated");
        company(suite);
        associate(suite, ADA);
        stands(suite, COMPANY, "contact").await;
        associate(suite, BOB);
        suite.one.convert(BOB, "client").await.expect("a client");
        suite.one.acquire(BOB).await.expect("a grant");
        let waits = hasty(&suite.one, BOB, "contact", "")
            .await
            .expect("it waits");
        assert_eq!(waits.state(), position::State::Revoking);
        let refused = name(suite, BOB).await.expect_err("his move waits");
        assert_eq!(reason(&refused), "TRANSITION_PENDING");
        assert_eq!(the_company(suite).await.primary_contact, ADA);
    })
    .await;
}
