//! Numbers of issued invoices: without a gap or a double, and given once however often they are asked for.

use std::collections::BTreeSet;

use billing::domain::numbers::Series;
use billing::store::series;
use proto::billing::v1;
use proto::errors::v1::Reason;
use store::Store;
use store::diesel;
use store::testing::soon;
use tonic::metadata::MetadataValue;

use super::support::{
    PARENT, Running, Suite, assert_refused, contact, create_request, invoice, on_every_engine, rows,
};

const REQUEST_ID: &str = "0190163d-8694-739b-aea5-966c26f8ad90";

fn issue_request(name: &str) -> v1::IssueInvoiceRequest {
    v1::IssueInvoiceRequest {
        name: name.to_owned(),
        ..Default::default()
    }
}

/// A draft that will be issued in 2026.
pub(super) async fn draft(billing: &Running, contact: &str, series: &str) -> v1::Invoice {
    let invoice = v1::Invoice {
        series: series.to_owned(),
        issue_date: Some(proto::google::r#type::Date {
            year: 2026,
            month: 11,
            day: 3,
        }),
        ..invoice(contact)
    };
    let request = v1::CreateInvoiceRequest {
        invoice: Some(invoice),
        ..create_request()
    };
    billing.create(request).await.expect("a draft")
}

/// Takes the next number of a series and gives it back.
async fn roll_back_a_number(store: Store, series: Series) {
    let outcome: Result<(), store::Error> = store
        .across()
        .write("test.roll_back", soon(), move |conn| {
            let mut head = series::head_lock(conn, "default", &series)?;
            head.sequence += 1;
            series::head_advance(conn, "default", &series, &head)?;
            Err(store::Error::ForeignKeyViolation)
        })
        .await;
    assert!(outcome.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_issues_with_rollbacks_leave_no_gap_and_no_double() {
    on_every_engine(async |engine| {
        let suite = Suite::new(&engine).await;
        let billing = suite.start().await;
        // A second process over the same database, where the engine allows one.
        let second = if engine.is_postgres() {
            Some(suite.start().await)
        } else {
            None
        };
        let (ada, ben) = (contact("ada"), contact("ben"));
        suite.pipeline.put(&ada, "client");
        suite.pipeline.put(&ben, "client");
        let mut drafts = Vec::new();
        for number in 0..64 {
            let series = if number % 4 == 0 { "B" } else { "A" };
            drafts.push(draft(&billing, &ada, series).await);
        }
        let stranded = draft(&billing, &ben, "A").await;
        suite.pipeline.demote(&ben, "lead").await;
        let store = suite.store();
        let mut tasks = tokio::task::JoinSet::new();
        for (place, draft) in drafts.iter().enumerate() {
            let through = second
                .as_ref()
                .filter(|_| place % 2 == 0)
                .unwrap_or(&billing);
            let mut client = through.invoices.clone();
            let name = draft.name.clone();
            let etag = draft.etag.clone();
            tasks.spawn(async move {
                client
                    .issue_invoice(v1::IssueInvoiceRequest {
                        etag,
                        ..issue_request(&name)
                    })
                    .await
            });
            // Everything that takes a number or might, and does not keep it.
            let mut client = billing.invoices.clone();
            let wrong = v1::IssueInvoiceRequest {
                etag: "\"0\"".into(),
                ..issue_request(&draft.name)
            };
            tokio::spawn(async move { client.issue_invoice(wrong).await });
            let mut client = billing.invoices.clone();
            let only_tried = v1::IssueInvoiceRequest {
                validate_only: true,
                ..issue_request(&draft.name)
            };
            tokio::spawn(async move { client.issue_invoice(only_tried).await });
            let mut client = billing.invoices.clone();
            let refused = issue_request(&stranded.name);
            tokio::spawn(async move { client.issue_invoice(refused).await });
            let series = Series {
                series: "A".into(),
                year: 2026,
            };
            tokio::spawn(roll_back_a_number(store.clone(), series));
        }
        let mut numbers = BTreeSet::new();
        while let Some(issued) = tasks.join_next().await {
            let issued = issued
                .expect("the task ends")
                .expect("every draft is issued");
            let invoice = issued.into_inner().invoice.expect("an invoice");
            assert!(numbers.insert(invoice.number), "a number was given twice");
        }
        let expected: BTreeSet<String> = (1..=48)
            .map(|number| format!("A-2026-{number:06}"))
            .chain((1..=16).map(|number| format!("B-2026-{number:06}")))
            .collect();
        assert_eq!(numbers, expected);
        assert_eq!(billing.verify().await.expect("the chains hold"), 64);
        billing.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn years_and_workspaces_count_for_themselves() {
    on_every_engine(async |engine| {
        let suite = Suite::new(&engine).await;
        let billing = suite.start().await;
        let there = "workspaces/other/contacts/ada";
        suite.pipeline.put(&contact("ada"), "client");
        suite.pipeline.put(there, "client");
        let dated = |contact: &str, year| v1::Invoice {
            issue_date: Some(proto::google::r#type::Date {
                year,
                month: 2,
                day: 29,
            }),
            ..invoice(contact)
        };
        let mut found = Vec::new();
        for (parent, invoice) in [
            (PARENT, dated(&contact("ada"), 2024)),
            (PARENT, dated(&contact("ada"), 2028)),
            (PARENT, dated(&contact("ada"), 2024)),
            ("workspaces/other", dated(there, 2024)),
        ] {
            let request = v1::CreateInvoiceRequest {
                parent: parent.into(),
                invoice: Some(invoice),
                ..Default::default()
            };
            let draft = billing.create(request).await.expect("a draft");
            found.push(billing.issue(&draft.name).await.expect("a client").number);
        }
        let expected = [
            "INV-2024-000001",
            "INV-2028-000001",
            "INV-2024-000002",
            "INV-2024-000001",
        ];
        assert_eq!(found, expected);
        billing.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_answer_is_given_again_whatever_came_since() {
    on_every_engine(async |engine| {
        let suite = Suite::new(&engine).await;
        let billing = suite.start().await;
        let ada = contact("ada");
        suite.pipeline.put(&ada, "client");
        let draft = draft(&billing, &ada, "").await;
        let request = v1::IssueInvoiceRequest {
            request_id: REQUEST_ID.into(),
            ..issue_request(&draft.name)
        };
        let first = billing
            .invoices
            .clone()
            .issue_invoice(request.clone())
            .await
            .expect("issued");
        assert!(first.metadata().get("clientele-replayed").is_none());
        let first = first.into_inner();
        suite.pipeline.demote(&ada, "lead").await;
        billing.stop().await;

        suite.pipeline.set_down(true);
        let billing = suite.start().await;
        let again = billing
            .invoices
            .clone()
            .issue_invoice(request.clone())
            .await
            .expect("again");
        let header = again.metadata().get("clientele-replayed");
        assert_eq!(header.map(MetadataValue::as_bytes), Some(&b"1"[..]));
        assert_eq!(again.into_inner(), first);
        let upper = v1::IssueInvoiceRequest {
            request_id: REQUEST_ID.to_uppercase(),
            ..request.clone()
        };
        billing
            .invoices
            .clone()
            .issue_invoice(upper)
            .await
            .expect("the same UUID");

        let other = v1::IssueInvoiceRequest {
            etag: "\"1\"".into(),
            ..request
        };
        let reused = billing
            .invoices
            .clone()
            .issue_invoice(other)
            .await
            .expect_err("reused");
        assert_refused(&reused, Reason::RequestIdReused);
        let second_time = billing
            .issue(&draft.name)
            .await
            .expect_err("issued already");
        assert_refused(&second_time, Reason::InvoiceStateInvalid);
        // Kept for ever, and without who the buyer is.
        let stored: Vec<Kept> = rows(
            &suite.store(),
            "SELECT coalesce(expire_time, 0) AS expire_time, response FROM idempotency_keys \
             WHERE method LIKE '%IssueInvoice'",
        )
        .await;
        assert_eq!(stored.len(), 1);
        assert_eq!(stored[0].expire_time, 0);
        let kept = String::from_utf8_lossy(&stored[0].response).into_owned();
        assert!(!kept.contains("Example Ltd"), "{kept}");
        billing.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn repetitions_at_once_issue_once() {
    on_every_engine(async |engine| {
        let suite = Suite::new(&engine).await;
        let billing = suite.start().await;
        let ada = contact("ada");
        suite.pipeline.put(&ada, "client");
        let draft = draft(&billing, &ada, "").await;
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..16 {
            let mut client = billing.invoices.clone();
            let request = v1::IssueInvoiceRequest {
                request_id: REQUEST_ID.into(),
                ..issue_request(&draft.name)
            };
            tasks.spawn(async move { client.issue_invoice(request).await });
        }
        while let Some(answer) = tasks.join_next().await {
            let answer = answer.expect("the task ends").expect("the one answer");
            let number = answer.into_inner().invoice.expect("an invoice").number;
            assert_eq!(number, "INV-2026-000001");
        }
        billing.stop().await;
    })
    .await;
}

#[derive(diesel::QueryableByName)]
struct Kept {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    expire_time: i64,
    #[diesel(sql_type = diesel::sql_types::Binary)]
    response: Vec<u8>,
}
