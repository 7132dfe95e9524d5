//! A row while its cells come in.

use std::collections::BTreeMap;

use super::cells::{
    categories, email_address, email_addresses, is_relationship_kind, is_yes, moment, plain_label,
    several, without_star,
};
use super::row::RowRefusal;
use super::target::{AddressPart, DayPart, Field, PointPart, Slot, Target};
use super::words::EMAIL_OPT_OUT;
use crate::formats::attribute;
use crate::formats::labels;
use crate::formats::postal::Parts;
use crate::formats::record::{ContactRecord, ExternalId, Kind};

/// How many addresses or numbers of one slot are kept: a contact can have half as many, so that a row
/// with more is refused whatever the others are.
const VALUES_MAX: usize = 100;

/// Several addresses or numbers that share a slot, and what is said of them.
#[derive(Default)]
pub struct Point {
    pub values: Vec<String>,
    pub label: Option<String>,
    pub region: String,
    pub primary: bool,
}

/// An address while its cells come in.
#[derive(Default)]
pub struct Place {
    pub parts: Parts,
    pub lines: BTreeMap<u32, String>,
    pub formatted: String,
    pub label: Option<String>,
}

/// Things by slot, in the order in which their first cell came.
pub struct Slots<T> {
    list: Vec<(Slot, T)>,
    places: BTreeMap<Slot, usize>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self {
            list: Vec::new(),
            places: BTreeMap::new(),
        }
    }
}

impl<T: Default> Slots<T> {
    fn at(&mut self, slot: &Slot) -> &mut T {
        let place = self.places.get(slot).copied().unwrap_or_else(|| {
            self.list.push((slot.clone(), T::default()));
            self.places.insert(slot.clone(), self.list.len() - 1);
            self.list.len() - 1
        });
        &mut self.list[place].1
    }
}

impl<T> IntoIterator for Slots<T> {
    type Item = (Slot, T);
    type IntoIter = std::vec::IntoIter<(Slot, T)>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}

#[derive(Default)]
pub struct Draft {
    pub own: bool,
    pub record: ContactRecord,
    pub client_name: String,
    pub emails: Slots<Point>,
    pub phones: Slots<Point>,
    pub urls: Slots<Point>,
    pub pairs: Slots<Point>,
    pub places: Slots<Place>,
    pub day: [String; 3],
    pub more: Option<String>,
}

impl Draft {
    /// A draft of a row, in our own layout or another.
    pub fn new(own: bool) -> Self {
        Self {
            own,
            ..Self::default()
        }
    }

    /// Takes a cell that is not blank.
    pub fn take(&mut self, target: &Target, cell: &str) -> Result<(), RowRefusal> {
        let record = &mut self.record;
        match target {
            Target::Field(field) => self.take_field(*field, cell)?,
            Target::Email(slot, part) => {
                let values = match (part, self.own) {
                    (PointPart::Value, false) => email_addresses(cell)?,
                    (PointPart::Value, true) => vec![email_address(cell)?],
                    _ => vec![cell.to_owned()],
                };
                self.take_point(slot, *part, values, |draft| &mut draft.emails);
            }
            Target::Phone(slot, part) => {
                let values = several(cell, self.own);
                self.take_point(slot, *part, values, |draft| &mut draft.phones);
            }
            Target::Url(slot, part) => {
                let values = several(cell, self.own);
                self.take_point(slot, *part, values, |draft| &mut draft.urls);
            }
            Target::Pair(slot, part) => {
                let values = vec![cell.to_owned()];
                self.take_point(slot, *part, values, |draft| &mut draft.pairs);
            }
            Target::Address(slot, part) => self.take_place(slot, *part, cell),
            Target::Labels => {
                for category in categories(cell, self.own) {
                    labels::add_category(&mut record.labels, category);
                }
            }
            Target::Label(key) => {
                record.labels.insert(key.clone(), cell.to_owned());
            }
            Target::RelationshipKinds => {
                for kind in cell
                    .split([';', ',', ':'])
                    .map(str::trim)
                    .filter(|k| !k.is_empty())
                {
                    let kind = kind.to_lowercase();
                    if !is_relationship_kind(&kind) {
                        return Err(RowRefusal::RelationshipKindUnknown);
                    }
                    record.relationship_kinds.push(kind);
                }
            }
            Target::ExternalId(system) => {
                if !record
                    .external_ids
                    .iter()
                    .any(|known| known.system == *system)
                {
                    let id = cell.to_owned();
                    record.external_ids.push(ExternalId {
                        system: system.clone(),
                        id,
                    });
                }
            }
            Target::Fact(path) => {
                record.facts.insert(path.clone(), cell.to_owned());
            }
            Target::Attribute(key) => self.take_attribute(key, cell),
            Target::Birthday(part) => cell.clone_into(&mut self.day[*part as usize]),
            Target::More => self.more = Some(cell.to_owned()),
        }
        Ok(())
    }

