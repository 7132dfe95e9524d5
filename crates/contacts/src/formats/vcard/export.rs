//! A record as a card.

use super::Version;
use super::cards::Reader;
use super::import::{CONTACT, MORE, UID_SYSTEM, is_foreign};
use super::line::{Line, escape, fold};
use crate::formats::attribute::{self, label_at};
use crate::formats::patch;
use crate::formats::postal::Parts;
use crate::formats::record::{ContactRecord, Kind};

/// Appends a record as a card.
///
/// Reading the card again gives an equal record, whatever texts are in it: what the card's own
/// properties do not bring back stands in `X-CLIENTELE-MORE`.
pub fn write_card(record: &ContactRecord, version: Version, out: &mut String) {
    let mut card = String::new();
    properties(record, version, &mut card);
    if let Some(more) = patch::difference(&read_back(&card), record) {
        fold(&format!("{MORE}:{}", escape(&more)), &mut card);
    }
    out.push_str(&card);
    out.push_str("END:VCARD\r\n");
}

/// What our importer makes of the card so far.
fn read_back(card: &str) -> ContactRecord {
    let mut reader = Reader::new();
    reader.feed(card.as_bytes());
    reader.feed(b"END:VCARD\r\n");
    reader.finish();
    match reader.next_card() {
        Some(Ok(card)) => card.record,
        _ => ContactRecord::default(),
    }
}

fn properties(record: &ContactRecord, version: Version, out: &mut String) {
    let mut put = |line: String| fold(&line, out);
    put("BEGIN:VCARD".to_owned());
    put(format!(
        "VERSION:{}",
        if version == Version::V4 { "4.0" } else { "3.0" }
    ));
    let kind = match record.kind {
        Kind::Unspecified => None,
        Kind::Person => Some("individual"),
        Kind::Company => Some("org"),
        Kind::Group => Some("group"),
    };
    if let (Some(kind), Version::V4) = (kind, version) {
        put(format!("KIND:{kind}"));
    } else if record.kind == Kind::Company {
        put("X-ABShowAs:COMPANY".to_owned());
    }
    name_properties(record, &mut put);
    point_properties(record, version, &mut put);
    for (name, text) in [("TITLE", &record.title), ("NOTE", &record.note)] {
        if !text.is_empty() {
            put(format!("{name}:{}", escape(text)));
        }
    }
    attribute_properties(record, version, &mut put);
    let categories: Vec<String> = crate::formats::labels::categories(&record.labels)
        .map(|text| escape(&text))
        .collect();
    if !categories.is_empty() {
        put(format!("CATEGORIES:{}", categories.join(",")));
    }
    if let Some(uid) = record
        .external_ids
        .iter()
        .find(|id| id.system == UID_SYSTEM)
    {
        put(format!("UID:{}", escape(&uid.id)));
    }
    if !record.name.is_empty() {
        put(format!("{CONTACT}:{}", escape(&record.name)));
    }
}

/// FN and N are required in both versions, so they are written even when empty.
fn name_properties(record: &ContactRecord, put: &mut impl FnMut(String)) {
    let part = |key: &str| {
        let texts = record
            .attributes
            .get(key)
            .and_then(attribute::texts)
            .unwrap_or_default();
        texts
            .iter()
            .map(|text| escape(text))
            .collect::<Vec<_>>()
            .join(",")
    };
    put(format!("FN:{}", escape(&record.shown_name())));
    put(format!(
        "N:{};{};{};{};{}",
        escape(&record.family_name),
        escape(&record.given_name),
        part(attribute::MIDDLE_NAME),
        part(attribute::NAME_PREFIX),
        part(attribute::NAME_SUFFIX),
    ));
    let departments = record
        .attributes
        .get(attribute::DEPARTMENT)
        .and_then(attribute::texts)
        .unwrap_or_default();
    let organization = match record.kind {
        Kind::Company if record.organization.is_empty() => &record.display_name,
        _ => &record.organization,
    };
    if !organization.is_empty() || !departments.is_empty() {
        let mut text = format!("ORG:{}", escape(organization));
        for department in departments {
            text.push(';');
            text.push_str(&escape(&department));
        }
        put(text);
    }
}

/// E-mail addresses, phone numbers, postal addresses and web pages with their labels.
fn point_properties(record: &ContactRecord, version: Version, put: &mut impl FnMut(String)) {
    let mut groups = 0;
    let mut point = |name: &str, label: &str, primary: bool, uri: bool, value: String| {
        let (types, rest) = split_label(label);
        let mut types: Vec<&str> = types;
        let mut params = String::new();
        if primary && version == Version::V3 {
            types.push("pref");
        }
        if !types.is_empty() {
            params.push_str(";TYPE=");
            params.push_str(&types.join(","));
        }
        if primary && version == Version::V4 {
            params.push_str(";PREF=1");
        }
        if uri {
            params.push_str(";VALUE=uri");
        }
        match rest {
            None => put(format!("{name}{params}:{value}")),
            Some(rest) => {
                groups += 1;
                put(format!("clientele{groups}.{name}{params}:{value}"));
                put(format!("clientele{groups}.X-ABLabel:{}", escape(&rest)));
            }
        }
    };
    for email in &record.emails {
        point(
            "EMAIL",
            &email.label,
            email.primary,
            false,
            escape(&email.address),
        );
    }
    for phone in &record.phones {
        let uri = version == Version::V4 && phone.number.starts_with("tel:");
        point(
            "TEL",
            &phone.label,
            phone.primary,
            uri,
            escape(&phone.number),
        );
    }
    for (index, address) in record.postal_addresses.iter().enumerate() {
        let label = label_at(&record.attributes, attribute::POSTAL_ADDRESS_LABELS, index);
        let parts = Parts::of(address);
        let components = [
            &parts.po_box,
            &parts.extended,
            &parts.street,
            &parts.locality,
            &parts.region,
            &parts.postal_code,
            &parts.country,
        ];
        let value = components.map(|part| escape(part)).join(";");
        point("ADR", &label, false, false, value);
    }
    for (index, url) in record.urls.iter().enumerate() {
        let label = label_at(&record.attributes, attribute::URL_LABELS, index);
        point("URL", &label, false, false, escape(url));
    }
}

