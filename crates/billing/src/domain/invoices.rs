//! Invoices: what callers say, what is computed from it, and the way from draft to issued.
//!
//! Invariant: a new draft and an issued invoice can only be made with a held grant in hand
//! ([`draft`], [`issue`]); nothing else builds them.

use jiff::civil::Date;
use types::{InvoiceName, Micros};

use super::faults::Faults;
use super::grants::{self, Evidence};
use super::identities;
use super::numbers::{InvoiceNumber, Series};
use crate::store::grants::Entitled;

mod content;
mod figures;

pub use content::{Address, Content, DocumentAdjustment, Line, LineAdjustment, Party, Sums};

/// A draft that was accepted under a grant and is not stored yet. Only [`draft`] makes one.
#[derive(Clone, Debug)]
pub struct Draft {
    content: Content,
    sums: Sums,
    evidence: Evidence,
}

/// Accepts an invoice for a contact under a held grant. Without one this does not compile.
pub fn draft(content: Content, held: &impl Entitled<grants::Invoice>) -> Result<Draft, Refused> {
    let grant = held.grant();
    if grant.contact != content.contact {
        return Err(Refused::OtherContact);
    }
    let sums = content.sums()?;
    Ok(Draft {
        content,
        sums,
        evidence: grant.evidence(),
    })
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
    /// It can be issued once these fields of the draft are changed.
    Incomplete(Faults),
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
        if self.seal.is_some() {
            State::Issued
        } else {
            State::Draft
        }
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
/// The buyer is frozen, from the grant's subject where the draft names none, and must have a name
/// (BR-07); sums are computed anew and judged once more by the rules of EN 16931.
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
    let buyer = content.buyer.unwrap_or_default().of_contact(&grant.subject);
    let mut lacking = Faults::default();
    if !buyer.is_named() {
        lacking.note("buyer.name", "must be given, the contact has no name");
    }
    // The day of issue that a draft names was compared with it when it was written.
    if content.due_date.is_some_and(|due| due < issue_date) {
        let problem = format!("must not be before the day of issue, {issue_date}");
        lacking.note("due_date", problem);
    }
    lacking.into_result().map_err(Refused::Incomplete)?;
    content.buyer = Some(buyer);
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
            number: InvoiceNumber {
                series: self.series,
                sequence,
            },
            issue_time: self.invoice.update_time,
            hash: Vec::new(),
        };
        Invoice {
            seal: Some(seal),
            ..self.invoice
        }
    }
}

/// The calendar day of an instant in UTC.
fn day_of(instant: Micros) -> Date {
    // The clock of a machine lies far within the calendar's range.
    jiff::Timestamp::from_microsecond(instant.0)
        .map(|timestamp| timestamp.to_zoned(jiff::tz::TimeZone::UTC).date())
        .unwrap_or_default()
}
