//! Running imports: a leased task that takes each running import through its file, slice by slice.
//!
//! A slice is one transaction: it makes the contacts of some rows, notes what became of each, and
//! moves the count of done rows, from which a run goes on after a crash. So no row is done twice or
//! left out, whoever runs it.

pub mod columns;
pub mod files;
mod slices;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use store::leases::Lease;
use store::{Error as StoreError, leases};
use tokio::task::JoinSet;
use types::{Deadline, ImportName};

use self::files::{Defaults, Prepared, Reader};
use self::slices::Slice;
use super::imports::append;
use super::{App, Call};
use crate::domain::imports::{Format, Import, State};
use crate::error::Error;
use crate::formats::csv::Analyzer;
use crate::store::{import_files, imports as rows};

/// How many rows a transaction takes.
const SLICE_ROWS: usize = 250;

/// How many imports run at the same time.
const RUNS_MAX: usize = 4;

/// How often a slice is done anew because somebody made the same contact meanwhile.
const RIVALS_MAX: u32 = 10;

/// How long a step of a run may take in the database.
const STEP_TIME: Duration = Duration::from_secs(30);

/// How often running imports are looked for where nothing rings.
const LOOK: Duration = Duration::from_secs(1);

/// Why a run ends before its file does.
#[derive(Debug)]
enum End {
    /// It is no longer this process's, or no longer running.
    Lost,
    /// The file can't be read.
    Failed(String),
    /// The database did not do it; the run goes on later.
    Later(StoreError),
}

impl From<StoreError> for End {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::LeaseLost { .. } => Self::Lost,
            error => Self::Later(error),
        }
    }
}

