//! The arithmetic of invoices: sums hold for arbitrary lines in every currency, and official
//! invoices come out to the cent.

mod official;
mod properties;
mod tables;
#[path = "../service/support/truth.rs"]
mod truth;

use billing::domain::decimals;
use billing::domain::tax::Tax;
use billing::domain::totals::LineAmount;
use rust_decimal::Decimal;
use types::Currency;

fn number(text: &str) -> Decimal {
    decimals::parse(text).expect("a number")
}

fn currency(code: &str) -> Currency {
    code.parse().expect("a currency")
}

fn line(quantity: &str, price: &str, base: &str, adjustment: i64) -> LineAmount {
    LineAmount {
        quantity: number(quantity),
        unit_price: number(price),
        base_quantity: number(base),
        adjustment,
        tax: Tax::new(None, number("19")).expect("a tax"),
    }
}
