//! Which row of a file is its header row, and what else its first rows tell.

use super::headers;
use super::programs::Program;
use super::target::Target;
use crate::domain::emails::EmailAddress;

/// The separators that are tried, the likeliest first.
pub const SEPARATORS: [u8; 4] = *b",;\t|";

/// A row that was understood as headers.
pub struct Header {
    /// The how manieth it is, from 0.
    pub index: usize,
    /// The program that writes such headers.
    pub program: Option<Program>,
    /// What each column is.
    pub targets: Vec<Option<Target>>,
    /// How many columns are understood.
    pub hits: usize,
}

/// The first row that is understood as headers. A row in which anything looks like data is none,
/// and one word that happens to be a header is not enough below the first row.
pub fn find_header(rows: &[Vec<String>]) -> Option<Header> {
    let is_declaration = |row: &Vec<String>| row[0].to_lowercase().starts_with("sep=");
    let top = usize::from(rows.first().is_some_and(is_declaration));
    rows.iter().enumerate().find_map(|(index, row)| {
        if row.iter().any(|cell| looks_like_data(cell)) {
            return None;
        }
        let program = Program::recognise(row);
        let targets = headers::targets(row, program);
        let hits = targets.iter().flatten().count();
        let named = row.iter().filter(|cell| !cell.trim().is_empty()).count();
        let identifies = targets.iter().flatten().any(Target::identifies);
        let enough = hits >= 2 || (index == top && (named == 1 || has_email(&targets)));
        (identifies && enough).then_some(Header {
            index,
            program,
            targets,
            hits,
        })
    })
}

fn has_email(targets: &[Option<Target>]) -> bool {
    targets
        .iter()
        .flatten()
        .any(|target| matches!(target, Target::Email(..)))
}

fn looks_like_data(cell: &str) -> bool {
    let cell = cell.trim();
    EmailAddress::parse(cell).is_ok()
        || cell.starts_with("http://")
        || cell.starts_with("https://")
        || cell.bytes().filter(u8::is_ascii_digit).count() >= 6
}

/// The number of cells, where the rows agree on it and it is more than one.
pub fn steady_width(rows: &[Vec<String>]) -> usize {
    let width = rows.first().map_or(0, Vec::len);
    let agree = rows.iter().all(|row| row.len() == width);
    if agree && width > 1 { width } else { 0 }
}

/// The separator that a first line `sep=;` declares, as some spreadsheets write it.
pub fn declared_separator(head: &[u8]) -> Option<u8> {
    let line = head.split(|byte| matches!(byte, b'\r' | b'\n')).next()?;
    match line.trim_ascii_end() {
        [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', separator] => Some(*separator),
        _ if line.eq_ignore_ascii_case(b"sep=\t") => Some(b'\t'),
        _ => None,
    }
    .filter(|separator| SEPARATORS.contains(separator))
}
