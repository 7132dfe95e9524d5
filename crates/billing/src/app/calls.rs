//! One call: who makes it, by when, and what makes a repetition of it harmless.

use ::store::change_log::{self, LogPosition, NewChange};
use ::store::idempotency::{self, Claim, Keep, Key, RequestHash, Stored};
use ::store::{Conn, Store};
use prost::Message;
use types::{Deadline, Ids, Micros, Service, Token, TokenKind};

use super::{Abort, Stop};
use crate::domain::faults::Faults;
use crate::error::Error;

/// Who calls, and by when the answer is due.
#[derive(Clone, Debug)]
pub struct Call {
    /// The principal.
    pub actor: String,
    /// By when.
    pub deadline: Deadline,
}

/// What a use case answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done<T> {
    /// The answer.
    pub value: T,
    /// Whether it is the answer of an earlier call with the same request id.
    pub replayed: bool,
}

impl<T> Done<T> {
    /// The answer of this very call.
    pub fn fresh(value: T) -> Self {
        Self {
            value,
            replayed: false,
        }
    }
}

/// A write as its transaction sees it.
#[derive(Clone, Debug)]
pub struct Write {
    /// The workspace's id.
    pub workspace: String,
    /// Who writes.
    pub actor: String,
    /// The client's request id; empty for none.
    pub request_id: String,
    /// The present.
    pub now: Micros,
    /// Whether to roll back at the end.
    pub validate_only: bool,
    key: Option<(Key, RequestHash)>,
    keep: Keep,
    event_id: String,
}

/// What the caller of a writing rpc sent besides the resource.
#[derive(Clone, Copy, Debug)]
pub struct Sent<'a> {
    /// The rpc, as `Service/Method`.
    pub method: &'static str,
    /// The workspace's id.
    pub workspace: &'a str,
    /// The client's request id; empty for none.
    pub request_id: &'a str,
    /// Whether nothing is to be changed.
    pub validate_only: bool,
    /// How long the key is kept.
    pub keep: Keep,
}

impl Write {
    /// A write of `call`. `request` is the message without its request id.
    pub fn new(
        call: &Call,
        sent: Sent<'_>,
        request: &impl Message,
        now: Micros,
        ids: &Ids,
    ) -> Self {
        let key = (!sent.request_id.is_empty() && !sent.validate_only).then(|| {
            let key = Key {
                workspace: sent.workspace.to_owned(),
                principal: call.actor.clone(),
                method: sent.method.to_owned(),
                // Upper and lower case are the same UUID.
                request_id: sent.request_id.to_ascii_lowercase(),
            };
            (key, RequestHash::of(&request.encode_to_vec()))
        });
        Self {
            workspace: sent.workspace.to_owned(),
            actor: call.actor.clone(),
            request_id: sent.request_id.to_owned(),
            now,
            validate_only: sent.validate_only,
            key,
            keep: sent.keep,
            event_id: ids.next(),
        }
    }

    /// Whether a repetition of the request is recognised.
    pub fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// What an earlier call with the same key left. To be asked before anything that may have changed
    /// since is checked.
    pub async fn look_up(&self, store: &Store, call: &Call) -> Result<Option<Stored>, Error> {
        let Some((key, hash)) = self.key.clone() else {
            return Ok(None);
        };
        let now = self.now;
        store
            .within(&key.workspace)
            .read_point("idempotency.look_up", call.deadline, move |conn| {
                Ok(idempotency::look_up(conn, &key, &hash, now)?)
            })
            .await
    }

    /// Claims the key, as the transaction's first statement.
    pub fn claim(&self, conn: &mut Conn) -> Result<(), Stop> {
        let Some((key, hash)) = &self.key else {
            return Ok(());
        };
        match idempotency::claim(conn, key, hash, self.now, self.keep)? {
            Claim::Fresh => Ok(()),
            Claim::Replay(stored) => Err(Stop::Replay(stored)),
        }
    }

    /// Stores under the claimed key how the request ended.
    pub fn complete(
        &self,
        conn: &mut Conn,
        resource: &str,
        revision: i64,
        response: &[u8],
    ) -> Result<(), ::store::Error> {
        match &self.key {
            Some((key, _)) => idempotency::complete(conn, key, resource, revision, response),
            None => Ok(()),
        }
    }

