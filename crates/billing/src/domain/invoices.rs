//! Invoices: what callers say, what is computed from it, and the way from draft to issued.
//!
//! Invariant: a new draft and an issued invoice can only be made with a held grant in hand
//! ([`draft`], [`issue`]); nothing else builds them.

use std::collections::BTreeMap;

use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use types::{ContactName, Currency, InvoiceName, Micros, Money};

use super::faults::Faults;
use super::grants::{self, Evidence};
use super::numbers::{InvoiceNumber, Series};
use super::tax::Tax;
use super::totals::{self, DocumentAmount, LineAmount, Taxed, TooLarge, Totals};
use super::{decimals, identities};
use crate::store::grants::Entitled;

mod figures;

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
    /// Who owes it; none for the contact itself, as the grant tells.
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
        let totals = self.totals(&line_nets).map_err(|error| Faults::of("invoice.lines", error))?;
        Ok(Sums { line_nets, totals })
    }

    fn totals(&self, line_nets: &[i64]) -> Result<Totals, TooLarge> {
        let lines: Vec<Taxed> = self
            .lines
            .iter()
            .zip(line_nets)
            .map(|(line, net)| Taxed { net: *net, tax: line.tax })
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

    /// An amount of the document's currency.
    #[must_use]
    pub fn money(&self, minor_units: i64) -> Money {
        Money { minor_units, currency: self.currency }
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

/// A draft that was accepted under a grant and is not stored yet. Only [`draft`] makes one.
#[derive(Clone, Debug)]
pub struct Draft {
    content: Content,
    sums: Sums,
    evidence: Evidence,
}

/// Accepts an invoice for a contact under a held grant. Without one this does not compile.
pub fn draft(
    content: Content,
    held: &impl Entitled<grants::Invoice>,
) -> Result<Draft, Refused> {
    let grant = held.grant();
    if grant.contact != content.contact {
        return Err(Refused::OtherContact);
    }
    let sums = content.sums()?;
    Ok(Draft { content, sums, evidence: grant.evidence() })
}

impl Draft {
    /// The draft as it is stored first.
    #[must_use]
    pub fn named(self, name: InvoiceName, creator: String, now: Micros) -> Invoice {
        Invoice {
            name,
            content: self.content,
            sums: self.sums,
            evidence: self.evidence,
            seal: None,
            revision: 1,
            creator: creator.clone(),
            updater: creator,
            create_time: now,
            update_time: now,
        }
    }
}

/// Why a document is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Fields are wrong.
    Invalid(Faults),
    /// The grant is another contact's; the caller mixed them up.
    OtherContact,
    /// It is issued already.
    NotDraft,
    /// Stored figures break these rules of EN 16931; they were damaged after they were computed.
    Broken(Vec<identities::Rule>),
}

impl From<Faults> for Refused {
    fn from(faults: Faults) -> Self {
        Self::Invalid(faults)
    }
}

/// How far an invoice has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// May still change; has no number.
    Draft,
    /// Numbered, hashed, immutable.
    Issued,
}

impl State {
    /// The name that rows and messages use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "DRAFT",
            Self::Issued => "ISSUED",
        }
    }
}

/// What makes an invoice issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    /// The number.
    pub number: InvoiceNumber,
    /// When it was issued.
    pub issue_time: Micros,
    /// The hash of the document and the hash before it; empty until it is sealed.
    pub hash: Vec<u8>,
}

/// An invoice as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invoice {
    /// The resource name.
    pub name: InvoiceName,
    /// What callers say.
    pub content: Content,
    /// What is computed.
    pub sums: Sums,
    /// The grant it was accepted under: when drafted, and once more when issued.
    pub evidence: Evidence,
    /// The number and hash of an issued invoice.
    pub seal: Option<Seal>,
    /// Rises with every change.
    pub revision: i64,
    /// Who created it.
    pub creator: String,
    /// Who changed it last.
    pub updater: String,
    /// When it was created.
    pub create_time: Micros,
    /// When it was changed last.
    pub update_time: Micros,
}

impl Invoice {
    /// How far it has come.
    #[must_use]
    pub fn state(&self) -> State {
        if self.seal.is_some() { State::Issued } else { State::Draft }
    }

    /// The etag of its revision.
    #[must_use]
    pub fn etag(&self) -> String {
        types::etag(&self.name.to_string(), self.revision)
    }

    /// The draft with new content; its contact stays.
    pub fn revised(self, content: Content, updater: String, now: Micros) -> Result<Self, Refused> {
        if self.seal.is_some() {
            return Err(Refused::NotDraft);
        }
        if content.contact != self.content.contact {
            return Err(Refused::OtherContact);
        }
        let sums = content.sums()?;
        Ok(Self {
            content,
            sums,
            revision: self.revision + 1,
            updater,
            update_time: now,
            ..self
        })
    }
}

/// An invoice that is ready for its number: everything is checked and frozen but that. Only [`issue`]
/// makes one.
#[derive(Clone, Debug)]
pub struct Ready {
    invoice: Invoice,
    series: Series,
}

/// Makes a draft ready to be issued under a held grant. Without one this does not compile.
///
/// The buyer is frozen, from the grant's subject where the draft has none; sums are computed anew
/// and judged once more by the rules of EN 16931.
pub fn issue(
    invoice: Invoice,
    updater: String,
    now: Micros,
    held: &impl Entitled<grants::Invoice>,
) -> Result<Ready, Refused> {
    let grant = held.grant();
    if grant.contact != invoice.content.contact {
        return Err(Refused::OtherContact);
    }
    if invoice.seal.is_some() {
        return Err(Refused::NotDraft);
    }
    let today = day_of(now);
    let mut content = invoice.content;
    let issue_date = content.issue_date.unwrap_or(today);
    content.issue_date = Some(issue_date);
    content.buyer = Some(content.buyer.unwrap_or_else(|| grant.subject.clone()));
    let sums = content.sums()?;
    let broken = identities::broken(&figures::of(&content, &sums));
    if !broken.is_empty() {
        return Err(Refused::Broken(broken));
    }
    let series = Series {
        series: content.series.clone(),
        year: i32::from(issue_date.year()),
    };
    let invoice = Invoice {
        content,
        sums,
        evidence: grant.evidence(),
        revision: invoice.revision + 1,
        updater,
        update_time: now,
        ..invoice
    };
    Ok(Ready { invoice, series })
}

impl Ready {
    /// The invoice's name.
    #[must_use]
    pub fn name(&self) -> &InvoiceName {
        &self.invoice.name
    }

    /// What its number will count in.
    #[must_use]
    pub fn series(&self) -> &Series {
        &self.series
    }

    /// The invoice with its number, still without its hash.
    #[must_use]
    pub fn numbered(self, sequence: i64) -> Invoice {
        let seal = Seal {
            number: InvoiceNumber { series: self.series, sequence },
            issue_time: self.invoice.update_time,
            hash: Vec::new(),
        };
        Invoice { seal: Some(seal), ..self.invoice }
    }
}

/// The calendar day of an instant in UTC.
fn day_of(instant: Micros) -> Date {
    // The clock of a machine lies far within the calendar's range.
    jiff::Timestamp::from_microsecond(instant.0)
        .map(|timestamp| timestamp.to_zoned(jiff::tz::TimeZone::UTC).date())
        .unwrap_or_default()
}
