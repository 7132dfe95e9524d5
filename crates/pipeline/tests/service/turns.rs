//! Activations among decisions that never cease: both get their turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use proto::pipeline::v1::ConvertContactRequest;
use tokio::task::JoinSet;

use crate::activating::{activate, create, preset};
use crate::suite::{Suite, eventually, on_each_engine, reason};

/// Loops of conversions that overlap: there is always one under way.
const LOOPS: u64 = 8;

/// What loops of conversions came to.
#[derive(Default)]
struct Conversions {
    stop: AtomicBool,
    done: AtomicU64,
}

/// Converts one contact there and back until it is told to stop.
async fn convert(suite: &Suite, number: u64, all: Arc<Conversions>) -> JoinSet<()> {
    let name = format!("workspaces/default/contacts/c{number}");
    suite.directory.person(&name, "");
    suite.one.position(&name).await.expect("a position");
    let mut positions = suite.one.positions();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        for stage in ["lead", "contact"].into_iter().cycle() {
            if all.stop.load(Ordering::SeqCst) {
                return;
            }
            let request = ConvertContactRequest {
                contact: name.clone(),
                stage: stage.to_owned(),
                ..ConvertContactRequest::default()
            };
            match positions.convert_contact(request).await {
                Ok(_) => all.done.fetch_add(1, Ordering::SeqCst),
                Err(refused) => panic!("{}", reason(&refused)),
            };
        }
    });
    tasks
}

#[tokio::test(flavor = "multi_thread")]
async fn an_activation_gets_its_turn_among_conversions_that_overlap() {
    on_each_engine(async |suite| {
        suite.one.activate_preset("default", "free-switch").await;
        let definition = preset(&suite.one, "free-switch").await;
        let all = Arc::new(Conversions::default());
        let mut loops = Vec::new();
        for number in 0..LOOPS {
            loops.push(convert(suite, number, Arc::clone(&all)).await);
        }
        for number in 0..3 {
            let id = format!("again-{number}");
            let new = create(&suite.one, &id, definition.clone()).await;
            let revision = new.expect("created").revision;
            let before = all.done.load(Ordering::SeqCst);
            let tried = activate(&suite.one, &revision, &[], true).await;
            tried.expect("tried");
            let activated = activate(&suite.one, &revision, &[], false).await;
            activated.expect("activated");
            eventually("conversions afterwards", || async {
                (all.done.load(Ordering::SeqCst) >= before + LOOPS).then_some(())
            })
            .await;
        }
        all.stop.store(true, Ordering::SeqCst);
        for mut one in loops {
            while let Some(ended) = one.join_next().await {
                ended.expect("conversions are only put off");
            }
        }
    })
    .await;
}