impl App {
    /// Runs imports for as long as the lease is held. Never ends by itself.
    pub(crate) async fn run_imports(self, lease: Lease) {
        let mut running: JoinSet<ImportName> = JoinSet::new();
        let mut names: BTreeSet<ImportName> = BTreeSet::new();
        loop {
            let rung = self.import_ran.notified();
            let found = self
                .store
                .read("imports.running", Deadline::after(STEP_TIME), |conn| {
                    rows::imports_running(conn)
                });
            match found.await {
                Ok(found) => {
                    let fresh = found.into_iter().filter(|name| !names.contains(name));
                    let room = RUNS_MAX.saturating_sub(names.len());
                    for name in fresh.take(room).collect::<Vec<_>>() {
                        names.insert(name.clone());
                        running.spawn(self.clone().run_to_end(name, lease.clone()));
                    }
                }
                Err(error) => tracing::warn!(?error, "running imports can't be looked for"),
            }
            tokio::select! {
                Some(ended) = running.join_next(), if !names.is_empty() => {
                    match ended {
                        Ok(name) => {
                            names.remove(&name);
                        }
                        // Which one panicked is not known: all are looked for anew.
                        Err(_) if running.is_empty() => names.clear(),
                        Err(_) => {}
                    }
                }
                () = rung => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    async fn run_to_end(self, name: ImportName, lease: Lease) -> ImportName {
        match self.run_import_file(&name, &lease).await {
            Ok(()) | Err(End::Lost) => {}
            Err(End::Later(error)) => {
                tracing::warn!(import = %name, ?error, "an import pauses");
                tokio::time::sleep(LOOK).await;
            }
            Err(End::Failed(failure)) => {
                tracing::info!(import = %name, failure, "an import failed");
                if let Err(error) = self.end_import(&name, &lease, Some(failure)).await {
                    tracing::warn!(import = %name, ?error, "an import's end can't be noted");
                }
            }
        }
        name
    }

    /// Takes an import from where it is to the end of its file.
    async fn run_import_file(&self, name: &ImportName, lease: &Lease) -> Result<(), End> {
        let deadline = Deadline::after(STEP_TIME);
        let import = match self.get_import(name.clone(), deadline).await {
            Ok(import) if import.state == State::Running => import,
            Ok(_) | Err(Error::NotFound { .. }) => return Err(End::Lost),
            Err(Error::Store(error)) => return Err(End::Later(error)),
            Err(error) => return Err(End::Failed(error.to_string())),
        };
        let mut reader = self.open_file(&import, lease).await?;
        let defaults = Arc::new(Defaults::of(&import));
        let (mut done, mut to_skip) = (import.counts.done, import.counts.done);
        let (mut offset, mut ended) = (0, false);
        let mut input = Input::Nothing;
        let mut pending: Vec<Prepared> = Vec::new();
        loop {
            let room = SLICE_ROWS - pending.len();
            let read = read_rows(reader, input, room, Arc::clone(&defaults)).await?;
            let is_drained = read.found.len() < room;
            reader = read.reader;
            input = Input::Nothing;
            for row in read.found {
                if to_skip > 0 {
                    to_skip -= 1;
                } else {
                    pending.push(row);
                }
            }
            if pending.len() == SLICE_ROWS || (is_drained && ended && !pending.is_empty()) {
                let slice = std::mem::take(&mut pending);
                done = self.write_slice(&import, lease, done, slice).await?;
            }
            if is_drained && ended {
                self.end_import(name, lease, None).await?;
                return self.tidy(&import, lease).await;
            }
            if is_drained {
                let piece = self.piece(name, offset, import.uploaded_bytes).await?;
                offset += i64::try_from(piece.len()).unwrap_or(i64::MAX);
                ended = piece.is_empty();
                input = if ended {
                    Input::End
                } else {
                    Input::Piece(piece)
                };
            }
        }
    }

    /// A reader at the beginning of the file. A CSV file is read through once before, to learn what
    /// it is, and that is noted.
    async fn open_file(&self, import: &Import, lease: &Lease) -> Result<Reader, End> {
        if import.format != Format::Csv {
            return Ok(Reader::of_cards_or_lines(import.format));
        }
        let name = import.name();
        let mut analyzer = Analyzer::new();
        let mut offset = 0;
        loop {
            let piece = self.piece(&name, offset, import.uploaded_bytes).await?;
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
        let applied = analysis.columns.iter().filter_map(|column| {
            let target = column.target.as_ref()?;
            Some((column.name.clone(), target.to_string()))
        });
        let applied = applied.collect();
        let unused: Vec<String> = analysis.unused_columns().map(str::to_owned).collect();
        let (lease, clock) = (lease.clone(), self.clock.clone());
        let noted = Import {
            program,
            applied_mapping: applied,
            unused_columns: unused,
            ..Import::default()
        };
        self.store
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

    /// The piece of the file that begins at `offset`; empty at the end.
    async fn piece(&self, name: &ImportName, offset: i64, length: i64) -> Result<Vec<u8>, End> {
        if offset >= length {
            return Ok(Vec::new());
        }
        let target = name.clone();
        let found = self
            .store
            .read("imports.piece", Deadline::after(STEP_TIME), move |conn| {
                import_files::chunk_at(conn, &target, offset)
            });
        match found.await? {
            Some((begin, data)) if begin == offset => Ok(data),
            // The file was removed, or the import cancelled and pruned.
            Some(_) | None => Err(End::Lost),
        }
    }

    /// Does the rows of a slice and notes what became of them; answers how many are done now.
    async fn write_slice(
        &self,
        import: &Import,
        lease: &Lease,
        done: i64,
        prepared: Vec<Prepared>,
    ) -> Result<i64, End> {
        let slice = Arc::new(Slice::new(import, done, prepared, &self.ids));
        let mut rivals = 0;
        loop {
            let (doing, lease, now) = (Arc::clone(&slice), lease.clone(), self.clock.now());
            let written = self
                .store
                .write("imports.slice", Deadline::after(STEP_TIME), move |conn| {
                    leases::hold(conn, &lease, now)?;
                    doing.write(conn, now)
                })
                .await;
            match written {
                Ok(Some(done)) => return Ok(done),
                Ok(None) => return Err(End::Lost),
                // Somebody made a contact with an external id of the slice: now it is found.
                Err(StoreError::UniqueViolation { .. }) if rivals < RIVALS_MAX => rivals += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Removes what an ended run has no more use for: what earlier runs left and, unless the file may
    /// be run again, the file.
    async fn tidy(&self, import: &Import, lease: &Lease) -> Result<(), End> {
        loop {
            let (name, run, dry_run) = (import.name(), import.run, import.dry_run);
            let (lease, now) = (lease.clone(), self.clock.now());
            let tidied =
                self.store
                    .write("imports.tidy", Deadline::after(STEP_TIME), move |conn| {
                        leases::hold(conn, &lease, now)?;
                        let rows = import_files::rows_before_delete(conn, &name, run)?;
                        Ok::<_, StoreError>(
                            rows || (!dry_run && import_files::chunks_delete(conn, &name)?),
                        )
                    });
            if !tidied.await? {
                return Ok(());
            }
        }
    }

    /// Notes that a run has ended: with its file, or with a failure.
    async fn end_import(
        &self,
        name: &ImportName,
        lease: &Lease,
        failure: Option<String>,
    ) -> Result<(), End> {
        let (name, lease) = (name.clone(), lease.clone());
        let (now, event_id) = (self.clock.now(), self.ids.next());
        let deadline = Deadline::after(STEP_TIME);
        let ended = self.store.write("imports.end", deadline, move |conn| {
            leases::hold(conn, &lease, now)?;
            let Some(import) = rows::import_lock(conn, &name)? else {
                return Ok(());
            };
            if import.state != State::Running {
                return Ok(());
            }
            let state = import.completed_state();
            let ended = match &failure {
                Some(failure) => import.ended(State::Failed, failure, now),
                None => Import {
                    total_rows: import.counts.done,
                    ..import.ended(state, "", now)
                },
            };
            rows::import_update(conn, &ended)?;
            let call = Call::internal(&ended.actor, deadline);
            append(conn, &call, &ended, "import.ended", &event_id, now)?;
            Ok::<_, StoreError>(())
        });
        Ok(ended.await?)
    }
}

/// What a reader is given before it is asked for rows.
enum Input {
    /// Nothing: it still holds rows.
    Nothing,
    /// The next piece of the file.
    Piece(Vec<u8>),
    /// That the file has no more.
    End,
}

/// A reader with the rows that it gave.
struct Read {
    reader: Reader,
    found: Vec<Prepared>,
}

/// Reads at most `most` rows, off the async threads. Fewer mean that the reader needs more input.
async fn read_rows(
    mut reader: Reader,
    input: Input,
    most: usize,
    defaults: Arc<Defaults>,
) -> Result<Read, End> {
    off_thread(move || {
        match input {
            Input::Nothing => {}
            Input::Piece(piece) => reader.feed(&piece),
            Input::End => reader.finish(),
        }
        let mut found = Vec::new();
        while found.len() < most {
            match reader.next_row(&defaults) {
                Some(row) => found.push(row),
                None => break,
            }
        }
        Read { reader, found }
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
