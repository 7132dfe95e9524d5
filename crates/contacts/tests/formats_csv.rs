//! CSV exports of real programs: recognised, mapped and read exactly, and nothing guessed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod formats_support;

use contacts::formats::attribute;
use contacts::formats::csv::{self, Analysis, Mapping, MappingProblem, Target};
use contacts::formats::record::{ContactRecord, Kind};
use formats_support::{analyse, bytes, check_round_trips, json, list, read_rows, texts, truth};
use serde_json::Value;

fn csv_case(name: &str) -> Option<(Vec<u8>, Vec<Value>)> {
    let folder = truth("csv-contacts")?;
    let expected = json(&folder.join("expected.json"));
    let file = list(&expected, "files")
        .iter()
        .find(|file| file["file"] == name)
        .unwrap();
    Some((
        bytes(&folder.join("raw").join(name)),
        list(file, "contacts").to_vec(),
    ))
}

fn check_rows(records: &[ContactRecord], expected: &[Value], file: &str) {
    assert_eq!(records.len(), expected.len(), "{file}");
    for (record, contact) in records.iter().zip(expected) {
        let text = |key: &str| contact[key].as_str().unwrap_or_default();
        assert_eq!(record.given_name, text("first"), "{file}");
        assert_eq!(record.family_name, text("last"), "{file}");
        if contact.get("display").is_some() {
            assert_eq!(record.display_name, text("display"), "{file}");
        }
        let emails: Vec<String> = record
            .emails
            .iter()
            .map(|e| e.address.to_lowercase())
            .collect();
        let wanted: Vec<String> = texts(&contact["emails"]);
        assert_eq!(
            emails,
            wanted.iter().map(|e| e.to_lowercase()).collect::<Vec<_>>(),
            "{file}"
        );
        let phones: Vec<_> = record
            .phones
            .iter()
            .map(|p| (&*p.number, &*p.label))
            .collect();
        let wanted: Vec<_> = list(contact, "phones")
            .iter()
            .map(|phone| {
                (
                    phone["value"].as_str().unwrap(),
                    phone["type"].as_str().unwrap(),
                )
            })
            .collect();
        assert_eq!(phones, wanted, "{file}");
    }
    check_round_trips(records, file);
}

fn check_csv(name: &str, program: &str) -> Option<(Analysis, Vec<ContactRecord>)> {
    let (file, expected) = csv_case(name)?;
    let analysis = analyse(&file);
    assert_eq!(
        analysis.program.map(csv::Program::name),
        Some(program),
        "{name}"
    );
    let records = read_rows(&file, &analysis);
    check_rows(&records, &expected, name);
    Some((analysis, records))
}

#[test]
fn thunderbird_s_export_is_read() {
    check_csv("thunderbird_basic.csv", "Thunderbird");
}

#[test]
fn a_semicolon_separator_is_detected() {
    let Some((analysis, _)) = check_csv("thunderbird_semicolon.csv", "Thunderbird") else {
        return;
    };
    assert_eq!(analysis.separator, ';');
}

#[test]
fn without_a_header_row_a_mapping_is_required() {
    let Some((file, expected)) = csv_case("thunderbird_no_header.csv") else {
        return;
    };
    let analysis = analyse(&file);
    assert_eq!(
        csv::Reader::new(&analysis).err(),
        Some(MappingProblem::Required)
    );
    let mapping = Mapping::from_pairs([
        ("#1", "display_name"),
        ("#2", "given_name"),
        ("#3", "family_name"),
        ("#4", "email"),
    ]);
    let mapped = analysis.with_mapping(&mapping.unwrap()).unwrap();
    check_rows(
        &read_rows(&file, &mapped),
        &expected,
        "thunderbird_no_header.csv",
    );
}

#[test]
fn a_company_without_a_person_is_a_company() {
    let Some((_, records)) = check_csv("thunderbird_quote.csv", "Thunderbird") else {
        return;
    };
    assert_eq!(records[0].kind, Kind::Company);
    assert_eq!(records[0].display_name, "Acer America");
}

#[test]
fn no_name_at_all_is_no_name() {
    let file = check_csv("mailchimp_minimal.csv", "Mailchimp audience export");
    let Some((analysis, records)) = file else {
        return;
    };
    assert_eq!(records[0].display_name, "");
    assert_eq!(
        records[0].attributes[attribute::CONFIRMED],
        "2015-03-16T14:40:47"
    );
    let unused: Vec<&str> = analysis.unused_columns().collect();
    assert!(
        unused.contains(&"MEMBER_RATING") && unused.contains(&"REGION"),
        "{unused:?}"
    );
}

