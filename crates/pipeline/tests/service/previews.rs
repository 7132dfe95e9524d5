//! Previews of conversions agree with the calls.

use proto::contacts::v1::contact;
use proto::pipeline::v1::{
    ConvertContactRequest, PreviewConversionsRequest, SetPrimaryContactRequest, StagePreview,
    policy_definition::Mode, position,
};

use crate::activating::{ADA, BOB, activate, create, populated, preset};
use crate::companies::{COMPANY, associate, companies_first, company, follows, stands};
use crate::company_switches::look_at;
use crate::holding::new_epoch;
use crate::suite::{Suite, eventually, on_each_engine, reason};

/// What is previewed, each compared with what the call says that is only tried.
async fn compared(suite: &Suite, name: &str) -> Vec<StagePreview> {
    let request = PreviewConversionsRequest {
        contact: name.to_owned(),
        reason: "a reason".to_owned(),
    };
    let answer = suite.one.positions().preview_conversions(request).await;
    let stages = answer.expect("a preview").into_inner().stages;
    for stage in &stages {
        let tried = ConvertContactRequest {
            contact: name.to_owned(),
            stage: stage.stage.clone(),
            reason: "a reason".to_owned(),
            validate_only: true,
            ..ConvertContactRequest::default()
        };
        match suite.one.convert_with(tried).await {
            Ok(tried) => {
                assert!(stage.reachable && stage.refusal.is_empty(), "{stage:?}");
                assert_eq!((&stage.gained, &stage.lost), (&tried.gained, &tried.lost));
            }
            Err(refused) => {
                assert!(!stage.reachable, "{stage:?}");
                assert_eq!(stage.refusal, reason(&refused));
            }
        }
    }
    stages
}

#[tokio::test(flavor = "multi_thread")]
async fn while_an_activation_waits() {
    on_each_engine(async |suite| {
        suite.one.attach().await;
        let mut definition = populated(suite).await;
        assert!(compared(suite, ADA).await.iter().any(|one| one.reachable));
        suite.one.acquire(BOB).await.expect("a grant");
        for stage in &mut definition.stages {
            stage.entitlements.retain(|key| key != "project");
        }
        let new = create(&suite.one, "less", definition).await;
        let new = new.expect("created").revision;
        activate(&suite.one, &new, &[], false)
            .await
            .expect("accepted");
        for stage in compared(suite, ADA).await {
            assert_eq!(stage.refusal, "TRANSITION_PENDING");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_companies_come_first() {
    on_each_engine(async |suite| {
        suite.one.attach().await;
        let mut definition = preset(&suite.one, "free-switch").await;
        definition.mode = Mode::CompanyFirst as i32;
        let new = create(&suite.one, "companies", definition).await;
        let new = new.expect("created").revision;
        activate(&suite.one, &new, &[], false)
            .await
            .expect("activated");
        suite.directory.put(proto::contacts::v1::Contact {
            name: COMPANY.to_owned(),
            kind: contact::Kind::Company as i32,
            ..Default::default()
        });
        suite.directory.person(ADA, "");
        suite
            .directory
            .change(ADA, |ada| ada.company = COMPANY.to_owned());
        eventually("the company's opening", || async {
            let position = suite.one.position(COMPANY).await.expect("a position");
            (!position.stage.is_empty()).then_some(())
        })
        .await;
        // Documents are the company's, so the person does not gain them.
        let stages = compared(suite, ADA).await;
        let client = stages.iter().find(|one| one.stage == "client");
        let gained = &client.expect("the stage").gained;
        assert!(!gained.contains(&"invoice".to_owned()), "{gained:?}");
        compared(suite, COMPANY).await;

        // The company is held and waits; whoever it follows waits with it.
        suite.one.convert(ADA, "client").await.expect("a client");
        suite.one.acquire(COMPANY).await.expect("a grant");
        let demoted = crate::holding::hasty(&suite.one, ADA, "lead", "").await;
        demoted.expect("accepted");
        for stage in compared(suite, ADA).await {
            assert_eq!(stage.refusal, "TRANSITION_PENDING");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_company_that_nobody_leads_any_more() {
    on_each_engine(async |suite| {
        companies_first(suite).await;
        company(suite);
        associate(suite, ADA);
        stands(suite, COMPANY, "lead").await;
        suite.directory.change(ADA, |ada| ada.company.clear());
        look_at(suite, ADA).await;
        stands(suite, COMPANY, "").await;
        for stage in compared(suite, COMPANY).await {
            assert_eq!(stage.refusal, "TRANSITION_NOT_ALLOWED");
        }
        // Where contacts come first it stands by itself, whoever asks first.
        let contacts = preset(&suite.one, "one-way").await;
        let contacts = create(&suite.one, "contacts", contacts).await;
        let contacts = contacts.expect("created").revision;
        activate(&suite.one, &contacts, &[], false)
            .await
            .expect("activated");
        let stages = compared(suite, COMPANY).await;
        assert!(stages.iter().any(|stage| stage.reachable));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_whoever_is_named_while_the_company_waits() {
    on_each_engine(async |suite| {
        suite.one.attach().await;
        let mut definition = preset(&suite.one, "free-switch").await;
        definition.mode = Mode::CompanyFirst as i32;
        let new = create(&suite.one, "companies", definition).await;
        let new = new.expect("created").revision;
        activate(&suite.one, &new, &[], false)
            .await
            .expect("activated");
        company(suite);
        associate(suite, ADA);
        follows(suite, ADA).await;
        associate(suite, BOB);
        suite.one.convert(ADA, "client").await.expect("a client");
        stands(suite, COMPANY, "client").await;
        // Nobody knows what may be held until the holder has attached again.
        new_epoch(suite).await;
        let naming = SetPrimaryContactRequest {
            company: COMPANY.to_owned(),
            primary_contact: BOB.to_owned(),
            ..Default::default()
        };
        let named = suite.one.positions().set_primary_contact(naming).await;
        let position = named.expect("named").into_inner().position;
        let waits = position.expect("a position");
        assert_eq!(waits.state(), position::State::Revoking);
        // The company stands elsewhere than he does: it does not go along.
        let stages = compared(suite, BOB).await;
        assert!(stages.iter().any(|stage| stage.reachable));
        suite.one.convert(BOB, "lead").await.expect("a lead");
    })
    .await;
}
