//! From the cells of a row to its record: what belongs together is joined, nothing is made up.

use std::collections::{BTreeMap, BTreeSet};

use super::draft::{Draft, Point, Slots};
use super::row::RowRefusal;
use super::target::Slot;
use crate::domain::emails::EmailAddress;
use crate::formats::attribute::{self, put_labels, shortened_label};
use crate::formats::labels;
use crate::formats::patch;
use crate::formats::postal::Parts;
use crate::formats::record::{ContactRecord, Email, Phone};

impl Draft {
    /// The record of the row.
    pub fn finish(mut self) -> Result<ContactRecord, RowRefusal> {
        self.finish_points();
        self.finish_places();
        self.finish_names();
        self.finish_attributes();
        self.record.settle_kind();
        if let Some(more) = &self.more {
            return patch::apply(&self.record, more).map_err(|_| RowRefusal::AdditionInvalid);
        }
        if self.own || self.record.is_identified() {
            Ok(self.record)
        } else {
            Err(RowRefusal::Unidentified)
        }
    }

    fn finish_points(&mut self) {
        let own = self.own;
        let points = |slots: &mut Slots<Point>| {
            let mut points = Vec::new();
            for (slot, point) in std::mem::take(slots) {
                let (label, marked) = label_of(&slot, point.label, own);
                for (index, value) in point.values.into_iter().enumerate() {
                    let primary = index == 0 && (point.primary || marked);
                    points.push((value, label.clone(), point.region.clone(), primary));
                }
            }
            if !own {
                // At most one is the one to use, and none stands there twice.
                let first = points.iter().position(|point| point.3);
                for (index, point) in points.iter_mut().enumerate() {
                    point.3 = Some(index) == first;
                }
                let mut seen = BTreeSet::new();
                points.retain(|(value, ..)| seen.insert(value.clone()));
            }
            points
        };
        let emails = points(&mut self.emails).into_iter();
        let emails = emails.map(|(address, label, _, primary)| Email {
            address,
            label,
            primary,
        });
        self.record.emails = emails.collect();
        let phones = points(&mut self.phones).into_iter();
        let phones = phones.map(|(number, label, region, primary)| Phone {
            number,
            label,
            region,
            primary,
        });
        self.record.phones = phones.collect();
        let (urls, url_labels) = points(&mut self.urls)
            .into_iter()
            .map(|(url, label, ..)| (url, label))
            .unzip();
        self.record.urls = urls;
        put_labels(
            &mut self.record.attributes,
            attribute::URL_LABELS,
            url_labels,
        );
    }

    fn finish_places(&mut self) {
        let mut place_labels = Vec::new();
        for (slot, place) in std::mem::take(&mut self.places) {
            let mut parts = place.parts;
            parts.street = place.lines.into_values().collect::<Vec<_>>().join("\n");
            if parts == Parts::default() {
                parts.street = place.formatted;
            }
            if let Some(address) = parts.into_address() {
                self.record.postal_addresses.push(address);
                place_labels.push(label_of(&slot, place.label, self.own).0);
            }
        }
        put_labels(
            &mut self.record.attributes,
            attribute::POSTAL_ADDRESS_LABELS,
            place_labels,
        );
    }

    /// An e-mail address in a name column is an address and no name.
    fn finish_names(&mut self) {
        if self.own {
            return;
        }
        let record = &mut self.record;
        for name in [&mut record.given_name, &mut record.family_name] {
            if let Ok(address) = EmailAddress::parse(name) {
                name.clear();
                let known = |e: &Email| e.address.eq_ignore_ascii_case(address.as_str());
                if !record.emails.iter().any(known) {
                    let address = address.into_string();
                    record.emails.push(Email {
                        address,
                        ..Email::default()
                    });
                }
            }
        }
        if self.client_name.is_empty() {
            return;
        }
        let person = format!("{} {}", record.given_name, record.family_name);
        let person = person.trim();
        if !person.is_empty() && person != self.client_name && record.organization.is_empty() {
            record.organization.clone_from(&self.client_name);
        }
        if record.display_name.is_empty() {
            record.display_name = std::mem::take(&mut self.client_name);
        }
    }

    fn finish_attributes(&mut self) {
        let attributes = &mut self.record.attributes;
        // Where the numbers of a key go on that several pairs have.
        let mut numbers: BTreeMap<String, u32> = BTreeMap::new();
        for (slot, pair) in std::mem::take(&mut self.pairs) {
            let Some(value) = pair.values.into_iter().next() else {
                continue;
            };
            let label = pair
                .label
                .map(|label| labels::slug(&label).replace('-', "_"));
            let key = label
                .filter(|label| !label.is_empty())
                .unwrap_or(slot.label);
            let mut free = key.clone();
            let number = numbers.entry(key.clone()).or_insert(2);
            while attributes.contains_key(&free) {
                free = format!("{key}_{number}");
                *number += 1;
            }
            attributes.insert(free, value.into());
        }
        let [year, month, day] = &self.day;
        if !(year.is_empty() && month.is_empty() && day.is_empty()) {
            let text = match (year.as_str(), month.parse::<u8>(), day.parse::<u8>()) {
                ("", Ok(month), Ok(day)) => format!("--{month:02}-{day:02}"),
                (year, Ok(month), Ok(day)) => format!("{year}-{month:02}-{day:02}"),
                _ => [year.as_str(), month, day].join(" ").trim().to_owned(),
            };
            attributes
                .entry(attribute::BIRTHDAY.to_owned())
                .or_insert_with(|| text.into());
        }
    }
}

/// The label of a cell, else of the header; and whether the header says that it is the one to use.
fn label_of(slot: &Slot, cell: Option<String>, own: bool) -> (String, bool) {
    let mut marked = false;
    let words = slot.label.split(' ').filter(|word| {
        let marks = !own && (*word == "primary" || *word == "preferred");
        marked |= marks;
        !marks
    });
    let header = words.collect::<Vec<_>>().join(" ");
    (shortened_label(cell.unwrap_or(header)), marked)
}
