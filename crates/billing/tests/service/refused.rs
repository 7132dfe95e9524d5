//! Drafts that are refused: every fault is listed, and nobody is asked before the request is sound.

use proto::billing::v1;
use proto::errors::v1::Reason;
use proto::google::r#type as google;

use super::support::{
    assert_refused, create_request, decimal, fields, invoice, on_every_engine, refusal, with_client,
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
