//! What holds for any record and any bytes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use contacts::domain::emails::EmailAddress;
use contacts::domain::phones::e164;
use contacts::formats::attribute::{self, Attributes};
use contacts::formats::csv::{self, Analyzer};
use contacts::formats::record::{
    ContactRecord, Email, ExternalId, FACTS, Kind, Phone, PostalAddress,
};
use contacts::formats::vcard::{self, Version};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::Value;

/// Any text, the troublesome ones more often than chance would have them.
fn text() -> BoxedStrategy<String> {
    let troublesome = prop::sample::select(vec![
        "",
        " ",
        ",",
        ";",
        ":",
        "\\",
        "\\n",
        "\"",
        "'",
        "=1",
        "'=1",
        "\r",
        "\n",
        "\r\n",
        "\t",
        ";;;;",
        "END:VCARD",
        "\r\nEND:VCARD\r\n",
        " ::: ",
        "a,b;c",
        "\u{feff}",
        "\u{0}",
        "=3B",
        "work",
        "pref",
        "Work,Home",
        "_$!<Home>!$_",
        "US",
        "United States",
        "1980-03-21",
        "--0321",
        "{",
        "{}",
        "a=b",
        "tel:+1",
        "data:,",
        "\u{2028}",
        "\u{1f600}",
    ]);
    prop_oneof![
        2 => troublesome.prop_map(str::to_owned),
        2 => "[a-zA-Z ]{1,12}",
        1 => any::<String>(),
        1 => "\\PC{0,200}",
    ]
    .boxed()
}

fn json_value() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>()
            .prop_filter("JSON has no infinity", |n| n.is_finite())
            .prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            vec((text(), inner), 0..3).prop_map(|pairs| pairs.into_iter().collect()),
        ]
    })
    .boxed()
}

fn attributes() -> BoxedStrategy<Attributes> {
    let known = prop::sample::select(vec![
        attribute::MIDDLE_NAME,
        attribute::NAME_PREFIX,
        attribute::NICKNAME,
        attribute::DEPARTMENT,
        attribute::ROLE,
        attribute::FURTHER_TITLES,
        attribute::BIRTHDAY,
        attribute::ANNIVERSARY,
        attribute::GENDER,
        attribute::POSTAL_ADDRESS_LABELS,
        attribute::URL_LABELS,
        attribute::VCARD,
    ]);
    let key = prop_oneof![3 => known.prop_map(str::to_owned), 1 => text()];
    let value = prop_oneof![
        2 => text().prop_map(Value::from),
        1 => vec(text(), 0..4).prop_map(Value::from),
        1 => json_value(),
    ];
    btree_map(key, value, 0..4).boxed()
}

prop_compose! {
    fn email()(local in "[a-zA-Z.+]{1,8}", any in text(), valid in any::<bool>(), label in text(),
               primary in any::<bool>()) -> Email {
        let address = if valid { format!("{local}@Example.com") } else { any };
        Email { address, label, primary }
    }
}

prop_compose! {
    fn phone()(number in text(), label in text(), region in "([A-Z]{2})?", primary in any::<bool>())
        -> Phone {
        Phone { number, label, region, primary }
    }
}

prop_compose! {
    fn postal_address()(texts in vec(text(), 8), address_lines in vec(text(), 0..4),
                        recipients in vec(text(), 0..2)) -> PostalAddress {
        let [region_code, language_code, postal_code, sorting_code, administrative_area, locality,
             sublocality, organization] = texts.try_into().unwrap();
        PostalAddress {
            region_code, language_code, postal_code, sorting_code, administrative_area, locality,
            sublocality, address_lines, recipients, organization,
        }
    }
}

prop_compose! {
    fn points()(emails in vec(email(), 0..5), phones in vec(phone(), 0..5),
                postal_addresses in vec(postal_address(), 0..3), urls in vec(text(), 0..4))
        -> ContactRecord {
        ContactRecord { emails, phones, postal_addresses, urls, ..ContactRecord::default() }
    }
}

fn kind() -> BoxedStrategy<Kind> {
    prop::sample::select(vec![
        Kind::Unspecified,
        Kind::Person,
        Kind::Company,
        Kind::Group,
    ])
    .boxed()
}

prop_compose! {
    fn record()(points in points(), kind in kind(), texts in vec(text(), 11),
                facts in btree_map(prop::sample::select(FACTS.to_vec()), text(), 0..3),
                relationship_kinds in vec(text(), 0..2), ids in vec((text(), text()), 0..3),
                labels in btree_map("[a-z][a-z0-9_-]{0,10}", text(), 0..4),
                attributes in attributes()) -> ContactRecord {
        let [name, display_name, given_name, family_name, title, organization, owner, tax_id,
             legal_name, note, requested_stage] = texts.try_into().unwrap();
        let facts: BTreeMap<String, String> =
            facts.into_iter().map(|(path, text)| (path.to_owned(), text)).collect();
        let external_ids = ids.into_iter().map(|(system, id)| ExternalId { system, id }).collect();
        ContactRecord {
            name, kind, display_name, given_name, family_name, title, organization,
            relationship_kinds, owner, tax_id, legal_name, note, requested_stage, facts,
            external_ids, labels, attributes, ..points
        }
    }
}

