//! What the generated checks call.

use prost_types::value::Kind;
use prost_types::{Duration, Struct, Timestamp, Value};
use regex::Regex;

use super::{Path, Violations};

/// A pattern that the build has compiled once to see that it is good.
pub(crate) fn pattern(source: &str) -> Regex {
    Regex::new(source).expect("the build has compiled this pattern")
}

/// Whether a value is what a field has that was never set.
pub(crate) fn is_zero<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Whether `text` has more than `most` characters. Counts only where the bytes leave it open.
pub(crate) fn longer_than(text: &str, most: usize) -> bool {
    text.len() > most && text.chars().count() > most
}

/// Whether `text` has fewer than `least` characters.
pub(crate) fn shorter_than(text: &str, least: usize) -> bool {
    text.len() < least || (text.len() < least.saturating_mul(4) && text.chars().count() < least)
}

/// Whether `text` has the character U+0000.
pub(crate) fn has_nul(text: &str) -> bool {
    text.as_bytes().contains(&0)
}

/// Whether `text` is a UUID of any version, written with hyphens.
pub(crate) fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Whether a value stands in `list` twice.
pub(crate) fn has_duplicates<T: Ord>(list: &[T]) -> bool {
    let mut sorted: Vec<&T> = list.iter().collect();
    sorted.sort_unstable();
    sorted.windows(2).any(|pair| pair[0] == pair[1])
}

/// A Timestamp is from 0001-01-01T00:00:00Z to before 10000-01-01T00:00:00Z, with nanos that count
/// up (google/protobuf/timestamp.proto).
pub(crate) fn timestamp(value: &Timestamp, path: &Path<'_>, out: &mut Violations) {
    let seconds = -62_135_596_800..=253_402_300_799;
    if !seconds.contains(&value.seconds) || !(0..=999_999_999).contains(&value.nanos) {
        out.add(
            path,
            "timestamp.range",
            "must be a moment in the years 1 to 9999",
        );
    }
}

/// A Duration is at most about 10,000 years, with seconds and nanos of one sign
/// (google/protobuf/duration.proto).
pub(crate) fn duration(value: &Duration, path: &Path<'_>, out: &mut Violations) {
    let (seconds, nanos) = (value.seconds, i64::from(value.nanos));
    let in_range = seconds.unsigned_abs() <= 315_576_000_000 && nanos.abs() <= 999_999_999;
    if !in_range || seconds.signum() * nanos.signum() < 0 {
        out.add(
            path,
            "duration.range",
            "must be at most 10,000 years, with seconds and nanos of one sign",
        );
    }
}

/// A Struct has no text with U+0000 and no number that JSON can't write.
pub(crate) fn structure(value: &Struct, path: &Path<'_>, out: &mut Violations) {
    let mut open: Vec<&Value> = Vec::new();
    let (mut nul, mut infinite) = (false, false);
    let in_keys = |fields: &Struct| fields.fields.keys().any(|key| has_nul(key));
    nul |= in_keys(value);
    open.extend(value.fields.values());
    while let Some(value) = open.pop() {
        match &value.kind {
            Some(Kind::StringValue(text)) => nul |= has_nul(text),
            Some(Kind::NumberValue(number)) => infinite |= !number.is_finite(),
            Some(Kind::ListValue(list)) => open.extend(&list.values),
            Some(Kind::StructValue(fields)) => {
                nul |= in_keys(fields);
                open.extend(fields.fields.values());
            }
            Some(Kind::NullValue(_) | Kind::BoolValue(_)) | None => {}
        }
    }
    if nul {
        out.add(path, "string.nul", "must not have the character U+0000");
    }
    if infinite {
        out.add(path, "double.finite", "must have finite numbers only");
    }
}
