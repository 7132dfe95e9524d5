//! Demotions while documents are made: none is accepted after an acknowledged one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use super::support::{Running, Suite, contact, eventually, on_every_engine};

/// How often the contact is demoted while invoices are drafted and issued.
const DEMOTIONS: usize = 250;

#[tokio::test(flavor = "multi_thread")]
async fn no_document_is_accepted_after_an_acknowledged_demotion() {
    on_every_engine(async |engine| {
        let suite = Suite::new(&engine).await;
        let billing = Arc::new(suite.start().await);
        let ada = contact("ada");
        suite.pipeline.put(&ada, "client");
        billing.project("roof").await;
        let over = Arc::new(AtomicBool::new(false));
        let accepted_count = Arc::new(AtomicUsize::new(0));
        let callers: Vec<_> = (0..4)
            .map(|_| {
                let (over, accepted) = (over.clone(), accepted_count.clone());
                tokio::spawn(call_until(over, accepted, billing.clone(), ada.clone()))
            })
            .collect();
        let mut demoted = Vec::with_capacity(DEMOTIONS);
        for _ in 0..DEMOTIONS {
            suite.pipeline.demote(&ada, "lead").await;
            let since = Instant::now();
            // Calls that begin now and end before the contact is a client again must be refused.
            tokio::task::yield_now().await;
            demoted.push((since, Instant::now()));
            let before = accepted_count.load(Ordering::SeqCst);
            suite.pipeline.put(&ada, "client");
            // Until a document is accepted: then a grant is held, and others are on their way.
            while accepted_count.load(Ordering::SeqCst) == before {
                tokio::task::yield_now().await;
            }
        }
        // A last demotion that stays, so that many calls lie wholly within it.
        suite.pipeline.demote(&ada, "lead").await;
        let since = Instant::now();
        let seen = suite.pipeline.acquired();
        eventually("calls come after it", async || {
            suite.pipeline.acquired() > seen + 50
        })
        .await;
        demoted.push((since, Instant::now()));
        over.store(true, Ordering::SeqCst);
        let (mut accepted, mut refused) = (0, 0);
        for caller in callers {
            for (begin, end, ok) in caller.await.expect("the caller ends") {
                let within = demoted
                    .iter()
                    .any(|(from, to)| *from <= begin && end <= *to);
                assert!(
                    !(ok && within),
                    "a document was accepted after the demotion"
                );
                accepted += usize::from(ok);
                refused += usize::from(!ok);
            }
        }
        println!("{DEMOTIONS} demotions, {accepted} calls accepted, {refused} refused");
        assert!(
            accepted >= DEMOTIONS && refused > 50,
            "both sides were seen"
        );
        billing.verify().await.expect("numbers without a gap");
    })
    .await;
}

/// Drafts, issues and assigns until told to stop; answers when each call began and ended, and
/// whether a document was accepted.
async fn call_until(
    over: Arc<AtomicBool>,
    accepted: Arc<AtomicUsize>,
    billing: Arc<Running>,
    ada: String,
) -> Vec<(Instant, Instant, bool)> {
    let mut calls = Vec::new();
    while !over.load(Ordering::SeqCst) {
        let begin = Instant::now();
        let draft = billing.draft(&ada).await;
        calls.push((begin, Instant::now(), draft.is_ok()));
        accepted.fetch_add(usize::from(draft.is_ok()), Ordering::SeqCst);
        if let Ok(draft) = draft {
            let begin = Instant::now();
            let issued = billing.issue(&draft.name).await;
            calls.push((begin, Instant::now(), issued.is_ok()));
        }
        let begin = Instant::now();
        let assigned = billing
            .assign("workspaces/default/projects/roof", &ada)
            .await;
        calls.push((begin, Instant::now(), assigned.is_ok()));
        let _ = billing
            .unassign("workspaces/default/projects/roof", &ada)
            .await;
    }
    calls
}
