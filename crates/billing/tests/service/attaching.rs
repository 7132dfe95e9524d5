//! Attaching to pipeline: once for all who need it, whoever gives up.

use std::time::Duration;

use proto::errors::v1::Reason;
use tonic::Code;

use super::support::{
    Suite, assert_refused, contact, create_request, eventually, invoice, on_every_engine,
};

/// Billing that is attached nowhere yet, whose attaching is kept waiting, and so many clients.
fn detached(suite: &Suite, count: usize) -> Vec<String> {
    let names: Vec<String> = (0..count)
        .map(|number| contact(&format!("c{number}")))
        .collect();
    for name in &names {
        suite.pipeline.put(name, "client");
    }
    suite.pipeline.hold_streams(true);
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn many_calls_at_once_attach_once() {
    on_every_engine(async |engine| {
        let suite = Suite::new(&engine).await;
        let billing = suite.start_without_follower().await;
        let names = detached(&suite, 24);
        let drafting = futures::future::join_all(names.iter().map(|name| billing.draft(name)));
        let releasing = async {
            eventually("all have found themselves detached", async || {
                suite.pipeline.acquired() >= names.len()
            })
            .await;
            suite.pipeline.hold_streams(false);
        };
        let (drafts, ()) = tokio::join!(drafting, releasing);
        for draft in drafts {
            draft.expect("attached");
        }
        // The epoch was learnt once.
        assert_eq!(suite.pipeline.streams(), 1);
        billing.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_gives_up_takes_it_away_from_nobody() {
    on_every_engine(async |engine| {
        let suite = Suite::new(&engine).await;
        let billing = suite.start_without_follower().await;
        let names = detached(&suite, 3);
        // One hangs up, one has little time; the last one waits for what they began.
        let mut gone = Box::pin(billing.draft(&names[0]));
        tokio::select! {
            early = &mut gone => panic!("it did not wait: {early:?}"),
            () = eventually("it attaches", async || suite.pipeline.streams() == 1) => {}
        }
        drop(gone);
        let mut hurried = tonic::Request::new(proto::billing::v1::CreateInvoiceRequest {
            invoice: Some(invoice(&names[1])),
            ..create_request()
        });
        hurried.set_timeout(Duration::from_millis(300));
        let late = billing.invoices.clone().create_invoice(hurried).await;
        assert_eq!(late.expect_err("too late").code(), Code::DeadlineExceeded);
        let waiting = billing.draft(&names[2]);
        let releasing = async {
            eventually("it has found itself detached", async || {
                suite.pipeline.acquired() >= names.len()
            })
            .await;
            suite.pipeline.hold_streams(false);
        };
        let (draft, ()) = tokio::join!(waiting, releasing);
        draft.expect("attached");
        assert_eq!(suite.pipeline.streams(), 1);
        billing.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_told_to_all_and_tried_anew_by_the_next() {
    on_every_engine(async |engine| {
        let suite = Suite::new(&engine).await;
        let billing = suite.start_without_follower().await;
        let names = detached(&suite, 4);
        let drafting = futures::future::join_all(names.iter().map(|name| billing.draft(name)));
        let failing = async {
            eventually("all have found themselves detached", async || {
                suite.pipeline.acquired() >= names.len()
            })
            .await;
            suite.pipeline.set_down(true);
            suite.pipeline.hold_streams(false);
        };
        let (drafts, ()) = tokio::join!(drafting, failing);
        for draft in drafts {
            assert_refused(&draft.expect_err("down"), Reason::UpstreamUnavailable);
        }
        suite.pipeline.set_down(false);
        billing.draft(&names[0]).await.expect("attached");
        billing.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_that_nobody_waited_for_is_told_to_nobody() {
    on_every_engine(async |engine| {
        let suite = Suite::new(&engine).await;
        let billing = suite.start_without_follower().await;
        let names = detached(&suite, 2);
        let mut gone = Box::pin(billing.draft(&names[0]));
        tokio::select! {
            early = &mut gone => panic!("it did not wait: {early:?}"),
            () = eventually("it attaches", async || suite.pipeline.streams_waiting() == 1) => {}
        }
        drop(gone);
        suite.pipeline.set_down(true);
        suite.pipeline.hold_streams(false);
        eventually("the attaching is refused", async || {
            suite.pipeline.streams_waiting() == 0
        })
        .await;
        // This one is refused before it could wait for the attaching, which is over by then.
        let refused = billing.draft(&names[1]).await.expect_err("down");
        assert_refused(&refused, Reason::UpstreamUnavailable);
        suite.pipeline.set_down(false);
        billing.draft(&names[1]).await.expect("attached anew");
        billing.stop().await;
    })
    .await;
}
