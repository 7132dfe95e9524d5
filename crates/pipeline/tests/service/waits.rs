//! What a call is answered whose move waits: its token, its repetitions, and what was given up.

use std::time::Duration;

use proto::pipeline::v1::{
    BatchConvertContactsRequest, BatchConvertContactsResponse, CancelTransitionRequest,
    CheckEntitlementRequest, ConvertContactRequest, GetServerInfoRequest, WatchTransitionsRequest,
    position, watch_transitions_request::Start, watch_transitions_response::Event,
};
use tonic::{Code, Request, Status};
use types::Token;

use crate::holding::{acknowledge, free_switch, hasty, held_client, orders};
use crate::suite::{Instance, Suite, metadata, on_each_engine, reason};

const ADA: &str = "workspaces/default/contacts/ada";
const BOB: &str = "workspaces/default/contacts/bob";
const REQUEST: &str = "0190163d-8694-739b-aea5-966c26f8ad93";

/// The place in the log that a token names.
fn place(token: &str) -> (i64, i64, i64) {
    let place = token.split('.').next().expect("a first part");
    let token: Token = place.parse().expect("a token");
    (token.epoch, token.tx, token.id)
}

/// Where the log tells that a contact has arrived in a stage.
async fn arrival(suite: &Suite, contact: &str, stage: &str) -> (i64, i64, i64) {
    let request = WatchTransitionsRequest {
        parent: "workspaces/default".to_owned(),
        start: Some(Start::Oldest(true)),
        ..WatchTransitionsRequest::default()
    };
    let stream = suite.one.positions().watch_transitions(request).await;
    let mut stream = stream.expect("a stream").into_inner();
    let mut at = None;
    loop {
        let next = tokio::time::timeout(Duration::from_secs(1), stream.message()).await;
        let Ok(told) = next else {
            return at.expect("the log tells of it");
        };
        let told = told.expect("a message").expect("no end");
        let Some(Event::Changes(changes)) = told.event else {
            continue;
        };
        let positions = changes.changes.into_iter().filter_map(|one| one.position);
        for position in positions {
            if position.contact == contact && position.stage == stage {
                at = Some(place(&told.resume_token));
            }
        }
    }
}

async fn cancel(instance: &Instance, contact: &str) {
    let request = CancelTransitionRequest {
        contact: contact.to_owned(),
        ..CancelTransitionRequest::default()
    };
    let answer = instance.positions().cancel_transition(request).await;
    answer.expect("given up");
}

