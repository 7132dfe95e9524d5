//! Our own layout: one row per contact, nothing lost.

use super::analysis::Column;
use super::cells::is_relationship_kind;
use super::row;
use super::target::{AddressPart, Field, PointPart, Slot, Target};
use crate::domain::emails::EmailAddress;
use crate::formats::attribute::{self, label_at};
use crate::formats::labels;
use crate::formats::patch;
use crate::formats::postal::Parts;
use crate::formats::record::{ContactRecord, PostalAddress};

/// How many e-mail addresses and phone numbers have columns; further ones stand in the last column.
const POINTS: u32 = 3;

/// How many postal addresses and web pages have columns.
const PLACES: u32 = 2;

/// The header of the last column.
const MORE: &str = "Clientele More";

/// Between several texts in one cell, as Google Contacts writes it.
pub const BETWEEN: &str = " ::: ";

/// Writes our own layout.
///
/// ```
/// use contacts::formats::csv::Writer;
/// use contacts::formats::record::ContactRecord;
/// let writer = Writer::new();
/// let mut file = Vec::new();
/// writer.write_header(&mut file);
/// writer.write_row(&ContactRecord { given_name: "Ada".into(), ..Default::default() }, &mut file);
/// assert!(file.starts_with(b"Clientele Contact,Kind,Display Name,First Name,"));
/// ```
pub struct Writer {
    columns: Vec<Column>,
}

impl Default for Writer {
    fn default() -> Self {
        Self::new()
    }
}

impl Writer {
    /// A writer.
    pub fn new() -> Self {
        let columns = layout().map(|(name, target)| Column {
            name,
            target: Some(target),
        });
        Self {
            columns: columns.collect(),
        }
    }

    /// Appends the header row.
    pub fn write_header(&self, out: &mut Vec<u8>) {
        write_cells(self.columns.iter().map(|column| column.name.as_str()), out);
    }

    /// Appends a record as a row.
    ///
    /// Reading the row again gives an equal record, whatever texts are in it: what the other
    /// columns do not bring back stands as JSON in the last one.
    pub fn write_row(&self, record: &ContactRecord, out: &mut Vec<u8>) {
        let targets = self.columns.iter().map(|column| column.target.as_ref());
        let mut cells: Vec<String> = targets
            .map(|target| target.map_or_else(String::new, |target| guarded(&cell(record, target))))
            .collect();
        let read_back = match row::record(&self.columns, &cells, true) {
            Ok(Some(read_back)) => read_back,
            _ => ContactRecord::default(),
        };
        if let (Some(more), Some(last)) = (patch::difference(&read_back, record), cells.last_mut())
        {
            *last = more;
        }
        write_cells(cells.iter().map(String::as_str), out);
    }
}

/// What a column of our own layout is; None for a header that is not of it.
pub fn target_of(header: &str) -> Option<Target> {
    layout()
        .find(|(known, _)| known == header.trim())
        .map(|(_, target)| target)
}

/// Whether a spreadsheet would take the cell for a formula, apostrophes before it left aside.
fn is_formula(cell: &str) -> bool {
    cell.trim_start_matches('\'')
        .starts_with(['=', '+', '-', '@', '\t', '\r', '\n'])
}

/// The cell with an apostrophe in front where a spreadsheet would take it for a formula.
fn guarded(cell: &str) -> String {
    if is_formula(cell) {
        format!("'{cell}")
    } else {
        cell.to_owned()
    }
}

/// The cell as it was before it was guarded.
pub fn unguarded(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(bare) if is_formula(cell) => bare,
        _ => cell,
    }
}

/// The columns with their headers.
fn layout() -> impl Iterator<Item = (String, Target)> {
    let field = |name: &str, field: Field| (name.to_owned(), Target::Field(field));
    let attribute = |name: &str, key: &str| (name.to_owned(), Target::attribute(key));
    let head = [
        field("Clientele Contact", Field::Contact),
        field("Kind", Field::Kind),
        field("Display Name", Field::DisplayName),
        field("First Name", Field::GivenName),
        attribute("Middle Name", attribute::MIDDLE_NAME),
        field("Last Name", Field::FamilyName),
        attribute("Name Prefix", attribute::NAME_PREFIX),
        attribute("Name Suffix", attribute::NAME_SUFFIX),
        attribute("Nickname", attribute::NICKNAME),
        field("Organization Name", Field::Organization),
        attribute("Organization Department", attribute::DEPARTMENT),
        field("Organization Title", Field::Title),
    ];
    let tail = [
        ("Relationship Kinds".to_owned(), Target::RelationshipKinds),
        ("Labels".to_owned(), Target::Labels),
        field("Owner", Field::Owner),
        field("Tax ID", Field::TaxId),
        field("Legal Name", Field::LegalName),
        field("Requested Stage", Field::RequestedStage),
        attribute("Birthday", attribute::BIRTHDAY),
        field("Notes", Field::Note),
        (MORE.to_owned(), Target::More),
    ];
    head.into_iter().chain(numbered_columns()).chain(tail)
}

