//! Reading an import's file: its pieces from the database, its rows off the async threads.

use std::collections::BTreeMap;
use std::sync::Arc;

use store::Error as StoreError;
use store::leases::{self, Lease};
use types::Deadline;

use super::files::{Defaults, Prepared, Reader};
use super::{End, STEP_TIME, columns};
use crate::app::App;
use crate::domain::imports::{Format, Import, State};
use crate::formats::csv::Analyzer;
use crate::store::{import_files, imports as rows};

/// How many rows a transaction takes.
const SLICE_ROWS: usize = 250;

/// About how many bytes of rows a transaction takes, so that it stays short whatever the rows are.
const SLICE_BYTES: usize = 1 << 20;

/// What a reader is given before it is asked for rows.
pub(super) enum Input {
    /// Nothing: it still holds rows.
    Nothing,
    /// The next piece of the file.
    Piece(Vec<u8>),
    /// That the file has no more.
    End,
}

/// What a slice has room for.
#[derive(Clone, Copy)]
pub(super) struct Room {
    rows: usize,
    bytes: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            rows: SLICE_ROWS,
            bytes: SLICE_BYTES,
        }
    }
}

impl Room {
    pub fn take(&mut self, row: &Prepared) {
        self.rows = self.rows.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(row.bytes);
    }

    pub fn is_used_up(self) -> bool {
        self.rows == 0 || self.bytes == 0
    }
}

/// A reader with the rows that it gave, and whether it needs more input.
pub(super) struct Read {
    pub reader: Reader,
    pub found: Vec<Prepared>,
    pub is_drained: bool,
}

impl App {
    /// A reader at the beginning of the file. A CSV file is read through once before, to learn what
    /// it is, and that is noted.
    pub(super) async fn open_file(&self, import: &Import, lease: &Lease) -> Result<Reader, End> {
        if import.format != Format::Csv {
            return Ok(Reader::of_cards_or_lines(import.format));
        }
        let name = import.name();
        let mut analyzer = Analyzer::new();
        let mut offset = 0;
        loop {
            let piece = self.piece(import, offset).await?;
            if piece.is_empty() {
                break;
            }
            offset += i64::try_from(piece.len()).unwrap_or(i64::MAX);
            analyzer = off_thread(move || {
                analyzer.feed(&piece);
                analyzer
            })
            .await?;
        }
        let failed =
            |problem: crate::formats::csv::MappingProblem| End::Failed(problem.to_string());
        let asked = import.clone();
        let analysis = off_thread(move || columns::applied(&asked, analyzer.finish()))
            .await?
            .map_err(failed)?;
        let program = analysis
            .program
            .map_or("", |program| program.name())
            .to_owned();
        let mut applied = BTreeMap::new();
        for (number, column) in (1..).zip(&analysis.columns) {
            let Some(target) = &column.target else {
                continue;
            };
            let name = if applied.contains_key(&column.name) {
                format!("#{number}")
            } else {
                column.name.clone()
            };
            applied.insert(name, target.to_string());
        }
        let unused: Vec<String> = analysis.unused_columns().map(str::to_owned).collect();
        let (lease, clock) = (lease.clone(), self.clock.clone());
        let noted = Import {
            program,
            applied_mapping: applied,
            unused_columns: unused,
            ..Import::default()
        };
        self.store
            .within(&name.workspace)
            .write(
                "imports.analysed",
                Deadline::after(STEP_TIME),
                move |conn| {
                    leases::hold(conn, &lease, clock.now())?;
                    if let Some(mut import) = rows::import_lock(conn, &name)? {
                        import.revision += 1;
                        import.program.clone_from(&noted.program);
                        import.applied_mapping.clone_from(&noted.applied_mapping);
                        import.unused_columns.clone_from(&noted.unused_columns);
                        rows::import_update(conn, &import)?;
                    }
                    Ok::<_, StoreError>(())
                },
            )
            .await?;
        Reader::csv(&analysis).map_err(failed)
    }

    /// The piece of the file that begins at `offset`; empty at the end. Only while the import runs:
    /// a run that was cancelled reads no further.
    pub(super) async fn piece(&self, import: &Import, offset: i64) -> Result<Vec<u8>, End> {
        let (name, run) = (import.name(), import.run);
        let is_end = offset >= import.uploaded_bytes;
        let deadline = Deadline::after(STEP_TIME);
        let found =
            self.store
                .within(&name.workspace)
                .read("imports.piece", deadline, move |conn| {
                    let import = rows::import_get(conn, &name)?;
                    if import
                        .is_none_or(|import| import.state != State::Running || import.run != run)
                    {
                        return Ok(Err(End::Lost));
                    }
                    if is_end {
                        return Ok(Ok(Vec::new()));
                    }
                    let found = import_files::chunk_at(conn, &name, offset)?;
                    let piece = found.filter(|(begin, _)| *begin == offset);
                    let gone = || {
                        End::Failed("the file is gone: upload it with another import".to_owned())
                    };
                    Ok::<_, StoreError>(piece.map(|(_, data)| data).ok_or_else(gone))
                });
        found.await?
    }
}

/// Reads the rows that there is room for, off the async threads.
pub(super) async fn read_rows(
    mut reader: Reader,
    input: Input,
    mut room: Room,
    defaults: Arc<Defaults>,
) -> Result<Read, End> {
    off_thread(move || {
        match input {
            Input::Nothing => {}
            Input::Piece(piece) => reader.feed(&piece),
            Input::End => reader.finish(),
        }
        let mut found = Vec::new();
        while !room.is_used_up() {
            let Some(row) = reader.next_row(&defaults) else {
                break;
            };
            room.take(&row);
            found.push(row);
        }
        Read {
            reader,
            found,
            is_drained: !room.is_used_up(),
        }
    })
    .await
}

/// Does work on a file off the async threads: files may be large, or made to be slow.
async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, End> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| End::Failed("the file can't be read".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn large_rows_are_given_few_at_a_time() {
        let line = format!("{{\"note\":\"{}\"}}\n", "x".repeat(20_000));
        let defaults = Arc::new(Defaults::of(&Import::default()));
        let mut reader = Reader::of_cards_or_lines(Format::Ndjson);
        let mut input = Input::Piece(line.repeat(200).into_bytes());
        let mut counts = Vec::new();
        loop {
            let read = read_rows(reader, input, Room::default(), Arc::clone(&defaults));
            let read = read.await.expect("rows");
            counts.push(read.found.len());
            if read.is_drained {
                break;
            }
            (reader, input) = (read.reader, Input::Nothing);
        }
        assert_eq!(counts, [53, 53, 53, 41]);
    }
}
