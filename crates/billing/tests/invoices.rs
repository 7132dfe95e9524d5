//! Invoices through the API: what is computed, what is refused and how, changes, lists.

mod support;

use prost_types::FieldMask;
use proto::billing::v1;
use proto::errors::v1::Reason;
use proto::google::r#type as google;
use serde_json::Value;
use support::{
    PARENT, Running, Suite, assert_refused, contact, create_request, decimal, fields, invoice,
    money, on_every_engine, refusal, truth,
};
use tonic::Status;

async fn with_client(engine: &store::testing::Engine) -> (Suite, Running, String) {
    let suite = Suite::new(engine).await;
    let billing = suite.start_without_follower().await;
    let ada = contact("ada");
    suite.pipeline.put(&ada, "client");
    (suite, billing, ada)
}

async fn update(
    billing: &Running,
    invoice: v1::Invoice,
    paths: &[&str],
) -> Result<v1::Invoice, Status> {
    let paths = paths.iter().map(|path| (*path).to_owned()).collect();
    let request = v1::UpdateInvoiceRequest {
        invoice: Some(invoice),
        update_mask: Some(FieldMask { paths }),
        ..Default::default()
    };
    let response = billing.invoices.clone().update_invoice(request).await?;
    Ok(response.into_inner().invoice.expect("an invoice"))
}

