//! Drafts that are refused: every fault is listed, and nobody is asked before the request is sound.
//! And drafts that were accepted and can't be issued any more.

use std::time::Duration;

use proto::billing::v1;
use proto::errors::v1::Reason;
use proto::google::r#type as google;

use tonic::Code;
use tonic_types::StatusExt as _;
use types::{Clock, Micros};

use super::support::{
    Suite, assert_refused, contact, create_request, decimal, fields, invoice, on_every_engine,
    refusal, with_client,
};

#[tokio::test(flavor = "multi_thread")]
async fn every_field_that_cant_be_read_is_listed_in_one_answer() {
    on_every_engine(async |engine| {
        let (_suite, billing, ada) = with_client(&engine).await;
        let line = invoice(&ada).lines.remove(0);
        // What is no number and no day is found by the rules of the proto, before all else.
        let unreadable = v1::Invoice {
            lines: vec![
                line.clone(),
                v1::LineItem {
                    quantity: decimal("two"),
                    ..line.clone()
                },
                v1::LineItem {
                    description: String::new(),
                    unit_price: None,
                    ..line.clone()
                },
            ],
            due_date: Some(google::Date {
                year: 2026,
                month: 2,
                day: 30,
            }),
            series: "inv".into(),
            ..invoice(&ada)
        };
        let request = v1::CreateInvoiceRequest {
            invoice: Some(unreadable),
            ..create_request()
        };
        let refused = billing.create(request).await.expect_err("unreadable");
        assert_refused(&refused, Reason::FieldInvalid);
        let expected = [
            "invoice.lines[1].quantity",
            "invoice.lines[2].description",
            "invoice.lines[2].unit_price",
            "invoice.series",
            "invoice.due_date",
        ];
        assert_eq!(fields(&refused), expected);
        billing.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_that_breaks_a_rule_of_invoices_is_listed_in_one_answer() {
    on_every_engine(async |engine| {
        let (_suite, billing, ada) = with_client(&engine).await;
        let line = invoice(&ada).lines.remove(0);
        let bad = v1::Invoice {
            currency_code: "HRK".into(),
            lines: vec![
                line.clone(),
                v1::LineItem {
                    quantity: decimal("1234567890123456"),
                    ..line.clone()
                },
                v1::LineItem {
                    unit_price: decimal("-1"),
                    tax_rate: decimal("101"),
                    ..line.clone()
                },
                v1::LineItem {
                    unit_price: decimal("0.0000000001"),
                    ..line.clone()
                },
                v1::LineItem {
                    base_quantity: decimal("0"),
                    tax_category: v1::TaxCategory::Zero.into(),
                    description: "a\0b".into(),
                    ..line.clone()
                },
            ],
            note: "\0".into(),
            ..invoice("workspaces/other/contacts/ada")
        };
        let request = v1::CreateInvoiceRequest {
            invoice: Some(bad),
            ..create_request()
        };
        let refused = billing.create(request).await.expect_err("bad");
        assert_refused(&refused, Reason::FieldInvalid);
        let expected = [
            "invoice.lines[4].description",
            "invoice.note",
            "invoice.contact",
            "invoice.currency_code",
            "invoice.lines[1].quantity",
            "invoice.lines[2].unit_price",
            "invoice.lines[2].tax_rate",
            "invoice.lines[3].unit_price",
            "invoice.lines[4].base_quantity",
            "invoice.lines[4].tax_rate",
        ];
        assert_eq!(fields(&refused), expected);
        let nothing = v1::CreateInvoiceRequest {
            invoice: Some(v1::Invoice::default()),
            ..create_request()
        };
        let refused = billing.create(nothing).await.expect_err("nothing");
        let expected = ["invoice.contact", "invoice.currency_code", "invoice.lines"];
        assert_eq!(fields(&refused), expected);
        billing.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_that_contradict_themselves_are_refused_before_anybody_is_asked() {
    on_every_engine(async |engine| {
        let (suite, billing, ada) = with_client(&engine).await;
        let asked = suite.pipeline.acquired();
        let line = invoice(&ada).lines.remove(0);
        let huge = v1::Invoice {
            lines: vec![v1::LineItem {
                quantity: decimal("999999999999999"),
                unit_price: decimal("999999999999999"),
                ..line.clone()
            }],
            ..invoice(&ada)
        };
        let request = v1::CreateInvoiceRequest {
            invoice: Some(huge),
            ..create_request()
        };
        let refused = billing.create(request).await.expect_err("huge");
        assert_eq!(fields(&refused), ["invoice.lines[0]"]);
        let early = v1::Invoice {
            issue_date: Some(google::Date {
                year: 2026,
                month: 3,
                day: 2,
            }),
            due_date: Some(google::Date {
                year: 2026,
                month: 3,
                day: 1,
            }),
            ..invoice(&ada)
        };
        let request = v1::CreateInvoiceRequest {
            invoice: Some(early),
            ..create_request()
        };
        let refused = billing
            .create(request)
            .await
            .expect_err("due before it is issued");
        assert_eq!(fields(&refused), ["invoice.due_date"]);
        let mixed = v1::Invoice {
            prepaid_amount: Some(google::Money {
                currency_code: "USD".into(),
                units: 1,
                nanos: 0,
            }),
            ..invoice(&ada)
        };
        let request = v1::CreateInvoiceRequest {
            invoice: Some(mixed),
            ..create_request()
        };
        let refused = billing.create(request).await.expect_err("two currencies");
        assert_refused(&refused, Reason::CurrencyMismatch);
        let metadata = refusal(&refused).2;
        assert_eq!(
            (metadata["expected"].as_str(), metadata["found"].as_str()),
            ("EUR", "USD")
        );
        assert_eq!(
            suite.pipeline.acquired(),
            asked,
            "nobody was asked for what can't be"
        );
        billing.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_whose_due_date_has_passed_is_issued_once_it_has_another() {
    on_every_engine(async |engine| {
        let suite = Suite::new(&engine).await;
        // 2026-05-28, 20:26:40.
        let clock = Clock::fixed(Micros(1_780_000_000_000_000));
        let billing = suite.start_at(clock.clone()).await;
        let ada = contact("ada");
        suite.pipeline.put(&ada, "client");
        let due = |day| v1::Invoice {
            due_date: Some(google::Date {
                year: 2026,
                month: 5,
                day,
            }),
            ..invoice(&ada)
        };
        let request = |day| v1::CreateInvoiceRequest {
            invoice: Some(due(day)),
            ..create_request()
        };
        let draft = billing.create(request(29)).await.expect("a client");
        let other = billing.create(request(29)).await.expect("a client");
        clock.advance(Duration::from_hours(24));
        billing.issue(&other.name).await.expect("due on that day");
        clock.advance(Duration::from_hours(24));
        let refused = billing.issue(&draft.name).await.expect_err("due yesterday");
        let (code, reason, metadata) = refusal(&refused);
        assert_eq!(code, Code::FailedPrecondition);
        assert_eq!(reason, Some(Reason::InvoiceIncomplete));
        assert_eq!(metadata["invoice"], draft.name);
        assert_eq!(metadata["fields"], "due_date");
        let failure = refused.get_details_precondition_failure();
        let violation = failure.expect("a PreconditionFailure").violations.remove(0);
        assert_eq!(violation.subject, "due_date");
        assert!(
            violation.description.contains("2026-05-30"),
            "{violation:?}"
        );
        let update = v1::UpdateInvoiceRequest {
            invoice: Some(v1::Invoice {
                name: draft.name.clone(),
                ..due(31)
            }),
            update_mask: Some(prost_types::FieldMask {
                paths: vec!["due_date".into()],
            }),
            ..Default::default()
        };
        let updated = billing.invoices.clone().update_invoice(update).await;
        updated.expect("a draft may change");
        let issued = billing.issue(&draft.name).await.expect("due tomorrow");
        assert_eq!(issued.number, "INV-2026-000002", "the refusal took none");
        billing.stop().await;
    })
    .await;
}