fn from_cards(file: &[u8], chunk: usize) -> Vec<Result<ContactRecord, String>> {
    let mut reader = vcard::Reader::new();
    let mut results = Vec::new();
    for part in file.chunks(chunk.max(1)) {
        reader.feed(part);
        results.extend(std::iter::from_fn(|| reader.next_card()));
    }
    reader.finish();
    results.extend(std::iter::from_fn(|| reader.next_card()));
    results
        .into_iter()
        .map(|r| r.map(|c| c.record).map_err(|p| p.to_string()))
        .collect()
}

fn from_rows(file: &[u8], chunk: usize) -> Vec<Result<ContactRecord, String>> {
    let mut analyzer = Analyzer::new();
    file.chunks(chunk.max(1))
        .for_each(|part| analyzer.feed(part));
    let mut reader = match csv::Reader::new(&analyzer.finish()) {
        Ok(reader) => reader,
        Err(problem) => return vec![Err(problem.to_string())],
    };
    let mut results = Vec::new();
    for part in file.chunks(chunk.max(1)) {
        reader.feed(part);
        results.extend(std::iter::from_fn(|| reader.next_row()));
    }
    reader.finish();
    results.extend(std::iter::from_fn(|| reader.next_row()));
    results
        .into_iter()
        .map(|r| r.map(|row| row.record).map_err(|p| p.to_string()))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_record_survives_a_card(record in record(), second in record(), chunk in 1usize..200) {
        for version in [Version::V3, Version::V4] {
            let mut file = String::new();
            vcard::write_card(&record, version, &mut file);
            vcard::write_card(&second, version, &mut file);
            prop_assert!(file.split("\r\n").all(|line| line.len() <= 75));
            prop_assert_eq!(
                from_cards(file.as_bytes(), chunk),
                [Ok(record.clone()), Ok(second.clone())],
                "{}", file
            );
        }
    }

    #[test]
    fn any_record_survives_a_row(record in record(), second in record(), chunk in 1usize..200) {
        let mut file = Vec::new();
        let writer = csv::Writer::new();
        writer.write_header(&mut file);
        writer.write_row(&record, &mut file);
        writer.write_row(&second, &mut file);
        prop_assert_eq!(
            from_rows(&file, chunk),
            [Ok(record), Ok(second)],
            "{}", String::from_utf8_lossy(&file)
        );
    }

    #[test]
    fn any_bytes_end_in_time_without_a_panic(bytes in vec(any::<u8>(), 0..4000), chunk in 1usize..99) {
        let start = Instant::now();
        from_cards(&bytes, chunk);
        from_rows(&bytes, chunk);
        let card = [b"BEGIN:VCARD\n".as_slice(), &bytes, b"\nEND:VCARD\n"].concat();
        from_cards(&card, chunk);
        let rows = [b"First Name,Email,Phone,Labels\n".as_slice(), &bytes].concat();
        from_rows(&rows, chunk);
        prop_assert!(start.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn any_lines_of_a_card_are_taken_and_come_back(
        lines in vec("(item1\\.)?(TEL|ADR|N|ORG|EMAIL|X-A|BDAY|UID|NOTE|PHOTO|KIND|X-ABLabel)\
                      (;(TYPE=[a-z,\"]{0,6}|ENCODING=QUOTED-PRINTABLE|PREF=1|CHARSET=utf-8|b64))?\
                      :[^\\r\\n]{0,40}", 0..12),
    ) {
        let file = format!("BEGIN:VCARD\nVERSION:3.0\nFN:Ada\n{}\nEND:VCARD\n", lines.join("\n"));
        for record in from_cards(file.as_bytes(), 1000).into_iter().flatten() {
            for version in [Version::V3, Version::V4] {
                let mut again = String::new();
                vcard::write_card(&record, version, &mut again);
                prop_assert_eq!(from_cards(again.as_bytes(), 1000), [Ok(record.clone())]);
            }
        }
    }

    #[test]
    fn any_text_is_an_address_or_refused(text in text(), region in "[A-Z]{0,2}") {
        if let Ok(address) = EmailAddress::parse(&text) {
            prop_assert_eq!(EmailAddress::parse(address.as_str()), Ok(address));
        }
        if let Some(number) = e164(&text, &region) {
            prop_assert_eq!(e164(&number, ""), Some(number));
        }
    }

    #[test]
    fn any_number_like_text_has_one_form(text in "[+0-9 ()x;=a-z./-]{0,30}", region in "(US|DE|IT|)") {
        if let Some(number) = e164(&text, &region) {
            prop_assert_eq!(e164(&number, ""), Some(number));
        }
    }
}
