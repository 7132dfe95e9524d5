//! Running imports: a leased task that takes each running import through its file, slice by slice.
//!
//! A slice is one transaction: it makes the contacts of some rows, notes what became of each, and
//! moves the count of done rows, from which a run goes on after a crash. So no row is done twice or
//! left out, whoever runs it.

pub mod columns;
pub mod files;
mod problems;
mod reading;
mod slices;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use store::leases::Lease;
use store::{Error as StoreError, leases};
use tokio::task::{Id, JoinSet};
use types::{Deadline, ImportName};

use self::files::{Defaults, Prepared};
use self::reading::{Input, Room, read_rows};
use self::slices::Slice;
use super::imports::append;
use super::{App, Call};
use crate::domain::imports::{Import, State};
use crate::error::Error;
use crate::store::{import_files, imports as rows};

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
        let mut running: JoinSet<()> = JoinSet::new();
        let mut names: HashMap<Id, ImportName> = HashMap::new();
        loop {
            let rung = self.import_ran.notified();
            let found =
                self.store
                    .across()
                    .read("imports.running", Deadline::after(STEP_TIME), |conn| {
                        rows::imports_running(conn)
                    });
            match found.await {
                Ok(found) => {
                    let known: BTreeSet<ImportName> = names.values().cloned().collect();
                    let fresh = found.into_iter().filter(|name| !known.contains(name));
                    for name in fresh.take(RUNS_MAX.saturating_sub(known.len())) {
                        let run = self.clone().run_to_end(name.clone(), lease.clone());
                        names.insert(running.spawn(run).id(), name);
                    }
                }
                Err(error) => tracing::warn!(?error, "running imports can't be looked for"),
            }
            tokio::select! {
                Some(ended) = running.join_next_with_id(), if !running.is_empty() => {
                    let (id, panicked) = match ended {
                        Ok((id, ())) => (id, false),
                        Err(error) => (error.id(), true),
                    };
                    if let (Some(import), true) = (names.remove(&id), panicked) {
                        tracing::error!(%import, "an import's run panicked");
                        tokio::time::sleep(LOOK).await;
                    }
                }
                () = rung => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    async fn run_to_end(self, name: ImportName, lease: Lease) {
        match self.run_import_file(&name, &lease).await {
            Ok(()) => {}
            // Should it still be there and running, it is taken up again, but not at once.
            Err(End::Lost) => tokio::time::sleep(LOOK).await,
            Err(End::Later(error)) => {
                tracing::warn!(import = %name, ?error, "an import pauses");
                tokio::time::sleep(LOOK).await;
            }
            Err(End::Failed(failure)) => {
                tracing::info!(import = %name, failure, "an import failed");
                if let Err(error) = self.end_import(&name, &lease, Some(failure)).await {
                    tracing::warn!(import = %name, ?error, "an import's end can't be noted");
                    tokio::time::sleep(LOOK).await;
                }
            }
        }
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
        let (mut pending, mut room) = (Vec::new(), Room::default());
        loop {
            let read = read_rows(reader, input, room, Arc::clone(&defaults)).await?;
            let is_drained = read.is_drained;
            reader = read.reader;
            // Nothing can be read after a row that does not end.
            ended |= reader.broken().is_some();
            input = Input::Nothing;
            for row in read.found {
                if to_skip > 0 {
                    to_skip -= 1;
                } else {
                    room.take(&row);
                    pending.push(row);
                }
            }
            if room.is_used_up() || (is_drained && ended && !pending.is_empty()) {
                let slice = std::mem::take(&mut pending);
                room = Room::default();
                done = self.write_slice(&import, lease, done, slice).await?;
            }
            if is_drained && ended {
                self.end_import(name, lease, reader.broken()).await?;
                return self.tidy(&import, lease).await;
            }
            if is_drained {
                let piece = self.piece(&import, offset).await?;
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
                .within(&import.workspace)
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
            let tidied = self.store.within(&name.workspace).write(
                "imports.tidy",
                Deadline::after(STEP_TIME),
                move |conn| {
                    leases::hold(conn, &lease, now)?;
                    let rows = import_files::rows_before_delete(conn, &name, run)?;
                    Ok::<_, StoreError>(
                        rows || (!dry_run && import_files::chunks_delete(conn, &name)?),
                    )
                },
            );
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
        let ended =
            self.store
                .within(&name.workspace)
                .write("imports.end", deadline, move |conn| {
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