/// The leading words of a label that can be types, and what is left for a label of its own.
fn split_label(label: &str) -> (Vec<&str>, Option<String>) {
    let is_type = |word: &str| {
        word != "pref"
            && !word.is_empty()
            && word
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let parts: Vec<&str> = label.split(',').collect();
    let types: Vec<&str> = parts
        .iter()
        .copied()
        .take_while(|word| is_type(word))
        .collect();
    let rest = parts[types.len()..].join(",");
    match (types.len() == parts.len(), rest.is_empty()) {
        _ if label.is_empty() => (Vec::new(), None),
        (true, _) => (types, None),
        (false, true) => (Vec::new(), Some(label.to_owned())),
        (false, false) => (types, Some(rest)),
    }
}

/// Attributes that have a property, and the lines of foreign cards that were kept.
fn attribute_properties(record: &ContactRecord, version: Version, put: &mut impl FnMut(String)) {
    let texts = |key: &str| record.attributes.get(key).and_then(attribute::texts);
    let properties = [
        ("NICKNAME", attribute::NICKNAME),
        ("TITLE", attribute::FURTHER_TITLES),
        ("ROLE", attribute::ROLE),
    ];
    for (name, key) in properties {
        for text in texts(key).unwrap_or_default() {
            put(format!("{name}:{}", escape(&text)));
        }
    }
    let days = [
        ("BDAY", attribute::BIRTHDAY, true),
        (
            "ANNIVERSARY",
            attribute::ANNIVERSARY,
            version == Version::V4,
        ),
    ];
    for (name, key, defined) in days {
        if let Some(text) = attribute::text(&record.attributes, key)
            && defined
        {
            put(day(name, text, version));
        }
    }
    if let Some(gender) = attribute::text(&record.attributes, attribute::GENDER)
        && version == Version::V4
    {
        put(format!("GENDER:{}", escape(gender)));
    }
    for text in texts(attribute::VCARD).unwrap_or_default() {
        if is_whole_foreign_line(&text) {
            put(text);
        }
    }
}

/// A day in the form of the version; a text that is no day is marked as text.
fn day(name: &str, text: &str, version: Version) -> String {
    let is_day = text.len() >= 7
        && text.bytes().all(|b| b.is_ascii_digit() || b == b'-')
        && (text.starts_with("--") || text.len() == 10);
    match (is_day, version) {
        (true, Version::V4) => {
            let sign = if text.starts_with("--") { "--" } else { "" };
            format!("{name}:{sign}{}", text.replace('-', ""))
        }
        (true, Version::V3) => format!("{name}:{text}"),
        (false, _) => format!("{name};VALUE=text:{}", escape(text)),
    }
}

/// Attributes can be set by anybody, so a line is written only if it is exactly one line, of a
/// property that can neither begin nor end a card nor change what we write ourselves.
fn is_whole_foreign_line(text: &str) -> bool {
    !text.chars().any(|c| c.is_control() && c != '\t')
        && Line::parse(text.as_bytes())
            .is_some_and(|line| is_foreign(&line.name) && line.unfolded() == text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::record::Phone;

    fn written(record: &ContactRecord, version: Version) -> String {
        let mut card = String::new();
        write_card(record, version, &mut card);
        card
    }

    fn read(card: &str) -> ContactRecord {
        let mut reader = Reader::new();
        reader.feed(card.as_bytes());
        reader.finish();
        let record = reader.next_card().unwrap().unwrap().record;
        assert!(reader.next_card().is_none());
        record
    }

    #[test]
    fn no_text_can_break_out_of_its_property() {
        let hostile = "x\r\nEND:VCARD\r\nBEGIN:VCARD\r\nFN:y";
        let mut record = ContactRecord {
            display_name: hostile.into(),
            phones: vec![Phone {
                number: "1".into(),
                label: format!("work,{hostile}"),
                ..Phone::default()
            }],
            ..ContactRecord::default()
        };
        record.attributes.insert(
            attribute::VCARD.into(),
            serde_json::json!(["END:VCARD", hostile, "X-OK:1", "FN:z"]),
        );
        for version in [Version::V3, Version::V4] {
            let card = written(&record, version);
            assert_eq!(card.matches("\r\nEND:VCARD").count(), 1, "{card}");
            assert!(card.contains("\r\nX-OK:1\r\n"));
            assert_eq!(read(&card), record);
        }
    }

    #[test]
    fn labels_are_split_into_types_and_the_rest() {
        assert_eq!(split_label("work,voice"), (vec!["work", "voice"], None));
        assert_eq!(
            split_label("internet,My own"),
            (vec!["internet"], Some("My own".into()))
        );
        assert_eq!(split_label("a,"), (vec![], Some("a,".into())));
        assert_eq!(split_label(""), (vec![], None));
    }
}
