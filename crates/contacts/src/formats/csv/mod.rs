//! CSV in, as many programs write it, and out, as one layout of ours.
//!
//! Reading takes two passes over the file, each in chunks. An [`Analyzer`] finds encoding,
//! separator, header row and program and proposes what each column is; the caller may lay an
//! explicit [`Mapping`] over its [`Analysis`]. A [`Reader`] made from the analysis then gives one
//! row after the other. A file without a header row is refused until a mapping is given.
//!
//! A header is understood by its words, not by a table per program: every word of it must be
//! understood (`words.rs`), otherwise the column is named as unused. Programs are recognised by
//! columns that only they have (`programs.rs`), mostly to name them.
//!
//! A [`Writer`] writes RFC 4180 in UTF-8. Cells that a spreadsheet would take
//! for a formula (beginning with `=`, `+`, `-`, `@`, a tab or a line break) get an apostrophe in
//! front; reading our own layout takes exactly that one away again.

mod analysis;
mod cells;
mod draft;
mod export;
mod finish;
mod header_row;
mod headers;
mod mapping;
mod nouns;
mod programs;
mod reader;
mod records;
mod row;
mod target;
mod words;

pub use analysis::{Analysis, Analyzer, Column};
pub use export::Writer;
pub use mapping::{Mapping, MappingProblem};
pub use programs::Program;
pub use reader::{Reader, Row, RowProblem};
pub use records::ROW_LEN_MAX;
pub use row::RowRefusal;
pub use target::{AddressPart, DayPart, Field, PointPart, Slot, Target, TargetUnknown};
