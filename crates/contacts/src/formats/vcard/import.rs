//! The lines of a card as a record.

use std::collections::{BTreeMap, BTreeSet};

use super::cards::CardRefusal;
use super::line::{Line, split_unescaped, unescape};
use super::values::{day, list, plain_label, preference, preferred, starts_with_ignoring_case};
use crate::domain::emails::EmailAddress;
use crate::formats::attribute::{self, put_labels, put_texts, shortened_label};
use crate::formats::postal::Parts;
use crate::formats::record::{ContactRecord, Email, ExternalId, Kind, Phone};
use crate::formats::{labels, patch};

/// Properties that hold a picture, a sound or a key: kept only where they are links.
pub const BINARY: [&str; 4] = ["PHOTO", "LOGO", "SOUND", "KEY"];

/// Our own property for the contact's resource name.
pub const CONTACT: &str = "X-CLIENTELE-CONTACT";

/// Our own property for what a card cannot say otherwise.
pub const MORE: &str = "X-CLIENTELE-MORE";

/// The name under which a card's UID is an external id.
pub const UID_SYSTEM: &str = "vcard";

/// The most bytes of lines kept as they are: half of what attributes may hold.
const KEPT_LEN_MAX: usize = 16 << 10;

/// The most bytes of an external id (`contacts.v1.ExternalId.id`).
const EXTERNAL_ID_LEN_MAX: usize = 200;

/// What a card said.
pub struct Read {
    pub version: String,
    pub record: ContactRecord,
    pub dropped: Vec<String>,
}

/// Whether a property has no place of its own in a record, so that its line is kept as it is.
pub fn is_foreign(name: &str) -> bool {
    !matches!(
        name,
        "BEGIN"
            | "END"
            | "VERSION"
            | "PRODID"
            | "REV"
            | "FN"
            | "N"
            | "NICKNAME"
            | "ORG"
            | "TITLE"
            | "ROLE"
            | "TEL"
            | "ADR"
            | "URL"
            | "NOTE"
            | "BDAY"
            | "ANNIVERSARY"
            | "GENDER"
            | "CATEGORIES"
            | "AGENT"
            | CONTACT
            | MORE
    )
}

/// The record of a card.
pub fn record(lines: &[Line]) -> Result<Read, CardRefusal> {
    let mut builder = Builder::default();
    for line in lines
        .iter()
        .filter(|line| line.name == "X-ABLABEL" && !line.group.is_empty())
    {
        builder
            .group_labels
            .insert(&line.group, shortened_label(plain_label(&line.text())));
    }
    for line in lines {
        builder.take(line);
    }
    builder.finish()
}

#[derive(Default)]
struct Builder<'a> {
    record: ContactRecord,
    version: String,
    dropped: Vec<String>,
    known_dropped: BTreeSet<&'a str>,
    group_labels: BTreeMap<&'a str, String>,
    /// Groups whose label is part of the record.
    used_groups: BTreeSet<&'a str>,
    kept: Vec<&'a Line>,
    address_labels: Vec<String>,
    url_labels: Vec<String>,
    email_preferences: Vec<u32>,
    phone_preferences: Vec<u32>,
    more: Option<String>,
}

impl<'a> Builder<'a> {
    fn take(&mut self, line: &'a Line) {
        match line.name.as_str() {
            "VERSION" => line.text().trim().clone_into(&mut self.version),
            "N" => self.take_name(line),
            "ORG" => self.take_organization(line),
            "EMAIL" => self.take_email(line),
            "TEL" => self.take_phone(line),
            "ADR" => self.take_address(line),
            "URL" => {
                let url = line.text().trim().to_owned();
                if !url.is_empty() {
                    self.record.urls.push(url);
                    let label = self.label_of(line);
                    self.url_labels.push(label);
                }
            }
            "CATEGORIES" => {
                for category in split_unescaped(&line.value, ',') {
                    let category = unescape(category).trim().to_owned();
                    if !category.is_empty() {
                        labels::add_category(&mut self.record.labels, &category);
                    }
                }
            }
            "AGENT" => self.drop(line),
            _ => self.take_text(line),
        }
    }

