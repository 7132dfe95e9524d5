//! What is checked of the google.type messages wherever they stand. Their protos are public and
//! carry no rules, so these are written by hand; what counts is whether [`crate::convert`] takes
//! the value.

use super::{Path, Validate, Violations, rules};
use crate::convert;
use crate::google::r#type::{Date, Decimal, Interval, Money, PostalAddress};

/// Characters in one part of a postal address.
const PART_CHARS_MAX: usize = 300;

/// Lines and recipients of a postal address.
const LINES_MAX: usize = 10;

impl Validate for Money {
    fn validate(&self, path: &Path<'_>, out: &mut Violations) {
        if let Err(invalid) = convert::money_from_wire(self) {
            out.add(path, invalid.rule, invalid.description);
        }
    }
}

impl Validate for Decimal {
    fn validate(&self, path: &Path<'_>, out: &mut Violations) {
        if let Err(invalid) = convert::decimal_from_wire(self) {
            out.add(path, invalid.rule, invalid.description);
        }
    }
}

impl Validate for Date {
    fn validate(&self, path: &Path<'_>, out: &mut Violations) {
        if let Err(invalid) = convert::date_from_wire(self) {
            out.add(path, invalid.rule, invalid.description);
        }
    }
}

impl Validate for Interval {
    fn validate(&self, path: &Path<'_>, out: &mut Violations) {
        let parts = [
            ("start_time", &self.start_time),
            ("end_time", &self.end_time),
        ];
        for (name, moment) in parts {
            if let Some(moment) = moment {
                rules::timestamp(moment, &path.field(name), out);
            }
        }
        if let (Some(start), Some(end)) = (&self.start_time, &self.end_time)
            && (start.seconds, start.nanos) > (end.seconds, end.nanos)
        {
            out.add(path, "interval.order", "must not end before it begins");
        }
    }
}

impl Validate for PostalAddress {
    fn validate(&self, path: &Path<'_>, out: &mut Violations) {
        if self.revision != 0 {
            out.add(&path.field("revision"), "int32.const", "must be 0");
        }
        let region = &self.region_code;
        let is_code = region.len() == 2 && region.bytes().all(|byte| byte.is_ascii_uppercase());
        if !region.is_empty() && !is_code {
            out.add(
                &path.field("region_code"),
                "postal_address.region_code",
                "must be a code of two capitals, such as DE",
            );
        }
        let parts = [
            ("language_code", &self.language_code),
            ("postal_code", &self.postal_code),
            ("sorting_code", &self.sorting_code),
            ("administrative_area", &self.administrative_area),
            ("locality", &self.locality),
            ("sublocality", &self.sublocality),
            ("organization", &self.organization),
        ];
        for (name, text) in parts {
            part(text, &path.field(name), out);
        }
        lines(&self.address_lines, &path.field("address_lines"), out);
        lines(&self.recipients, &path.field("recipients"), out);
    }
}

fn part(text: &str, path: &Path<'_>, out: &mut Violations) {
    if rules::longer_than(text, PART_CHARS_MAX) {
        out.add(path, "string.max_len", "must have at most 300 characters");
    }
    if rules::has_nul(text) {
        out.add(path, "string.nul", "must not have the character U+0000");
    }
}

fn lines(lines: &[String], path: &Path<'_>, out: &mut Violations) {
    if lines.len() > LINES_MAX {
        out.add(path, "repeated.max_items", "must have at most 10 items");
        return;
    }
    for (index, line) in lines.iter().enumerate() {
        part(line, &path.index(index), out);
    }
}
