//! What a Watch is resumed with.

use proto::pipeline::v1::watch_transitions_request::Start;
use proto::pipeline::v1::watch_transitions_response::Event;
use proto::pipeline::v1::{WatchTransitionsRequest, WatchTransitionsResponse};
use tonic::Streaming;

use crate::activating::{WORKSPACE, populated};
use crate::suite::{Suite, fields, on_each_engine, reason};

fn watch(parent: &str, start: Start) -> WatchTransitionsRequest {
    WatchTransitionsRequest {
        parent: parent.to_owned(),
        send_snapshot: start == Start::Now(true),
        start: Some(start),
        ..WatchTransitionsRequest::default()
    }
}

async fn open(suite: &Suite, parent: &str, start: Start) -> Streaming<WatchTransitionsResponse> {
    let request = watch(parent, start);
    let stream = suite.one.positions().watch_transitions(request).await;
    stream.expect("a stream").into_inner()
}

/// A token taken in one workspace says nothing of another one's positions.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_resumes_no_watch_of_another_parent() {
    on_each_engine(async |suite| {
        populated(suite).await;
        let mut stream = open(suite, WORKSPACE, Start::Now(true)).await;
        let mut tokens = Vec::new();
        loop {
            let told = stream.message().await.expect("a message").expect("no end");
            tokens.push(told.resume_token);
            if matches!(told.event, Some(Event::SnapshotEnd(_))) {
                break;
            }
        }
        assert!(tokens.len() > 1, "a page and the end");
        for token in tokens {
            for foreign in ["workspaces/another", "workspaces/-"] {
                let request = watch(foreign, Start::ResumeToken(token.clone()));
                let answer = suite.one.positions().watch_transitions(request).await;
                let refused = answer.expect_err("a token of another parent");
                assert_eq!(reason(&refused), "FIELD_INVALID");
                assert_eq!(fields(&refused), ["resume_token"]);
            }
            open(suite, WORKSPACE, Start::ResumeToken(token)).await;
        }
        // Of all workspaces the place in the log is good for each of them, that in a snapshot is not.
        let mut stream = open(suite, "workspaces/-", Start::Now(true)).await;
        let told = stream.message().await.expect("a message").expect("no end");
        let request = watch(WORKSPACE, Start::ResumeToken(told.resume_token));
        let answer = suite.one.positions().watch_transitions(request).await;
        assert_eq!(reason(&answer.expect_err("foreign")), "FIELD_INVALID");
    })
    .await;
}
