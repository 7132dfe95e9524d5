//! Calls that wait for pipeline, or for a row, keep nobody else waiting.

use std::time::Duration;

use prost_types::FieldMask;
use proto::billing::v1::{Invoice, IssueInvoiceRequest, ListInvoicesRequest, UpdateInvoiceRequest};
use proto::errors::v1::Reason;
use store::diesel::connection::SimpleConnection as _;
use store::diesel::{self, Connection as _, PgConnection, RunQueryDsl as _};

use super::support::{
    PARENT, Running, Suite, assert_refused, contact, eventually, on_every_engine, with_client,
};

/// A call that needs nothing of pipeline is served, although another one waits and there is one place.
async fn is_served(billing: &Running) {
    listed(billing).await.expect("a place is free");
}

async fn listed(billing: &Running) -> Result<(), tonic::Status> {
    let request = ListInvoicesRequest {
        parent: PARENT.to_owned(),
        ..ListInvoicesRequest::default()
    };
    let listed = billing.invoices.clone().list_invoices(request).await;
    listed.map(drop)
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

/// On PostgreSQL alone: whoever writes keeps all others from writing on SQLite, whatever they write.
#[tokio::test(flavor = "multi_thread")]
async fn an_issue_that_waits_for_a_row_keeps_no_other_waiting() {
    on_every_engine(async |engine| {
        if !engine.is_postgres() {
            return;
        }
        let (suite, billing, ada) = with_client(&engine).await;
        let mut names = Vec::new();
        for _ in 0..10 {
            names.push(billing.draft(&ada).await.expect("a draft").name);
        }
        let held = names[4].rsplit('/').next().unwrap_or_default();
        let mut other = PgConnection::establish(&suite.url).expect("a connection");
        other
            .batch_execute(&format!(
                "BEGIN; SET LOCAL clientele.workspace = '*'; \
                 SELECT 1 FROM invoices WHERE invoice = '{held}' FOR UPDATE"
            ))
            .expect("PostgreSQL does it");
        let issues = names.iter().map(|name| {
            let (billing, name) = (billing.invoices.clone(), name.clone());
            tokio::spawn(async move {
                let mut request = tonic::Request::new(IssueInvoiceRequest {
                    name,
                    ..IssueInvoiceRequest::default()
                });
                request.set_timeout(Duration::from_secs(20));
                billing.clone().issue_invoice(request).await
            })
        });
        let mut issues: Vec<_> = issues.collect();
        let waiting = issues.remove(4);
        for issue in issues {
            issue.await.expect("no panic").expect("issued");
        }
        assert!(!waiting.is_finished());
        other.batch_execute("ROLLBACK").expect("PostgreSQL does it");
        waiting.await.expect("no panic").expect("issued");
        billing.stop().await;
    })
    .await;
}

/// On PostgreSQL alone: on SQLite no row is waited for.
#[tokio::test(flavor = "multi_thread")]
async fn who_goes_away_keeps_the_place_for_as_long_as_the_database_works_for_the_call() {
    on_every_engine(async |engine| {
        if !engine.is_postgres() {
            return;
        }
        let suite = Suite::new(&engine).await;
        let billing = suite.start_with_one_place().await;
        let ada = contact("ada");
        suite.pipeline.put(&ada, "client");
        let drafted = billing.draft(&ada).await.expect("a draft");
        let mut other = PgConnection::establish(&suite.url).expect("a connection");
        let holding = "BEGIN; SET LOCAL clientele.workspace = '*'; \
                       SELECT 1 FROM invoices FOR UPDATE";
        other.batch_execute(holding).expect("PostgreSQL does it");
        let mut look = PgConnection::establish(&suite.url).expect("a connection");
        let mut at_work = || {
            let waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
                           AND datname = current_database()";
            let found = diesel::sql_query(waiting).execute(&mut look);
            found.expect("PostgreSQL tells") > 0
        };
        let call = {
            let invoices = billing.invoices.clone();
            tokio::spawn(async move {
                let request = UpdateInvoiceRequest {
                    invoice: Some(Invoice {
                        note: "another".to_owned(),
                        ..drafted
                    }),
                    update_mask: Some(FieldMask {
                        paths: vec!["note".to_owned()],
                    }),
                    ..UpdateInvoiceRequest::default()
                };
                invoices.clone().update_invoice(request).await
            })
        };
        eventually("it waits for the row", async || at_work()).await;
        call.abort();
        assert!(call.await.expect_err("it is gone").is_cancelled());
        let mut refused = 0;
        while at_work() {
            let answer = listed(&billing).await;
            if at_work() {
                let status = answer.expect_err("the place is taken");
                assert_refused(&status, Reason::Overloaded);
                refused += 1;
            }
        }
        assert!(refused > 0);
        eventually("the place is free", async || listed(&billing).await.is_ok()).await;
        other.batch_execute("ROLLBACK").expect("PostgreSQL does it");
        billing.stop().await;
    })
    .await;
}
