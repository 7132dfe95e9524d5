//! Previews of conversions agree with the calls.

use proto::contacts::v1::contact;
use proto::pipeline::v1::{
    ConvertContactRequest, PreviewConversionsRequest, StagePreview, policy_definition::Mode,
};

use crate::activating::{ADA, BOB, activate, create, populated, preset};
use crate::suite::{Suite, eventually, on_each_engine, reason};

const COMPANY: &str = "workspaces/default/contacts/example-ltd";

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
