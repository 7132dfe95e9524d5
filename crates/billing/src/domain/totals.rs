//! The sums of an invoice by EN 16931: line nets, allowances and charges, tax, totals.
//!
//! Everything is computed exactly, in whole minor units and 128-bit integers, and rounded half away
//! from zero in two places only: once per line, once per (category, rate) of tax.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use types::Currency;

use super::tax::Tax;

/// What is said about a line's amount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineAmount {
    /// How many or how much; negative to take back (BT-129).
    pub quantity: Decimal,
    /// The price of `base_quantity` units (BT-146).
    pub unit_price: Decimal,
    /// How many units the price is for, above zero (BT-149).
    pub base_quantity: Decimal,
    /// The line's charges less its allowances, in minor units (BT-141, BT-136).
    pub adjustment: i64,
    /// The tax on it (BT-151, BT-152).
    pub tax: Tax,
}

/// A net amount and the tax that is due on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taxed {
    /// Minor units.
    pub net: i64,
    /// The tax on it.
    pub tax: Tax,
}

/// An allowance or a charge on the whole document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DocumentAmount {
    /// Put on rather than taken off.
    pub charge: bool,
    /// Minor units; negative where a correction takes it back.
    pub amount: i64,
    /// The tax on it.
    pub tax: Tax,
}

/// The tax of one category and rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaxSubtotal {
    /// The category and rate.
    #[serde(flatten)]
    pub tax: Tax,
    /// The amount taxed, in minor units (BT-116).
    pub taxable: i64,
    /// The tax, rounded once (BT-117).
    pub amount: i64,
}

/// The totals of a document, in minor units of its currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Totals {
    /// The sum of the lines' nets (BT-106).
    pub lines: i64,
    /// The sum of the document's allowances (BT-107).
    pub allowances: i64,
    /// The sum of the document's charges (BT-108).
    pub charges: i64,
    /// Lines less allowances plus charges (BT-109).
    pub net: i64,
    /// The tax (BT-110).
    pub tax: i64,
    /// Net and tax (BT-112).
    pub gross: i64,
    /// What is to be paid: gross less what was paid before plus rounding (BT-115).
    pub payable: i64,
    /// The tax per category and rate, in that order.
    pub tax_subtotals: Vec<TaxSubtotal>,
}

/// An amount does not fit into 64 bits of minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must come to an amount that can be kept: it is too large")]
pub struct TooLarge;

/// The net of one line, rounded once: quantity times price by base quantity, plus charges, less
/// allowances (BT-131).
pub fn line_net(line: &LineAmount, currency: Currency) -> Result<i64, TooLarge> {
    let exponent = i64::from(currency.exponent());
    let mut numerator = line
        .quantity
        .mantissa()
        .checked_mul(line.unit_price.mantissa())
        .ok_or(TooLarge)?;
    let mut denominator = line.base_quantity.mantissa();
    let shift = exponent + i64::from(line.base_quantity.scale())
        - i64::from(line.quantity.scale())
        - i64::from(line.unit_price.scale());
    let power = u32::try_from(shift.unsigned_abs())
        .ok()
        .and_then(|digits| 10_i128.checked_pow(digits))
        .ok_or(TooLarge)?;
    if shift >= 0 {
        numerator = numerator.checked_mul(power).ok_or(TooLarge)?;
    } else {
        denominator = denominator.checked_mul(power).ok_or(TooLarge)?;
    }
    i128::from(line.adjustment)
        .checked_mul(denominator)
        .and_then(|adjustment| numerator.checked_add(adjustment))
        .and_then(|sum| divide(sum, denominator))
        .ok_or(TooLarge)
}

/// The totals of a document whose lines have the nets given.
pub fn totals(
    lines: &[Taxed],
    document: &[DocumentAmount],
    prepaid: i64,
    rounding: i64,
) -> Result<Totals, TooLarge> {
    let mut taxable: BTreeMap<Tax, i64> = BTreeMap::new();
    let (mut line_sum, mut allowances, mut charges) = (0_i64, 0_i64, 0_i64);
    for line in lines {
        line_sum = add(line_sum, line.net)?;
        let group = taxable.entry(line.tax).or_default();
        *group = add(*group, line.net)?;
    }
    for item in document {
        let group = taxable.entry(item.tax).or_default();
        if item.charge {
            charges = add(charges, item.amount)?;
            *group = add(*group, item.amount)?;
        } else {
            allowances = add(allowances, item.amount)?;
            *group = subtract(*group, item.amount)?;
        }
    }
    let mut tax_subtotals = Vec::with_capacity(taxable.len());
    let mut tax_sum = 0_i64;
    for (tax, taxable) in taxable {
        let amount = tax_amount(taxable, tax.rate()).ok_or(TooLarge)?;
        tax_sum = add(tax_sum, amount)?;
        tax_subtotals.push(TaxSubtotal {
            tax,
            taxable,
            amount,
        });
    }
    let net = add(subtract(line_sum, allowances)?, charges)?;
    let gross = add(net, tax_sum)?;
    Ok(Totals {
        lines: line_sum,
        allowances,
        charges,
        net,
        tax: tax_sum,
        gross,
        payable: add(subtract(gross, prepaid)?, rounding)?,
        tax_subtotals,
    })
}

/// `rate` percent of `taxable` minor units, rounded once (BT-117, BR-CO-17).
#[must_use]
pub fn tax_amount(taxable: i64, rate: Decimal) -> Option<i64> {
    let denominator = 10_i128.checked_pow(rate.scale())?.checked_mul(100)?;
    divide(
        i128::from(taxable).checked_mul(rate.mantissa())?,
        denominator,
    )
}

/// The quotient rounded half away from zero, where it fits; the divisor is above zero.
fn divide(dividend: i128, divisor: i128) -> Option<i64> {
    let quotient = dividend.checked_div(divisor)?;
    let rest = dividend.checked_rem(divisor)?.unsigned_abs();
    // Comparing with what is left of the divisor avoids doubling the rest, which might not fit.
    let half_or_more = rest >= divisor.unsigned_abs() - rest;
    let rounded = if half_or_more {
        quotient + dividend.signum()
    } else {
        quotient
    };
    i64::try_from(rounded).ok()
}

fn add(left: i64, right: i64) -> Result<i64, TooLarge> {
    left.checked_add(right).ok_or(TooLarge)
}

fn subtract(left: i64, right: i64) -> Result<i64, TooLarge> {
    left.checked_sub(right).ok_or(TooLarge)
}
