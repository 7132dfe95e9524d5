//! Lists page by page, filters, and Watch.

use std::collections::BTreeSet;

use proto::pipeline::v1::watch_transitions_request::Start;
use proto::pipeline::v1::watch_transitions_response::Event;
use proto::pipeline::v1::{
    BatchGetPositionsRequest, GetServerInfoRequest, ListPositionsRequest, ListTransitionsRequest,
    WatchTransitionsRequest,
};
use tonic::Code;

use crate::suite::{Suite, eventually, metadata, on_each_engine, reason};

const WORKSPACE: &str = "workspaces/default";

fn contact(number: usize) -> String {
    format!("{WORKSPACE}/contacts/c{number:03}")
}

/// Thirty contacts: every third a client, the rest leads.
async fn populated(suite: &Suite) {
    for number in 0..30 {
        suite.directory.person(&contact(number), "");
        suite
            .one
            .position(&contact(number))
            .await
            .expect("a position");
        if number % 3 == 0 {
            suite
                .one
                .convert(&contact(number), "client")
                .await
                .expect("a client");
        }
    }
}

async fn positions(suite: &Suite, filter: &str, order_by: &str, size: i32) -> Vec<String> {
    let mut names = Vec::new();
    let mut token = String::new();
    let mut inserted = 0;
    loop {
        let request = ListPositionsRequest {
            parent: WORKSPACE.to_owned(),
            page_size: size,
            page_token: token,
            filter: filter.to_owned(),
            order_by: order_by.to_owned(),
            ..ListPositionsRequest::default()
        };
        let page = suite
            .one
            .positions()
            .list_positions(request)
            .await
            .expect("a page");
        let page = page.into_inner();
        names.extend(page.positions.into_iter().map(|position| position.contact));
        token = page.next_page_token;
        if token.is_empty() {
            return names;
        }
        // What comes meanwhile moves nothing that is already there.
        let name = format!(
            "{WORKSPACE}/contacts/a{size}-{inserted}-{}",
            filter.len() + order_by.len()
        );
        suite.directory.person(&name, "");
        suite.one.position(&name).await.expect("a position");
        inserted += 1;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_stable_under_inserts_in_every_order() {
    on_each_engine(async |suite| {
        populated(suite).await;
        for order in [
            "",
            "enter_time",
            "enter_time desc",
            "stage",
            "stage desc",
            "stage desc, enter_time",
        ] {
            let found = positions(suite, "contact = \"c*\"", order, 7).await;
            assert_eq!(found.len(), 30, "{order}");
            let distinct: BTreeSet<&String> = found.iter().collect();
            assert_eq!(distinct.len(), 30, "{order}");
        }
        let clients = positions(suite, "role = CLIENT AND contact = \"c*\"", "", 3).await;
        let expected: Vec<String> = (0..30).step_by(3).map(contact).collect();
        assert_eq!(clients, expected);
        let by_time = positions(
            suite,
            "stage = lead AND state = OPEN AND contact = \"c*\"",
            "enter_time",
            50,
        )
        .await;
        let expected: Vec<String> = (0..30)
            .filter(|number| number % 3 != 0)
            .map(contact)
            .collect();
        assert_eq!(by_time, expected);
        let none = positions(
            suite,
            "role = UNSPECIFIED OR enter_time < \"2001-01-01T00:00:00Z\"",
            "",
            5,
        )
        .await;
        assert!(none.is_empty());
        for (filter, count) in [
            ("contact = \"C01*\"", 10),
            ("contact = \"C010\"", 0),
            ("contact = \"workspaces/default/contacts/c010\"", 1),
            ("contact = \"workspaces/default/contacts/c01*\"", 10),
            ("contact = \"workspaces/other/contacts/c010\"", 0),
            ("contact = \"workspaces/other/contacts/c01*\"", 0),
            ("contact = \"c*\" AND stage = \"CLI*\"", 10),
            ("contact = \"c*\" AND stage = \"CLIENT\"", 0),
        ] {
            let found = positions(suite, filter, "", 50).await;
            assert_eq!(found.len(), count, "{filter}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_list_cannot_do_is_refused() {
    on_each_engine(async |suite| {
        populated(suite).await;
        let ask = |filter: &str, order_by: &str, page_token: &str, page_size: i32| {
            let request = ListPositionsRequest {
                parent: WORKSPACE.to_owned(),
                filter: filter.to_owned(),
                order_by: order_by.to_owned(),
                page_token: page_token.to_owned(),
                page_size,
                ..ListPositionsRequest::default()
            };
            let mut client = suite.one.positions();
            async move { client.list_positions(request).await }
        };
        let refused = ask("stage = lead and role = LEAD", "", "", 0)
            .await
            .expect_err("small letters");
        assert_eq!(reason(&refused), "FILTER_INVALID");
        assert_eq!(metadata(&refused, "offset"), "13");
        let refused = ask("colour = red", "", "", 0)
            .await
            .expect_err("no such field");
        assert_eq!(
            (
                reason(&refused).as_str(),
                metadata(&refused, "field").as_str()
            ),
            ("FILTER_INVALID", "colour")
        );
        let refused = ask("role = BOSS", "", "", 0)
            .await
            .expect_err("no such role");
        assert_eq!(reason(&refused), "FILTER_INVALID");
        let refused = ask("", "contact", "", 0).await.expect_err("no such order");
        assert_eq!(reason(&refused), "ORDER_BY_INVALID");
        let refused = ask("", "", "", -1).await.expect_err("a negative size");
        assert_eq!(refused.code(), Code::InvalidArgument);
        let page = ask("", "", "", 5).await.expect("a page").into_inner();
        let refused = ask("role = LEAD", "", &page.next_page_token, 5)
            .await
            .expect_err("another list");
        assert_eq!(reason(&refused), "PAGE_TOKEN_MISMATCH");
        let refused = ask("", "", "junk", 5).await.expect_err("no token");
        assert_eq!(reason(&refused), "PAGE_TOKEN_MISMATCH");
        assert_eq!(
            ask("", "", &page.next_page_token, 100)
                .await
                .expect("the rest")
                .into_inner()
                .positions
                .len(),
            25
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn transitions_are_listed_for_one_and_for_all() {
    on_each_engine(async |suite| {
        populated(suite).await;
        let mut found = Vec::new();
        let mut token = String::new();
        loop {
            let request = ListTransitionsRequest {
                parent: format!("{WORKSPACE}/contacts/-"),
                page_size: 9,
                page_token: token,
                filter: "to_role = CLIENT AND actor = \"BILL*\" AND NOT cause = TRIGGER".to_owned(),
                ..ListTransitionsRequest::default()
            };
            let page = suite
                .one
                .positions()
                .list_transitions(request)
                .await
                .expect("a page");
            let page = page.into_inner();
            found.extend(page.transitions);
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(found.len(), 10);
        let times: Vec<_> = found
            .iter()
            .map(|one| one.record_time.expect("a time"))
            .map(|at| (at.seconds, at.nanos))
            .collect();
        assert!(times.is_sorted());
        let names = vec![
            format!("{}/position", contact(3)),
            format!("{}/position", contact(1)),
        ];
        let batch = BatchGetPositionsRequest {
            parent: WORKSPACE.to_owned(),
            names: names.clone(),
            ..BatchGetPositionsRequest::default()
        };
        let found = suite
            .one
            .positions()
            .batch_get_positions(batch.clone())
            .await
            .expect("both");
        let found: Vec<String> = found
            .into_inner()
            .positions
            .into_iter()
            .map(|position| position.name)
            .collect();
        assert_eq!(found, names);
        let foreign = BatchGetPositionsRequest {
            names: vec!["workspaces/other/contacts/a/position".to_owned()],
            ..batch
        };
        let refused = suite.one.positions().batch_get_positions(foreign).await;
        assert_eq!(
            reason(&refused.expect_err("another workspace")),
            "FIELD_INVALID"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_tells_everything_once_and_resumes() {
    on_each_engine(async |suite| {
        let request = |start: Option<Start>, send_snapshot: bool| WatchTransitionsRequest {
            parent: WORKSPACE.to_owned(),
            start,
            send_snapshot,
            ..WatchTransitionsRequest::default()
        };
        let mut positions = suite.one.positions();
        let oldest = request(Some(Start::Oldest(true)), false);
        let mut stream = positions
            .watch_transitions(oldest)
            .await
            .expect("a stream")
            .into_inner();
        populated(suite).await;
        let mut moves = Vec::new();
        let mut token = String::new();
        while moves.len() < 20 {
            let told = stream.message().await.expect("a message").expect("no end");
            token = told.resume_token;
            if let Some(Event::Changes(changes)) = told.event {
                moves.extend(
                    changes
                        .changes
                        .into_iter()
                        .filter_map(|change| change.transition),
                );
            }
        }
        drop(stream);
        let resumed = request(Some(Start::ResumeToken(token)), false);
        let mut stream = positions
            .watch_transitions(resumed)
            .await
            .expect("a stream")
            .into_inner();
        while moves.len() < 40 {
            let told = stream.message().await.expect("a message").expect("no end");
            if let Some(Event::Changes(changes)) = told.event {
                moves.extend(
                    changes
                        .changes
                        .into_iter()
                        .filter_map(|change| change.transition),
                );
            }
        }
        let names: BTreeSet<&String> = moves.iter().map(|moved| &moved.name).collect();
        assert_eq!((names.len(), moves.len()), (40, 40));
        let mut stream = positions
            .watch_transitions(request(None, true))
            .await
            .expect("a stream")
            .into_inner();
        let mut seen = 0;
        loop {
            let told = stream.message().await.expect("a message").expect("no end");
            assert!(!told.resume_token.is_empty());
            match told.event.expect("an event") {
                Event::Snapshot(page) => seen += page.positions.len(),
                Event::SnapshotEnd(_) => break,
                Event::Changes(_) | Event::Heartbeat(_) => {}
            }
        }
        assert_eq!(seen, 30);
        let junk = request(Some(Start::ResumeToken("junk".to_owned())), false);
        let refused = positions
            .watch_transitions(junk)
            .await
            .expect_err("no token");
        assert_eq!(reason(&refused), "FIELD_INVALID");
        let all = WatchTransitionsRequest {
            parent: "workspaces/-".to_owned(),
            ..WatchTransitionsRequest::default()
        };
        positions
            .watch_transitions(all)
            .await
            .expect("a peer may follow all");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_tells_how_far_its_history_reaches() {
    on_each_engine(async |suite| {
        let info = suite
            .one
            .positions()
            .get_server_info(GetServerInfoRequest {})
            .await;
        let before = info.expect("the information").into_inner();
        assert!(!before.version.is_empty() && before.capabilities["grants"]);
        populated(suite).await;
        eventually("a newer token", || async {
            let info = suite
                .one
                .positions()
                .get_server_info(GetServerInfoRequest {})
                .await;
            let token: types::Token = info.expect("it").into_inner().newest_token.parse().ok()?;
            let earlier: types::Token = before.newest_token.parse().ok()?;
            ((token.tx, token.id) > (earlier.tx, earlier.id)).then_some(())
        })
        .await;
    })
    .await;
}
