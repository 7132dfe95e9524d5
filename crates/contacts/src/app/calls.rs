//! What every writing call has in common: who calls, until when, and that it acts once.

use prost::Message as _;
use proto::contacts::v1;
use store::change_log::{self, LogPosition, Scope};
use store::idempotency::{self, Claim, Keep, Key, RequestHash, Stored};
use store::single::Completed;
use store::{Conn, Error as StoreError};
use types::{Deadline, Micros};

use super::App;
use super::log::consistency_token;
use crate::error::Error;

/// One call.
#[derive(Clone, Debug)]
pub struct Call {
    /// The principal.
    pub actor: String,
    /// When the answer is due.
    pub deadline: Deadline,
    /// The request id as the change log keeps it; empty where there is none.
    pub request_id: String,
    /// How the call is recognised when it is repeated; `None` where it acts each time.
    pub once: Option<Once>,
    /// Check everything, change nothing.
    pub validate_only: bool,
}

/// How a call is recognised when it is repeated.
#[derive(Clone, Debug)]
pub struct Once {
    /// The key.
    pub key: Key,
    /// What is compared with the first call.
    pub hash: RequestHash,
}

/// What a call that writes a contact answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// The contact; `None` where there is none to show.
    pub contact: Option<v1::Contact>,
    /// Where in the log it stands; empty for a call that only checked.
    pub consistency_token: String,
    /// The answer is that of an earlier call with the same request id.
    pub replayed: bool,
}

/// How a write's transaction ends.
#[derive(Debug)]
pub(super) enum Done {
    /// It wrote, or found nothing to write (no place in the log).
    Fresh(Option<Box<v1::Contact>>, Option<LogPosition>),
    /// The call was made before.
    Replay(Stored),
}

/// Why a write's transaction is rolled back.
#[derive(Debug)]
pub(super) enum Stop {
    /// It may not be done.
    Refused(Error),
    /// It was only to be checked, and passed.
    Checked(Option<Box<v1::Contact>>),
    /// The key was taken in the meantime.
    KeyTaken,
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

impl Call {
    /// A step that the service takes by itself, for somebody.
    pub(super) fn internal(actor: &str, deadline: Deadline) -> Self {
        Self {
            actor: actor.to_owned(),
            deadline,
            request_id: String::new(),
            once: None,
            validate_only: false,
        }
    }

    /// Claims the call's key, first in its transaction; the answer of the first call where it is
    /// taken. A call that only checks claims nothing.
    pub(super) fn claim(&self, conn: &mut Conn, now: Micros) -> Result<Option<Stored>, StoreError> {
        let Some(once) = self.once.as_ref().filter(|_| !self.validate_only) else {
            return Ok(None);
        };
        Ok(
            match idempotency::claim(conn, &once.key, &once.hash, now, Keep::WEEK)? {
                Claim::Fresh => None,
                Claim::Replay(stored) => Some(stored),
            },
        )
    }

    /// Stores the answer under the claimed key.
    pub(super) fn complete(
        &self,
        conn: &mut Conn,
        resource: &str,
        revision: i64,
        response: &[u8],
    ) -> Result<(), StoreError> {
        match self.once.as_ref().filter(|_| !self.validate_only) {
            Some(once) => idempotency::complete(conn, &once.key, resource, revision, response),
            None => Ok(()),
        }
    }

    /// The key with its answer, for a create that does everything in one statement.
    pub(super) fn completed<'a>(
        &'a self,
        answer: &'a Stored,
        now: Micros,
    ) -> Option<Completed<'a>> {
        self.once.as_ref().map(|once| Completed {
            key: &once.key,
            hash: &once.hash,
            answer,
            now,
            keep: Keep::WEEK,
        })
    }
}

/// The stored form of a contact call's answer: all of them have the contact first, then the token.
pub(super) fn stored_answer(contact: Option<&v1::Contact>, token: &str) -> Vec<u8> {
    v1::UpdateContactResponse {
        contact: contact.cloned(),
        consistency_token: token.to_owned(),
        warnings: Vec::new(),
    }
    .encode_to_vec()
}

impl App {
    /// What the call left when it was made before. Asked before anything else, so that a retried
    /// success is never refused.
    pub(super) async fn earlier(&self, call: &Call) -> Result<Option<Stored>, Error> {
        let Some(once) = call.once.clone().filter(|_| !call.validate_only) else {
            return Ok(None);
        };
        let now = self.clock.now();
        let stored = self.store.within(&once.key.workspace).read_point(
            "calls.look_up",
            call.deadline,
            move |conn| idempotency::look_up(conn, &once.key, &once.hash, now),
        );
        Ok(stored.await?)
    }

    /// Runs a write of one contact of the workspace and makes its answer.
    pub(super) async fn write_contact<F>(
        &self,
        op: &'static str,
        workspace: &str,
        call: &Call,
        f: F,
    ) -> Result<Written, Error>
    where
        F: Fn(&mut Conn) -> Result<Done, Stop> + Send + Sync + 'static,
    {
        let within = self.store.within(workspace);
        let done = within.write(op, call.deadline, f).await;
        self.answer(workspace, call, done).await
    }

    pub(super) async fn answer(
        &self,
        workspace: &str,
        call: &Call,
        done: Result<Done, Stop>,
    ) -> Result<Written, Error> {
        match done {
            Ok(Done::Fresh(contact, Some(at))) => Ok(Written {
                contact: contact.map(|contact| *contact),
                consistency_token: consistency_token(at),
                replayed: false,
            }),
            Ok(Done::Fresh(contact, None)) => Ok(Written {
                contact: contact.map(|contact| *contact),
                consistency_token: self.newest_token(workspace, call.deadline).await?,
                replayed: false,
            }),
            Ok(Done::Replay(stored)) => self.replayed(workspace, call, &stored).await,
            Err(Stop::Checked(contact)) => Ok(Written {
                contact: contact.map(|contact| *contact),
                consistency_token: String::new(),
                replayed: false,
            }),
            Err(Stop::KeyTaken) => match self.earlier(call).await? {
                Some(stored) => self.replayed(workspace, call, &stored).await,
                None => Err(Error::Store(StoreError::RequestInProgress)),
            },
            Err(Stop::Refused(error)) => Err(error),
        }
    }

    /// The answer of an earlier call. One that was stored without its place in the log gets the
    /// workspace's newest, which covers it.
    pub(super) async fn replayed(
        &self,
        workspace: &str,
        call: &Call,
        stored: &Stored,
    ) -> Result<Written, Error> {
        let answer = v1::UpdateContactResponse::decode(stored.response.as_slice())
            .map_err(|_| corrupt_key(stored))?;
        let consistency_token = if answer.consistency_token.is_empty() {
            self.newest_token(workspace, call.deadline).await?
        } else {
            answer.consistency_token
        };
        Ok(Written {
            contact: answer.contact,
            consistency_token,
            replayed: true,
        })
    }

    /// The token of the workspace's newest change. Asked for after what is answered was read or
    /// written, it covers that; the horizon of the log would not, which may lie below.
    pub(super) async fn newest_token(
        &self,
        workspace: &str,
        deadline: Deadline,
    ) -> Result<String, Error> {
        let of = workspace.to_owned();
        let newest = self
            .store
            .within(workspace)
            .read_point("log.newest", deadline, move |conn| {
                change_log::newest(conn, Scope::Workspace(&of))
            });
        Ok(consistency_token(self.store.place(newest.await?)))
    }
}

pub(super) fn corrupt_key(stored: &Stored) -> Error {
    Error::Store(StoreError::Corrupt {
        table: "idempotency_keys",
        id: stored.resource.clone(),
    })
}
