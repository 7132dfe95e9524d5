//! Reads the rows of a file that was analysed.

use super::analysis::{Analysis, Column};
use super::mapping::MappingProblem;
use super::programs::Program;
use super::records::{Cut, Cutter};
use super::row::{self, RowRefusal};
use crate::formats::encoding::{Encoding, Narrower};
use crate::formats::record::ContactRecord;

/// A row that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The number of the row, from 1; header rows count, empty lines do not.
    pub row: u64,
    /// What it says.
    pub record: ContactRecord,
}

/// A row that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("row {row}{}: {reason}", column.as_ref().map(|c| format!(", {c:?}")).unwrap_or_default())]
pub struct RowProblem {
    /// The number of the row, from 1; header rows count, empty lines do not.
    pub row: u64,
    /// The column, where one is to blame.
    pub column: Option<String>,
    /// Why.
    pub reason: RowRefusal,
}

/// Reads a CSV file that is fed in chunks.
///
/// ```
/// use contacts::formats::csv::{Analyzer, Reader};
/// let file = b"First Name,Email\nAda,ada@example.com\n";
/// let mut analyzer = Analyzer::new();
/// analyzer.feed(file);
/// let mut reader = Reader::new(&analyzer.finish()).expect("a header row");
/// reader.feed(file);
/// reader.finish();
/// let row = reader.next_row().expect("a result").expect("a contact");
/// assert_eq!((row.row, row.record.given_name.as_str()), (2, "Ada"));
/// assert!(reader.next_row().is_none());
/// ```
pub struct Reader {
    encoding: Encoding,
    columns: Vec<Column>,
    own_layout: bool,
    header_row: u64,
    narrower: Narrower,
    cutter: Cutter,
    bytes: Vec<u8>,
    at: usize,
    row: u64,
    broken_row: Option<u64>,
    ended: bool,
}

impl Reader {
    /// A reader at the beginning of a file.
    ///
    /// # Errors
    /// [`Analysis::problem`], if there is one.
    pub fn new(analysis: &Analysis) -> Result<Self, MappingProblem> {
        if let Some(problem) = analysis.problem() {
            return Err(problem);
        }
        Ok(Self {
            encoding: analysis.encoding,
            columns: analysis.columns.clone(),
            own_layout: analysis.program == Some(Program::Clientele),
            header_row: analysis.header_row.unwrap_or(0),
            narrower: Narrower::new(analysis.encoding),
            // All separators are ASCII.
            cutter: Cutter::new(u8::try_from(analysis.separator).unwrap_or(b',')),
            bytes: Vec::new(),
            at: 0,
            row: 0,
            broken_row: None,
            ended: false,
        })
    }

    /// Takes the next bytes of the file. Ask for rows until there is none before the next chunk.
    pub fn feed(&mut self, chunk: &[u8]) {
        self.bytes.drain(..self.at);
        self.at = 0;
        self.narrower.push(chunk, false, &mut self.bytes);
    }

    /// Says that the file has no more bytes.
    pub fn finish(&mut self) {
        self.narrower.push(&[], true, &mut self.bytes);
        self.ended = true;
    }

    /// The next row; None until more bytes come or, after [`Reader::finish`], at the end. Rows in
    /// which all cells are blank are passed over.
    pub fn next_row(&mut self) -> Option<Result<Row, RowProblem>> {
        loop {
            let cut = self.next_cut()?;
            self.row += 1;
            if cut == Cut::TooLong {
                self.broken_row = Some(self.row);
            }
            if self.row <= self.header_row {
                continue;
            }
            let row = self.row;
            match self.record(cut) {
                Ok(None) => {}
                Ok(Some(record)) => return Some(Ok(Row { row, record })),
                Err((column, reason)) => {
                    let name = |index: usize| {
                        self.columns
                            .get(index)
                            .map_or_else(|| format!("#{}", index + 1), |c| c.name.clone())
                    };
                    return Some(Err(RowProblem {
                        row,
                        column: column.map(name),
                        reason,
                    }));
                }
            }
        }
    }

    /// The row after which nothing can be read, because it is longer than a row may be.
    pub fn broken_row(&self) -> Option<u64> {
        self.broken_row
    }

    /// The bytes held at the moment: the last chunk and the row that is being read.
    pub fn buffered_len(&self) -> usize {
        self.bytes.len() + self.cutter.held_len()
    }

    fn next_cut(&mut self) -> Option<Cut> {
        let (used, cut) = self.cutter.cut(&self.bytes[self.at..]);
        self.at += used;
        match cut {
            None if self.ended => self.cutter.finish(),
            cut => cut,
        }
    }

    fn record(&self, cut: Cut) -> Result<Option<ContactRecord>, row::Refused> {
        let cells = match cut {
            Cut::Row(cells) => cells,
            Cut::TooLong => return Err((None, RowRefusal::TooLong)),
            Cut::QuoteOpen => return Err((None, RowRefusal::QuoteOpen)),
        };
        let is_wide = matches!(self.encoding, Encoding::Utf16Be | Encoding::Utf16Le);
        let text = |(index, cell): (usize, Vec<u8>)| {
            let text = self.encoding.text(&cell);
            // Halves of a character in UTF-16 have become replacement characters on the way.
            text.filter(|text| !is_wide || !text.contains('\u{fffd}'))
                .ok_or((Some(index), RowRefusal::EncodingInvalid))
        };
        let cells = cells
            .into_iter()
            .enumerate()
            .map(text)
            .collect::<Result<Vec<_>, _>>()?;
        row::record(&self.columns, &cells, self.own_layout)
    }
}
