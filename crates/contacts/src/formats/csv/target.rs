//! What a column is: the part of a contact that its cells are.

use std::fmt;
use std::str::FromStr;

use crate::formats::attribute;
use crate::formats::labels;
use crate::formats::record::FACTS;

/// What the cells of a column are.
///
/// As text, for explicit mappings: a field (`given_name`, `organization`, ...); `email`, `phone`,
/// `url` or `address.PART`, where needed with `:LABEL` and `:NUMBER` to tell several apart
/// (`phone:mobile`, `email::2`, `address.city:home`); `label:KEY`, `external_id:SYSTEM`,
/// `attribute:KEY`; or a fact by its path (`source.campaign`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// A field that is one text.
    Field(Field),
    /// A part of an e-mail address.
    Email(Slot, PointPart),
    /// A part of a phone number.
    Phone(Slot, PointPart),
    /// A part of a web page.
    Url(Slot, PointPart),
    /// A part of a postal address.
    Address(Slot, AddressPart),
    /// Labels, several in a cell.
    Labels,
    /// The text of one label.
    Label(String),
    /// Relationship kinds, several in a cell.
    RelationshipKinds,
    /// The key in another system.
    ExternalId(String),
    /// A field by its path, of [`FACTS`].
    Fact(String),
    /// An attribute.
    Attribute(String),
    /// A part of the birthday.
    Birthday(DayPart),
    /// A pair of columns that gives an attribute: its key, or its text.
    Pair(Slot, PointPart),
    /// What our own export could not say otherwise.
    More,
}

/// Fields that are one text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// The contact's own resource name, in our own exports.
    Contact,
    /// Person, company or group.
    Kind,
    /// The name people read.
    DisplayName,
    /// The name of a client who may be a person or a company; a person of another name beside it
    /// is somebody at that company.
    ClientName,
    /// Given name.
    GivenName,
    /// Family name.
    FamilyName,
    /// Position held.
    Title,
    /// Organisation.
    Organization,
    /// Who looks after the contact.
    Owner,
    /// Tax number.
    TaxId,
    /// Name on invoices.
    LegalName,
    /// Free text; several columns are joined.
    Note,
    /// The stage to open the position in.
    RequestedStage,
}

/// Which of several addresses or numbers: a label and a number, both possibly empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot {
    /// What it is used for, as the header says; `primary` marks the one to use.
    pub label: String,
    /// The number in the header; 0 where there is none.
    pub number: u32,
}

/// A part of an address or number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PointPart {
    /// The address or number itself.
    Value,
    /// What it is used for.
    Label,
    /// The region a phone number is to be read in.
    Region,
    /// Whether it is the one to use.
    Primary,
}

/// A part of a postal address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AddressPart {
    /// A line above the city, by its number from 1.
    Line(u32),
    /// The whole address in one cell, used only where no other part is given.
    Formatted,
    /// Post box.
    PoBox,
    /// Flat, suite, building.
    Extended,
    /// City.
    City,
    /// State or province.
    Region,
    /// Postal code.
    PostalCode,
    /// Country.
    Country,
    /// What it is used for.
    Label,
}

/// A part of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DayPart {
    /// Year.
    Year,
    /// Month, from 1.
    Month,
    /// Day of the month.
    Day,
}

impl Target {
    /// An attribute by its key.
    pub(crate) fn attribute(key: &str) -> Self {
        Self::Attribute(key.to_owned())
    }

    /// Whether cells of the column tell who a contact is.
    pub(crate) fn identifies(&self) -> bool {
        matches!(
            self,
            Self::Field(
                Field::DisplayName
                    | Field::ClientName
                    | Field::GivenName
                    | Field::FamilyName
                    | Field::Organization
            ) | Self::Email(_, PointPart::Value)
                | Self::Phone(_, PointPart::Value)
        )
    }
}

/// Names of fields in mappings.
const FIELDS: [(&str, Field); 13] = [
    ("contact", Field::Contact),
    ("kind", Field::Kind),
    ("display_name", Field::DisplayName),
    ("client_name", Field::ClientName),
    ("given_name", Field::GivenName),
    ("family_name", Field::FamilyName),
    ("title", Field::Title),
    ("organization", Field::Organization),
    ("owner", Field::Owner),
    ("tax_id", Field::TaxId),
    ("legal_name", Field::LegalName),
    ("note", Field::Note),
    ("requested_stage", Field::RequestedStage),
];

/// Names of the parts of an address in mappings; lines are `line1`, `line2`, ...
const ADDRESS_PARTS: [(&str, AddressPart); 8] = [
    ("formatted", AddressPart::Formatted),
    ("po_box", AddressPart::PoBox),
    ("extended", AddressPart::Extended),
    ("city", AddressPart::City),
    ("region", AddressPart::Region),
    ("postal_code", AddressPart::PostalCode),
    ("country", AddressPart::Country),
    ("label", AddressPart::Label),
];

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.label.is_empty(), self.number) {
            (true, 0) => Ok(()),
            (false, 0) => write!(f, ":{}", self.label),
            (_, number) => write!(f, ":{}:{number}", self.label),
        }
    }
}

