//! The file of an import as rows, whatever its format.
//!
//! A reader is fed with the pieces of the file and gives prepared rows: contacts that passed every
//! check which needs no database, or the reasons why there is none.

use prost::Message as _;
use proto::Validate as _;
use proto::contacts::v1;

use super::problems::Problems;
use crate::domain::Faults;
use crate::domain::facts::{Channel, Email, Facts, Phone};
use crate::domain::imports::{Format, Import};
use crate::formats::csv::{self, Analysis, MappingProblem};
use crate::formats::record::ContactRecord;
use crate::formats::vcard;
use crate::wire::contacts::{Draft, check, draft};
use crate::wire::{ndjson, records};

/// How many characters of a display name a row's report keeps.
const NAME_CHARS_MAX: usize = 200;

/// A row that was read and checked.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The row's number in the file, from 1, header rows not counted.
    pub row: i64,
    /// The display name, to find the row by.
    pub display_name: String,
    /// The contact, or why there is none.
    pub content: Result<Content, Vec<String>>,
    /// About how many bytes the row takes up.
    pub bytes: usize,
}

/// A contact of a row.
#[derive(Clone, Debug)]
pub struct Content {
    /// The resource name that the row says the contact has; empty for none.
    pub name: String,
    /// The contact.
    pub draft: Box<Draft>,
    /// What was left out of it.
    pub notes: Vec<String>,
}

/// Reads the rows of a file.
pub enum Reader {
    /// CSV.
    Csv(Box<csv::Reader>, i64),
    /// vCard.
    Vcard(Box<vcard::Reader>),
    /// NDJSON.
    Ndjson(ndjson::Reader),
}

/// What an import was asked to do with each row.
#[derive(Clone, Debug)]
pub struct Defaults {
    requested_stage: String,
    region: String,
}

impl Defaults {
    /// Those of an import.
    pub fn of(import: &Import) -> Self {
        Self {
            requested_stage: import.requested_stage.clone(),
            region: import.default_region.clone(),
        }
    }
}

impl Reader {
    /// A reader of a CSV file.
    pub fn csv(analysis: &Analysis) -> Result<Self, MappingProblem> {
        let header = i64::try_from(analysis.header_row.unwrap_or(0)).unwrap_or(0);
        Ok(Self::Csv(Box::new(csv::Reader::new(analysis)?), header))
    }

    /// A reader of a file of another format.
    pub fn of_cards_or_lines(format: Format) -> Self {
        match format {
            Format::Vcard => Self::Vcard(Box::default()),
            Format::Csv | Format::Ndjson => Self::Ndjson(ndjson::Reader::default()),
        }
    }

    /// Takes the next bytes of the file. Ask for rows until there is none before the next chunk.
    pub fn feed(&mut self, chunk: &[u8]) {
        match self {
            Self::Csv(reader, _) => reader.feed(chunk),
            Self::Vcard(reader) => reader.feed(chunk),
            Self::Ndjson(reader) => reader.feed(chunk),
        }
    }

    /// Says that the file has no more bytes.
    pub fn finish(&mut self) {
        match self {
            Self::Csv(reader, _) => reader.finish(),
            Self::Vcard(reader) => reader.finish(),
            Self::Ndjson(reader) => reader.finish(),
        }
    }

    /// Why nothing more can be read of the file, where that is so before its end.
    pub fn broken(&self) -> Option<String> {
        match self {
            Self::Csv(reader, header) => reader.broken_row().map(|row| {
                let row = number(row) - *header;
                format!("row {row} is too long: is a quotation mark left open? Nothing after it was read")
            }),
            Self::Vcard(_) | Self::Ndjson(_) => None,
        }
    }

