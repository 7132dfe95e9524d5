//! Following the changes of contacts, with the present state first where that is asked for.

use std::collections::VecDeque;
use std::time::Duration;

use prost::Message as _;
use proto::contacts::v1;
use store::change_log::{self, LogPosition, Scope};
use store::feed::{Batch, Feed, Step};
use store::filter::{self, Comparison, Field, Kind as FieldKind, Test};
use store::{Conn, Error as StoreError};
use types::{Deadline, ResumeToken, Service};

use super::App;
use super::log::{change_of, consistency_token, log_kind, place, resume_place, resume_token};
use crate::domain::contacts::Change;
use crate::error::Error;
use crate::store::contacts as rows;
use crate::wire::contacts::message;

/// How many contacts a message of the snapshot has.
const SNAPSHOT_PAGE: i64 = 50;

/// How many bytes of contacts or changes a message has, as long as it has one: clients read 4 MiB.
const MESSAGE_BYTES_MAX: usize = 3 * 1024 * 1024;

/// How long reading one page of the snapshot may take.
const READ_TIME: Duration = Duration::from_secs(10);

/// What a Watch can be filtered by.
const FIELDS: &[Field] = &[Field::one("change", FieldKind::Word(Change::WORDS))];

/// Where a Watch begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// With what happens from now on.
    Now,
    /// With the oldest change that is kept.
    Oldest,
    /// After the message with this token.
    After(String),
}

/// What WatchContacts was given.
#[derive(Clone, Debug)]
pub struct WatchInput {
    /// The workspace's id; `None` for all of them, which is for internal followers.
    pub workspace: Option<String>,
    /// Where to begin.
    pub beginning: Beginning,
    /// The present state first.
    pub send_snapshot: bool,
    /// How long the stream may be silent.
    pub heartbeat: Duration,
    /// Which changes.
    pub filter: String,
    /// The service of the suite that follows, whose place holds back the pruning of the log.
    pub follower: Option<&'static str>,
}

/// One message of a Watch.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// Where to go on after it.
    pub resume_token: String,
    /// What it tells.
    pub changes: Changes,
}

/// What a message of a Watch tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Changes {
    /// Changes of one transaction; whether more of the same follow.
    Happened(Vec<v1::ContactChange>, bool),
    /// A part of the present state.
    Snapshot(Vec<v1::Contact>),
    /// The present state was told.
    SnapshotEnd,
    /// Nothing happened.
    Heartbeat,
}

/// An open Watch.
pub struct Watcher {
    app: App,
    workspace: Option<String>,
    heartbeat: Duration,
    snapshot: Snapshot,
    start: LogPosition,
    feed: Feed,
    ready: VecDeque<Told>,
}

/// How much of the present state has been told.
enum Snapshot {
    /// All, or none was asked for.
    Told,
    /// Nothing yet.
    Due,
    /// Up to this contact: its workspace's id and its own.
    After((String, String)),
}

/// A place in the log and, within a snapshot, after whom it goes on.
type Resumed = (LogPosition, Option<(String, String)>);

/// Everything that is wrong with what a Watch of `workspace`, or of all, was given.
pub fn watch_faults(
    workspace: Option<&str>,
    filter: &str,
    resume_token: Option<&str>,
    send_snapshot: bool,
) -> Vec<Error> {
    let mut faults: Vec<Error> = kinds_of(filter).err().into_iter().collect();
    if let Some(token) = resume_token {
        faults.extend(parse_resume(token, workspace).err());
        if send_snapshot {
            let problem =
                "must be false where a resume token is given, which resumes a snapshot too";
            faults.push(Error::field("send_snapshot", "watch.snapshot", problem));
        }
    }
    faults
}

