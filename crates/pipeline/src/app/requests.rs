//! Requests that are done once, however often they arrive.

use store::idempotency::{self, Claim, Keep, Key, RequestHash, Stored};
use store::{Conn, Store};
use types::{Deadline, Micros};

use super::Abort;
use crate::error::Error;

/// The identity of a request that carries a request id.
#[derive(Clone, Debug)]
pub struct Identity {
    key: Key,
    hash: RequestHash,
}

impl Identity {
    /// The identity of `method` called by `principal`; `bytes` are the request's without its id.
    /// None for an empty id: that never deduplicates.
    pub fn new(
        workspace: &str,
        principal: &str,
        method: &str,
        request_id: &str,
        bytes: &[u8],
    ) -> Option<Self> {
        (!request_id.is_empty()).then(|| Self {
            key: Key {
                workspace: workspace.to_owned(),
                principal: principal.to_owned(),
                method: method.to_owned(),
                request_id: request_id.to_ascii_lowercase(),
            },
            hash: RequestHash::of(bytes),
        })
    }

    /// The identity of one contact's part of a batch.
    pub fn of_item(&self, contact: &types::ContactName) -> Self {
        let mut key = self.key.clone();
        key.method = format!("{}/{}", key.method, contact.contact);
        Self {
            key,
            hash: self.hash,
        }
    }

    /// The workspace in which it is done once.
    pub fn workspace(&self) -> &str {
        &self.key.workspace
    }

    /// The request id.
    pub fn request_id(&self) -> &str {
        &self.key.request_id
    }
}

/// The request id of a call, empty where it has none.
pub fn id_of(identity: Option<&Identity>) -> &str {
    identity.map_or("", Identity::request_id)
}

/// What the request left when it was done before. To be asked before anything else.
pub async fn look_up(
    store: &Store,
    identity: Option<&Identity>,
    deadline: Deadline,
) -> Result<Option<Vec<u8>>, Error> {
    let Some(identity) = identity.cloned() else {
        return Ok(None);
    };
    let now = store.clock().now();
    let found: Option<Stored> = store
        .within(&identity.key.workspace)
        .read_point("request.look_up", deadline, move |conn| {
            idempotency::look_up(conn, &identity.key, &identity.hash, now)
        })
        .await?;
    Ok(found.map(|stored| stored.response))
}

/// Claims the request as the first thing in its transaction; what it left where it was done before.
pub fn claim<T>(
    conn: &mut Conn,
    identity: Option<&Identity>,
    now: Micros,
) -> Result<Option<Vec<u8>>, Abort<T>> {
    let Some(identity) = identity else {
        return Ok(None);
    };
    match idempotency::claim(conn, &identity.key, &identity.hash, now, Keep::WEEK)? {
        Claim::Fresh => Ok(None),
        Claim::Replay(stored) => Ok(Some(stored.response)),
    }
}

/// Stores what the request leaves.
pub fn complete(
    conn: &mut Conn,
    identity: Option<&Identity>,
    resource: &str,
    revision: i64,
    response: &[u8],
) -> Result<(), store::Error> {
    match identity {
        None => Ok(()),
        Some(identity) => idempotency::complete(conn, &identity.key, resource, revision, response),
    }
}
