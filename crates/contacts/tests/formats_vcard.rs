//! Cards of real programs: contacts exactly as expected, and nothing lost on the way back.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod formats_support;

use std::fmt::Write as _;

use contacts::formats::attribute;
use contacts::formats::record::ContactRecord;
use formats_support::{bytes, check_round_trips, json, list, read_cards, texts, truth};
use serde_json::Value;
use sha2::{Digest, Sha256};

#[test]
fn cards_of_real_programs_are_imported_exactly() {
    let Some(folder) = truth("vcard") else { return };
    for file in list(&json(&folder.join("expected.json")), "files") {
        let name = file["file"].as_str().unwrap();
        let records = read_cards(&bytes(&folder.join("raw").join(name)));
        let cards = list(file, "cards");
        assert_eq!(records.len(), cards.len(), "{name}");
        for (record, card) in records.iter().zip(cards) {
            check_card(record, card, name);
        }
        check_round_trips(&records, name);
    }
}

fn check_card(record: &ContactRecord, card: &Value, file: &str) {
    let attribute = |key: &str| record.attributes.get(key).map(texts).unwrap_or_default();
    assert_eq!(
        record.display_name,
        card["formatted_name"].as_str().unwrap(),
        "{file}"
    );
    let name = &card["name"];
    assert_eq!(
        record.family_name,
        name["family"].as_str().unwrap_or_default(),
        "{file}"
    );
    assert_eq!(
        record.given_name,
        name["given"].as_str().unwrap_or_default(),
        "{file}"
    );
    assert_eq!(
        attribute(attribute::MIDDLE_NAME),
        texts(&name["additional"]),
        "{file}"
    );
    assert_eq!(
        attribute(attribute::NAME_PREFIX),
        texts(&name["prefixes"]),
        "{file}"
    );
    assert_eq!(
        attribute(attribute::NAME_SUFFIX),
        texts(&name["suffixes"]),
        "{file}"
    );
    assert_eq!(record.title, texts(&card["titles"]).join("|"), "{file}");
    assert_eq!(attribute(attribute::ROLE), texts(&card["roles"]), "{file}");
    assert_eq!(
        attribute(attribute::NICKNAME),
        texts(&card["nicknames"]),
        "{file}"
    );
    assert_eq!(
        attribute(attribute::BIRTHDAY),
        texts(&card["birthdays"]),
        "{file}"
    );
    check_rest(record, card, file);
    check_points(record, card, file);
    check_addresses(record, card, file);
    check_note(&record.note, card, file);
}

fn check_rest(record: &ContactRecord, card: &Value, file: &str) {
    let attribute = |key: &str| record.attributes.get(key).map(texts).unwrap_or_default();
    assert_eq!(record.urls, texts(&card["urls"]), "{file}");
    let mut organization = texts(&card["organizations"]).into_iter();
    assert_eq!(
        record.organization,
        organization.next().unwrap_or_default(),
        "{file}"
    );
    assert_eq!(
        attribute(attribute::DEPARTMENT),
        organization.collect::<Vec<_>>(),
        "{file}"
    );
    let uids: Vec<&str> = record
        .external_ids
        .iter()
        .map(|id| id.id.as_str())
        .collect();
    assert_eq!(uids, texts(&card["uids"]), "{file}");
    let categories: Vec<&String> = record.labels.values().collect();
    assert_eq!(
        categories,
        texts(&card["categories"]).iter().collect::<Vec<_>>(),
        "{file}"
    );
}

/// Types in lower case become the label, but `pref` becomes the mark of the one to use.
fn check_points(record: &ContactRecord, card: &Value, file: &str) {
    let emails = record
        .emails
        .iter()
        .map(|e| (e.address.to_lowercase(), &e.label, e.primary));
    let phones = record
        .phones
        .iter()
        .map(|p| (p.number.clone(), &p.label, p.primary));
    let points = [
        ("emails", emails.collect::<Vec<_>>()),
        ("phones", phones.collect()),
    ];
    for (key, found) in points {
        let expected = list(card, key);
        assert_eq!(found.len(), expected.len(), "{file}: {key}");
        for ((value, label, primary), point) in found.into_iter().zip(expected) {
            let wanted = point["value"].as_str().unwrap();
            let wanted = if key == "emails" {
                wanted.to_lowercase()
            } else {
                wanted.to_owned()
            };
            assert_eq!(value, wanted, "{file}: {key}");
            let mut types = texts(&point["types"]);
            let preferred = types.iter().any(|word| word == "pref") || point["pref"] == "1";
            types.retain(|word| word != "pref");
            assert_eq!(primary, preferred, "{file}: {value}");
            let labels: Vec<&str> = label.split(',').collect();
            assert!(
                types.iter().all(|word| labels.contains(&word.as_str())),
                "{file}: {label}"
            );
        }
    }
}

fn check_addresses(record: &ContactRecord, card: &Value, file: &str) {
    let expected = list(card, "addresses");
    assert_eq!(record.postal_addresses.len(), expected.len(), "{file}");
    for (index, (address, wanted)) in record.postal_addresses.iter().zip(expected).enumerate() {
        let text = |key: &str| wanted[key].as_str().unwrap_or_default().to_owned();
        assert_eq!(address.locality, text("locality"), "{file}");
        assert_eq!(address.administrative_area, text("region"), "{file}");
        assert_eq!(address.postal_code, text("postalCode"), "{file}");
        let lines = ["poBox", "extendedAddress", "streetAddress"]
            .map(text)
            .join("\n");
        let lines: Vec<&str> = lines.split('\n').filter(|line| !line.is_empty()).collect();
        assert_eq!(address.address_lines, lines, "{file}");
        let code = match text("country").as_str() {
            "" => "",
            "Canada" => "CA",
            "USA" | "U.S.A." | "United States of America" => "US",
            _ => &address.region_code,
        };
        assert_eq!(address.region_code, code, "{file}");
        let labels = record.attributes.get(attribute::POSTAL_ADDRESS_LABELS);
        let label = labels
            .map(|labels| texts(labels)[index].clone())
            .unwrap_or_default();
        assert!(
            label.starts_with(&texts(&wanted["types"]).join(",")),
            "{file}: {label}"
        );
    }
}

fn check_note(note: &str, card: &Value, file: &str) {
    match list(card, "notes").first() {
        Some(Value::Object(digest)) => {
            assert_eq!(digest["length"], note.chars().count(), "{file}");
            let mut sum = String::new();
            for byte in Sha256::digest(note.as_bytes()) {
                write!(sum, "{byte:02x}").unwrap();
            }
            assert_eq!(digest["sha256"], sum, "{file}");
        }
        Some(text) => assert_eq!(text, note, "{file}"),
        None => assert_eq!(note, "", "{file}"),
    }
}