impl App {
    /// Opens a Watch. What is committed after this returns is told.
    pub async fn watch_contacts(
        &self,
        input: WatchInput,
        deadline: Deadline,
    ) -> Result<Watcher, Error> {
        if input.workspace.is_none() && input.follower.is_none() {
            let permission = "internal.followers";
            return Err(Error::InternalOnly { permission });
        }
        let kinds = kinds_of(&input.filter)?;
        let given = match &input.beginning {
            Beginning::After(text) => Some(parse_resume(text, input.workspace.as_deref())?),
            Beginning::Now | Beginning::Oldest => None,
        };
        let oldest = input.beginning == Beginning::Oldest;
        let resumed = given.as_ref().map(|(at, _)| *at);
        let start = self
            .store
            .across()
            .read("watch.open", deadline, move |conn| {
                start_of(conn, resumed, oldest)
            });
        let start = start.await.map_err(expired)?;
        if let (None, Some(follower)) = (&input.workspace, input.follower) {
            // From here on the log is kept for it, however long it stays away.
            let now = self.clock.now();
            self.store
                .across()
                .write("watch.register", deadline, move |conn| {
                    change_log::register_consumer(conn, follower, start, now)
                })
                .await?;
        }
        let feed = match &input.workspace {
            Some(workspace) => Feed::workspace(self.store.clone(), workspace.clone(), start),
            None => Feed::all(&self.store, start),
        };
        let snapshot = match given {
            Some((_, Some(after))) => Snapshot::After(after),
            None if input.send_snapshot => Snapshot::Due,
            Some((_, None)) | None => Snapshot::Told,
        };
        Ok(Watcher {
            app: self.clone(),
            workspace: input.workspace,
            heartbeat: input.heartbeat,
            snapshot,
            start,
            feed: feed.only(move |kind| kinds.contains(&kind)),
            ready: VecDeque::new(),
        })
    }
}

impl App {
    /// Resume and consistency tokens of the oldest and the newest change.
    pub async fn log_ends(&self, deadline: Deadline) -> Result<(String, String), Error> {
        let ends = self
            .store
            .across()
            .read_point("log.ends", deadline, |conn| {
                let newest = change_log::newest(conn, Scope::All)?;
                Ok::<_, StoreError>((change_log::oldest(conn)?, newest))
            });
        let (oldest, newest) = ends.await?;
        let newest = self.store.place(newest);
        Ok((resume_token(oldest), consistency_token(newest)))
    }
}

impl Watcher {
    /// The next message.
    pub async fn next(&mut self) -> Result<Told, Error> {
        if let Some(told) = self.ready.pop_front() {
            return Ok(told);
        }
        match &self.snapshot {
            Snapshot::Told => {}
            Snapshot::Due => return self.snapshot_page(None).await,
            Snapshot::After(last) => {
                let last = last.clone();
                return self.snapshot_page(Some(last)).await;
            }
        }
        match self.feed.next(self.heartbeat).await.map_err(expired)? {
            Step::Idle { through } => Ok(Told {
                resume_token: self.resume_token(through, None),
                changes: Changes::Heartbeat,
            }),
            Step::Batch(batch) => {
                let (first, rest) = happened(&batch, |at| self.resume_token(at, None))?;
                self.ready.extend(rest);
                Ok(first)
            }
        }
    }

    fn resume_token(&self, at: LogPosition, after: Option<(String, String)>) -> String {
        ResumeToken::of(resume_place(at), self.workspace.as_deref(), after).to_string()
    }

    async fn snapshot_page(&mut self, after: Option<(String, String)>) -> Result<Told, Error> {
        let workspace = self.workspace.clone();
        let deadline = Deadline::after(READ_TIME);
        let found = self.app.store.within_or_across(workspace.as_deref()).read(
            "watch.snapshot",
            deadline,
            move |conn| {
                rows::contacts_scan(conn, workspace.as_deref(), after.as_ref(), SNAPSHOT_PAGE)
            },
        );
        let found = found.await?;
        let (mut page, mut bytes, mut last) = (Vec::new(), 0, None);
        for contact in found {
            let shown = message(&contact);
            bytes += shown.encoded_len();
            if last.is_some() && bytes > MESSAGE_BYTES_MAX {
                break;
            }
            page.push(shown);
            last = Some((contact.name.workspace, contact.name.contact));
        }
        let Some(last) = last else {
            self.snapshot = Snapshot::Told;
            return Ok(Told {
                resume_token: self.resume_token(self.start, None),
                changes: Changes::SnapshotEnd,
            });
        };
        let token = self.resume_token(self.start, Some(last.clone()));
        self.snapshot = Snapshot::After(last);
        Ok(Told {
            resume_token: token,
            changes: Changes::Snapshot(page),
        })
    }
}

