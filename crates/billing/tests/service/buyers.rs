//! The buyer of an issued invoice: who the contact is now, as far as pipeline can be asked.

use std::time::{Duration, Instant};

use proto::billing::v1;
use store::diesel;
use types::{Clock, Micros};

use super::support::{
    Running, Suite, contact, create_request, eventually, invoice, on_every_engine, rows,
};

/// A little more than what was told may be old.
const LATER: Duration = Duration::from_secs(61);

/// Billing by a clock of the test's, and a client.
async fn with_clock(engine: &store::testing::Engine) -> (Suite, Running, Clock, String) {
    let suite = Suite::new(engine).await;
    let clock = Clock::fixed(Micros(1_780_000_000_000_000));
    let billing = suite.start_at(clock.clone()).await;
    let ada = contact("ada");
    suite.pipeline.put(&ada, "client");
    (suite, billing, clock, ada)
}

async fn issued_to(billing: &Running, draft: &v1::Invoice) -> String {
    let issued = billing.issue(&draft.name).await.expect("a client");
    issued.buyer.expect("the buyer is frozen").name
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_told_long_ago_is_asked_about_before_the_buyer_is_frozen() {
    on_every_engine(async |engine| {
        let (suite, billing, clock, ada) = with_clock(&engine).await;
        let mut drafts = Vec::new();
        for _ in 0..4 {
            drafts.push(billing.draft(&ada).await.expect("a client"));
        }
        let asked = suite.pipeline.acquired();
        suite.pipeline.rename("Example Inc");
        // Within a minute nobody is asked.
        assert_eq!(issued_to(&billing, &drafts[0]).await, "Example Ltd");
        assert_eq!(suite.pipeline.acquired(), asked);
        clock.advance(LATER);
        assert_eq!(issued_to(&billing, &drafts[1]).await, "Example Inc");
        assert_eq!(issued_to(&billing, &drafts[2]).await, "Example Inc");
        assert_eq!(suite.pipeline.acquired(), asked + 1, "for a minute");
        // The grant itself is as good as before.
        suite.pipeline.set_down(true);
        assert_eq!(issued_to(&billing, &drafts[3]).await, "Example Inc");
        billing.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_buyer_that_the_draft_names_is_frozen_without_a_question() {
    on_every_engine(async |engine| {
        let (suite, billing, clock, ada) = with_clock(&engine).await;
        let named = v1::Invoice {
            buyer: Some(v1::Buyer {
                name: "Ada".into(),
                ..Default::default()
            }),
            ..invoice(&ada)
        };
        let request = v1::CreateInvoiceRequest {
            invoice: Some(named),
            ..create_request()
        };
        let draft = billing.create(request).await.expect("a client");
        let asked = suite.pipeline.acquired();
        clock.advance(LATER);
        assert_eq!(issued_to(&billing, &draft).await, "Ada");
        assert_eq!(suite.pipeline.acquired(), asked);
        billing.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_pipeline_the_buyer_is_who_was_told_last_and_few_wait() {
    on_every_engine(async |engine| {
        let (suite, billing, clock, ada) = with_clock(&engine).await;
        let mut drafts = Vec::new();
        for _ in 0..12 {
            drafts.push(billing.draft(&ada).await.expect("a client"));
        }
        let asked = suite.pipeline.acquired();
        suite.pipeline.rename("Example Inc");
        suite.pipeline.set_mute(true);
        clock.advance(LATER);
        let began = Instant::now();
        let at_once = drafts[..8].iter().map(|draft| issued_to(&billing, draft));
        for buyer in futures::future::join_all(at_once).await {
            assert_eq!(buyer, "Example Ltd");
        }
        assert_eq!(suite.pipeline.acquired(), asked + 1, "one question for all");
        // They have waited half a second for it; the next ones, for some seconds, do not.
        assert!(began.elapsed() < Duration::from_secs(3));
        for draft in &drafts[8..11] {
            assert_eq!(issued_to(&billing, draft).await, "Example Ltd");
        }
        assert_eq!(suite.pipeline.acquired(), asked + 1, "nobody asked since");
        suite.pipeline.set_mute(false);
        eventually("pipeline is asked again", async || {
            let draft = billing.draft(&ada).await.expect("a client");
            issued_to(&billing, &draft).await == "Example Inc"
        })
        .await;
        billing.stop().await;
    })
    .await;
}

#[derive(diesel::QueryableByName)]
struct Known {
    #[diesel(sql_type = diesel::sql_types::Text)]
    party: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_be_invoiced_any_more_is_forgotten() {
    on_every_engine(async |engine| {
        let suite = Suite::new(&engine).await;
        let billing = suite.start().await;
        let ada = contact("ada");
        suite.pipeline.put(&ada, "client");
        billing.draft(&ada).await.expect("a client");
        let store = suite.store();
        let known = async || rows::<Known>(&store, "SELECT party FROM subjects").await;
        let before = known().await;
        assert!(before[0].party.contains("Example Ltd"));
        suite.pipeline.demote(&ada, "contact").await;
        assert!(known().await.is_empty(), "nothing of the grant remains");
        billing.stop().await;
    })
    .await;
}
