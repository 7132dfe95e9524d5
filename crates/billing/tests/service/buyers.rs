//! The buyer of an issued invoice: who the contact is now, as far as pipeline can be asked.

use std::time::{Duration, Instant};

use prost_types::FieldMask;
use proto::billing::v1;
use proto::errors::v1::Reason;
use store::diesel;
use tonic::Code;
use types::{Clock, Micros};

use super::support::{
    Running, Suite, contact, create_request, eventually, invoice, on_every_engine, refusal, rows,
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

async fn draft_for(billing: &Running, contact: &str, buyer: v1::Buyer) -> v1::Invoice {
    let given = v1::Invoice {
        buyer: Some(buyer),
        ..invoice(contact)
    };
    let request = v1::CreateInvoiceRequest {
        invoice: Some(given),
        ..create_request()
    };
    billing.create(request).await.expect("a client")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_buyer_that_the_draft_names_is_frozen_as_given_without_a_question() {
    on_every_engine(async |engine| {
        let (suite, billing, clock, ada) = with_clock(&engine).await;
        let buyer = v1::Buyer {
            name: "Somebody Else".into(),
            ..Default::default()
        };
        let draft = draft_for(&billing, &ada, buyer.clone()).await;
        let asked = suite.pipeline.acquired();
        clock.advance(LATER);
        let issued = billing.issue(&draft.name).await.expect("a client");
        assert_eq!(issued.buyer, Some(buyer), "nothing of the contact's");
        assert_eq!(suite.pipeline.acquired(), asked);
        billing.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_buyer_without_a_name_is_the_contact_but_for_what_the_draft_says() {
    on_every_engine(async |engine| {
        let (suite, billing, clock, ada) = with_clock(&engine).await;
        let by_mask = billing.draft(&ada).await.expect("a client");
        let request = v1::UpdateInvoiceRequest {
            invoice: Some(v1::Invoice {
                name: by_mask.name.clone(),
                buyer: Some(v1::Buyer {
                    email: "bills@example.com".into(),
                    ..Default::default()
                }),
                ..Default::default()
            }),
            update_mask: Some(FieldMask {
                paths: vec!["buyer.email".into()],
            }),
            ..Default::default()
        };
        let updated = billing.invoices.clone().update_invoice(request).await;
        updated.expect("a draft");
        let created = v1::Buyer {
            name: " ".into(),
            tax_id: "DE999".into(),
            ..Default::default()
        };
        let created = draft_for(&billing, &ada, created).await;
        suite.pipeline.rename("Example Inc");
        clock.advance(LATER);
        for (draft, tax_id, email) in [
            (&by_mask, "DE123", "bills@example.com"),
            (&created, "DE999", "ada@example.com"),
        ] {
            let issued = billing.issue(&draft.name).await.expect("a client");
            let buyer = issued.buyer.expect("the buyer is frozen");
            assert_eq!(buyer.name, "Example Inc", "as it is told now");
            assert_eq!((&*buyer.tax_id, &*buyer.email), (tax_id, email));
            let address = buyer.postal_address.expect("the contact's address");
            assert_eq!(address.locality, "Berlin");
        }
        billing.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_without_a_name_is_invoiced() {
    on_every_engine(async |engine| {
        let (suite, billing, _clock, ada) = with_clock(&engine).await;
        suite.pipeline.unname();
        let nameless = billing.draft(&ada).await.expect("a client");
        let refused = billing.issue(&nameless.name).await.expect_err("nameless");
        let (code, reason, metadata) = refusal(&refused);
        assert_eq!(code, Code::FailedPrecondition);
        assert_eq!(reason, Some(Reason::InvoiceIncomplete));
        assert_eq!(metadata["invoice"], nameless.name);
        assert_eq!(metadata["fields"], "buyer.name");
        let named = v1::Buyer {
            name: "Ada Example".into(),
            ..Default::default()
        };
        let named = draft_for(&billing, &ada, named).await;
        let issued = billing.issue(&named.name).await.expect("a name");
        assert_eq!(issued.number, "INV-2026-000001", "the refusal took none");
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