/// The place to begin at, which must still be in the log.
fn start_of(
    conn: &mut Conn,
    resumed: Option<LogPosition>,
    oldest: bool,
) -> Result<LogPosition, StoreError> {
    match resumed {
        Some(at) if change_log::is_expired(conn, at)? => Err(StoreError::PositionExpired {
            oldest: change_log::oldest(conn)?,
        }),
        Some(at) => Ok(at),
        None if oldest => change_log::oldest(conn),
        None => change_log::horizon(conn),
    }
}

fn expired(error: StoreError) -> Error {
    match error {
        StoreError::PositionExpired { oldest } => Error::ResumeExpired { oldest },
        error => Error::Store(error),
    }
}

/// The kinds of the log that a filter lets pass.
fn kinds_of(text: &str) -> Result<Vec<&'static str>, Error> {
    let expr = filter::parse(text, FIELDS)?;
    let passes = |change: Change| {
        expr.as_ref().is_none_or(|expr| {
            expr.fold(
                &mut |found: &Comparison| found.test == Test::Word(change.as_str()),
                |one| !one,
                |left, right| left && right,
                |left, right| left || right,
            )
        })
    };
    let passing = Change::ALL.iter().copied().filter(|change| passes(*change));
    Ok(passing.map(log_kind).collect())
}

/// The messages of a batch: one, and further ones where a client could not read all at once.
fn happened(
    batch: &Batch,
    resume_token: impl Fn(LogPosition) -> String,
) -> Result<(Told, Vec<Told>), Error> {
    let told = |through, changes, more| Told {
        resume_token: resume_token(through),
        changes: Changes::Happened(changes, more),
    };
    let (mut full, mut changes, mut bytes) = (Vec::new(), Vec::new(), 0);
    let mut through = batch.through;
    for change in &batch.changes {
        let shown = change_message(change)?;
        bytes += shown.encoded_len();
        if !changes.is_empty() && bytes > MESSAGE_BYTES_MAX {
            bytes = shown.encoded_len();
            full.push(told(through, std::mem::take(&mut changes), true));
        }
        changes.push(shown);
        through = change.position;
    }
    let last = told(batch.through, changes, batch.more);
    if full.is_empty() {
        return Ok((last, full));
    }
    let first = full.remove(0);
    full.push(last);
    Ok((first, full))
}

fn change_message(change: &change_log::Change) -> Result<v1::ContactChange, Error> {
    let corrupt = || {
        Error::Store(StoreError::Corrupt {
            table: "change_log",
            id: change.event_id.clone(),
        })
    };
    let kind = change_of(&change.kind).ok_or_else(corrupt)?;
    let contact = v1::Contact::decode(change.payload.as_slice()).map_err(|_| corrupt())?;
    let paths = change.paths.split(',').filter(|path| !path.is_empty());
    Ok(v1::ContactChange {
        kind: crate::wire::enums::change_kind(kind) as i32,
        contact: Some(contact),
        changed_paths: paths.map(str::to_owned).collect(),
        actor: change.actor.clone(),
        request_id: change.request_id.clone(),
        event_id: change.event_id.clone(),
        record_time: Some(proto::convert::timestamp_to_wire(change.record_time)),
    })
}

/// The place in the log with which a Watch of `workspace` is to go on and, within a snapshot, after
/// whom.
fn parse_resume(text: &str, workspace: Option<&str>) -> Result<Resumed, Error> {
    let (place_of, after) = ResumeToken::read(text, Service::Contacts, workspace)
        .map_err(|fault| Error::field("resume_token", "token.resume", fault.to_string()))?;
    Ok((place(&place_of), after))
}

#[cfg(test)]
mod tests;
