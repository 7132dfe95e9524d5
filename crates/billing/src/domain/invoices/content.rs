//! What an invoice says: the values that callers give, and the sums computed from them.

use std::collections::BTreeMap;

use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use types::{ContactName, Currency, Money};

use crate::domain::decimals;
use crate::domain::faults::Faults;
use crate::domain::tax::Tax;
use crate::domain::totals::{self, DocumentAmount, LineAmount, Taxed, TooLarge, Totals};

/// A postal address, as `google.type.PostalAddress` has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Address {
    /// The country, by CLDR region code.
    pub region_code: String,
    /// The language of the address, by BCP-47.
    pub language_code: String,
    /// The postal code.
    pub postal_code: String,
    /// The sorting code.
    pub sorting_code: String,
    /// The highest subdivision that is written, such as a state.
    pub administrative_area: String,
    /// The city or town.
    pub locality: String,
    /// The part of the city.
    pub sublocality: String,
    /// The lines within the locality.
    pub lines: Vec<String>,
    /// Whom it is for.
    pub recipients: Vec<String>,
    /// The organisation there.
    pub organization: String,
}

/// Who owes an invoice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Party {
    /// The name for documents.
    pub name: String,
    /// The address.
    pub address: Option<Address>,
    /// The tax number.
    pub tax_id: String,
    /// Where to send it.
    pub email: String,
}

impl Party {
    /// Whether it says by itself who it is.
    #[must_use]
    pub fn is_named(&self) -> bool {
        !self.name.trim().is_empty()
    }

    /// The buyer that is meant where this much is said about it. A party with a name may be anybody
    /// and is taken as it is; one without is the contact, and only the parts that are given differ.
    #[must_use]
    pub fn of_contact(self, contact: &Self) -> Self {
        if self.is_named() {
            return self;
        }
        let or = |given: String, known: &str| match given.as_str() {
            "" => known.to_owned(),
            _ => given,
        };
        Self {
            name: contact.name.clone(),
            address: self.address.or_else(|| contact.address.clone()),
            tax_id: or(self.tax_id, &contact.tax_id),
            email: or(self.email, &contact.email),
        }
    }
}

/// Something taken off or put on a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineAdjustment {
    /// Put on rather than taken off.
    pub charge: bool,
    /// Minor units; negative where a correction takes it back.
    pub amount: i64,
    /// Why.
    pub reason: String,
}

/// Something taken off or put on the whole document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentAdjustment {
    /// How much and why.
    #[serde(flatten)]
    pub adjustment: LineAdjustment,
    /// The tax on it.
    #[serde(flatten)]
    pub tax: Tax,
}

/// One line, as callers give it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// What it is.
    pub description: String,
    /// How many or how much; negative to take back.
    #[serde(with = "decimals::text")]
    pub quantity: Decimal,
    /// The price of `base_quantity` units, not negative.
    #[serde(with = "decimals::text")]
    pub unit_price: Decimal,
    /// How many units the price is for, above zero.
    #[serde(with = "decimals::text")]
    pub base_quantity: Decimal,
    /// The unit, by UN/ECE Recommendation 20.
    pub unit_code: String,
    /// The tax on it.
    #[serde(flatten)]
    pub tax: Tax,
    /// Allowances and charges on the line.
    pub adjustments: Vec<LineAdjustment>,
}

/// What callers say about an invoice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Who is invoiced.
    pub contact: ContactName,
    /// The currency of every amount.
    pub currency: Currency,
    /// What is invoiced.
    pub lines: Vec<Line>,
    /// Allowances and charges on the whole document.
    pub adjustments: Vec<DocumentAdjustment>,
    /// Who owes it; without a name the contact itself, as the grant tells, but for what is given here.
    pub buyer: Option<Party>,
    /// The series its number will be of.
    pub series: String,
    /// The day of issue; none for the day on which it is issued.
    pub issue_date: Option<Date>,
    /// The day by which it is to be paid.
    pub due_date: Option<Date>,
    /// What was paid before, in minor units.
    pub prepaid: i64,
    /// What is added to make the payable amount round, in minor units.
    pub rounding: i64,
    /// Text for the reader.
    pub note: String,
    /// Short marks to filter by.
    pub labels: BTreeMap<String, String>,
}

/// What is computed from the content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sums {
    /// The net of each line, in minor units.
    pub line_nets: Vec<i64>,
    /// The totals.
    pub totals: Totals,
}

impl Content {
    /// The sums of the document, or every field that keeps it from having any.
    pub fn sums(&self) -> Result<Sums, Faults> {
        let mut faults = Faults::default();
        let mut line_nets = Vec::with_capacity(self.lines.len());
        for (index, line) in self.lines.iter().enumerate() {
            let net = adjustments_sum(&line.adjustments).and_then(|adjustment| {
                let amount = LineAmount {
                    quantity: line.quantity,
                    unit_price: line.unit_price,
                    base_quantity: line.base_quantity,
                    adjustment,
                    tax: line.tax,
                };
                totals::line_net(&amount, self.currency)
            });
            line_nets.extend(faults.keep(format!("invoice.lines[{index}]"), net));
        }
        if self.lines.is_empty() {
            faults.note("invoice.lines", "must have at least one line");
        }
        if let (Some(issue), Some(due)) = (self.issue_date, self.due_date)
            && due < issue
        {
            faults.note("invoice.due_date", "must not be before issue_date");
        }
        faults.into_result()?;
        let totals = self
            .totals(&line_nets)
            .map_err(|error| Faults::of("invoice.lines", error))?;
        Ok(Sums { line_nets, totals })
    }

    fn totals(&self, line_nets: &[i64]) -> Result<Totals, TooLarge> {
        let lines: Vec<Taxed> = self
            .lines
            .iter()
            .zip(line_nets)
            .map(|(line, net)| Taxed {
                net: *net,
                tax: line.tax,
            })
            .collect();
        let document: Vec<DocumentAmount> = self
            .adjustments
            .iter()
            .map(|item| DocumentAmount {
                charge: item.adjustment.charge,
                amount: item.adjustment.amount,
                tax: item.tax,
            })
            .collect();
        totals::totals(&lines, &document, self.prepaid, self.rounding)
    }

    /// Whether the buyer has to be taken from what is known about the contact.
    #[must_use]
    pub fn buyer_is_contact(&self) -> bool {
        !self.buyer.as_ref().is_some_and(Party::is_named)
    }

    /// An amount of the document's currency.
    #[must_use]
    pub fn money(&self, minor_units: i64) -> Money {
        Money {
            minor_units,
            currency: self.currency,
        }
    }
}

/// Charges less allowances.
fn adjustments_sum(adjustments: &[LineAdjustment]) -> Result<i64, TooLarge> {
    adjustments.iter().try_fold(0_i64, |sum, item| {
        let next = if item.charge {
            sum.checked_add(item.amount)
        } else {
            sum.checked_sub(item.amount)
        };
        next.ok_or(TooLarge)
    })
}