    /// The properties that are one text.
    fn take_text(&mut self, line: &'a Line) {
        let text = line.text();
        let attributes = &mut self.record.attributes;
        match line.name.as_str() {
            "FN" if self.record.display_name.is_empty() => self.record.display_name = text,
            "BEGIN" | "END" | "PRODID" | "REV" | "FN" => {}
            "TITLE" if self.record.title.is_empty() => self.record.title = text,
            "TITLE" => put_texts(attributes, attribute::FURTHER_TITLES, vec![text]),
            "ROLE" => put_texts(attributes, attribute::ROLE, vec![text]),
            "NICKNAME" => put_texts(attributes, attribute::NICKNAME, list(&line.value)),
            "GENDER" => put_texts(attributes, attribute::GENDER, vec![text]),
            "BDAY" => put_texts(attributes, attribute::BIRTHDAY, vec![day(line)]),
            "ANNIVERSARY" => put_texts(attributes, attribute::ANNIVERSARY, vec![day(line)]),
            "NOTE" if text.is_empty() => {}
            "NOTE" => {
                if !self.record.note.is_empty() {
                    self.record.note.push_str("\n\n");
                }
                self.record.note.push_str(&text);
            }
            CONTACT => self.record.name = text,
            MORE => self.more = Some(text),
            _ => self.take_other(line, &text),
        }
    }

    /// Properties that are understood only with certain values, and foreign ones.
    fn take_other(&mut self, line: &'a Line, text: &str) {
        let name = line.name.as_str();
        if name == "KIND"
            && let Some(kind) = Kind::parse(text)
        {
            self.record.kind = kind;
        } else if name == "X-ABSHOWAS" && text.eq_ignore_ascii_case("company") {
            self.record.kind = Kind::Company;
        } else if name == "UID"
            && self.record.external_ids.is_empty()
            && (1..=EXTERNAL_ID_LEN_MAX).contains(&text.len())
        {
            self.record.external_ids.push(ExternalId {
                system: UID_SYSTEM.to_owned(),
                id: text.to_owned(),
            });
        } else if BINARY.contains(&name)
            && (line.is_binary || starts_with_ignoring_case(text.trim_start(), "data:"))
        {
            self.drop(line);
        } else {
            self.kept.push(line);
        }
    }

    fn take_name(&mut self, line: &Line) {
        let parts = line.components();
        let part = |index: usize| parts.get(index).copied().unwrap_or_default();
        // In vCard 2.1 a comma is a comma; from 3.0 on it separates several names.
        let several = |index: usize| match self.version.as_str() {
            "2.1" => vec![unescape(part(index))],
            _ => list(part(index)),
        };
        let attributes = &mut self.record.attributes;
        put_texts(attributes, attribute::MIDDLE_NAME, several(2));
        put_texts(attributes, attribute::NAME_PREFIX, several(3));
        put_texts(attributes, attribute::NAME_SUFFIX, several(4));
        self.record.family_name = unescape(part(0));
        self.record.given_name = unescape(part(1));
    }

    fn take_organization(&mut self, line: &Line) {
        let mut parts = line.components().into_iter().map(unescape);
        let organization = parts.next().unwrap_or_default();
        if self.record.organization.is_empty() {
            self.record.organization = organization;
        }
        put_texts(
            &mut self.record.attributes,
            attribute::DEPARTMENT,
            parts.collect(),
        );
    }

    fn take_email(&mut self, line: &'a Line) {
        let text = line.text();
        let text = text.trim();
        let bare = if starts_with_ignoring_case(text, "mailto:") {
            &text[7..]
        } else {
            text
        };
        // vCard 2.1 also has addresses of other networks here; they are kept, but are no e-mail.
        let Ok(address) = EmailAddress::parse(bare) else {
            if !text.is_empty() {
                self.kept.push(line);
            }
            return;
        };
        let label = self.label_of(line);
        self.email_preferences.push(preference(line));
        self.record.emails.push(Email {
            address: address.into_string(),
            label,
            primary: false,
        });
    }

    fn take_phone(&mut self, line: &'a Line) {
        let number = line.text().trim().to_owned();
        if number.is_empty() {
            return;
        }
        let label = self.label_of(line);
        self.phone_preferences.push(preference(line));
        self.record.phones.push(Phone {
            number,
            label,
            ..Phone::default()
        });
    }

    fn take_address(&mut self, line: &'a Line) {
        let parts: Vec<String> = line.components().into_iter().map(unescape).collect();
        let part = |index: usize| parts.get(index).cloned().unwrap_or_default();
        let address = Parts {
            po_box: part(0),
            extended: part(1),
            street: part(2),
            locality: part(3),
            region: part(4),
            postal_code: part(5),
            country: part(6),
        };
        if let Some(address) = address.into_address() {
            let label = self.label_of(line);
            self.address_labels.push(label);
            self.record.postal_addresses.push(address);
        }
    }

