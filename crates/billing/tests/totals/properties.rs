//! Sums of arbitrary documents satisfy every rule, and nothing panics.

use billing::domain::identities::{
    self, AdjustmentFigures, Figures, LineFigures, Rule, SubtotalFigures,
};
use billing::domain::tax::{Tax, TaxCategory};
use billing::domain::totals::{self, DocumentAmount, LineAmount, Taxed, TooLarge, Totals};
use proptest::prelude::*;
use rust_decimal::Decimal;
use types::{Currency, Money};

use super::{currency, number};

fn any_currency() -> impl Strategy<Value = Currency> {
    prop::sample::select(vec![
        "EUR", "USD", "JPY", "KWD", "CLF", "HUF", "TND", "UYW", "ISK",
    ])
    .prop_map(currency)
}

fn any_decimal(digits: i64) -> impl Strategy<Value = Decimal> {
    (-digits..=digits, 0_u32..=9).prop_map(|(mantissa, scale)| Decimal::new(mantissa, scale))
}

fn any_tax() -> impl Strategy<Value = Tax> {
    let rate = prop_oneof![
        Just("0"),
        Just("7"),
        Just("19"),
        Just("5.5"),
        Just("21.256789123")
    ];
    (0..TaxCategory::ALL.len(), rate).prop_filter_map("a category with its rate", |(at, rate)| {
        Tax::new(Some(TaxCategory::ALL[at]), number(rate)).ok()
    })
}

/// Lines of common sizes, and some with all the digits that are taken, where only a large base
/// quantity keeps the net within what can be kept.
fn any_line() -> impl Strategy<Value = LineAmount> {
    const WIDEST: i64 = 999_999_999_999_999;
    prop_oneof![
        4 => line_of(1_000_000_000, 1_000_000, 1_000_000),
        1 => line_of(WIDEST, WIDEST, WIDEST),
    ]
}

fn line_of(quantity: i64, price: i64, base: i64) -> impl Strategy<Value = LineAmount> {
    let base = (1_i64..=base, 0_u32..=9).prop_map(|(m, scale)| Decimal::new(m, scale));
    (
        any_decimal(quantity),
        any_decimal(price),
        base,
        -1_000_000_i64..1_000_000,
        any_tax(),
    )
        .prop_map(
            |(quantity, price, base_quantity, adjustment, tax)| LineAmount {
                quantity,
                unit_price: price.abs(),
                base_quantity,
                adjustment,
                tax,
            },
        )
}

fn any_document() -> impl Strategy<Value = DocumentAmount> {
    (any::<bool>(), -1_000_000_i64..1_000_000, any_tax()).prop_map(|(charge, amount, tax)| {
        DocumentAmount {
            charge,
            amount,
            tax,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn sums_hold_for_arbitrary_documents(
        currency in any_currency(),
        lines in prop::collection::vec(any_line(), 1..12),
        document in prop::collection::vec(any_document(), 0..6),
        prepaid in -1_000_000_i64..1_000_000,
        rounding in -99_i64..99,
    ) {
        let nets: Result<Vec<Taxed>, TooLarge> = lines
            .iter()
            .map(|line| Ok(Taxed { net: totals::line_net(line, currency)?, tax: line.tax }))
            .collect();
        let Ok(nets) = nets else { return Ok(()) };
        let Ok(found) = totals::totals(&nets, &document, prepaid, rounding) else {
            return Ok(());
        };
        let sum = |charge: bool| -> i64 {
            document.iter().filter(|item| item.charge == charge).map(|item| item.amount).sum()
        };
        prop_assert_eq!(found.lines, nets.iter().map(|line| line.net).sum::<i64>());
        prop_assert_eq!(found.allowances, sum(false));
        prop_assert_eq!(found.charges, sum(true));
        prop_assert_eq!(found.net, found.lines - found.allowances + found.charges);
        prop_assert_eq!(found.gross, found.net + found.tax);
        prop_assert_eq!(found.payable, found.gross - prepaid + rounding);
        let groups = &found.tax_subtotals;
        prop_assert_eq!(groups.iter().map(|group| group.taxable).sum::<i64>(), found.net);
        prop_assert_eq!(groups.iter().map(|group| group.amount).sum::<i64>(), found.tax);
        prop_assert!(groups.windows(2).all(|pair| pair[0].tax < pair[1].tax));
        let figures = figures_of(&lines, &nets, &document, &found, (prepaid, rounding), currency);
        prop_assert_eq!(identities::broken(&figures), Vec::<Rule>::new());
    }

    #[test]
    fn nothing_panics_at_the_ends_of_the_range(
        quantity in any_decimal(i64::MAX / 9_300),
        price in any_decimal(i64::MAX / 9_300),
        base in 1_i64..i64::MAX / 9_300,
        adjustment in any::<i64>(),
        net in any::<i64>(),
        prepaid in any::<i64>(),
        currency in any_currency(),
    ) {
        let tax = Tax::new(None, number("99.999999999")).expect("a tax");
        let base_quantity = Decimal::new(base, 9);
        let line = LineAmount { quantity, unit_price: price, base_quantity, adjustment, tax };
        let _ = totals::line_net(&line, currency);
        let _ = totals::totals(&[Taxed { net, tax }], &[], prepaid, adjustment);
    }
}

/// What a reader of the document would see.
fn figures_of(
    lines: &[LineAmount],
    nets: &[Taxed],
    document: &[DocumentAmount],
    found: &Totals,
    (prepaid, rounding): (i64, i64),
    currency: Currency,
) -> Figures {
    let amount = |minor_units| {
        Money {
            minor_units,
            currency,
        }
        .amount()
    };
    let key = |tax: Tax| (tax.category().code().to_owned(), tax.rate());
    // Peppol's 0.02 is meant for currencies with cents.
    let cents = currency.exponent() >= 2;
    Figures {
        lines: lines
            .iter()
            .zip(nets)
            .map(|(line, taxed)| LineFigures {
                net: amount(taxed.net),
                quantity_and_price: cents.then_some((line.quantity, line.unit_price)),
                base_quantity: Some(line.base_quantity),
                adjustments: vec![AdjustmentFigures {
                    charge: true,
                    amount: amount(line.adjustment),
                    base: None,
                    percent: None,
                    tax: None,
                }],
                tax: Some(key(line.tax)),
            })
            .collect(),
        adjustments: document
            .iter()
            .map(|item| AdjustmentFigures {
                charge: item.charge,
                amount: amount(item.amount),
                base: None,
                percent: None,
                tax: Some(key(item.tax)),
            })
            .collect(),
        tax_subtotals: found
            .tax_subtotals
            .iter()
            .map(|group| SubtotalFigures {
                tax: key(group.tax),
                taxable: amount(group.taxable),
                amount: amount(group.amount),
            })
            .collect(),
        line_total: Some(amount(found.lines)),
        allowance_total: Some(amount(found.allowances)),
        charge_total: Some(amount(found.charges)),
        net_total: Some(amount(found.net)),
        tax_total: Some(amount(found.tax)),
        gross_total: Some(amount(found.gross)),
        prepaid: Some(amount(prepaid)),
        rounding: Some(amount(rounding)),
        payable_total: Some(amount(found.payable)),
    }
}
