//! What is read is of one moment, whatever happens meanwhile.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use proto::contacts::v1::Role;
use proto::pipeline::v1::{
    BatchGetPositionsRequest, Position, WatchTransitionsRequest, watch_transitions_request::Start,
    watch_transitions_response::Event,
};

use crate::activating::{ADA, BOB, WORKSPACE, activate, active, create, populated, renamed};
use crate::holding::{acknowledge, allowed, free_switch, held_client, orders};
use crate::suite::{Instance, on_each_engine};

fn fits(position: &Position) {
    let shown = (
        position.role() != Role::Unspecified,
        position.entitlements.is_empty(),
    );
    assert_eq!(shown, (true, false), "a vanished stage: {position:?}");
}

async fn batch(instance: &Instance) -> Vec<Position> {
    let request = BatchGetPositionsRequest {
        parent: WORKSPACE.to_owned(),
        names: [ADA, BOB].map(|name| format!("{name}/position")).to_vec(),
        ..BatchGetPositionsRequest::default()
    };
    let answer = instance.positions().batch_get_positions(request).await;
    answer.expect("an answer").into_inner().positions
}

async fn snapshot(instance: &Instance) -> Vec<Position> {
    let request = WatchTransitionsRequest {
        parent: WORKSPACE.to_owned(),
        start: Some(Start::Now(true)),
        send_snapshot: true,
        ..WatchTransitionsRequest::default()
    };
    let stream = instance.positions().watch_transitions(request).await;
    let mut stream = stream.expect("a stream").into_inner();
    let mut found = Vec::new();
    loop {
        let told = stream.message().await.expect("a message").expect("no end");
        match told.event {
            Some(Event::Snapshot(page)) => found.extend(page.positions),
            Some(Event::SnapshotEnd(_)) => return found,
            _ => {}
        }
    }
}

/// Stages are renamed to and fro under those who read.
#[tokio::test(flavor = "multi_thread")]
async fn no_read_shows_a_stage_that_has_vanished() {
    const NAMES: [(&str, &str); 3] = [("lead", "warm"), ("client", "won"), ("contact", "met")];
    on_each_engine(async |suite| {
        let definition = populated(suite).await;
        let (first, _) = active(&suite.one).await;
        let second = create(&suite.one, "renamed", renamed(definition, &NAMES));
        let second = second.await.expect("a policy");
        let back = NAMES.map(|(from, to)| (to, from));
        let other = suite.another().await;
        let stop = AtomicBool::new(false);
        let activating = async {
            for round in 0..24 {
                let (to, map) = if round % 2 == 0 {
                    (&second.revision, &NAMES)
                } else {
                    (&first.revision, &back)
                };
                activate(&suite.one, to, map, false)
                    .await
                    .expect("activated");
            }
            stop.store(true, Ordering::SeqCst);
        };
        let reading = async |instance: &Instance| {
            while !stop.load(Ordering::SeqCst) {
                fits(&instance.position(ADA).await.expect("a position"));
                batch(instance).await.iter().for_each(fits);
                snapshot(instance).await.iter().for_each(fits);
            }
        };
        tokio::join!(
            activating,
            reading(&suite.one),
            reading(&other),
            reading(&other)
        );
        other.stop().await;
    })
    .await;
}

/// A client is demoted again and again; after it was refused once, an entitlement that a move takes
/// away is not allowed before the contact is a client again.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_move_takes_away_is_not_allowed_while_it_completes() {
    on_each_engine(async |suite| {
        free_switch(suite).await;
        held_client(suite, ADA).await;
        let checks = AtomicU64::new(0);
        for _ in 0..25 {
            let done = AtomicBool::new(false);
            let moving = async {
                let answering = async {
                    let told = orders(&suite.one).await;
                    assert!(acknowledge(&suite.one, &told.recalls[0], told.epoch).await);
                };
                let (moved, ()) = tokio::join!(suite.one.convert(ADA, "lead"), answering);
                moved.expect("a lead");
                done.store(true, Ordering::SeqCst);
            };
            let checking = async || {
                let mut denied = false;
                while !done.load(Ordering::SeqCst) {
                    let answer = allowed(&suite.one, ADA, "invoice").await;
                    assert!(!(denied && answer), "allowed after it was denied");
                    denied |= !answer;
                    checks.fetch_add(1, Ordering::SeqCst);
                }
            };
            tokio::join!(moving, checking(), checking(), checking(), checking());
            suite.one.convert(ADA, "client").await.expect("a client");
            suite.one.acquire(ADA).await.expect("a grant");
        }
        println!("{} checks", checks.load(Ordering::SeqCst));
    })
    .await;
}
