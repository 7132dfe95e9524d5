//! From a row of headers to what each column is: whole headers, and what neighbours tell.
//!
//! Invariant: a header is understood only if every word of it is. `E-mail` and `Work e-mail
//! address` are e-mail addresses, `E-mail bounce reason` is not.

use std::collections::{BTreeMap, BTreeSet};

use super::nouns::{address, point};
use super::programs::Program;
use super::target::{AddressPart, DayPart, Field, PointPart, Slot, Target};
use super::words::{ATTRIBUTES, EXTERNAL_IDS, FIELDS, LABELS, NEUTRAL, english, words};
use crate::formats::attribute;

/// What the columns under these headers are; None for one that is not used.
pub fn targets(headers: &[String], program: Option<Program>) -> Vec<Option<Target>> {
    if program == Some(Program::Clientele) {
        return headers
            .iter()
            .map(|header| super::export::target_of(header))
            .collect();
    }
    let mut targets: Vec<Option<Target>> = headers
        .iter()
        .map(|header| target(header, program))
        .collect();
    settle_titles(headers, &mut targets);
    settle_addresses(headers, &mut targets);
    make_distinct(&mut targets);
    targets
}

/// What the column under one header is, looked at alone.
fn target(header: &str, program: Option<Program>) -> Option<Target> {
    let words = english(&words(header));
    let phrase = words.join(" ");
    let bare: Vec<String> = words
        .iter()
        .filter(|word| !NEUTRAL.contains(&word.as_str()))
        .cloned()
        .collect();
    let target = by_phrase(&phrase, program)
        .or_else(|| by_phrase(&without_numbers(&phrase), program).filter(|_| is_grouped(&phrase)))
        .or_else(|| pair(&words))
        .or_else(|| point(&bare))
        .or_else(|| bare_phone(&words, program))
        .or_else(|| address(&bare))
        .or_else(|| by_phrase(&bare.join(" "), program))?;
    let is_name = target == Target::Field(Field::DisplayName);
    if is_name && program.is_some_and(Program::lists_clients) {
        return Some(Target::Field(Field::ClientName));
    }
    Some(target)
}

/// Yahoo names its phone numbers only by what they are used for.
fn bare_phone(words: &[String], program: Option<Program>) -> Option<Target> {
    let [label] = words else { return None };
    let is_phone = program == Some(Program::Yahoo)
        && ["home", "work", "other", "primary"].contains(&label.as_str());
    let slot = Slot {
        label: label.clone(),
        number: 0,
    };
    is_phone.then_some(Target::Phone(slot, PointPart::Value))
}

fn by_phrase(phrase: &str, program: Option<Program>) -> Option<Target> {
    let is_one_of = |ways: &str| ways.split('|').any(|way| way == phrase);
    if let Some((field, _)) = FIELDS.iter().find(|(_, ways)| is_one_of(ways)) {
        return Some(Target::Field(*field));
    }
    if let Some((key, _)) = ATTRIBUTES.iter().find(|(_, ways)| is_one_of(ways)) {
        return Some(Target::attribute(key));
    }
    match phrase {
        "birth year" => Some(Target::Birthday(DayPart::Year)),
        "birth month" => Some(Target::Birthday(DayPart::Month)),
        "birth day" => Some(Target::Birthday(DayPart::Day)),
        _ if is_one_of(LABELS) => Some(Target::Labels),
        // A key means something only together with the system it is of.
        _ if is_one_of(EXTERNAL_IDS) => program.map(|p| Target::ExternalId(p.system().to_owned())),
        _ => None,
    }
}

/// Headers such as `Organization 1 - Name`.
fn is_grouped(phrase: &str) -> bool {
    phrase.starts_with("organization ") && phrase.contains(|c: char| c.is_ascii_digit())
}