#[test]
fn an_address_in_the_first_name_column_is_no_name() {
    let Some((_, records)) = check_csv("google_current.csv", "Google Contacts") else {
        return;
    };
    assert_eq!(records[1].shown_name(), "user@gmail.com");
    assert!(
        records
            .iter()
            .all(|record| record.labels["other-contacts"] == "Other Contacts")
    );
}

/// A layout, the program that writes it, and what each column is that must be right.
type Layout = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

const LAYOUTS: [Layout; 4] = [
    (
        "google_current",
        "Google Contacts",
        &[
            ("First Name", "given_name"),
            ("Last Name", "family_name"),
            ("Organization Name", "organization"),
            ("Organization Title", "title"),
            ("E-mail 1 - Label", "email.label::1"),
            ("E-mail 1 - Value", "email::1"),
            ("E-mail 2 - Value", "email::2"),
            ("Phone 1 - Label", "phone.label::1"),
            ("Phone 1 - Value", "phone::1"),
            ("Address 1 - Street", "address.line1::1"),
            ("Address 1 - PO Box", "address.po_box::1"),
            ("Address 1 - Formatted", "address.formatted::1"),
            ("Custom Field 1 - Value", "pair:custom_field:1"),
            ("Photo", ""),
        ],
    ),
    (
        "outlook_com",
        "Outlook",
        &[
            ("First Name", "given_name"),
            ("Last Name", "family_name"),
            ("Title", "attribute:name_prefix"),
            ("Job Title", "title"),
            ("Company", "organization"),
            ("E-mail Address", "email"),
            ("E-mail 2 Address", "email::2"),
            ("E-mail 3 Address", "email::3"),
            ("Primary Phone", "phone:primary"),
            ("Home Phone", "phone:home"),
            ("Home Phone 2", "phone:home:2"),
            ("Mobile Phone", "phone:mobile"),
            ("Home Fax", "phone:home fax"),
            ("Company Main Phone", "phone:company main"),
            ("Business Phone 2", "phone:business:2"),
            ("Other Phone", "phone:other"),
            ("TTY/TDD Phone", "phone:tty tdd"),
            ("Home Address", "address.formatted:home"),
            ("Home Street 2", "address.line2:home"),
            ("Business Address PO Box", "address.po_box:business"),
            ("Internet Free Busy", ""),
            ("Sensitivity", ""),
        ],
    ),
    (
        "thunderbird",
        "Thunderbird",
        &[
            ("First Name", "given_name"),
            ("Last Name", "family_name"),
            ("Display Name", "display_name"),
            ("Primary Email", "email:primary"),
            ("Secondary Email", "email:secondary"),
            ("Work Phone", "phone:work"),
            ("Fax Number", "phone:fax"),
            ("Mobile Number", "phone:mobile"),
            ("Home Address", "address.line1:home"),
            ("Home Address 2", "address.line2:home"),
            ("Home ZipCode", "address.postal_code:home"),
            ("Organization", "organization"),
            ("Job Title", "title"),
            ("Birth Year", "birthday.year"),
            ("Web Page 1", "url::1"),
        ],
    ),
    (
        "mailchimp",
        "Mailchimp audience export",
        &[
            ("Email Address", "email"),
            ("First Name", "given_name"),
            ("Last Name", "family_name"),
            ("TAGS", "labels"),
            ("EUID", "external_id:mailchimp"),
            ("REGION", ""),
            ("OPTIN_IP", ""),
            ("LEID", ""),
        ],
    ),
];

#[test]
fn header_rows_of_known_programs_are_understood() {
    let Some(folder) = truth("csv-contacts") else {
        return;
    };
    let layouts = &json(&folder.join("headers.json"))["layouts"];
    let known = layouts.as_object().unwrap();
    for (name, headers) in known {
        let headers = texts(headers);
        let analysis = analyse(format!("{}\n", headers.join(",")).as_bytes());
        assert_eq!(analysis.header_row, Some(1), "{name}");
        let names: Vec<&String> = analysis.columns.iter().map(|column| &column.name).collect();
        assert_eq!(names, headers.iter().collect::<Vec<_>>(), "{name}");
        let used = analysis
            .columns
            .iter()
            .filter(|column| column.target.is_some())
            .count();
        assert_eq!(
            analysis.unused_columns().count() + used,
            headers.len(),
            "{name}"
        );
        let Some((_, program, expected)) = LAYOUTS.iter().find(|layout| layout.0 == name) else {
            assert!(analysis.problem().is_none(), "{name}");
            continue;
        };
        assert_eq!(analysis.program.map(csv::Program::name), Some(*program));
        for (header, target) in *expected {
            let column = analysis
                .columns
                .iter()
                .find(|column| column.name == *header)
                .unwrap();
            let found = column
                .target
                .as_ref()
                .map(Target::to_string)
                .unwrap_or_default();
            assert_eq!(found, *target, "{name}: {header}");
        }
    }
}
