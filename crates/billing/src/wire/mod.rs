//! Between the messages of `clientele.billing.v1` and the domain's values.
//!
//! Reading gathers every fault with its path; what can't travel in one is an [`Error`].

use std::collections::BTreeMap;

use proto::billing::v1;
use proto::convert;
use proto::google::r#type as google;
use rust_decimal::Decimal;
use types::Currency;

use crate::domain::decimals;
use crate::domain::faults::Faults;
use crate::domain::invoices::Address;

pub mod invoices;
pub mod masks;
pub mod projects;
mod tax;

/// A resource's message.
pub trait Resource {
    /// Takes away what only a stored revision has: its time, and its etag, which would pass once
    /// somebody else has made that revision.
    fn unstore(&mut self);
}

impl Resource for v1::Invoice {
    fn unstore(&mut self) {
        self.etag.clear();
        self.update_time = None;
    }
}

impl Resource for v1::Project {
    fn unstore(&mut self) {
        self.etag.clear();
        self.update_time = None;
    }
}

/// Notes a text that PostgreSQL could not keep; both engines refuse it alike.
fn check_text(text: &str, field: &str, faults: &mut Faults) {
    if text.contains('\0') {
        faults.note(field, "must not contain the character U+0000");
    }
}

/// Labels of a resource at most; the proto says so too, but masks can add one at a time.
const LABELS_MAX: usize = 64;

/// Notes what of labels could not be kept.
fn check_labels(labels: &BTreeMap<String, String>, field: &str, faults: &mut Faults) {
    if labels.len() > LABELS_MAX {
        faults.note(format!("{field}.labels"), "must have at most 64 pairs");
    }
    for (key, value) in labels {
        check_text(value, &format!("{field}.labels[\"{key}\"]"), faults);
    }
}

/// The number of a field; `absent` where the field is not there.
fn decimal(
    value: Option<&google::Decimal>,
    absent: Decimal,
    field: &str,
    faults: &mut Faults,
) -> Decimal {
    value.map_or(absent, |value| {
        faults
            .keep(field, decimals::parse(&value.value))
            .unwrap_or(absent)
    })
}

fn decimal_to_wire(number: Decimal) -> google::Decimal {
    google::Decimal {
        value: decimals::render(number),
    }
}

fn day(
    value: Option<&google::Date>,
    field: &str,
    faults: &mut Faults,
) -> Option<jiff::civil::Date> {
    faults.keep(field, convert::date_from_wire(value?))
}

fn money_to_wire(minor_units: i64, currency: Currency) -> google::Money {
    convert::money_to_wire(types::Money {
        minor_units,
        currency,
    })
}

/// An address, with every part short enough to be printed.
fn address(value: &google::PostalAddress, field: &str, faults: &mut Faults) -> Address {
    const CHARS_MAX: usize = 500;
    const LINES_MAX: usize = 20;
    let parts = [
        ("region_code", &value.region_code),
        ("language_code", &value.language_code),
        ("postal_code", &value.postal_code),
        ("sorting_code", &value.sorting_code),
        ("administrative_area", &value.administrative_area),
        ("locality", &value.locality),
        ("sublocality", &value.sublocality),
        ("organization", &value.organization),
    ];
    let lists = [
        ("address_lines", &value.address_lines),
        ("recipients", &value.recipients),
    ];
    for (part, list) in lists {
        if list.len() > LINES_MAX {
            faults.note(format!("{field}.{part}"), "must have at most 20 items");
        }
    }
    let items = lists.into_iter().flat_map(|(part, list)| {
        list.iter()
            .enumerate()
            .map(move |(index, text)| (format!("{part}[{index}]"), text))
    });
    let parts = parts
        .into_iter()
        .map(|(part, text)| (part.to_owned(), text));
    for (part, text) in parts.chain(items) {
        let path = format!("{field}.{part}");
        if text.chars().count() > CHARS_MAX {
            faults.note(path, "must have at most 500 characters");
        } else {
            check_text(text, &path, faults);
        }
    }
    address_from_wire(value)
}

/// An address that a peer has checked.
pub fn address_from_wire(value: &google::PostalAddress) -> Address {
    Address {
        region_code: value.region_code.clone(),
        language_code: value.language_code.clone(),
        postal_code: value.postal_code.clone(),
        sorting_code: value.sorting_code.clone(),
        administrative_area: value.administrative_area.clone(),
        locality: value.locality.clone(),
        sublocality: value.sublocality.clone(),
        lines: value.address_lines.clone(),
        recipients: value.recipients.clone(),
        organization: value.organization.clone(),
    }
}

fn address_to_wire(address: &Address) -> google::PostalAddress {
    google::PostalAddress {
        revision: 0,
        region_code: address.region_code.clone(),
        language_code: address.language_code.clone(),
        postal_code: address.postal_code.clone(),
        sorting_code: address.sorting_code.clone(),
        administrative_area: address.administrative_area.clone(),
        locality: address.locality.clone(),
        sublocality: address.sublocality.clone(),
        address_lines: address.lines.clone(),
        recipients: address.recipients.clone(),
        organization: address.organization.clone(),
    }
}
