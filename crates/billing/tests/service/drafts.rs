//! Drafts through the API: what is computed, changed, only tried, and made once per request.

use prost_types::FieldMask;
use proto::billing::v1;
use proto::errors::v1::Reason;
use tonic::Status;

use super::support::{
    Running, assert_refused, contact, create_request, decimal, fields, invoice, money,
    on_every_engine, refusal, with_client,
};

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
        let written = [
            made.net_total_decimal.as_str(),
            &made.tax_total_decimal,
            &made.payable_total_decimal,
        ];
        assert_eq!(written, ["35.00", "5.57", "30.57"]);
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
async fn what_is_accepted_with_all_its_digits_can_be_issued() {
    on_every_engine(async |engine| {
        let (_suite, billing, ada) = with_client(&engine).await;
        for [quantity, unit_price, base_quantity] in [
            ["999999999999999"; 3],
            ["99999999999999.9", "99999999999999.9", "999999999999999"],
            ["0.000000001", "999999999999999", "0.000000001"],
            ["-999999999999999", "0.000000001", "999999999999999"],
        ] {
            let mut given = invoice(&ada);
            given.lines[0].quantity = decimal(quantity);
            given.lines[0].unit_price = decimal(unit_price);
            given.lines[0].base_quantity = decimal(base_quantity);
            let request = v1::CreateInvoiceRequest {
                invoice: Some(given),
                ..create_request()
            };
            let draft = billing.create(request).await.expect(quantity);
            let issued = billing.issue(&draft.name).await.expect(quantity);
            assert_eq!(issued.gross_total, draft.gross_total);
        }
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
        let expected = [
            "invoice.allowance_charges[0].amount",
            "invoice.prepaid_amount",
        ];
        assert_eq!(fields(&refused), expected);
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