    /// The same as [`Write::look_up`], in a transaction.
    pub fn look_up_here(&self, conn: &mut Conn) -> Result<Option<Stored>, ::store::Error> {
        match &self.key {
            Some((key, hash)) => idempotency::look_up(conn, key, hash, self.now),
            None => Ok(None),
        }
    }

    /// Claims the key and stores under it how the request ended, for writes that an earlier one with
    /// the same key would have made impossible: they need not claim it first.
    pub fn claim_complete(
        &self,
        conn: &mut Conn,
        resource: &str,
        revision: i64,
        response: &[u8],
    ) -> Result<(), Stop> {
        let Some((key, hash)) = &self.key else {
            return Ok(());
        };
        let resource = resource.to_owned();
        let stored = Stored {
            resource,
            revision,
            response: response.to_vec(),
        };
        match idempotency::claim_complete(conn, key, hash, self.now, self.keep, &stored)? {
            Claim::Fresh => Ok(()),
            Claim::Replay(stored) => Err(Stop::Replay(stored)),
        }
    }

    /// What was done, for the log.
    pub fn change<'a>(
        &'a self,
        kind: &'a str,
        resource: &'a str,
        revision: i64,
        payload: &'a [u8],
        paths: &'a str,
    ) -> NewChange<'a> {
        NewChange {
            workspace: &self.workspace,
            kind,
            resource,
            revision,
            payload,
            paths,
            actor: &self.actor,
            request_id: &self.request_id,
            event_id: &self.event_id,
            record_time: self.now,
        }
    }

    /// Ends the transaction: with its answer, or rolled back where it was only tried.
    pub fn end<T>(&self, answer: T) -> Result<T, Abort<T>> {
        if self.validate_only {
            Err(Abort::Rehearsed(Box::new(answer)))
        } else {
            Ok(answer)
        }
    }
}

/// Logs changes of one transaction; answers the consistency token of them all.
pub fn log_all(conn: &mut Conn, changes: &[NewChange<'_>]) -> Result<String, ::store::Error> {
    change_log::append_all(conn, changes).map(consistency_token)
}

/// The token by which reads can ask for at least this state of the log.
#[must_use]
pub fn consistency_token(position: LogPosition) -> String {
    let LogPosition { epoch, tx, id } = position;
    let service = Service::Billing;
    Token {
        kind: TokenKind::Consistency,
        service,
        epoch,
        tx,
        id,
    }
    .to_string()
}

/// Refuses tokens that this database can't honour.
///
/// Reads go to the primary, so that any token of this life of the database is satisfied. Other
/// services' tokens ask for nothing that billing shows.
pub fn check_freshness(tokens: &[String], epoch: i64) -> Result<(), Error> {
    let (mut services, mut faults) = (Vec::new(), Faults::default());
    for (index, token) in tokens.iter().enumerate() {
        let token: Token = token.parse().map_err(|_| Error::ConsistencyTokenForeign)?;
        let own = token.service == Service::Billing;
        if token.kind != TokenKind::Consistency || own && token.epoch != epoch {
            return Err(Error::ConsistencyTokenForeign);
        }
        if services.contains(&token.service) {
            let field = format!("at_least_as_fresh_as[{index}]");
            faults.note(field, "must be the only token of its service");
        }
        services.push(token.service);
    }
    Ok(faults.into_result()?)
}

/// The answer that was stored under a request's key.
pub fn replayed<T: Message + Default>(stored: &Stored) -> Result<Done<T>, Error> {
    let value = T::decode(stored.response.as_slice())
        .map_err(|_| Error::Defect("a stored answer can't be read"))?;
    Ok(Done {
        value,
        replayed: true,
    })
}

/// What a write's transaction came to, as the answer of the call. `blank` takes out of a rehearsal
/// what only a real call gives.
pub fn settled<T: Message + Default>(
    outcome: Result<T, Abort<T>>,
    blank: impl FnOnce(&mut T),
) -> Result<Done<T>, Error> {
    match outcome {
        Ok(response) => Ok(Done::fresh(response)),
        Err(Abort::Rehearsed(mut response)) => {
            blank(&mut response);
            Ok(Done::fresh(*response))
        }
        Err(Abort::Stop(Stop::Replay(stored))) => replayed(&stored),
        Err(Abort::Stop(Stop::NoGrant(_) | Stop::SubjectOld(_))) => {
            Err(Error::Defect("an attempt without a grant"))
        }
        Err(Abort::Stop(Stop::Error(error))) => Err(error),
    }
}
