//! What a holder is told: everything that waits, and no more often than there is news.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use proto::pipeline::v1::{
    BatchConvertContactsRequest, ConvertContactRequest, WatchRecallsRequest, WatchRecallsResponse,
};
use tonic::{Request, Streaming};

use crate::holding::{acknowledge, free_switch, hasty, held_client};
use crate::suite::{HOLDER, HOLDER_EPOCH, Suite, on_each_engine};

/// What is told again is told after two seconds.
const AGAIN: Duration = Duration::from_secs(2);

async fn watch(suite: &Suite) -> Streaming<WatchRecallsResponse> {
    let request = WatchRecallsRequest {
        holder: HOLDER.to_owned(),
        holder_epoch: HOLDER_EPOCH,
    };
    let stream = suite.one.entitlements().watch_recalls(request).await;
    stream.expect("a stream").into_inner()
}

async fn told(stream: &mut Streaming<WatchRecallsResponse>) -> WatchRecallsResponse {
    stream.message().await.expect("a message").expect("no end")
}

fn contacts(told: &WatchRecallsResponse) -> BTreeSet<String> {
    let recalls = told.recalls.iter();
    recalls.map(|recall| recall.contact.clone()).collect()
}

/// Has all of them demoted at once; every demotion waits.
async fn demote(suite: &Suite, names: &[String]) {
    let mut request = Request::new(BatchConvertContactsRequest {
        parent: "workspaces/default".to_owned(),
        requests: names
            .iter()
            .map(|name| ConvertContactRequest {
                contact: name.clone(),
                stage: "lead".to_owned(),
                ..ConvertContactRequest::default()
            })
            .collect(),
        ..BatchConvertContactsRequest::default()
    });
    request.set_timeout(Duration::from_secs(3));
    let done = suite.one.positions().batch_convert_contacts(request).await;
    let done = done.expect("accepted").into_inner().conversions;
    assert!(done.iter().all(|one| one.response.is_some()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_has_nothing_told_again_and_time_has_everything() {
    on_each_engine(async |suite| {
        free_switch(suite).await;
        let names: Vec<String> = (10..110)
            .map(|number| format!("workspaces/default/contacts/c{number}"))
            .collect();
        for name in &names {
            held_client(suite, name).await;
        }
        let (last, many) = names.split_last().expect("some");
        demote(suite, many).await;
        let mut stream = watch(suite).await;
        let first = told(&mut stream).await;
        assert_eq!(contacts(&first), many.iter().cloned().collect());

        let since = Instant::now();
        for recall in &first.recalls[..25] {
            assert!(acknowledge(&suite.one, recall, first.epoch).await);
        }
        hasty(&suite.one, last, "lead", "").await.expect("accepted");
        let mut repeated = 0;
        let news = loop {
            let next = told(&mut stream).await;
            if contacts(&next).contains(last) {
                break next;
            }
            repeated += 1;
        };
        let allowed = since.elapsed().as_secs() / AGAIN.as_secs();
        assert!(repeated <= allowed, "{repeated} messages without news");
        assert_eq!(news.recalls.len(), 75);

        // Whatever a holder lost on the way comes again.
        let again = told(&mut stream).await;
        assert_eq!(contacts(&again), contacts(&news));
    })
    .await;
}
