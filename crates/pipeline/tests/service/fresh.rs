//! Lists and batches that are as fresh as the directory.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use proto::contacts::v1::{Identity, Interest};
use proto::pipeline::v1::{
    BatchGetPositionsRequest, GetPositionRequest, ListPositionsRequest, ListPositionsResponse,
};
use store::testing::engines;
use tonic::Status;
use types::{Service, Token, TokenKind};

use crate::suite::{Instance, Suite, eventually, on_each_engine, reason};

const PARENT: &str = "workspaces/default";

fn name(number: usize) -> String {
    format!("{PARENT}/contacts/c{number}")
}

async fn list(instance: &Instance, token: String) -> Result<ListPositionsResponse, Status> {
    let request = ListPositionsRequest {
        parent: PARENT.to_owned(),
        at_least_as_fresh_as: vec![token],
        page_size: 500,
        ..ListPositionsRequest::default()
    };
    let answer = instance.positions().list_positions(request).await?;
    Ok(answer.into_inner())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_says_so_where_a_change_cannot_be_looked_at() {
    on_each_engine(async |suite| {
        suite.directory.person(&name(1), "");
        suite.one.position(&name(1)).await.expect("a position");
        list(&suite.one, suite.directory.token())
            .await
            .expect("all was looked at");
        suite.directory.fail(&name(1), true);
        suite
            .directory
            .change(&name(1), |one| one.display_name = "Other".to_owned());
        let refused = list(&suite.one, suite.directory.token()).await;
        assert_eq!(
            reason(&refused.expect_err("it can't be read")),
            "CONSISTENCY_NOT_REACHED"
        );
        suite.directory.fail(&name(1), false);
        eventually("the next attempt", || async {
            list(&suite.one, suite.directory.token()).await.ok()
        })
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_does_not_starve_while_others_write() {
    on_each_engine(async |suite| {
        let stop = AtomicBool::new(false);
        let writing = async {
            let mut number = 100;
            while !stop.load(Ordering::SeqCst) {
                suite.directory.person(&name(number), "");
                number += 1;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let listing = async {
            for number in 0..8 {
                suite.directory.person(&name(number), "");
                let token = suite.directory.token();
                // A slow machine may need several calls to take in what was written before the token.
                let found = eventually("a list that is as fresh", || async {
                    list(&suite.one, token.clone()).await.ok()
                });
                let found = found.await.positions;
                let contact = name(number);
                assert!(
                    found
                        .iter()
                        .any(|one| one.contact == contact && one.stage == "lead")
                );
            }
            stop.store(true, Ordering::SeqCst);
        };
        tokio::join!(writing, listing);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_a_former_directory_is_foreign() {
    on_each_engine(async |suite| {
        suite.directory.person(&name(1), "");
        eventually("the log", || async {
            list(&suite.one, suite.directory.token()).await.ok()
        })
        .await;
        let former = Token {
            kind: TokenKind::Consistency,
            service: Service::Contacts,
            epoch: 0,
            tx: 1,
            id: 0,
        };
        let refused = list(&suite.one, former.to_string()).await;
        assert_eq!(
            reason(&refused.expect_err("of a former life")),
            "CONSISTENCY_TOKEN_FOREIGN"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_as_fresh_as_the_directory() {
    for engine in engines() {
        let suite = Suite::with_background(&engine, false).await;
        let names: Vec<String> = (0..300).map(name).collect();
        for one in &names {
            suite.directory.person(one, "");
        }
        let ask = async || {
            let request = BatchGetPositionsRequest {
                parent: PARENT.to_owned(),
                names: names.iter().map(|one| format!("{one}/position")).collect(),
                at_least_as_fresh_as: vec![suite.directory.token()],
            };
            let answer = suite.one.positions().batch_get_positions(request).await;
            answer.expect("all of them").into_inner().positions
        };
        let opened = ask().await;
        assert!(opened.iter().all(|one| one.stage == "lead"));
        let gone = proto::contacts::v1::contact::State::Deleting as i32;
        suite
            .directory
            .change(&names[7], |contact| contact.state = gone);
        let again = ask().await;
        for (at, (before, after)) in opened.iter().zip(&again).enumerate() {
            assert_eq!(after.stage.is_empty(), at == 7);
            // Who did not change was not written anew.
            assert_eq!(before.etag == after.etag, at != 7);
        }
        suite.one.kill().await;
    }
}

/// The facts were seen before there was a trigger that they fire.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_fires_what_a_single_read_would_fire() {
    for engine in engines() {
        let suite = Suite::with_background(&engine, false).await;
        for number in 0..2 {
            suite.directory.person(&name(number), "");
            suite.directory.change(&name(number), |known| {
                let time = Some(prost_types::Timestamp::default());
                known.interest = Some(Interest {
                    expressed_time: time,
                    ..Interest::default()
                });
                known.identity = Some(Identity {
                    verified_time: time,
                    ..Identity::default()
                });
            });
            suite.one.position(&name(number)).await.expect("a position");
        }
        suite
            .one
            .activate_preset("default", "verified-interest")
            .await;
        let fresh = vec![suite.directory.token()];
        let batch = BatchGetPositionsRequest {
            parent: PARENT.to_owned(),
            names: vec![format!("{}/position", name(0))],
            at_least_as_fresh_as: fresh.clone(),
        };
        let batch = suite.one.positions().batch_get_positions(batch).await;
        let single = GetPositionRequest {
            name: format!("{}/position", name(1)),
            at_least_as_fresh_as: fresh,
            ..GetPositionRequest::default()
        };
        let single = suite.one.positions().get_position(single).await;
        let single = single.expect("one").into_inner().position.expect("one");
        let batch = batch.expect("one").into_inner().positions;
        assert_eq!(
            (batch[0].stage.as_str(), single.stage.as_str()),
            ("contact", "contact")
        );
        suite.one.kill().await;
    }
}
