//! Verdicts from outside on phone numbers, e-mail addresses and hostile texts.

mod formats_support;

use contacts::domain::emails::EmailAddress;
use contacts::domain::phones::e164;
use contacts::formats::attribute;
use contacts::formats::record::ContactRecord;
use formats_support::{analyse, bytes, check_round_trips, json, list, texts, truth};
use serde_json::Value;

#[test]
fn phone_numbers_have_the_e164_form_of_libphonenumber() {
    let Some(folder) = truth("phone-email") else {
        return;
    };
    let phones = json(&folder.join("phones.json"));
    for case in list(&phones, "cases") {
        let text = |key: &str| case[key].as_str().unwrap();
        let (wanted, region) = (Some(text("e164").to_owned()), text("region"));
        for national in ["national", "example"] {
            assert_eq!(e164(text(national), region), wanted, "{case}");
            assert_eq!(
                e164(text(national), ""),
                None,
                "no region is ever guessed: {case}"
            );
        }
        for international in ["e164", "international", "rfc3966"] {
            assert_eq!(e164(text(international), ""), wanted, "{case}");
            assert_eq!(e164(text(international), region), wanted, "{case}");
        }
    }
    for case in list(&phones, "invalid") {
        assert_eq!(e164(case["e164"].as_str().unwrap(), ""), None, "{case}");
    }
}

#[test]
fn email_verdicts_differ_only_where_the_domain_has_no_dot() {
    let Some(folder) = truth("phone-email") else {
        return;
    };
    let verdicts = json(&folder.join("raw").join("formats_protovalidate.json"));
    let mut differing = Vec::new();
    for case in list(&verdicts, "email") {
        let address = case["value"].as_str().unwrap();
        if EmailAddress::parse(address).is_ok() != case["valid"].as_bool().unwrap() {
            differing.push(address);
        }
    }
    println!("{} e-mail verdicts differ: {differing:?}", differing.len());
    assert!(
        differing
            .iter()
            .all(|a| !a.split('@').next_back().unwrap().contains('.'))
    );
    assert!(differing.len() <= 2, "{differing:?}");
}

#[test]
fn csv_spectrum_is_cut_as_its_answers_say() {
    let Some(folder) = truth("hostile") else {
        return;
    };
    let folder = folder.join("raw").join("csv-spectrum");
    let mut files = 0;
    for entry in std::fs::read_dir(folder.join("csvs")).unwrap() {
        let path = entry.unwrap().path();
        let answer = path
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .replace(".csv", ".json");
        let mut expected = bytes(&folder.join("json").join(answer));
        let file = bytes(&path);
        if !file.contains(&b'\r') {
            // The file lost its carriage returns on its way here; its answer cannot have any.
            let text = String::from_utf8(expected).unwrap();
            expected = text.replace("\\r", "").into_bytes();
        }
        let expected: Value = serde_json::from_slice(&expected).unwrap();
        let rows = analyse(&file).first_rows;
        let (headers, rows) = rows.split_first().unwrap();
        let found: Vec<Value> = rows
            .iter()
            .map(|row| {
                let cells = headers.iter().zip(row);
                cells
                    .map(|(header, cell)| (header.clone(), Value::from(cell.as_str())))
                    .collect()
            })
            .collect();
        assert_eq!(Value::from(found), expected, "{}", path.display());
        files += 1;
    }
    assert!(files >= 11);
}

#[test]
fn naughty_strings_come_back_byte_for_byte() {
    let Some(folder) = truth("hostile") else {
        return;
    };
    let strings = texts(&json(&folder.join("raw").join("blns.json")));
    assert!(strings.len() > 500);
    let records: Vec<ContactRecord> = strings
        .iter()
        .filter(|text| !text.is_empty())
        .map(|text| {
            let mut record = ContactRecord {
                display_name: text.clone(),
                given_name: text.clone(),
                family_name: text.clone(),
                organization: text.clone(),
                note: text.clone(),
                urls: vec![text.clone()],
                ..ContactRecord::default()
            };
            record.labels.insert("naughty".into(), text.clone());
            record
                .attributes
                .insert(attribute::NICKNAME.into(), text.clone().into());
            record.attributes.insert(text.clone(), text.clone().into());
            record
        })
        .collect();
    check_round_trips(&records, "blns.json");
}
