//! What the tests of contact files share: the folder of files and verdicts from outside.
//!
//! The folder is named by `CLIENTELE_TRUTH`; where the variable is not set, tests say so in one
//! line and pass; where it is set and the folder is missing, they fail.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "a skipped test says so")]

use std::path::{Path, PathBuf};

use contacts::formats::csv::{self, Analysis, Analyzer};
use contacts::formats::record::ContactRecord;
use contacts::formats::vcard::{self, Version};
use serde_json::Value;

/// A folder of the truth; None, with a line that says so, where there is no truth.
pub fn truth(folder: &str) -> Option<PathBuf> {
    let Some(root) = std::env::var_os("CLIENTELE_TRUTH") else {
        println!("CLIENTELE_TRUTH is not set: skipped");
        return None;
    };
    let path = Path::new(&root).join(folder);
    assert!(path.is_dir(), "{} is missing", path.display());
    Some(path)
}

/// A file as JSON.
pub fn json(path: &Path) -> Value {
    serde_json::from_slice(&bytes(path)).unwrap()
}

/// A file as bytes.
pub fn bytes(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The list under a key; empty where there is none.
pub fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

/// All texts in a value.
pub fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

/// The records of a vCard file, none of them refused.
pub fn read_cards(file: &[u8]) -> Vec<ContactRecord> {
    let mut reader = vcard::Reader::new();
    reader.feed(file);
    reader.finish();
    std::iter::from_fn(|| reader.next_card())
        .map(|card| card.unwrap().record)
        .collect()
}

/// The analysis of a CSV file.
pub fn analyse(file: &[u8]) -> Analysis {
    let mut analyzer = Analyzer::new();
    analyzer.feed(file);
    analyzer.finish()
}

/// The records of a CSV file, none of them refused.
pub fn read_rows(file: &[u8], analysis: &Analysis) -> Vec<ContactRecord> {
    let mut reader = csv::Reader::new(analysis).unwrap();
    reader.feed(file);
    reader.finish();
    std::iter::from_fn(|| reader.next_row())
        .map(|row| row.unwrap().record)
        .collect()
}

/// Every way out and in again gives the same records.
pub fn check_round_trips(records: &[ContactRecord], file: &str) {
    for version in [Version::V3, Version::V4] {
        let mut cards = String::new();
        for record in records {
            vcard::write_card(record, version, &mut cards);
        }
        assert_eq!(
            read_cards(cards.as_bytes()),
            records,
            "{file} as {version:?}"
        );
    }
    let mut rows = Vec::new();
    let writer = csv::Writer::new();
    writer.write_header(&mut rows);
    for record in records {
        writer.write_row(record, &mut rows);
    }
    assert_eq!(read_rows(&rows, &analyse(&rows)), records, "{file} as CSV");
}