#[tokio::test(flavor = "multi_thread")]
async fn sums_are_computed_and_everything_is_read_back() {
    on_every_engine(async |engine| {
        let (_suite, billing, ada) = with_client(&engine).await;
        let mut given = invoice(&ada);
        given.lines.push(v1::LineItem {
            description: "Work".into(),
            quantity: decimal("3"),
            unit_price: decimal("3.3333"),
            tax_rate: decimal("7.00"),
            allowance_charges: vec![v1::AllowanceCharge {
                amount: decimal("1.00"),
                reason: "Loyal".into(),
                ..Default::default()
            }],
            ..Default::default()
        });
        given.allowance_charges = vec![v1::AllowanceCharge {
            charge: true,
            amount: decimal("5"),
            tax_rate: decimal("19"),
            ..Default::default()
        }];
        given.prepaid_amount = money(10, 0);
        given.note = "Thank you".into();
        given.labels = [("tier".to_owned(), "gold".to_owned())].into();
        let request = v1::CreateInvoiceRequest {
            invoice: Some(given),
            invoice_id: "first".into(),
            ..create_request()
        };
        let made = billing.create(request.clone()).await.expect("a client");
        assert_eq!(made.name, "workspaces/default/invoices/first");
        assert_eq!(made.line_total, money(30, 0));
        assert_eq!(made.charge_total, money(5, 0));
        assert_eq!(made.net_total, money(35, 0));
        // 9.00 at 7 % is 0.63; 21.00 and 5.00 at 19 % are 4.94.
        assert_eq!(made.tax_total, money(5, 570_000_000));
        assert_eq!(made.gross_total, money(40, 570_000_000));
        assert_eq!(made.gross_total_decimal, "40.57");
        assert_eq!(made.payable_total, money(30, 570_000_000));
        assert_eq!(made.tax_subtotals.len(), 2);
        assert_eq!(made.lines[1].net_total, money(9, 0));
        assert_eq!(made.lines[0].unit_code, "C62");
        assert_eq!((made.series.as_str(), made.number.as_str()), ("INV", ""));
        assert_eq!(billing.get(&made.name).await.expect("it is there"), made);
        let taken = billing.create(request).await.expect_err("taken");
        assert_refused(&taken, Reason::ResourceExists);
        let absent = billing
            .get("workspaces/default/invoices/absent")
            .await
            .expect_err("absent");
        assert_refused(&absent, Reason::ResourceNotFound);
        let issued = billing.issue(&made.name).await.expect("a client");
        assert_eq!(issued.gross_total, made.gross_total);
        let again = v1::CreateInvoiceRequest {
            invoice: Some(invoice(&ada)),
            invoice_id: "first".into(),
            ..create_request()
        };
        let taken = billing
            .create(again)
            .await
            .expect_err("taken by an issued one");
        assert_refused(&taken, Reason::ResourceExists);
        billing.stop().await;
    })
    .await;
}

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
            "invoice.contact",
            "invoice.currency_code",
            "invoice.lines[1].quantity",
            "invoice.lines[2].unit_price",
            "invoice.lines[2].tax_rate",
            "invoice.lines[3].unit_price",
            "invoice.lines[4].description",
            "invoice.lines[4].base_quantity",
            "invoice.lines[4].tax_rate",
            "invoice.note",
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
async fn currencies_have_their_own_minor_units() {
    on_every_engine(async |engine| {
        let (_suite, billing, ada) = with_client(&engine).await;
        for (code, price, gross, written) in [
            ("JPY", "10.5", (25, 0), "25"),
            ("KWD", "10.0005", (23, 801_000_000), "23.801"),
            ("CLF", "0.00005", (0, 100_000), "0.0001"),
            ("EUR", "0.123456789", (0, 300_000_000), "0.30"),
        ] {
            let mut given = invoice(&ada);
            given.currency_code = code.into();
            given.lines[0].unit_price = decimal(price);
            let request = v1::CreateInvoiceRequest {
                invoice: Some(given),
                ..create_request()
            };
            let made = billing.create(request).await.expect(code);
            let total = made.gross_total.expect("a total");
            assert_eq!((total.units, total.nanos), gross, "{code}");
            assert_eq!(made.gross_total_decimal, written, "{code}");
            billing.issue(&made.name).await.expect(code);
        }
        let mut fine = invoice(&ada);
        fine.currency_code = "JPY".into();
        fine.allowance_charges = vec![v1::AllowanceCharge {
            amount: decimal("0.5"),
            ..Default::default()
        }];
        let request = v1::CreateInvoiceRequest {
            invoice: Some(fine),
            ..create_request()
        };
        let refused = billing.create(request).await.expect_err("half a yen");
        assert_eq!(fields(&refused), ["invoice.allowance_charges[0].amount"]);
        billing.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn drafts_change_by_mask_and_issued_ones_never() {
    on_every_engine(async |engine| {
        let (_suite, billing, ada) = with_client(&engine).await;
        let draft = billing.draft(&ada).await.expect("a client");
        let bare = v1::Invoice {
            name: draft.name.clone(),
            ..Default::default()
        };
        let noted = v1::Invoice {
            note: "Hello".into(),
            ..bare.clone()
        };
        let changed = update(&billing, noted.clone(), &["note"])
            .await
            .expect("a draft");
        assert_eq!(changed.note, "Hello");
        assert_eq!(changed.lines, draft.lines);
        assert_ne!(changed.etag, draft.etag);

        let priced = v1::Invoice {
            lines: vec![v1::LineItem {
                unit_price: decimal("100"),
                ..draft.lines[0].clone()
            }],
            ..bare.clone()
        };
        let changed = update(&billing, priced, &["lines"]).await.expect("a draft");
        assert_eq!(changed.net_total, money(200, 0));
        assert_eq!(changed.note, "Hello");

        let stale = v1::Invoice {
            etag: draft.etag.clone(),
            ..noted.clone()
        };
        assert_refused(
            &update(&billing, stale, &["note"]).await.expect_err("stale"),
            Reason::EtagMismatch,
        );
        assert_refused(
            &update(&billing, noted.clone(), &[])
                .await
                .expect_err("no mask"),
            Reason::UpdateMaskRequired,
        );
        for path in ["colour", "contact", "lines.quantity", "labels.Tier"] {
            let other = v1::Invoice {
                contact: contact("ben"),
                ..bare.clone()
            };
            let refused = update(&billing, other, &[path]).await.expect_err(path);
            assert_refused(&refused, Reason::UpdateMaskInvalid);
            assert_eq!(refusal(&refused).2["path"], path);
        }
        // A price that EUR can have is none in yen.
        let with_extra = v1::Invoice {
            allowance_charges: vec![v1::AllowanceCharge {
                amount: decimal("0.50"),
                tax_rate: decimal("19"),
                ..Default::default()
            }],
            prepaid_amount: money(1, 0),
            ..bare.clone()
        };
        update(
            &billing,
            with_extra,
            &["allowance_charges", "prepaid_amount"],
        )
        .await
        .expect("EUR");
        let yen = v1::Invoice {
            currency_code: "JPY".into(),
            ..bare.clone()
        };
        let refused = update(&billing, yen.clone(), &["currency_code"])
            .await
            .expect_err("yen");
        assert_eq!(fields(&refused), ["invoice.allowance_charges[0].amount"]);
        let refused = update(
            &billing,
            yen.clone(),
            &["currency_code", "allowance_charges"],
        )
        .await
        .expect_err("prepaid in EUR");
        assert_refused(&refused, Reason::CurrencyMismatch);
        let paths = ["currency_code", "allowance_charges", "prepaid_amount"];
        let changed = update(&billing, yen, &paths).await.expect("all of it");
        assert_eq!(changed.gross_total_decimal, "238");

        billing.issue(&draft.name).await.expect("a client");
        let refused = update(&billing, noted, &["note"])
            .await
            .expect_err("issued");
        assert_refused(&refused, Reason::InvoiceStateInvalid);
        assert_eq!(refusal(&refused).2["state"], "ISSUED");
        billing.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_only_tried_leaves_nothing() {
    on_every_engine(async |engine| {
        let (suite, billing, ada) = with_client(&engine).await;
        let tried = v1::CreateInvoiceRequest {
            invoice: Some(invoice(&ada)),
            validate_only: true,
            ..create_request()
        };
        let would_be = billing.create(tried.clone()).await.expect("a client");
        assert_eq!(
            (would_be.name.as_str(), would_be.net_total),
            ("", money(21, 0))
        );
        suite.pipeline.put(&contact("ben"), "lead");
        let refused = v1::CreateInvoiceRequest {
            invoice: Some(invoice(&contact("ben"))),
            ..tried.clone()
        };
        assert_refused(
            &billing.create(refused).await.expect_err("a lead"),
            Reason::EntitlementMissing,
        );
        let draft = billing.draft(&ada).await.expect("a client");
        let request = v1::IssueInvoiceRequest {
            name: draft.name.clone(),
            validate_only: true,
            ..Default::default()
        };
        let response = billing
            .invoices
            .clone()
            .issue_invoice(request)
            .await
            .expect("it would do");
        let would_be = response.into_inner().invoice.expect("an invoice");
        assert_eq!((would_be.state, would_be.number.as_str()), (2, ""));
        assert_eq!(
            billing.get(&draft.name).await.expect("a draft still"),
            draft
        );
        assert_eq!(
            billing.issue(&draft.name).await.expect("a client").number[9..],
            *"000001"
        );
        let listed = v1::ListInvoicesRequest {
            parent: PARENT.into(),
            ..Default::default()
        };
        let listed = billing
            .invoices
            .clone()
            .list_invoices(listed)
            .await
            .expect("the list");
        assert_eq!(listed.into_inner().invoices.len(), 1);
        billing.stop().await;
    })
    .await;
}

async fn list(billing: &Running, filter: &str, order_by: &str, page_size: i32) -> Vec<String> {
    let mut names = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = v1::ListInvoicesRequest {
            parent: PARENT.into(),
            page_size,
            page_token,
            filter: filter.into(),
            order_by: order_by.into(),
            ..Default::default()
        };
        let page = billing
            .invoices
            .clone()
            .list_invoices(request)
            .await
            .expect(filter);
        let page = page.into_inner();
        names.extend(page.invoices.iter().map(|invoice| {
            invoice
                .name
                .rsplit('/')
                .next()
                .unwrap_or_default()
                .to_owned()
        }));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return names;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_filtered_sorted_and_paged() {
    on_every_engine(async |engine| {
        let (suite, billing, ada) = with_client(&engine).await;
        suite.pipeline.put(&contact("ben"), "client");
        for (id, who, month, tier) in [
            ("a", "ada", 3, "gold"),
            ("b", "ben", 1, "gold_plus"),
            ("c", "ada", 2, "silver"),
            ("d", "ada", 1, "a\"b"),
        ] {
            let given = v1::Invoice {
                issue_date: Some(google::Date {
                    year: 2026,
                    month,
                    day: 1,
                }),
                labels: [("tier".to_owned(), tier.to_owned())].into(),
                ..invoice(&contact(who))
            };
            let request = v1::CreateInvoiceRequest {
                invoice: Some(given),
                invoice_id: id.into(),
                ..create_request()
            };
            billing.create(request).await.expect("a client");
        }
        billing
            .issue("workspaces/default/invoices/b")
            .await
            .expect("a client");
        let plain = invoice(&ada);
        let request = v1::CreateInvoiceRequest {
            invoice: Some(plain),
            invoice_id: "e".into(),
            ..create_request()
        };
        billing.create(request).await.expect("a client");
        for (filter, expected) in [
            ("", "abcde"),
            ("state = ISSUED", "b"),
            ("NOT state = ISSUED", "acde"),
            ("contact = \"workspaces/default/contacts/ada\"", "acde"),
            ("contact = \"workspaces/other/contacts/ada\"", ""),
            ("issue_date >= \"2026-02-01\"", "ac"),
            ("issue_date < \"2026-02-01\"", "bd"),
            ("number = \"INV-2026-*\"", "b"),
            ("number = \"*-000001\"", "b"),
            ("series = INV AND currency_code = EUR", "abcde"),
            ("currency_code = eur", ""),
            ("labels.tier = gold", "a"),
            ("labels.tier = \"gold*\"", "ab"),
            ("labels:tier", "abcd"),
            ("labels.tier = \"a\\\"b\"", "d"),
            ("labels.tier = silver OR state = ISSUED", "bc"),
            ("create_time > \"2020-01-01T00:00:00Z\"", "abcde"),
        ] {
            for page_size in [0, 1, 2] {
                let found = list(&billing, filter, "", page_size).await.concat();
                assert_eq!(found, expected, "{filter}");
            }
        }
        for (order_by, expected) in [
            ("create_time desc", "edcba"),
            ("issue_date", "ebdca"),
            ("issue_date desc", "acdbe"),
            ("issue_date, create_time desc", "edbca"),
            ("number desc", "bedca"),
        ] {
            for page_size in [0, 1, 2, 4] {
                let found = list(&billing, "", order_by, page_size).await.concat();
                assert_eq!(found, expected, "{order_by}");
            }
        }
        for (filter, order_by, page_token, reason) in [
            ("colour = red", "", "", Reason::FilterInvalid),
            ("issue_date = 1", "", "", Reason::FilterInvalid),
            ("labels.tier = \"*gold\"", "", "", Reason::FilterInvalid),
            (
                "state = ISSUED and number = 1",
                "",
                "",
                Reason::FilterInvalid,
            ),
            ("", "note", "", Reason::OrderByInvalid),
            ("", "", "AQ", Reason::PageTokenMismatch),
        ] {
            let request = v1::ListInvoicesRequest {
                parent: PARENT.into(),
                filter: filter.into(),
                order_by: order_by.into(),
                page_token: page_token.into(),
                ..Default::default()
            };
            let refused = billing.invoices.clone().list_invoices(request).await;
            assert_refused(&refused.expect_err(filter), reason);
        }
        billing.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn drafts_are_made_once_per_request_id() {
    on_every_engine(async |engine| {
        let (suite, billing, ada) = with_client(&engine).await;
        let request = v1::CreateInvoiceRequest {
            invoice: Some(v1::Invoice {
                labels: (0..20).map(|n| (format!("k{n}"), "v".to_owned())).collect(),
                ..invoice(&ada)
            }),
            request_id: "0190163d-8694-739b-aea5-966c26f8ad91".into(),
            ..create_request()
        };
        let first = billing
            .invoices
            .clone()
            .create_invoice(request.clone())
            .await;
        let first = first.expect("a client").into_inner();
        suite.pipeline.set_down(true);
        for _ in 0..3 {
            let again = billing
                .invoices
                .clone()
                .create_invoice(request.clone())
                .await;
            assert_eq!(again.expect("the first answer").into_inner(), first);
        }
        // Without an id every call is one of its own.
        let one = billing.draft(&ada).await.expect("held");
        let two = billing.draft(&ada).await.expect("held");
        assert_ne!(one.name, two.name);
        let zero = v1::CreateInvoiceRequest {
            request_id: "00000000-0000-0000-0000-000000000000".into(),
            ..request
        };
        let refused = billing
            .invoices
            .clone()
            .create_invoice(zero)
            .await
            .expect_err("zero");
        assert_eq!(fields(&refused), ["request_id"]);
        billing.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_other_lives_are_refused() {
    on_every_engine(async |engine| {
        let (suite, billing, ada) = with_client(&engine).await;
        let request = v1::CreateInvoiceRequest {
            invoice: Some(invoice(&ada)),
            ..create_request()
        };
        let made = billing
            .invoices
            .clone()
            .create_invoice(request)
            .await
            .expect("a client");
        let made = made.into_inner();
        let name = made.invoice.expect("an invoice").name;
        let get = |token: &str| v1::GetInvoiceRequest {
            name: name.clone(),
            at_least_as_fresh_as: vec![token.to_owned()],
        };
        let token = made.consistency_token;
        billing
            .invoices
            .clone()
            .get_invoice(get(&token))
            .await
            .expect("fresh enough");
        let refused = billing
            .invoices
            .clone()
            .get_invoice(get("AQID"))
            .await
            .expect_err("junk");
        assert_refused(&refused, Reason::ConsistencyTokenForeign);
        billing.stop().await;
        suite
            .store()
            .bump_epoch(store::testing::soon())
            .await
            .expect("a new epoch");
        let billing = suite.start_without_follower().await;
        let refused = billing
            .invoices
            .clone()
            .get_invoice(get(&token))
            .await
            .expect_err("old");
        assert_refused(&refused, Reason::ConsistencyTokenForeign);
        let info = billing
            .invoices
            .clone()
            .get_server_info(v1::GetServerInfoRequest {})
            .await;
        let info = info.expect("the server's word").into_inner();
        assert!(!info.version.is_empty() && !info.newest_token.is_empty());
        billing.stop().await;
    })
    .await;
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[tokio::test(flavor = "multi_thread")]
async fn naughty_strings_come_back_byte_for_byte_or_are_refused() {
    let Some(truth) = truth("hostile/raw/blns.json") else {
        return;
    };
    on_every_engine(async |engine| {
        let (_suite, billing, ada) = with_client(&engine).await;
        let (mut kept, mut refused) = (0, 0);
        let naughty = items(&truth).iter().filter_map(Value::as_str);
        for text in naughty.chain(["a\0b", "\u{feff}", "\u{10ffff}"]) {
            let mut given = invoice(&ada);
            given.note = text.to_owned();
            given.labels = [("naughty".to_owned(), text.chars().take(200).collect())].into();
            if !text.is_empty() {
                given.lines[0].description = text.to_owned();
            }
            let buyer = v1::Buyer {
                name: text.to_owned(),
                ..Default::default()
            };
            given.buyer = (!text.is_empty()).then_some(buyer);
            let sent = given.clone();
            let request = v1::CreateInvoiceRequest {
                invoice: Some(given),
                ..create_request()
            };
            match billing.create(request).await {
                Ok(made) => {
                    let found = billing.get(&made.name).await.expect("it is there");
                    assert_eq!(found.note, sent.note);
                    assert_eq!(found.labels, sent.labels);
                    assert_eq!(found.lines[0].description, sent.lines[0].description);
                    assert_eq!(found.buyer, sent.buyer);
                    kept += 1;
                }
                Err(status) => {
                    assert_eq!(status.code(), tonic::Code::InvalidArgument, "{text:?}");
                    refused += 1;
                }
            }
        }
        assert!(kept > 400 && refused < 10, "{kept} kept, {refused} refused");
        billing.stop().await;
    })
    .await;
}

/// The field of an official invoice as a Decimal of the wire.
fn given(value: &Value) -> Option<google::Decimal> {
    value.as_str().and_then(decimal)
}

fn category(value: &Value) -> i32 {
    match value.as_str() {
        Some("S") => v1::TaxCategory::Standard,
        Some("Z") => v1::TaxCategory::Zero,
        Some("E") => v1::TaxCategory::Exempt,
        Some("AE") => v1::TaxCategory::ReverseCharge,
        Some("K") => v1::TaxCategory::IntraCommunity,
        Some("G") => v1::TaxCategory::Export,
        Some("O") => v1::TaxCategory::OutOfScope,
        _ => v1::TaxCategory::Unspecified,
    }
    .into()
}

fn adjustments(value: &Value) -> Vec<v1::AllowanceCharge> {
    let adjustment = |item: &Value| v1::AllowanceCharge {
        charge: item["charge"].as_bool().unwrap_or_default(),
        amount: given(&item["amount"]),
        tax_category: category(&item["category"]),
        tax_rate: given(&item["rate"]),
        ..Default::default()
    };
    items(value).iter().map(adjustment).collect()
}

/// A money as minor units of a currency with two decimals.
fn cents(money: Option<google::Money>) -> i64 {
    money.map_or(0, |money| {
        money.units * 100 + i64::from(money.nanos) / 10_000_000
    })
}

fn published_cents(value: &Value) -> i64 {
    let Some(text) = value.as_str() else { return 0 };
    let (whole, fraction) = text
        .trim_start_matches('-')
        .split_once('.')
        .unwrap_or((text, ""));
    let whole: i64 = whole.trim_start_matches('-').parse().expect("digits");
    let fraction: i64 = format!("{fraction:0<2}")[..2].parse().expect("digits");
    let amount = whole * 100 + fraction;
    if text.starts_with('-') {
        -amount
    } else {
        amount
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn official_invoices_go_in_and_come_out_to_the_cent() {
    let Some(truth) = truth("invoices/invoice_cases.json") else {
        return;
    };
    on_every_engine(async |engine| {
        let (_suite, billing, ada) = with_client(&engine).await;
        for case in items(&truth["cases"])
            .iter()
            .filter(|case| case["use"] == "compute")
        {
            let name = case["case"].as_str().expect("a name");
            let lines = items(&case["lines"]).iter().map(|line| v1::LineItem {
                description: "Line".into(),
                quantity: given(&line["quantity"]),
                unit_price: given(&line["unit_price"]),
                base_quantity: given(&line["base_quantity"]),
                tax_category: category(&line["category"]),
                tax_rate: given(&line["rate"]),
                allowance_charges: adjustments(&line["allowance_charges"]),
                ..Default::default()
            });
            let totals = &case["totals"];
            let prepaid = published_cents(&totals["prepaid"]);
            let nanos = i32::try_from(prepaid % 100 * 10_000_000).expect("it fits");
            let request = v1::CreateInvoiceRequest {
                invoice: Some(v1::Invoice {
                    lines: lines.collect(),
                    allowance_charges: adjustments(&case["allowance_charges"]),
                    prepaid_amount: money(prepaid / 100, nanos),
                    ..invoice(&ada)
                }),
                invoice_id: name.to_owned(),
                ..create_request()
            };
            let made = billing.create(request).await.expect(name);
            let made = billing.issue(&made.name).await.expect(name);
            for (computed, published) in [
                (made.line_total, "line_extension"),
                (made.allowance_total, "allowance_total"),
                (made.charge_total, "charge_total"),
                (made.net_total, "tax_exclusive"),
                (made.tax_total, "tax"),
                (made.gross_total, "tax_inclusive"),
                (made.payable_total, "payable"),
            ] {
                let expected = published_cents(&totals[published]);
                assert_eq!(cents(computed), expected, "{name}: {published}");
            }
        }
        billing.stop().await;
    })
    .await;
}