fn without_numbers(phrase: &str) -> String {
    let is_word = |word: &&str| !word.bytes().all(|b| b.is_ascii_digit());
    phrase
        .split(' ')
        .filter(is_word)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Pairs of columns that hold a label and a value: `Event 1 - Label`, `Custom Field 1 - Value`.
fn pair(words: &[String]) -> Option<Target> {
    let (last, rest) = words.split_last()?;
    let (number, noun) = rest.split_last()?;
    let slot = Slot {
        label: noun.join("_"),
        number: number.parse().ok()?,
    };
    let part = match last.as_str() {
        "value" => PointPart::Value,
        "label" | "type" => PointPart::Label,
        _ => return None,
    };
    let is_known = ["event", "relation", "custom_field", "im"].contains(&slot.label.as_str());
    is_known.then_some(Target::Pair(slot, part))
}

/// Beside a job title a bare `Title` is what stands before the name.
fn settle_titles(headers: &[String], targets: &mut [Option<Target>]) {
    let title = Some(Target::Field(Field::Title));
    if targets.iter().filter(|target| **target == title).count() < 2 {
        return;
    }
    for (header, target) in headers.iter().zip(targets) {
        if *target == title && words(header) == ["title"] {
            *target = Some(Target::attribute(attribute::NAME_PREFIX));
        }
    }
}

/// A bare `Address` is the first line of an address that has no street column of its own. A region
/// with no other part of an address is where some program thinks somebody is, not an address.
fn settle_addresses(headers: &[String], targets: &mut [Option<Target>]) {
    let (mut with_street, mut with_more) = (BTreeSet::new(), BTreeSet::new());
    for target in targets.iter().flatten() {
        if let Target::Address(slot, part) = target {
            if *part == AddressPart::Line(1) {
                with_street.insert(slot.clone());
            }
            if *part != AddressPart::Region {
                with_more.insert(slot.clone());
            }
        }
    }
    for (header, target) in headers.iter().zip(targets) {
        let Some(Target::Address(slot, part)) = target else {
            continue;
        };
        let is_marked = words(header).iter().any(|word| word == "formatted");
        if *part == AddressPart::Formatted && !is_marked && !with_street.contains(slot) {
            *part = AddressPart::Line(1);
        } else if *part == AddressPart::Region && !with_more.contains(slot) {
            *target = None;
        }
    }
}

/// Columns with the same header are several addresses or numbers: each gets the first number from
/// its own on that none before it has.
fn make_distinct(targets: &mut [Option<Target>]) {
    // Where to look further for a target that is taken. Paths are shortened behind each walk, so
    // that as many equal headers as a file can have cost no more than others.
    let mut further: BTreeMap<Target, u32> = BTreeMap::new();
    for target in targets.iter_mut().flatten() {
        let mut passed = Vec::new();
        while let (Some(number), Some(slot)) = (further.get(target), several(target)) {
            passed.push(slot.number);
            slot.number = *number;
        }
        let Some(next) = several(target).and_then(|slot| slot.number.checked_add(1)) else {
            continue;
        };
        further.insert(target.clone(), next);
        for number in passed {
            let mut taken = target.clone();
            if let Some(slot) = several(&mut taken) {
                slot.number = number;
            }
            further.insert(taken, next);
        }
    }
}

/// The slot of what a file may have several of under one header.
fn several(target: &mut Target) -> Option<&mut Slot> {
    match target {
        Target::Email(slot, PointPart::Value)
        | Target::Phone(slot, PointPart::Value)
        | Target::Url(slot, PointPart::Value) => Some(slot),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::csv::records::COLUMNS_MAX;

    fn written(headers: &[&str]) -> Vec<String> {
        let headers: Vec<String> = headers.iter().map(|header| (*header).to_owned()).collect();
        let program = Program::recognise(&headers);
        targets(&headers, program)
            .into_iter()
            .map(|target| target.map_or_else(String::new, |target| target.to_string()))
            .collect()
    }

    fn check(cases: &[(&str, &str)]) {
        let headers: Vec<&str> = cases.iter().map(|(header, _)| *header).collect();
        for ((header, expected), target) in cases.iter().zip(written(&headers)) {
            assert_eq!(target, *expected, "{header}");
        }
    }

    #[test]
    fn every_word_must_be_understood() {
        check(&[
            ("E-mail", "email"),
            ("Work e-mail address", "email:work"),
            ("Email bounce reason", ""),
            ("Email Type", ""),
            ("Last email date", ""),
            ("Number of employees", ""),
            ("IP Address", ""),
            ("Company Main Phone", "phone:company main"),
            ("Mobile", "phone:mobile"),
            ("Fax Number", "phone:fax"),
            ("Phone Extension", ""),
            ("TTY/TDD Phone", "phone:tty tdd"),
            ("Currency Code", ""),
            ("LinkedIn URL", ""),
            ("Status", ""),
        ]);
    }

    #[test]
    fn as_many_equal_headers_as_a_file_can_have_are_told_apart() {
        let headers = vec!["Email"; COLUMNS_MAX];
        let found = written(&headers);
        assert_eq!(
            (found[0].as_str(), found[1].as_str()),
            ("email", "email::1")
        );
        let distinct: BTreeSet<&String> = found.iter().collect();
        assert_eq!(distinct.len(), COLUMNS_MAX);
        let last = format!("Phone {}", u32::MAX);
        let phone = format!("phone::{}", u32::MAX);
        check(&[
            ("Phone 1", "phone::1"),
            ("Phone", "phone"),
            ("Phone", "phone::2"),
        ]);
        check(&[(&last, &phone), (&last, &phone)]);
    }

    #[test]
    fn a_crm_s_columns() {
        check(&[
            ("Record ID", "external_id:hubspot"),
            ("First Name", "given_name"),
            ("Last Name", "family_name"),
            ("Email", "email"),
            ("Phone Number", "phone"),
            ("Mobile Phone Number", "phone:mobile"),
            ("Associated Company", "organization"),
            ("Job Title", "title"),
            ("Lifecycle Stage", "requested_stage"),
            ("Lead Status", ""),
            ("Contact owner", "owner"),
            ("Website URL", "url"),
            ("Street Address", "address.line1"),
            ("City", "address.city"),
            ("State/Region", "address.region"),
            ("Postal Code", "address.postal_code"),
            ("Country/Region", "address.country"),
        ]);
        check(&[
            ("Salutation", "attribute:name_prefix"),
            ("FirstName", "given_name"),
            ("LastName", "family_name"),
            ("Title", "title"),
            ("Account Name", "organization"),
            ("Mailing Street", "address.line1:mailing"),
            ("Mailing State/Province", "address.region:mailing"),
            ("Mailing Zip/Postal Code", "address.postal_code:mailing"),
            ("MobilePhone", "phone:mobile"),
            ("Email Opt Out", "attribute:email_opt_out"),
            ("Lead Source", "attribute:lead_source"),
        ]);
    }

    #[test]
    fn billing_programs_columns() {
        check(&[
            ("customer_name", "client_name"),
            ("contact_first_name", "given_name"),
            ("customer_currency", ""),
            ("toll_free", "phone:toll free"),
            ("province/state", "address.region"),
            ("address_line_2", "address.line2"),
            ("postal_code/zip_code", "address.postal_code"),
            ("ship-to_contact", ""),
            (
                "ship-to_postal_code/zip_code",
                "address.postal_code:ship to",
            ),
            ("ship-to_phone", "phone:ship to"),
        ]);
        check(&[
            ("Name", "client_name"),
            ("Paid to Date", ""),
            ("Billing Apt/Suite", "address.extended:billing"),
            ("Public Notes", "note"),
            ("Phone", "phone"),
            ("VAT Number", "tax_id"),
            ("Phone", "phone::1"),
        ]);
        check(&[
            ("Display Name", "display_name"),
            ("Billing Address", "address.line1:billing"),
            ("Billing Street2", "address.line2:billing"),
            ("Billing Code", "address.postal_code:billing"),
            ("Billing Attention", ""),
            ("EmailID", "email"),
            ("Designation", "title"),
        ]);
    }

    #[test]
    fn other_languages() {
        check(&[
            ("Vorname", "given_name"),
            ("Nachname", "family_name"),
            ("E-Mail-Adresse", "email"),
            ("Telefon gesch\u{e4}ftlich", "phone:work"),
            ("Handy", "phone:mobile"),
            ("Firma", "organization"),
            ("Stra\u{df}e", "address.line1"),
            ("PLZ", "address.postal_code"),
            ("Ort", "address.city"),
        ]);
        check(&[
            ("Pr\u{e9}nom", "given_name"),
            ("Nom", "family_name"),
            ("Soci\u{e9}t\u{e9}", "organization"),
            ("T\u{e9}l\u{e9}phone portable", "phone:mobile"),
            ("Courriel", "email"),
            ("Code postal", "address.postal_code"),
        ]);
    }
}