    /// The next row; `None` until more bytes come or, after [`Reader::finish`], at the end.
    pub fn next_row(&mut self, defaults: &Defaults) -> Option<Prepared> {
        match self {
            Self::Csv(reader, header) => Some(match reader.next_row()? {
                Ok(row) => {
                    let row_number = number(row.row) - *header;
                    of_record(row_number, &row.record, Problems::default(), defaults)
                }
                Err(problem) => {
                    let reason = match &problem.column {
                        Some(column) => format!("column {column:?}: {}", problem.reason),
                        None => problem.reason.to_string(),
                    };
                    refused(number(problem.row) - *header, reason)
                }
            }),
            Self::Vcard(reader) => Some(match reader.next_card()? {
                Ok(card) => {
                    let mut notes = Problems::default();
                    for name in &card.dropped {
                        notes.push(|| format!("left out: {name}"));
                    }
                    of_record(number(card.index), &card.record, notes, defaults)
                }
                Err(problem) => {
                    let reason = format!("line {}: {}", problem.line, problem.reason);
                    refused(number(problem.index).max(1), reason)
                }
            }),
            Self::Ndjson(reader) => Some(match reader.next_line()? {
                (line, Ok(contact)) => prepared(line, contact, Problems::default(), defaults),
                (line, Err(reason)) => refused(line, reason),
            }),
        }
    }
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn refused(row: i64, reason: String) -> Prepared {
    let mut problems = Problems::default();
    problems.push(|| reason);
    made(row, String::new(), Err(problems.into_texts()), 0)
}

/// A row whose contact, if it has one, takes this many bytes.
fn made(
    row: i64,
    display_name: String,
    content: Result<Content, Vec<String>>,
    contact_bytes: usize,
) -> Prepared {
    let texts = match &content {
        Ok(content) => &content.notes,
        Err(problems) => problems,
    };
    let text_bytes: usize = texts.iter().map(String::len).sum();
    Prepared {
        row,
        bytes: contact_bytes + text_bytes + display_name.len(),
        display_name,
        content,
    }
}

fn of_record(row: i64, record: &ContactRecord, notes: Problems, defaults: &Defaults) -> Prepared {
    let mut faults = Faults::default();
    let contact = records::message(record, &mut faults);
    if faults.0.is_empty() {
        return prepared(row, contact, notes, defaults);
    }
    let mut problems = Problems::default();
    add(&faults, &mut problems);
    let display_name = shortened(&record.shown_name());
    made(row, display_name, Err(problems.into_texts()), 0)
}

/// Checks a row as CreateContact would, and fills in what the import says for all rows.
fn prepared(
    row: i64,
    mut contact: v1::Contact,
    mut notes: Problems,
    defaults: &Defaults,
) -> Prepared {
    for phone in &mut contact.phones {
        if phone.region.is_empty() {
            phone.region.clone_from(&defaults.region);
        }
    }
    if contact.requested_stage.is_empty() {
        contact
            .requested_stage
            .clone_from(&defaults.requested_stage);
    }
    let is_said = contact
        .source
        .as_ref()
        .is_some_and(|source| source.channel != 0);
    leave_out_undialable(&mut contact, &mut notes);
    let mut problems = Problems::default();
    if let Err(violations) = contact.check() {
        for violation in violations.kept() {
            problems.push(|| format!("{} {}", violation.field, violation.description));
        }
        problems.omit(violations.omitted());
    }
    let mut faults = Faults::default();
    check(&contact, &mut faults);
    add(&faults, &mut problems);
    if !problems.is_empty() {
        let display_name = shortened(&named(&contact).shown_name());
        return made(row, display_name, Err(problems.into_texts()), 0);
    }
    let mut found = draft(&contact);
    if !is_said {
        found.facts.source.channel = Channel::Import;
    }
    let display_name = shortened(&found.facts.shown_name());
    let bytes = contact.encoded_len();
    let content = Content {
        name: contact.name,
        draft: Box::new(found),
        notes: notes.into_texts(),
    };
    made(row, display_name, Ok(content), bytes)
}

/// As much of a contact as names it. One that breaks rules may be too large to be read as a whole.
fn named(contact: &v1::Contact) -> Facts {
    let email = |email: &v1::Email| Email {
        address: email.address.clone(),
        ..Email::default()
    };
    let phone = |phone: &v1::Phone| Phone {
        number: phone.number.clone(),
        ..Phone::default()
    };
    Facts {
        display_name: contact.display_name.clone(),
        given_name: contact.given_name.clone(),
        family_name: contact.family_name.clone(),
        emails: contact.emails.first().map(email).into_iter().collect(),
        phones: contact.phones.first().map(phone).into_iter().collect(),
        ..Facts::default()
    }
}

/// What stands in a column for phone numbers is not always one: it is left out and said so, where a
/// call of CreateContact would be refused.
fn leave_out_undialable(contact: &mut v1::Contact, notes: &mut Problems) {
    contact.phones.retain(|phone| {
        let is_dialable = crate::domain::checks::is_dialable(&phone.number);
        if !is_dialable {
            notes.push(|| "left out: a phone number without digits".to_owned());
        }
        is_dialable
    });
}

fn add(faults: &Faults, problems: &mut Problems) {
    for fault in &faults.0 {
        problems.push(|| format!("{} {}", fault.path, fault.problem));
    }
}

fn shortened(name: &str) -> String {
    name.chars()
        .filter(|c| *c != '\0')
        .take(NAME_CHARS_MAX)
        .collect()
}
