//! Many at once: on one contact, against the gate, and from two processes on one database.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use proto::pipeline::v1::{
    AcknowledgeRecallRequest, ListTransitionsRequest, VerifyHistoryRequest, WatchRecallsRequest,
    position,
};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::suite::{HOLDER, HOLDER_EPOCH, Instance, Suite, on_each_engine, reason};

const ADA: &str = "workspaces/default/contacts/ada";

async fn verified(suite: &Suite) -> i64 {
    let request = VerifyHistoryRequest {
        parent: ADA.to_owned(),
    };
    let answer = suite
        .one
        .positions()
        .verify_history(request)
        .await
        .expect("it holds");
    answer.into_inner().transitions
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_convert_one_contact_exactly_one_wins() {
    on_each_engine(async |suite| {
        let other = suite.another().await;
        suite.directory.person(ADA, "");
        let mut calls = JoinSet::new();
        for number in 0..40 {
            let instance = if number % 2 == 0 { &suite.one } else { &other };
            let mut positions = instance.positions();
            calls.spawn(async move {
                let request = proto::pipeline::v1::ConvertContactRequest {
                    contact: ADA.to_owned(),
                    stage: "client".to_owned(),
                    ..Default::default()
                };
                loop {
                    match positions.convert_contact(request.clone()).await {
                        // Whoever waited too long for the row may call again, as clients do.
                        Err(status)
                            if matches!(
                                reason(&status).as_str(),
                                "OVERLOADED" | "CONCURRENT_UPDATE"
                            ) => {}
                        answer => return answer,
                    }
                }
            });
        }
        let answers = calls.join_all().await;
        let won = answers.iter().filter(|answer| answer.is_ok()).count();
        assert_eq!(won, 1);
        for refused in answers.into_iter().filter_map(Result::err) {
            assert_eq!(reason(&refused), "TRANSITION_NOT_ALLOWED");
        }
        assert_eq!(verified(suite).await, 2);
        other.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_move_is_lost_when_two_processes_move_one_contact() {
    on_each_engine(async |suite| {
        suite.one.activate_preset("default", "free-switch").await;
        suite.directory.person(ADA, "");
        suite.one.position(ADA).await.expect("a position");
        let other = suite.another().await;
        let done = Arc::new(AtomicU64::new(0));
        let mut calls = JoinSet::new();
        for number in 0..8 {
            let instance = if number % 2 == 0 { &suite.one } else { &other };
            let mut positions = instance.positions();
            let done = Arc::clone(&done);
            calls.spawn(async move {
                for step in 0..25 {
                    let stage = ["lead", "client", "contact"][(number + step) % 3];
                    let request = proto::pipeline::v1::ConvertContactRequest {
                        contact: ADA.to_owned(),
                        stage: stage.to_owned(),
                        ..Default::default()
                    };
                    match positions.convert_contact(request).await {
                        Ok(_) => {
                            done.fetch_add(1, Ordering::SeqCst);
                        }
                        Err(refused) => {
                            let reason = reason(&refused);
                            let expected = ["TRANSITION_NOT_ALLOWED", "CONCURRENT_UPDATE"];
                            assert!(expected.contains(&reason.as_str()), "{reason}");
                        }
                    }
                }
            });
        }
        calls.join_all().await;
        let accepted = i64::try_from(done.load(Ordering::SeqCst)).expect("a small number");
        assert!(accepted > 10);
        assert_eq!(verified(suite).await, accepted + 1);
        other.stop().await;
    })
    .await;
}

/// What the holder remembers of its grant on one contact.
#[derive(Default)]
struct Held {
    tombstone: i64,
    revision: i64,
    invoice: bool,
}

/// Follows its recalls and acknowledges them after it has narrowed its grant.
async fn hold(instance: &Instance, held: Arc<Mutex<Held>>, stop: Arc<AtomicBool>) {
    let mut client = instance.entitlements();
    while !stop.load(Ordering::SeqCst) {
        let request = WatchRecallsRequest {
            holder: HOLDER.to_owned(),
            holder_epoch: HOLDER_EPOCH,
        };
        let Ok(stream) = client.watch_recalls(request).await else {
            continue;
        };
        let mut stream = stream.into_inner();
        while !stop.load(Ordering::SeqCst) {
            let next = tokio::time::timeout(Duration::from_millis(200), stream.message()).await;
            let Ok(Ok(Some(told))) = next else {
                if next.is_ok() {
                    break;
                }
                continue;
            };
            for recall in told.recalls {
                {
                    let mut held = held.lock().await;
                    held.tombstone = held.tombstone.max(recall.grant_revision);
                    if held.revision < recall.grant_revision {
                        held.revision = recall.grant_revision;
                        held.invoice &= recall.entitlements.contains(&"invoice".to_owned());
                    }
                }
                let request = AcknowledgeRecallRequest {
                    contact: recall.contact,
                    holder: HOLDER.to_owned(),
                    grant_revision: recall.grant_revision,
                    documents_exist: true,
                    epoch: told.epoch,
                };
                client
                    .acknowledge_recall(request)
                    .await
                    .expect("acknowledged");
            }
        }
    }
}

/// Demotions and acquisitions at once, thousands of times: after a demotion was answered OPEN, the
/// holder never holds what it took, whatever was under way.
#[tokio::test(flavor = "multi_thread")]
async fn a_grant_never_outlives_an_acknowledged_demotion() {
    on_each_engine(async |suite| {
        suite.one.activate_preset("default", "free-switch").await;
        suite.one.attach().await;
        suite.directory.person(ADA, "");
        suite.one.position(ADA).await.expect("a position");
        let held = Arc::new(Mutex::new(Held::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let acquired = AtomicU64::new(0);
        let holding = hold(&suite.one, Arc::clone(&held), Arc::clone(&stop));
        let acquiring = async {
            while !stop.load(Ordering::SeqCst) {
                let Ok(grant) = suite.one.acquire(ADA).await else {
                    continue;
                };
                acquired.fetch_add(1, Ordering::SeqCst);
                let mut held = held.lock().await;
                if grant.grant_revision >= held.tombstone && grant.grant_revision >= held.revision {
                    held.revision = grant.grant_revision;
                    held.invoice = grant.entitlements.contains(&"invoice".to_owned());
                }
            }
        };
        let demotions = AtomicU64::new(0);
        let moving = async {
            let started = tokio::time::Instant::now();
            let enough = || {
                let few = |count: &AtomicU64| count.load(Ordering::SeqCst) < 100;
                let least = if few(&demotions) || few(&acquired) {
                    120
                } else {
                    12
                };
                started.elapsed() > Duration::from_secs(least)
            };
            while demotions.load(Ordering::SeqCst) < 500 && !enough() {
                suite.one.convert(ADA, "client").await.expect("a client");
                let done = suite.one.convert(ADA, "lead").await.expect("a lead");
                assert_eq!(done.state(), position::State::Open);
                assert!(!held.lock().await.invoice, "a grant outlived the demotion");
                demotions.fetch_add(1, Ordering::SeqCst);
            }
            stop.store(true, Ordering::SeqCst);
        };
        tokio::join!(holding, acquiring, moving);
        let (demotions, acquired) = (
            demotions.load(Ordering::SeqCst),
            acquired.load(Ordering::SeqCst),
        );
        println!("{demotions} demotions against {acquired} grants");
        assert!(demotions >= 100 && acquired >= 100);
        verified(suite).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_follow_and_tell_without_doing_anything_twice() {
    on_each_engine(async |suite| {
        let other = suite.another().await;
        for number in 0..100 {
            suite
                .directory
                .person(&format!("workspaces/default/contacts/c{number}"), "");
        }
        for number in 0..100 {
            let name = format!("workspaces/default/contacts/c{number}");
            let (one, two) = tokio::join!(suite.one.position(&name), other.position(&name));
            assert_eq!(one.expect("a position"), two.expect("the same"));
        }
        let request = ListTransitionsRequest {
            parent: "workspaces/default/contacts/-".to_owned(),
            page_size: 500,
            ..ListTransitionsRequest::default()
        };
        let all = other
            .positions()
            .list_transitions(request)
            .await
            .expect("a list");
        assert_eq!(all.into_inner().transitions.len(), 100);
        other.stop().await;
    })
    .await;
}