async fn demote_both(
    instance: &Instance,
    atomic: bool,
    request_id: &str,
) -> Result<BatchConvertContactsResponse, Status> {
    let mut request = Request::new(BatchConvertContactsRequest {
        parent: "workspaces/default".to_owned(),
        requests: [ADA, BOB]
            .into_iter()
            .map(|contact| ConvertContactRequest {
                contact: contact.to_owned(),
                stage: "lead".to_owned(),
                ..ConvertContactRequest::default()
            })
            .collect(),
        atomic,
        request_id: request_id.to_owned(),
        ..BatchConvertContactsRequest::default()
    });
    request.set_timeout(Duration::from_millis(900));
    let answer = instance.positions().batch_convert_contacts(request).await?;
    Ok(answer.into_inner())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_of_a_move_that_waited_covers_the_move() {
    on_each_engine(async |suite| {
        free_switch(suite).await;
        held_client(suite, ADA).await;
        let answering = async {
            let told = orders(&suite.one).await;
            assert!(acknowledge(&suite.one, &told.recalls[0], told.epoch).await);
        };
        let asked = ConvertContactRequest {
            contact: ADA.to_owned(),
            stage: "lead".to_owned(),
            request_id: REQUEST.to_owned(),
            ..ConvertContactRequest::default()
        };
        let (done, ()) = tokio::join!(suite.one.convert_with(asked.clone()), answering);
        let done = done.expect("converted");
        assert_eq!(done.state(), position::State::Open);
        let again = suite.one.convert_with(asked).await.expect("again");
        assert_eq!(again.state(), position::State::Open);
        let moved = arrival(suite, ADA, "lead").await;
        for token in [&done.consistency_token, &again.consistency_token] {
            assert!(place(token) >= moved, "{:?} < {moved:?}", place(token));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_that_was_given_up_is_not_answered_as_done() {
    on_each_engine(async |suite| {
        free_switch(suite).await;
        held_client(suite, ADA).await;
        let waiting = hasty(&suite.one, ADA, "lead", REQUEST).await;
        let waiting = waiting.expect("accepted");
        assert_eq!(waiting.state(), position::State::Revoking);
        cancel(&suite.one, ADA).await;
        let again = hasty(&suite.one, ADA, "lead", REQUEST).await;
        let refused = again.expect_err("it was given up");
        assert_eq!(refused.code(), Code::Aborted);
        assert_eq!(reason(&refused), "CONCURRENT_UPDATE");
        assert_eq!(metadata(&refused, "resource"), format!("{ADA}/position"));

        // So it is while the call waits.
        let giving_up = async {
            orders(&suite.one).await;
            cancel(&suite.one, ADA).await;
        };
        let (refused, ()) = tokio::join!(suite.one.convert(ADA, "lead"), giving_up);
        assert_eq!(reason(&refused.expect_err("given up")), "CONCURRENT_UPDATE");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_tells_what_was_given_up() {
    on_each_engine(async |suite| {
        free_switch(suite).await;
        held_client(suite, ADA).await;
        held_client(suite, BOB).await;
        let id = "0190163d-8694-739b-aea5-966c26f8ad94";
        demote_both(&suite.one, true, id).await.expect("accepted");
        cancel(&suite.one, ADA).await;
        let refused = demote_both(&suite.one, true, id).await;
        let refused = refused.expect_err("all were given up");
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::Aborted, "CONCURRENT_UPDATE")
        );

        let id = "0190163d-8694-739b-aea5-966c26f8ad95";
        demote_both(&suite.one, false, id).await.expect("accepted");
        cancel(&suite.one, BOB).await;
        let again = demote_both(&suite.one, false, id).await.expect("again");
        let [ada, bob] = again.conversions.as_slice() else {
            panic!("two answers");
        };
        let waiting = ada.response.as_ref().expect("it waits still");
        assert_eq!(waiting.state(), position::State::Revoking);
        assert!(bob.response.is_none());
        let status = bob.status.as_ref().expect("a status");
        assert_eq!(status.code, Code::Aborted as i32);
    })
    .await;
}

/// What waits is written down, so that its call is answered, whatever fails afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn a_move_that_waits_is_answered_where_it_cannot_be_read_again() {
    on_each_engine(async |suite| {
        free_switch(suite).await;
        held_client(suite, ADA).await;
        held_client(suite, BOB).await;
        let breaking = async {
            orders(&suite.one).await;
            let away = suite.sql("ALTER TABLE pending_transitions RENAME TO mislaid");
            away.expect("it is not there any more");
        };
        let (done, ()) = tokio::join!(demote_both(&suite.one, true, ""), breaking);
        let back = suite.sql("ALTER TABLE mislaid RENAME TO pending_transitions");
        back.expect("it is there again");
        for one in done.expect("accepted").conversions {
            let response = one.response.expect("an answer");
            assert_eq!(response.state(), position::State::Revoking);
        }
    })
    .await;
}

/// The token of a read names what was logged, and not how far transactions are numbered.
#[tokio::test(flavor = "multi_thread")]
async fn the_token_of_a_read_is_that_of_the_newest_change() {
    on_each_engine(async |suite| {
        free_switch(suite).await;
        suite.directory.person(ADA, "");
        suite.one.position(ADA).await.expect("a position");
        let moved = suite.one.convert(ADA, "client").await.expect("a client");
        let check = CheckEntitlementRequest {
            contact: ADA.to_owned(),
            entitlement: "invoice".to_owned(),
            ..CheckEntitlementRequest::default()
        };
        let answer = suite.one.entitlements().check_entitlement(check).await;
        let checked = answer.expect("an answer").into_inner();
        let mut info = suite.one.positions();
        let info = info.get_server_info(GetServerInfoRequest {}).await;
        let newest = info.expect("an answer").into_inner().newest_token;
        for token in [&checked.consistency_token, &newest] {
            assert_eq!(place(token), place(&moved.consistency_token));
        }
    })
    .await;
}