impl fmt::Display for PointPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Value => "",
            Self::Label => ".label",
            Self::Region => ".region",
            Self::Primary => ".primary",
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(field) => {
                let (name, _) = FIELDS
                    .iter()
                    .find(|(_, known)| known == field)
                    .ok_or(fmt::Error)?;
                f.write_str(name)
            }
            Self::Email(slot, part) => write!(f, "email{part}{slot}"),
            Self::Phone(slot, part) => write!(f, "phone{part}{slot}"),
            Self::Url(slot, part) => write!(f, "url{part}{slot}"),
            Self::Pair(slot, part) => write!(f, "pair{part}{slot}"),
            Self::Address(slot, AddressPart::Line(line)) => write!(f, "address.line{line}{slot}"),
            Self::Address(slot, part) => {
                let (name, _) = ADDRESS_PARTS
                    .iter()
                    .find(|(_, known)| known == part)
                    .ok_or(fmt::Error)?;
                write!(f, "address.{name}{slot}")
            }
            Self::Labels => f.write_str("labels"),
            Self::Label(key) => write!(f, "label:{key}"),
            Self::RelationshipKinds => f.write_str("relationship_kinds"),
            Self::ExternalId(system) => write!(f, "external_id:{system}"),
            Self::Fact(path) => f.write_str(path),
            Self::Attribute(key) => write!(f, "attribute:{key}"),
            Self::Birthday(DayPart::Year) => f.write_str("birthday.year"),
            Self::Birthday(DayPart::Month) => f.write_str("birthday.month"),
            Self::Birthday(DayPart::Day) => f.write_str("birthday.day"),
            Self::More => f.write_str("more"),
        }
    }
}

/// A text that names no target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is nothing that a column can be mapped to")]
pub struct TargetUnknown(pub String);

impl FromStr for Target {
    type Err = TargetUnknown;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || TargetUnknown(text.to_owned());
        let (name, rest) = text.split_once(':').unwrap_or((text, ""));
        let (noun, part) = name.split_once('.').unwrap_or((name, ""));
        if FACTS.contains(&text) {
            return Ok(Self::Fact(text.to_owned()));
        }
        let target = match noun {
            "email" => Self::Email(
                slot(rest).ok_or_else(unknown)?,
                point_part(part).ok_or_else(unknown)?,
            ),
            "phone" => Self::Phone(
                slot(rest).ok_or_else(unknown)?,
                point_part(part).ok_or_else(unknown)?,
            ),
            "url" => Self::Url(
                slot(rest).ok_or_else(unknown)?,
                point_part(part).ok_or_else(unknown)?,
            ),
            "pair" => Self::Pair(
                slot(rest).ok_or_else(unknown)?,
                point_part(part).ok_or_else(unknown)?,
            ),
            "address" => Self::Address(
                slot(rest).ok_or_else(unknown)?,
                address_part(part).ok_or_else(unknown)?,
            ),
            _ => plain(text, name, rest).ok_or_else(unknown)?,
        };
        Ok(target)
    }
}

/// Targets without parts and slots.
fn plain(text: &str, name: &str, rest: &str) -> Option<Target> {
    let owned = || (!rest.is_empty()).then(|| rest.to_owned());
    Some(match (name, text) {
        ("label", _) if labels::is_key(rest) => Target::Label(rest.to_owned()),
        ("external_id", _) => Target::ExternalId(owned()?),
        ("attribute", _) => Target::Attribute(owned()?),
        (_, "labels") => Target::Labels,
        (_, "relationship_kinds") => Target::RelationshipKinds,
        (_, "birthday") => Target::attribute(attribute::BIRTHDAY),
        (_, "birthday.year") => Target::Birthday(DayPart::Year),
        (_, "birthday.month") => Target::Birthday(DayPart::Month),
        (_, "birthday.day") => Target::Birthday(DayPart::Day),
        (_, "company") => Target::Field(Field::Organization),
        (_, "more") => Target::More,
        _ => Target::Field(FIELDS.iter().find(|(known, _)| *known == text)?.1),
    })
}

fn slot(text: &str) -> Option<Slot> {
    let (label, number) = text.rsplit_once(':').unwrap_or((text, ""));
    let number = if number.is_empty() {
        0
    } else {
        number.parse().ok()?
    };
    Some(Slot {
        label: label.to_owned(),
        number,
    })
}

fn point_part(text: &str) -> Option<PointPart> {
    Some(match text {
        "" => PointPart::Value,
        "label" => PointPart::Label,
        "region" => PointPart::Region,
        "primary" => PointPart::Primary,
        _ => return None,
    })
}

fn address_part(text: &str) -> Option<AddressPart> {
    if let Some(line) = text.strip_prefix("line") {
        return line.parse().ok().map(AddressPart::Line);
    }
    match text {
        "street" => Some(AddressPart::Line(1)),
        _ => ADDRESS_PARTS
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, part)| *part),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_written_as_they_are_read() {
        let texts = [
            "given_name",
            "email",
            "email:work",
            "email::2",
            "email.label:work:2",
            "phone.region::1",
            "url",
            "address.city:home",
            "address.line2",
            "address.formatted::1",
            "labels",
            "label:tier",
            "external_id:erp",
            "source.channel",
            "attribute:shoe size",
            "birthday.year",
            "relationship_kinds",
            "pair.label:event:1",
            "more",
        ];
        for text in texts {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
        }
        assert_eq!("company".parse(), Ok(Target::Field(Field::Organization)));
        for text in [
            "",
            "mail",
            "email.street",
            "email::x",
            "label:Not A Key",
            "attribute:",
            "source.x",
        ] {
            assert_eq!(text.parse::<Target>(), Err(TargetUnknown(text.into())));
        }
    }
}
