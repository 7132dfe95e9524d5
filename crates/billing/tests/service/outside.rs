//! What others have written goes through the API: official invoices and naughty strings.

use proto::billing::v1;
use proto::google::r#type as google;
use serde_json::Value;

use super::support::{
    create_request, decimal, invoice, money, on_every_engine, truth, with_client,
};

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
