//! A contact that was restored is converted, granted and shown before the log tells of it.

use proto::contacts::v1::contact;
use proto::pipeline::v1::{BatchConvertContactsRequest, ConvertContactRequest, position};
use store::testing::engines;

use crate::suite::{Suite, reason};

const ADA: &str = "workspaces/default/contacts/ada";
const BOB: &str = "workspaces/default/contacts/bob";

/// Deleted and restored, and only the first was told. Nothing follows the directory.
async fn restored(suite: &Suite, name: &str) {
    suite.directory.person(name, "");
    suite.one.position(name).await.expect("a position");
    for state in [contact::State::Deleting, contact::State::Active] {
        suite
            .directory
            .change(name, |contact| contact.state = state as i32);
        if state == contact::State::Deleting {
            let request = proto::pipeline::v1::GetPositionRequest {
                name: format!("{name}/position"),
                at_least_as_fresh_as: vec![suite.directory.token()],
                ..Default::default()
            };
            let answer = suite.one.positions().get_position(request).await;
            let closed = answer.expect("an answer").into_inner().position;
            assert_eq!(closed.expect("a position").state(), position::State::None);
        }
    }
}

async fn quiet(test: impl AsyncFn(&mut Suite)) {
    for engine in engines() {
        let mut suite = Suite::with_background(&engine, false).await;
        test(&mut suite).await;
        suite.one.kill().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_converted_at_once() {
    quiet(async |suite| {
        restored(suite, ADA).await;
        let done = suite.one.convert(ADA, "prospect").await.expect("converted");
        assert_eq!(done.position.expect("a position").stage, "prospect");
        // What is deleted still is.
        suite
            .directory
            .change(ADA, |ada| ada.state = contact::State::Deleted as i32);
        let refused = suite.one.convert(ADA, "client").await;
        assert_eq!(reason(&refused.expect_err("deleted")), "RESOURCE_DELETED");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_converted_in_a_batch_at_once() {
    quiet(async |suite| {
        restored(suite, ADA).await;
        restored(suite, BOB).await;
        let request = BatchConvertContactsRequest {
            parent: "workspaces/default".to_owned(),
            requests: [ADA, BOB]
                .into_iter()
                .map(|contact| ConvertContactRequest {
                    contact: contact.to_owned(),
                    stage: "prospect".to_owned(),
                    ..ConvertContactRequest::default()
                })
                .collect(),
            atomic: true,
            ..BatchConvertContactsRequest::default()
        };
        let done = suite.one.positions().batch_convert_contacts(request).await;
        let done = done.expect("converted").into_inner().conversions;
        assert!(done.iter().all(|one| one.response.is_some()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_granted_and_shown_at_once() {
    quiet(async |suite| {
        suite.one.attach().await;
        restored(suite, ADA).await;
        restored(suite, BOB).await;
        let grant = suite.one.acquire(ADA).await.expect("a grant");
        assert_eq!(grant.stage, "lead");
        let shown = suite.one.position(BOB).await.expect("a position");
        assert_eq!(shown.stage, "lead");
    })
    .await;
}
