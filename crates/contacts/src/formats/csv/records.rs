//! Cuts bytes into rows of cells while they pass by.

use csv_core::{ReadRecordResult, ReaderBuilder};

/// The most bytes of one row. A longer one is most often an unclosed quotation mark.
pub const ROW_LEN_MAX: usize = 1 << 20;

/// The most columns of a file.
pub const COLUMNS_MAX: usize = 2048;

/// A row as bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cut {
    /// Its cells.
    Row(Vec<Vec<u8>>),
    /// More than [`ROW_LEN_MAX`] bytes or [`COLUMNS_MAX`] cells; what follows cannot be cut.
    TooLong,
    /// The file ends inside quotation marks.
    QuoteOpen,
}

/// Cuts rows at a separator. Empty lines are no rows.
pub struct Cutter {
    core: csv_core::Reader,
    cells: Vec<u8>,
    cells_len: usize,
    ends: Vec<usize>,
    ends_len: usize,
    over: bool,
}

impl Cutter {
    /// A cutter at the beginning of a file.
    pub fn new(separator: u8) -> Self {
        Self {
            core: ReaderBuilder::new().delimiter(separator).build(),
            cells: vec![0; 1024],
            cells_len: 0,
            ends: vec![0; 64],
            ends_len: 0,
            over: false,
        }
    }

    /// The next row of `bytes`, and how many of them were used up; None where they are all used up
    /// and the row goes on.
    pub fn cut(&mut self, bytes: &[u8]) -> (usize, Option<Cut>) {
        let mut used = 0;
        while used < bytes.len() && !self.over {
            let (result, read, written, ended) = self.core.read_record(
                &bytes[used..],
                &mut self.cells[self.cells_len..],
                &mut self.ends[self.ends_len..],
            );
            used += read;
            self.cells_len += written;
            self.ends_len += ended;
            match result {
                ReadRecordResult::Record => return (used, Some(Cut::Row(self.take()))),
                ReadRecordResult::OutputFull if self.cells.len() < ROW_LEN_MAX => {
                    self.cells.resize(self.cells.len() * 2, 0);
                }
                ReadRecordResult::OutputEndsFull if self.ends.len() < COLUMNS_MAX => {
                    self.ends.resize(self.ends.len() * 2, 0);
                }
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                    self.over = true;
                    return (used, Some(Cut::TooLong));
                }
                ReadRecordResult::InputEmpty | ReadRecordResult::End => {}
            }
        }
        (bytes.len(), None)
    }

    /// The last row, when there are no more bytes.
    pub fn finish(&mut self) -> Option<Cut> {
        // A line break ends any row but one with an open quotation mark.
        if let (_, Some(row)) = self.cut(b"\n") {
            return Some(row);
        }
        if self.over {
            return None;
        }
        self.over = true;
        let (result, ..) =
            self.core
                .read_record(&[], &mut self.cells, &mut self.ends[self.ends_len..]);
        (result != ReadRecordResult::End).then_some(Cut::QuoteOpen)
    }

    /// The bytes held of a row that is not complete.
    pub fn held_len(&self) -> usize {
        self.cells_len
    }

    fn take(&mut self) -> Vec<Vec<u8>> {
        let mut start = 0;
        let cells = self.ends[..self.ends_len].iter().map(|end| {
            let cell = self.cells[start..*end].to_vec();
            start = *end;
            cell
        });
        let cells = cells.collect();
        (self.cells_len, self.ends_len) = (0, 0);
        cells
    }
}

/// The first rows of `bytes`; the last one only where the bytes are the whole file.
pub fn first_rows(bytes: &[u8], separator: u8, most: usize, whole: bool) -> Vec<Vec<Vec<u8>>> {
    let mut cutter = Cutter::new(separator);
    let mut rows = Vec::new();
    let mut at = 0;
    while rows.len() < most {
        let (used, cut) = cutter.cut(&bytes[at..]);
        at += used;
        match cut {
            Some(Cut::Row(cells)) => rows.push(cells),
            Some(_) => return rows,
            None => break,
        }
    }
    if rows.len() < most
        && (whole || rows.is_empty())
        && let Some(Cut::Row(cells)) = cutter.finish()
    {
        rows.push(cells);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut_all(bytes: &[u8], chunk: usize) -> Vec<Cut> {
        let mut cutter = Cutter::new(b',');
        let mut cuts = Vec::new();
        for part in bytes.chunks(chunk) {
            let mut at = 0;
            while at < part.len() {
                let (used, cut) = cutter.cut(&part[at..]);
                at += used;
                cuts.extend(cut);
            }
        }
        cuts.extend(std::iter::from_fn(|| cutter.finish()));
        cuts
    }

    fn row(cells: &[&str]) -> Cut {
        Cut::Row(cells.iter().map(|cell| cell.as_bytes().to_vec()).collect())
    }

    #[test]
    fn rows_are_the_same_whatever_the_chunks() {
        let text = b"a,\"b \"\"q\"\"\r\nc\",\r\n\r\n\"\"\n,x";
        for chunk in 1..=text.len() {
            let rows = cut_all(text, chunk);
            assert_eq!(
                rows,
                [row(&["a", "b \"q\"\r\nc", ""]), row(&[""]), row(&["", "x"])]
            );
        }
        assert_eq!(cut_all(b"", 1), []);
        assert_eq!(cut_all(b"a\n", 1), [row(&["a"])]);
    }

    #[test]
    fn an_open_quotation_mark_is_seen() {
        assert_eq!(
            cut_all(b"a,b\nc,\"d\ne,f\n", 4),
            [row(&["a", "b"]), Cut::QuoteOpen]
        );
        let endless = [b"a,\"".to_vec(), vec![b'x'; ROW_LEN_MAX + 1]].concat();
        assert_eq!(cut_all(&endless, 1 << 16), [Cut::TooLong]);
        assert_eq!(cut_all(&b",".repeat(COLUMNS_MAX + 1), 100), [Cut::TooLong]);
    }
}
