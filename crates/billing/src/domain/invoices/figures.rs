//! An invoice's figures as a reader of the document would see them, for the judge.

use rust_decimal::Decimal;

use super::{Content, LineAdjustment, Sums};
use crate::domain::identities::{AdjustmentFigures, Figures, LineFigures, SubtotalFigures, TaxKey};
use crate::domain::tax::Tax;

pub(super) fn of(content: &Content, sums: &Sums) -> Figures {
    let amount = |minor_units: i64| content.money(minor_units).amount();
    let adjustment = |item: &LineAdjustment, tax: Option<TaxKey>| AdjustmentFigures {
        charge: item.charge,
        amount: amount(item.amount),
        base: None,
        percent: None,
        tax,
    };
    let lines = content
        .lines
        .iter()
        .zip(&sums.line_nets)
        .map(|(line, net)| LineFigures {
            net: amount(*net),
            quantity_and_price: price_in_cents(content).then_some((line.quantity, line.unit_price)),
            base_quantity: Some(line.base_quantity),
            adjustments: line
                .adjustments
                .iter()
                .map(|item| adjustment(item, None))
                .collect(),
            tax: Some(key(line.tax)),
        });
    let totals = &sums.totals;
    Figures {
        lines: lines.collect(),
        adjustments: content
            .adjustments
            .iter()
            .map(|item| adjustment(&item.adjustment, Some(key(item.tax))))
            .collect(),
        tax_subtotals: totals
            .tax_subtotals
            .iter()
            .map(|group| SubtotalFigures {
                tax: key(group.tax),
                taxable: amount(group.taxable),
                amount: amount(group.amount),
            })
            .collect(),
        line_total: Some(amount(totals.lines)),
        allowance_total: Some(amount(totals.allowances)),
        charge_total: Some(amount(totals.charges)),
        net_total: Some(amount(totals.net)),
        tax_total: Some(amount(totals.tax)),
        gross_total: Some(amount(totals.gross)),
        prepaid: Some(amount(content.prepaid)),
        rounding: Some(amount(content.rounding)),
        payable_total: Some(amount(totals.payable)),
    }
}

/// Peppol's tolerance for line nets is 0.02, which is less than half a unit of a currency without
/// cents: for those the rule says nothing.
fn price_in_cents(content: &Content) -> bool {
    content.currency.exponent() >= 2
}

fn key(tax: Tax) -> (String, Decimal) {
    (tax.category().code().to_owned(), tax.rate())
}
