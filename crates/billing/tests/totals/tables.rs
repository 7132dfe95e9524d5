//! Sums by the table: what is rounded, where, and what does not fit.

use billing::domain::tax::Tax;
use billing::domain::totals::{self, Taxed, TooLarge};
use types::Currency;

use super::official::items;
use super::truth::truth;
use super::{currency, line, number};

#[test]
fn line_nets_are_exact_and_rounded_once() {
    for (quantity, price, base, adjustment, code, expected) in [
        ("3", "3.3333", "1", 0, "EUR", 1000),
        ("1", "0.125", "1", 0, "EUR", 13),
        ("-1", "0.125", "1", 0, "EUR", -13),
        ("1", "0.124999999", "1", 0, "EUR", 12),
        ("1", "2", "3", 0, "EUR", 67),
        ("2.5", "1", "1", -3, "JPY", -1),
        ("5", "0.5", "1", 0, "JPY", 3),
        ("1", "1.0005", "1", 0, "KWD", 1001),
        ("1", "0.00005", "1", 0, "CLF", 1),
        ("1000000", "0.000000001", "1000", 0, "EUR", 0),
        ("0.000000001", "0.000000001", "0.000000001", 0, "EUR", 0),
        ("0", "12.5", "1", 250, "EUR", 250),
        (
            "999999999999999",
            "92",
            "1",
            0,
            "EUR",
            9_199_999_999_999_990_800,
        ),
        // A product of more than 28 digits, which decimals would round on the way.
        (
            "1234567.123456789",
            "1234567.123456785",
            "1",
            0,
            "EUR",
            152_415_598_232_037,
        ),
    ] {
        let line = line(quantity, price, base, adjustment);
        assert_eq!(
            totals::line_net(&line, currency(code)),
            Ok(expected),
            "{quantity} * {price} / {base} {adjustment:+} {code}"
        );
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let most = "999999999999999.999999999";
    let eur = currency("EUR");
    assert_eq!(
        totals::line_net(&line(most, most, "1", 0), eur),
        Err(TooLarge)
    );
    assert_eq!(
        totals::line_net(&line(most, "1", "0.000000001", 0), eur),
        Err(TooLarge)
    );
    assert_eq!(
        totals::line_net(&line("1", "1", "1", i64::MAX), eur),
        Err(TooLarge)
    );
    let tax = Tax::new(None, number("19")).expect("a tax");
    let line = |net| Taxed { net, tax };
    assert_eq!(
        totals::totals(&[line(i64::MAX), line(1)], &[], 0, 0),
        Err(TooLarge)
    );
    assert_eq!(totals::totals(&[line(i64::MAX)], &[], 0, 0), Err(TooLarge));
    assert_eq!(
        totals::totals(&[line(i64::MIN)], &[], i64::MAX, 0),
        Err(TooLarge)
    );
}

#[test]
fn tax_is_rounded_once_per_category_and_rate() {
    let tax = |rate| Tax::new(None, number(rate)).expect("a tax");
    let lines: Vec<Taxed> = (0..3)
        .map(|_| Taxed {
            net: 13,
            tax: tax("19"),
        })
        .collect();
    // Each line alone would give 2.47, rounded 2, in sum 6; together they give 7.41.
    let found = totals::totals(&lines, &[], 0, 0).expect("it fits");
    assert_eq!((found.net, found.tax, found.gross), (39, 7, 46));
    let again = [
        Taxed {
            net: 13,
            tax: tax("19.00"),
        },
        Taxed {
            net: 13,
            tax: tax("7"),
        },
    ];
    let found = totals::totals(&again, &[], 0, 0).expect("it fits");
    assert_eq!(found.tax_subtotals.len(), 2);
    assert_eq!(found.tax_subtotals[0].tax.rate(), number("7"));
}

#[test]
fn currencies_are_those_of_iso_4217() {
    let Some(truth) = truth("invoices/currencies_iso4217.json") else {
        return;
    };
    let mut wrong = Vec::new();
    for (code, entry) in truth["active"].as_object().expect("currencies") {
        let found: Result<Currency, _> = code.parse();
        match (entry["exponent"].as_u64(), found) {
            (Some(exponent), Ok(found)) if u64::from(found.exponent()) == exponent => {}
            (None, Err(_)) => {}
            (expected, found) => wrong.push(format!("{code}: {expected:?}, found {found:?}")),
        }
    }
    for code in items(&truth["withdrawn"]) {
        let code = code.as_str().expect("a code");
        if truth["active"][code].is_null() && code.parse::<Currency>().is_ok() {
            wrong.push(format!("{code} is withdrawn"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}
