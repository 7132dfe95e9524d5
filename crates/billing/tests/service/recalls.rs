//! Recalls: what pipeline takes away is given back, whoever is down meanwhile.

use proto::errors::v1::Reason;

use super::support::{Suite, assert_refused, contact, eventually, on_every_engine, refusal};

#[tokio::test(flavor = "multi_thread")]
async fn a_recall_ends_it_and_says_whether_documents_exist() {
    on_every_engine(async |engine| {
        let suite = Suite::new(&engine).await;
        let billing = suite.start().await;
        let (ada, ben) = (contact("ada"), contact("ben"));
        for client in [&ada, &ben] {
            suite.pipeline.put(client, "client");
        }
        let draft = billing.draft(&ada).await.expect("a client");
        billing.draft(&ben).await.expect("a client");
        billing.issue(&draft.name).await.expect("a client");
        let second = billing.draft(&ada).await.expect("a client");
        for client in [&ada, &ben] {
            suite.pipeline.demote(client, "lead").await;
        }
        assert_eq!(suite.pipeline.documents_exist(&ada), Some(true));
        assert_eq!(suite.pipeline.documents_exist(&ben), Some(false));
        for refused in [
            billing.draft(&ada).await.expect_err("a lead"),
            billing.issue(&second.name).await.expect_err("a lead"),
        ] {
            assert_refused(&refused, Reason::EntitlementMissing);
        }
        // What was issued stays as it is.
        assert_eq!(
            billing.get(&draft.name).await.expect("it is there").state,
            2
        );
        suite.pipeline.put(&ada, "client");
        billing.issue(&second.name).await.expect("a client again");
        billing.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_demotion_while_billing_is_down_completes_when_it_is_back() {
    on_every_engine(async |engine| {
        let suite = Suite::new(&engine).await;
        let billing = suite.start().await;
        let ada = contact("ada");
        suite.pipeline.put(&ada, "client");
        let draft = billing.draft(&ada).await.expect("a client");
        billing.stop().await;
        assert!(suite.pipeline.demote_begin(&ada, "lead"));

        // Without the follower the grant is not given back: the demotion waits and the call passes.
        let billing = suite.start_without_follower().await;
        billing
            .draft(&ada)
            .await
            .expect("nothing was acknowledged yet");
        assert!(suite.pipeline.is_pending(&ada));
        billing.stop().await;

        let billing = suite.start().await;
        eventually("the demotion is complete", async || {
            !suite.pipeline.is_pending(&ada)
        })
        .await;
        let refused = billing.issue(&draft.name).await.expect_err("a lead");
        assert_refused(&refused, Reason::EntitlementMissing);
        billing.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_demotion_waits_callers_are_told_so() {
    on_every_engine(async |engine| {
        let suite = Suite::new(&engine).await;
        let billing = suite.start().await;
        let ada = contact("ada");
        suite.pipeline.put(&ada, "client");
        billing.draft(&ada).await.expect("a client");
        suite.pipeline.ignore_acknowledgements(true);
        assert!(suite.pipeline.demote_begin(&ada, "lead"));
        eventually("the recall is acknowledged", async || {
            suite.pipeline.acknowledgements(&ada) > 0
        })
        .await;
        let refused = billing
            .draft(&ada)
            .await
            .expect_err("the grant is given back");
        assert_refused(&refused, Reason::TransitionPending);
        assert_eq!(refusal(&refused).2["to"], "lead");
        // The same order comes again and again, and is acknowledged again and again.
        eventually("it is acknowledged again", async || {
            suite.pipeline.acknowledgements(&ada) > 2
        })
        .await;
        suite.pipeline.cancel(&ada);
        suite.pipeline.ignore_acknowledgements(false);
        billing
            .draft(&ada)
            .await
            .expect("the demotion was cancelled");
        suite.pipeline.demote(&ada, "lead").await;
        let refused = billing.draft(&ada).await.expect_err("a lead");
        assert_refused(&refused, Reason::EntitlementMissing);
        billing.stop().await;
    })
    .await;
}