/// The columns of addresses, numbers and web pages, each with its number.
fn numbered_columns() -> impl Iterator<Item = (String, Target)> {
    let slot = |number| Slot {
        label: String::new(),
        number,
    };
    let emails = (1..=POINTS).flat_map(move |n| {
        [
            ("Label", PointPart::Label),
            ("Value", PointPart::Value),
            ("Primary", PointPart::Primary),
        ]
        .map(|(name, part)| (format!("E-mail {n} - {name}"), Target::Email(slot(n), part)))
    });
    let phones = (1..=POINTS).flat_map(move |n| {
        [
            ("Label", PointPart::Label),
            ("Value", PointPart::Value),
            ("Region", PointPart::Region),
            ("Primary", PointPart::Primary),
        ]
        .map(|(name, part)| (format!("Phone {n} - {name}"), Target::Phone(slot(n), part)))
    });
    let addresses = (1..=PLACES).flat_map(move |n| {
        [
            ("Label", AddressPart::Label),
            ("Street", AddressPart::Line(1)),
            ("City", AddressPart::City),
            ("Region", AddressPart::Region),
            ("Postal Code", AddressPart::PostalCode),
            ("Country", AddressPart::Country),
        ]
        .map(|(name, part)| {
            (
                format!("Address {n} - {name}"),
                Target::Address(slot(n), part),
            )
        })
    });
    let urls = (1..=PLACES).flat_map(move |n| {
        [("Label", PointPart::Label), ("Value", PointPart::Value)]
            .map(|(name, part)| (format!("Website {n} - {name}"), Target::Url(slot(n), part)))
    });
    emails.chain(phones).chain(addresses).chain(urls)
}

/// What stands in a column for a record; whether it can be read again is seen by reading it.
fn cell(record: &ContactRecord, target: &Target) -> String {
    let yes = |value: bool| {
        if value {
            "true".to_owned()
        } else {
            String::new()
        }
    };
    let at = |slot: &Slot| (slot.number as usize).wrapping_sub(1);
    match target {
        Target::Field(field) => field_cell(record, *field),
        Target::Attribute(key) => attribute::text(&record.attributes, key)
            .unwrap_or_default()
            .to_owned(),
        Target::Email(slot, part) => match record.emails.get(at(slot)) {
            // Columns hold only addresses that the importer takes without a change.
            Some(email) if EmailAddress::parse(&email.address).is_ok() => match part {
                PointPart::Value => email.address.clone(),
                PointPart::Label => email.label.clone(),
                PointPart::Primary => yes(email.primary),
                PointPart::Region => String::new(),
            },
            _ => String::new(),
        },
        Target::Phone(slot, part) => match record.phones.get(at(slot)) {
            Some(phone) => match part {
                PointPart::Value => phone.number.clone(),
                PointPart::Label => phone.label.clone(),
                PointPart::Primary => yes(phone.primary),
                PointPart::Region => phone.region.clone(),
            },
            None => String::new(),
        },
        Target::Url(slot, part) => match (record.urls.get(at(slot)), part) {
            (Some(url), PointPart::Value) => url.clone(),
            (Some(_), PointPart::Label) => {
                label_at(&record.attributes, attribute::URL_LABELS, at(slot))
            }
            _ => String::new(),
        },
        Target::Address(slot, AddressPart::Label) => label_at(
            &record.attributes,
            attribute::POSTAL_ADDRESS_LABELS,
            at(slot),
        ),
        Target::Address(slot, part) => record
            .postal_addresses
            .get(at(slot))
            .map_or_else(String::new, |a| place_cell(a, *part)),
        Target::Labels => {
            let categories: Vec<String> = labels::categories(&record.labels).collect();
            categories.join(BETWEEN)
        }
        Target::RelationshipKinds
            if record
                .relationship_kinds
                .iter()
                .all(|kind| is_relationship_kind(kind)) =>
        {
            record.relationship_kinds.join(BETWEEN)
        }
        _ => String::new(),
    }
}

