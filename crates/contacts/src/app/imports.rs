//! Imports as callers handle them: create, upload, run, follow, cancel.

use prost::Message as _;
use proto::contacts::v1;
use store::change_log::{self, LogPosition, NewChange};
use store::idempotency::Stored;
use store::{Conn, Error as StoreError};
use types::{Deadline, ImportName, Micros};

use super::calls::corrupt_key;
use super::importer::columns::{self, HEAD_BYTES};
use super::log::consistency_token;
use super::{App, Call};
use crate::domain::imports::{Import, State};
use crate::error::Error;
use crate::store::{import_files as files_of, imports as rows};
use crate::wire::imports::message;

/// What a call that writes an import answers.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportWritten {
    /// The import.
    pub import: v1::Import,
    /// Where in the log it stands; empty for a call that only checked.
    pub consistency_token: String,
    /// The answer is that of an earlier call with the same request id.
    pub replayed: bool,
}

/// How a write of an import ends its transaction: as it is now, or as an earlier call left it.
enum Done {
    Fresh(Box<Import>, Option<LogPosition>),
    Replay(Stored),
}

/// Why such a write is rolled back.
pub(super) enum Stop {
    Refused(Error),
    Checked(Box<Import>),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Refused(Error::Store(error))
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl App {
    /// Creates an import that waits for its file. `import` says what was asked for; name, actor and
    /// times are given here.
    pub async fn create_import(
        &self,
        call: Call,
        workspace: String,
        import: Import,
    ) -> Result<ImportWritten, Error> {
        let now = self.clock.now();
        let import = Import {
            workspace,
            id: self.ids.next(),
            revision: 1,
            actor: call.actor.clone(),
            create_time: now,
            ..import
        };
        let event_id = self.ids.next();
        let within = import.workspace.clone();
        self.write_import("imports.create", &within, call, move |conn, call| {
            rows::import_insert(conn, &import)?;
            let at = append(conn, call, &import, "import.created", &event_id, now)?;
            Ok((import.clone(), Some(at)))
        })
        .await
    }

    /// Starts the run, after a look at the beginning of the file.
    pub async fn run_import(
        &self,
        call: Call,
        name: ImportName,
        dry_run: Option<bool>,
    ) -> Result<ImportWritten, Error> {
        if let Some(stored) = self.earlier(&call).await? {
            let within = &name.workspace;
            return self.import_replayed(within, call.deadline, &stored).await;
        }
        let target = name.clone();
        let head =
            self.store
                .within(&target.workspace)
                .read("imports.head", call.deadline, move |conn| {
                    let Some(import) = rows::import_get(conn, &target)? else {
                        return Ok(None);
                    };
                    let head = files_of::head(conn, &target, HEAD_BYTES)?;
                    Ok::<_, StoreError>(Some((import, head)))
                });
        let Some((import, head)) = head.await? else {
            return Err(Error::not_found(&name));
        };
        if import.may_run() {
            // A file may be made to be slow: it must not hold up other calls.
            let check = move || {
                let is_whole = i64::try_from(head.len()) == Ok(import.uploaded_bytes);
                columns::check_head(&import, &head, is_whole)
            };
            let checked = tokio::task::spawn_blocking(check).await;
            let panicked = |_| StoreError::Panicked { op: "imports.head" };
            checked.map_err(panicked)??;
        }
        let event_id = self.ids.next();
        let now = self.clock.now();
        let within = name.workspace.clone();
        let written = self
            .write_import("imports.run", &within, call, move |conn, call| {
                let import = require(conn, &name)?;
                if !import.may_run() {
                    let problem = match (import.state, import.uploaded_bytes) {
                        (State::Running, _) => "it runs; wait for its end, or cancel it",
                        (State::Uploading, 0) => "upload its file first",
                        _ => "it has run; create another import to run the file again",
                    };
                    return Err(state_error(&import, problem).into());
                }
                let started = import.clone().started(
                    dry_run.unwrap_or(import.dry_run && import.run == 0),
                    &call.actor,
                    now,
                );
                rows::import_update(conn, &started)?;
                let at = append(conn, call, &started, "import.started", &event_id, now)?;
                Ok((started, Some(at)))
            })
            .await?;
        self.import_ran.notify_waiters();
        Ok(written)
    }

    /// Asks a running import to stop; one that waits is given up.
    pub async fn cancel_import(
        &self,
        call: Call,
        name: ImportName,
    ) -> Result<ImportWritten, Error> {
        let event_id = self.ids.next();
        let now = self.clock.now();
        let within = name.workspace.clone();
        self.write_import("imports.cancel", &within, call, move |conn, call| {
            let import = require(conn, &name)?;
            match import.state {
                State::Cancelled => Ok((import, None)),
                State::Succeeded | State::Failed => {
                    Err(state_error(&import, "it has ended").into())
                }
                State::Uploading | State::Running | State::Checked => {
                    let ended = import.ended(State::Cancelled, "", now);
                    rows::import_update(conn, &ended)?;
                    let at = append(conn, call, &ended, "import.cancelled", &event_id, now)?;
                    Ok((ended, Some(at)))
                }
            }
        })
        .await
    }

    /// Reads one import.
    pub async fn get_import(&self, name: ImportName, deadline: Deadline) -> Result<Import, Error> {
        let resource = name.clone();
        let found =
            self.store
                .within(&name.workspace)
                .read_point("imports.get", deadline, move |conn| {
                    rows::import_get(conn, &name)
                });
        found.await?.ok_or_else(|| Error::not_found(&resource))
    }

    pub(super) async fn write_import<F>(
        &self,
        op: &'static str,
        workspace: &str,
        call: Call,
        f: F,
    ) -> Result<ImportWritten, Error>
    where
        F: Fn(&mut Conn, &Call) -> Result<(Import, Option<LogPosition>), Stop>
            + Send
            + Sync
            + 'static,
    {
        let now = self.clock.now();
        let deadline = call.deadline;
        let done = self
            .store
            .within(workspace)
            .write(op, deadline, move |conn| {
                if let Some(stored) = call.claim(conn, now)? {
                    return Ok(Done::Replay(stored));
                }
                let (import, at) = f(conn, &call)?;
                if call.validate_only {
                    return Err(Stop::Checked(Box::new(import)));
                }
                let answer = v1::RunImportResponse {
                    import: Some(message(&import)),
                    consistency_token: at.map(consistency_token).unwrap_or_default(),
                };
                let name = import.name().to_string();
                call.complete(conn, &name, import.revision, &answer.encode_to_vec())?;
                Ok(Done::Fresh(Box::new(import), at))
            });
        let (import, at) = match done.await {
            Ok(Done::Fresh(import, at)) => (import, at),
            Ok(Done::Replay(stored)) => {
                return self.import_replayed(workspace, deadline, &stored).await;
            }
            Err(Stop::Refused(error)) => return Err(error),
            Err(Stop::Checked(import)) => {
                return Ok(ImportWritten {
                    import: v1::Import {
                        name: String::new(),
                        etag: String::new(),
                        ..message(&import)
                    },
                    consistency_token: String::new(),
                    replayed: false,
                });
            }
        };
        let token = match at {
            Some(at) => consistency_token(at),
            None => self.newest_token(workspace, deadline).await?,
        };
        Ok(ImportWritten {
            import: message(&import),
            consistency_token: token,
            replayed: false,
        })
    }

    /// The answer of an earlier call. One that had changed nothing gets the workspace's newest place
    /// in the log.
    async fn import_replayed(
        &self,
        workspace: &str,
        deadline: Deadline,
        stored: &Stored,
    ) -> Result<ImportWritten, Error> {
        let answer = v1::RunImportResponse::decode(stored.response.as_slice())
            .map_err(|_| corrupt_key(stored))?;
        let consistency_token = if answer.consistency_token.is_empty() {
            self.newest_token(workspace, deadline).await?
        } else {
            answer.consistency_token
        };
        Ok(ImportWritten {
            import: answer.import.ok_or_else(|| corrupt_key(stored))?,
            consistency_token,
            replayed: true,
        })
    }
}

pub(super) fn require(conn: &mut Conn, name: &ImportName) -> Result<Import, Error> {
    rows::import_lock(conn, name)?.ok_or_else(|| Error::not_found(name))
}

pub(super) fn state_error(import: &Import, problem: &str) -> Error {
    Error::ImportState {
        import: import.name().to_string(),
        state: import.state.as_str(),
        problem: problem.to_owned(),
    }
}

/// Logs a change of an import.
pub(super) fn append(
    conn: &mut Conn,
    call: &Call,
    import: &Import,
    kind: &str,
    event_id: &str,
    now: Micros,
) -> Result<LogPosition, StoreError> {
    change_log::append(
        conn,
        &NewChange {
            workspace: &import.workspace,
            kind,
            resource: &import.name().to_string(),
            revision: import.revision,
            payload: &message(import).encode_to_vec(),
            paths: "",
            actor: &call.actor,
            request_id: &call.request_id,
            event_id,
            record_time: now,
        },
    )
}
