//! Between the service's values and the messages that travel: answers, change log entries, files.
//!
//! Invariant: nothing is decided here; what can't be taken over is a fault with its path.

pub mod contacts;
pub mod enums;
pub mod imports;
mod json;
pub mod ndjson;
pub mod records;

/// The word of an enum's value: its name without the prefix, such as `PERSON` of `KIND_PERSON`.
fn word<'a>(name: &'a str, prefix: &str) -> &'a str {
    name.strip_prefix(prefix).unwrap_or(name)
}
