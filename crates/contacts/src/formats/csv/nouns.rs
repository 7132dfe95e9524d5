//! Headers of e-mail addresses, phone numbers, web pages and postal addresses: a noun, and words
//! that say which of several it is.

use super::target::{AddressPart, PointPart, Slot, Target};
use super::words::{PHONE_KINDS, QUALIFIERS};

/// The words of a header by what they do.
#[derive(Default)]
struct Sorted<'a> {
    qualifiers: Vec<&'a str>,
    number: u32,
    nouns: Vec<&'a str>,
}

impl<'a> Sorted<'a> {
    fn of(words: &'a [String]) -> Self {
        let mut sorted = Self::default();
        for word in words {
            if let Ok(number) = word.parse() {
                sorted.number = number;
            } else if QUALIFIERS.contains(&word.as_str()) {
                sorted.qualifiers.push(word);
            } else {
                sorted.nouns.push(word);
            }
        }
        sorted
    }

    /// Whether the nouns are all of `allowed` and at least one of `needed`.
    fn are(&self, needed: &[&str], allowed: &[&str]) -> bool {
        self.nouns.iter().any(|noun| needed.contains(noun))
            && self
                .nouns
                .iter()
                .all(|noun| needed.contains(noun) || allowed.contains(noun))
    }

    fn slot(&self, kinds: &[&str]) -> Slot {
        let label: Vec<&str> = self.qualifiers.iter().chain(kinds).copied().collect();
        Slot {
            label: label.join(" "),
            number: self.number,
        }
    }
}

/// E-mail addresses, phone numbers and web pages.
pub fn point(words: &[String]) -> Option<Target> {
    let (part, words) = match words.split_last() {
        Some((last, rest)) if last == "value" => (PointPart::Value, rest),
        // Only with a number: an `E-mail Type` alone is a property of the address.
        Some((last, rest))
            if (last == "label" || last == "type")
                && rest.last().is_some_and(|word| word.parse::<u32>().is_ok()) =>
        {
            (PointPart::Label, rest)
        }
        _ => (PointPart::Value, words),
    };
    let mut sorted = Sorted::of(words);
    if sorted.are(&["email"], &["address", "id", "addresses", "emails"]) {
        return Some(Target::Email(sorted.slot(&[]), part));
    }
    let web = ["website", "webpage", "homepage", "url", "web", "www"];
    if sorted.are(&web, &["site", "page", "address"]) {
        return Some(Target::Url(sorted.slot(&[]), part));
    }
    if words.iter().map(String::as_str).eq(["home", "page"]) {
        return Some(Target::Url(Slot::default(), part));
    }
    let kinds: Vec<&str> = sorted
        .nouns
        .iter()
        .copied()
        .filter(|noun| PHONE_KINDS.contains(noun))
        .collect();
    sorted.nouns.retain(|noun| !kinds.contains(noun));
    let phone = ["phone", "telephone", "phones"];
    let is_phone = sorted.are(&phone, &["number", "no"])
        || (!kinds.is_empty() && sorted.nouns.iter().all(|noun| *noun == "number"));
    // "Free" is part of "toll free" and nothing alone.
    (is_phone && kinds != ["free"]).then(|| Target::Phone(sorted.slot(&kinds), part))
}

/// Parts of postal addresses.
pub fn address(words: &[String]) -> Option<Target> {
    if let [noun, number, rest @ ..] = words
        && noun == "address"
        && let Ok(number) = number.parse()
        && !rest.is_empty()
    {
        let part = match rest.join(" ").as_str() {
            "label" | "type" => AddressPart::Label,
            "formatted" => AddressPart::Formatted,
            _ => address_part(&Sorted::of(rest))?,
        };
        return Some(Target::Address(
            Slot {
                label: String::new(),
                number,
            },
            part,
        ));
    }
    let sorted = Sorted::of(words);
    let part = address_part(&sorted)?;
    Some(Target::Address(
        Slot {
            label: sorted.qualifiers.join(" "),
            number: 0,
        },
        part,
    ))
}

fn address_part(words: &Sorted<'_>) -> Option<AddressPart> {
    let line = words.number.max(1);
    // Some programs write "Billing Code"; a code of anything else is none.
    let is_bare_code = words.nouns == ["code"]
        && words
            .qualifiers
            .iter()
            .all(|q| ["billing", "mailing", "shipping"].contains(q))
        && !words.qualifiers.is_empty();
    let part = if words.are(&["zip", "postcode", "zipcode", "postal"], &["code", "post"])
        || words.nouns == ["post", "code"]
        || is_bare_code
    {
        AddressPart::PostalCode
    } else if words.are(&["po"], &["box", "address"]) {
        AddressPart::PoBox
    } else if words.are(
        &["apt", "suite", "apartment", "unit", "extended"],
        &["address"],
    ) {
        AddressPart::Extended
    } else if words.are(&["country"], &["region", "code", "name"]) {
        AddressPart::Country
    } else if words.are(&["city", "town", "locality"], &[]) {
        AddressPart::City
    } else if words.are(
        &["state", "province", "region", "county", "prefecture"],
        &[],
    ) {
        AddressPart::Region
    } else if words.are(&["street", "line"], &["address"]) {
        AddressPart::Line(line)
    } else if words.nouns == ["address"] || words.nouns == ["postal", "address"] {
        // Whether this is a line or the whole address is settled by its neighbours.
        if line > 1 {
            AddressPart::Line(line)
        } else {
            AddressPart::Formatted
        }
    } else {
        return None;
    };
    Some(part)
}