    /// The types in lower case, then the label of the line's group.
    fn label_of(&mut self, line: &'a Line) -> String {
        let (mut parts, mut known) = (Vec::new(), BTreeSet::new());
        for word in line.values("TYPE").flat_map(|types| types.split(',')) {
            let word = word.trim().to_lowercase();
            if !word.is_empty() && word != "pref" && known.insert(word.clone()) {
                parts.push(word);
            }
        }
        if let Some(label) = self.group_labels.get(line.group.as_str()) {
            self.used_groups.insert(&line.group);
            parts.push(label.clone());
        }
        shortened_label(parts.join(","))
    }

    fn drop(&mut self, line: &'a Line) {
        if self.known_dropped.insert(&line.name) {
            self.dropped.push(line.name.clone());
        }
    }

    fn finish(mut self) -> Result<Read, CardRefusal> {
        self.keep_foreign_lines();
        let record = &mut self.record;
        if let Some(index) = preferred(&self.email_preferences) {
            record.emails[index].primary = true;
        }
        if let Some(index) = preferred(&self.phone_preferences) {
            record.phones[index].primary = true;
        }
        put_labels(
            &mut record.attributes,
            attribute::POSTAL_ADDRESS_LABELS,
            self.address_labels,
        );
        put_labels(
            &mut record.attributes,
            attribute::URL_LABELS,
            self.url_labels,
        );
        record.settle_kind();
        let record = match &self.more {
            Some(more) => patch::apply(record, more).map_err(|_| CardRefusal::AdditionInvalid)?,
            None => self.record,
        };
        if !record.is_identified() && self.more.is_none() {
            return Err(CardRefusal::Unidentified);
        }
        Ok(Read {
            version: self.version,
            record,
            dropped: self.dropped,
        })
    }

    /// Lines that mean nothing to us, as far as there is room, except labels that are in use.
    fn keep_foreign_lines(&mut self) {
        let mut len = 0;
        let mut kept = Vec::new();
        for line in std::mem::take(&mut self.kept) {
            if line.name == "X-ABLABEL" && self.used_groups.contains(line.group.as_str()) {
                continue;
            }
            let text = line.unfolded();
            if len + text.len() > KEPT_LEN_MAX {
                self.drop(line);
                continue;
            }
            len += text.len();
            kept.push(serde_json::Value::String(text));
        }
        if !kept.is_empty() {
            self.record
                .attributes
                .insert(attribute::VCARD.to_owned(), kept.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<Line> {
        text.lines()
            .map(|line| Line::parse(line.as_bytes()).unwrap())
            .collect()
    }

    #[test]
    fn types_preference_and_group_label_become_the_label() {
        let card = "FN:Ada\nTEL;TYPE=\"WORK,voice\";PREF=2:1\nTEL;HOME;PREF:2\n\
                    item1.EMAIL;TYPE=INTERNET:ada@example.com\nitem1.X-ABLabel:_$!<Other>!$_\n\
                    EMAIL;TYPE=pref:mailto:b@Example.com\nEMAIL;X400:/C=GB/S=L";
        let record = record(&lines(card)).ok().unwrap().record;
        let phones: Vec<_> = record
            .phones
            .iter()
            .map(|p| (p.label.as_str(), p.primary))
            .collect();
        assert_eq!(phones, [("work,voice", false), ("home", true)]);
        let emails: Vec<_> = record
            .emails
            .iter()
            .map(|e| (e.address.as_str(), e.label.as_str(), e.primary))
            .collect();
        assert_eq!(
            emails,
            [
                ("ada@example.com", "internet,other", false),
                ("b@example.com", "", true)
            ]
        );
        assert_eq!(
            record.attributes[attribute::VCARD][0],
            "EMAIL;TYPE=X400:/C=GB/S=L"
        );
    }

    #[test]
    fn companies_and_groups_are_told_by_kind() {
        let kind = |text: &str| record(&lines(text)).ok().unwrap().record.kind;
        assert_eq!(kind("FN:Example Ltd\nORG:Example Ltd"), Kind::Company);
        assert_eq!(kind("FN:Ada\nORG:Example Ltd"), Kind::Unspecified);
        assert_eq!(kind("KIND:group\nFN:Friends"), Kind::Group);
        assert_eq!(kind("FN:Example\nX-ABShowAs:COMPANY"), Kind::Company);
    }
}