fn field_cell(record: &ContactRecord, field: Field) -> String {
    match field {
        Field::Contact => record.name.clone(),
        Field::Kind => record.kind.as_str().to_owned(),
        Field::DisplayName => record.display_name.clone(),
        Field::ClientName => String::new(),
        Field::GivenName => record.given_name.clone(),
        Field::FamilyName => record.family_name.clone(),
        Field::Title => record.title.clone(),
        Field::Organization => record.organization.clone(),
        Field::Owner => record.owner.clone(),
        Field::TaxId => record.tax_id.clone(),
        Field::LegalName => record.legal_name.clone(),
        Field::Note => record.note.clone(),
        Field::RequestedStage => record.requested_stage.clone(),
    }
}

fn place_cell(address: &PostalAddress, part: AddressPart) -> String {
    let parts = Parts::of(address);
    match part {
        AddressPart::Line(_) => parts.street,
        AddressPart::City => parts.locality,
        AddressPart::Region => parts.region,
        AddressPart::PostalCode => parts.postal_code,
        AddressPart::Country => parts.country,
        _ => String::new(),
    }
}

/// Appends a row as RFC 4180 has it: cells quoted where they must be, lines ended by CR LF.
fn write_cells<'a>(cells: impl Iterator<Item = &'a str>, out: &mut Vec<u8>) {
    for (index, cell) in cells.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        if cell.contains(['"', ',', '\r', '\n']) || cell.starts_with(' ') || cell.ends_with(' ') {
            out.push(b'"');
            out.extend_from_slice(cell.replace('"', "\"\"").as_bytes());
            out.push(b'"');
        } else {
            out.extend_from_slice(cell.as_bytes());
        }
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::csv::{Analyzer, Program, Reader};

    fn round_trip(record: &ContactRecord) -> (String, ContactRecord) {
        let mut file = Vec::new();
        let writer = Writer::new();
        writer.write_header(&mut file);
        writer.write_row(record, &mut file);
        let mut analyzer = Analyzer::new();
        analyzer.feed(&file);
        let analysis = analyzer.finish();
        assert_eq!(analysis.program, Some(Program::Clientele));
        let mut reader = Reader::new(&analysis).unwrap();
        reader.feed(&file);
        reader.finish();
        let read = reader.next_row().unwrap().unwrap().record;
        assert!(reader.next_row().is_none());
        (String::from_utf8(file).unwrap(), read)
    }

    #[test]
    fn formulas_are_guarded_and_come_back() {
        for text in [
            "=1+1", "+1", "-1", "@x", "\tx", "\rx", "'=x", "''=x", "'tis", "plain",
        ] {
            assert_eq!(unguarded(&guarded(text)), text);
            let record = ContactRecord {
                display_name: text.into(),
                ..ContactRecord::default()
            };
            let (file, read) = round_trip(&record);
            assert_eq!(read, record);
            let cells = file.lines().nth(1).unwrap().split(',');
            let is_bare = |cell: &str| {
                cell.trim_start_matches('"')
                    .starts_with(['=', '+', '-', '@'])
            };
            assert!(!cells.into_iter().any(is_bare), "{file}");
        }
    }

    #[test]
    fn what_has_no_column_stands_in_the_last() {
        let email = |n: usize| crate::formats::record::Email {
            address: format!("a{n}@example.com"),
            ..Default::default()
        };
        let mut record = ContactRecord {
            given_name: "Ada".into(),
            emails: (0..5).map(email).collect(),
            ..ContactRecord::default()
        };
        record.facts.insert("source.channel".into(), "FORM".into());
        record
            .attributes
            .insert("size".into(), serde_json::json!({"shoe": 38.5}));
        let (file, read) = round_trip(&record);
        assert_eq!(read, record);
        assert!(
            file.contains("emails+"),
            "only the further addresses stand in the last column"
        );
        let edited = file.replace("a0@example.com", "new@example.com");
        let mut reader = {
            let mut analyzer = Analyzer::new();
            analyzer.feed(edited.as_bytes());
            Reader::new(&analyzer.finish()).unwrap()
        };
        reader.feed(edited.as_bytes());
        reader.finish();
        let read = reader.next_row().unwrap().unwrap().record;
        assert_eq!(read.emails[0].address, "new@example.com");
        assert_eq!(read.emails.len(), 5);
    }
}
