//! Calls that wait for pipeline keep nobody else waiting.

use proto::billing::v1::ListInvoicesRequest;

use super::support::{PARENT, Running, Suite, contact, eventually, on_every_engine};

/// A call that needs nothing of pipeline is served, although another one waits and there is one place.
async fn is_served(billing: &Running) {
    let request = ListInvoicesRequest {
        parent: PARENT.to_owned(),
        ..ListInvoicesRequest::default()
    };
    let listed = billing.invoices.clone().list_invoices(request).await;
    listed.expect("a place is free");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_wait_for_pipeline_take_nobodys_place() {
    on_every_engine(async |engine| {
        let suite = Suite::new(&engine).await;
        let billing = suite.start_with_one_place().await;
        let ada = contact("ada");
        suite.pipeline.put(&ada, "client");
        suite.pipeline.set_mute(true);
        let mut asking = Box::pin(billing.draft(&ada));
        tokio::select! {
            early = &mut asking => panic!("it did not wait: {early:?}"),
            () = eventually("it asks", async || suite.pipeline.acquired() == 1) => {}
        }
        is_served(&billing).await;
        drop(asking);
        suite.pipeline.set_mute(false);
        suite.pipeline.hold_streams(true);
        let mut attaching = Box::pin(billing.draft(&ada));
        tokio::select! {
            early = &mut attaching => panic!("it did not wait: {early:?}"),
            () = eventually("it attaches", async || suite.pipeline.streams() == 1) => {}
        }
        is_served(&billing).await;
        suite.pipeline.hold_streams(false);
        attaching.await.expect("attached");
        billing.stop().await;
    })
    .await;
}