    /// Of several columns for the same field the first that is not blank counts; notes are joined.
    fn take_field(&mut self, field: Field, cell: &str) -> Result<(), RowRefusal> {
        let record = &mut self.record;
        let text = match field {
            Field::Kind => {
                record.kind = Kind::parse(cell).ok_or(RowRefusal::KindUnknown)?;
                return Ok(());
            }
            Field::Note if !record.note.is_empty() => {
                record.note.push_str("\n\n");
                record.note.push_str(cell);
                return Ok(());
            }
            Field::RequestedStage if !self.own => {
                record.requested_stage = labels::slug(cell);
                return Ok(());
            }
            Field::Contact => &mut record.name,
            Field::DisplayName => &mut record.display_name,
            Field::ClientName => &mut self.client_name,
            Field::GivenName => &mut record.given_name,
            Field::FamilyName => &mut record.family_name,
            Field::Title => &mut record.title,
            Field::Organization => &mut record.organization,
            Field::Owner => &mut record.owner,
            Field::TaxId => &mut record.tax_id,
            Field::LegalName => &mut record.legal_name,
            Field::Note => &mut record.note,
            Field::RequestedStage => &mut record.requested_stage,
        };
        if text.is_empty() {
            cell.clone_into(text);
        }
        Ok(())
    }

    fn take_point(
        &mut self,
        slot: &Slot,
        part: PointPart,
        values: Vec<String>,
        slots: impl Fn(&mut Self) -> &mut Slots<Point>,
    ) {
        let own = self.own;
        let point = slots(self).at(slot);
        let text = || values.first().cloned().unwrap_or_default();
        match part {
            PointPart::Value => {
                for value in values {
                    let is_new = own || !point.values.contains(&value);
                    if is_new && point.values.len() < VALUES_MAX {
                        point.values.push(value);
                    }
                }
            }
            PointPart::Region => point.region = text(),
            PointPart::Primary => point.primary = is_yes(&text()),
            PointPart::Label if own => point.label = Some(text()),
            PointPart::Label => {
                let text = text();
                let bare = without_star(&text);
                point.primary |= bare.is_some();
                point.label = Some(plain_label(bare.unwrap_or(&text)));
            }
        }
    }

    fn take_place(&mut self, slot: &Slot, part: AddressPart, cell: &str) {
        let own = self.own;
        let is_switch = ["true", "false"]
            .iter()
            .any(|word| cell.eq_ignore_ascii_case(word));
        if is_switch && !own {
            // Wave's "shipping_address" says whether there is one.
            return;
        }
        let place = self.places.at(slot);
        let text = match part {
            AddressPart::Line(line) => {
                place.lines.insert(line, cell.to_owned());
                return;
            }
            AddressPart::Label => {
                let bare = without_star(cell).unwrap_or(cell);
                place.label = Some(if own {
                    cell.to_owned()
                } else {
                    plain_label(bare)
                });
                return;
            }
            AddressPart::Formatted => &mut place.formatted,
            AddressPart::PoBox => &mut place.parts.po_box,
            AddressPart::Extended => &mut place.parts.extended,
            AddressPart::City => &mut place.parts.locality,
            AddressPart::Region => &mut place.parts.region,
            AddressPart::PostalCode => &mut place.parts.postal_code,
            AddressPart::Country => &mut place.parts.country,
        };
        cell.clone_into(text);
    }

    fn take_attribute(&mut self, key: &str, cell: &str) {
        let is_day = key == attribute::BIRTHDAY || key == attribute::ANNIVERSARY;
        // Outlook writes 0/0/00 where it knows no day.
        let is_no_day = is_day && cell.chars().all(|c| matches!(c, '0' | '/' | '-' | '.'));
        if self.own || (!is_no_day && !self.record.attributes.contains_key(key)) {
            let value = match (key, cell.to_lowercase().as_str()) {
                (EMAIL_OPT_OUT, "1" | "true" | "yes") if !self.own => true.into(),
                (EMAIL_OPT_OUT, "0" | "false" | "no") if !self.own => false.into(),
                (attribute::CONFIRMED, _) if !self.own => moment(cell).into(),
                _ => cell.into(),
            };
            self.record.attributes.insert(key.to_owned(), value);
        }
    }
}

// `DayPart` counts the fields of `Draft::day`.
const _: () = assert!(DayPart::Year as usize == 0 && DayPart::Day as usize == 2);
