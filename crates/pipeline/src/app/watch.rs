//! Following the moves of a workspace, with the present positions first where that is asked for.

use std::collections::VecDeque;
use std::time::Duration;

use prost::Message as _;
use proto::pipeline::v1::{self, TransitionChange};
use store::change_log::{self, LogPosition, Scope};
use store::feed::{Feed, Step};
use store::{Conn, Error as StoreError};
use types::{ContactName, Deadline, ResumeToken, Service, Token, TokenKind};

use super::log::POSITION_CHANGED;
use super::{App, conversions};
use crate::error::Error;
use crate::wire;

/// How many positions a message of the snapshot has.
const SNAPSHOT_PAGE: i64 = 50;
const READ_TIME: Duration = Duration::from_secs(10);

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

/// What WatchTransitions was given.
#[derive(Clone, Debug)]
pub struct WatchInput {
    /// The workspace's id; `None` for all of them, which is for internal followers.
    pub workspace: Option<String>,
    /// Where to begin.
    pub beginning: Beginning,
    /// The present positions first.
    pub send_snapshot: bool,
    /// How long the stream may be silent.
    pub heartbeat: Duration,
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
    Happened(Vec<TransitionChange>, bool),
    /// A part of the present state.
    Snapshot(Vec<v1::Position>),
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
    /// The rest of the snapshot: after whom it goes on. `None` once it was told.
    snapshot: Option<(String, String)>,
    start: LogPosition,
    feed: Feed,
    ready: VecDeque<Told>,
}

/// Everything that is wrong with a Watch of `workspace`, or of all, that is to go on after a token.
pub fn resume_faults(workspace: Option<&str>, token: &str, send_snapshot: bool) -> Vec<Error> {
    let fault = parse_resume(token, workspace).err();
    let mut faults: Vec<Error> = fault.into_iter().collect();
    if send_snapshot {
        let problem = "must be false where a resume token is given";
        faults.push(Error::field("send_snapshot", problem));
    }
    faults
}

impl App {
    /// The tokens of the oldest change that can be followed from, and of the newest.
    pub async fn reach(&self, deadline: Deadline) -> Result<(String, String), Error> {
        let (oldest, newest) = self
            .store
            .across()
            .read("change_log.reach", deadline, |conn| {
                Ok::<_, StoreError>((
                    change_log::oldest(conn)?,
                    change_log::newest(conn, Scope::All)?,
                ))
            })
            .await?;
        Ok((conversions::token(oldest), self.token_of_read(newest)))
    }

    /// Opens a Watch. What is committed after this returns is told.
    pub async fn watch_transitions(
        &self,
        input: WatchInput,
        deadline: Deadline,
    ) -> Result<Watcher, Error> {
        let resumed = match &input.beginning {
            Beginning::After(text) => Some(parse_resume(text, input.workspace.as_deref())?),
            Beginning::Now | Beginning::Oldest => None,
        };
        let given = resumed.as_ref().map(|(at, _)| *at);
        let oldest = input.beginning == Beginning::Oldest;
        let start = self
            .store
            .across()
            .read("watch.open", deadline, move |conn| {
                start_of(conn, given, oldest)
            })
            .await
            .map_err(expired)?;
        let feed = match &input.workspace {
            Some(workspace) => Feed::workspace(self.store.clone(), workspace.clone(), start),
            None => Feed::all(&self.store, start),
        };
        Ok(Watcher {
            app: self.clone(),
            workspace: input.workspace,
            heartbeat: input.heartbeat,
            snapshot: match resumed {
                Some((_, rest)) => rest,
                None => input.send_snapshot.then(Default::default),
            },
            start,
            feed: feed.only(|kind| kind == POSITION_CHANGED),
            ready: VecDeque::new(),
        })
    }
}

impl Watcher {
    /// The next message.
    pub async fn next(&mut self) -> Result<Told, Error> {
        if let Some(told) = self.ready.pop_front() {
            return Ok(told);
        }
        if let Some(after) = self.snapshot.clone() {
            return self.snapshot_page(after).await;
        }
        match self.feed.next(self.heartbeat).await.map_err(expired)? {
            Step::Idle { through } => Ok(Told {
                resume_token: self.resume_token(through, None),
                changes: Changes::Heartbeat,
            }),
            Step::Batch(batch) => {
                let changes: Vec<TransitionChange> = batch
                    .changes
                    .iter()
                    .map(|change| {
                        TransitionChange::decode(change.payload.as_slice()).map_err(|_| {
                            StoreError::Corrupt {
                                table: "change_log",
                                id: change.event_id.clone(),
                            }
                        })
                    })
                    .collect::<Result<_, _>>()?;
                Ok(Told {
                    resume_token: self.resume_token(batch.through, None),
                    changes: Changes::Happened(changes, batch.more),
                })
            }
        }
    }

    fn resume_token(&self, at: LogPosition, after: Option<(String, String)>) -> String {
        ResumeToken::of(resume_place(at), self.workspace.as_deref(), after).to_string()
    }

    async fn snapshot_page(&mut self, after: (String, String)) -> Result<Told, Error> {
        let workspace = self.workspace.as_deref();
        let deadline = Deadline::after(READ_TIME);
        let found = self
            .app
            .positions_page(workspace, &after, SNAPSHOT_PAGE, deadline)
            .await?;
        let Some(last) = found.last() else {
            self.snapshot = None;
            return Ok(Told {
                resume_token: self.resume_token(self.start, None),
                changes: Changes::SnapshotEnd,
            });
        };
        let ContactName { workspace, contact } = last.position.name.clone();
        let last = (workspace, contact);
        let token = self.resume_token(self.start, Some(last.clone()));
        self.snapshot = Some(last);
        let told = found.iter().filter(|shown| shown.position.revision > 0);
        let page = told.map(wire::positions::position).collect();
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
        StoreError::PositionExpired { oldest } => Error::ResumeExpired {
            oldest_token: resume_token(oldest),
        },
        error => Error::Store(error),
    }
}

/// The resume token of a place in the change log, whatever is watched.
pub fn resume_token(at: LogPosition) -> String {
    resume_place(at).to_string()
}

/// The place in the change log after which a Watch goes on.
fn resume_place(at: LogPosition) -> Token {
    Token {
        kind: TokenKind::Resume,
        service: Service::Pipeline,
        epoch: at.epoch,
        tx: at.tx,
        id: at.id,
    }
}

/// A place in the log, and where the message was within a snapshot, after whom it goes on.
type Resumed = (LogPosition, Option<(String, String)>);

fn parse_resume(text: &str, workspace: Option<&str>) -> Result<Resumed, Error> {
    let (place, after) = ResumeToken::read(text, Service::Pipeline, workspace)
        .map_err(|fault| Error::field("resume_token", fault.to_string()))?;
    let at = LogPosition {
        epoch: place.epoch,
        tx: place.tx,
        id: place.id,
    };
    Ok((at, after))
}
