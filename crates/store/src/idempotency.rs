//! Requests that are done once, however often they arrive.
//!
//! The key of a request is claimed first in its transaction and completed with the answer before
//! the commit, so a key without an answer is never seen by others, and a failed request leaves none.

use diesel::prelude::*;
use sha2::{Digest, Sha256};
use types::Micros;

use crate::context::{self, KeyFate};
use crate::schema::idempotency_keys as keys;
use crate::{Conn, Error};

/// What makes two requests the same one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The workspace.
    pub workspace: String,
    /// Who calls.
    pub principal: String,
    /// The method's full name.
    pub method: String,
    /// The client's request id, never empty: an empty one does not deduplicate.
    pub request_id: String,
}

/// A fingerprint of a request's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestHash(pub [u8; 32]);

impl RequestHash {
    /// The SHA-256 of a request's bytes, in an encoding that is the same each time and leaves the
    /// request id out.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

/// How long a key is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// So many days; the suite's default is 7.
    Days(u16),
    /// For ever: for money.
    Forever,
}

impl Keep {
    /// The default of the suite.
    pub const WEEK: Self = Self::Days(7);

    pub(crate) fn until(self, now: Micros) -> Option<i64> {
        match self {
            Self::Days(days) => Some(now.0.saturating_add(i64::from(days) * 86_400_000_000)),
            Self::Forever => None,
        }
    }
}

/// What a completed request left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// The resource it made or changed.
    pub resource: String,
    /// The resource's revision afterwards.
    pub revision: i64,
    /// Its answer, or what the service needs to render it.
    pub response: Vec<u8>,
}

/// Whether a request is to be executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Yes: the key is ours until the transaction ends.
    Fresh,
    /// No: it was, and this is what it left.
    Replay(Stored),
}

/// What a request with this key left, if it was executed. To be asked before anything is checked
/// that may have changed since, so that a retried success never fails. A key whose time is over left
/// nothing, whether it was pruned or not.
///
/// Errors: [`Error::RequestIdReused`] when it had another content.
pub fn look_up(
    conn: &mut Conn,
    key: &Key,
    hash: &RequestHash,
    now: Micros,
) -> Result<Option<Stored>, Error> {
    match found(conn, key, now)? {
        Found::Kept(row) => stored(row, hash).map(Some),
        Found::Over | Found::Nothing => Ok(None),
    }
}

/// Claims the key, as the first statement of the transaction.
///
/// While another transaction holds the key, PostgreSQL waits for it up to the lock timeout (SQLite
/// has one writer). Errors: [`Error::RequestIdReused`], [`Error::RequestInProgress`].
pub fn claim(
    conn: &mut Conn,
    key: &Key,
    hash: &RequestHash,
    now: Micros,
    keep: Keep,
) -> Result<Claim, Error> {
    insert(conn, key, hash, now, keep, None)
}

/// Claims the key and completes it at once, for requests whose answer is known beforehand.
pub fn claim_complete(
    conn: &mut Conn,
    key: &Key,
    hash: &RequestHash,
    now: Micros,
    keep: Keep,
    answer: &Stored,
) -> Result<Claim, Error> {
    insert(conn, key, hash, now, keep, Some(answer))
}

/// Stores the answer under a key that this transaction has claimed.
pub fn complete(
    conn: &mut Conn,
    key: &Key,
    resource: &str,
    revision: i64,
    response: &[u8],
) -> Result<(), Error> {
    let changed = diesel::update(row_of(key))
        .set((
            keys::resource.eq(resource),
            keys::revision.eq(revision),
            keys::response.eq(response),
        ))
        .execute(conn)?;
    if changed == 1 {
        Ok(())
    } else {
        Err(Error::database("a key was completed that nobody claimed"))
    }
}

/// Deletes at most `limit` keys whose time is over; answers how many went.
pub fn prune(conn: &mut Conn, now: Micros, limit: i64) -> Result<usize, Error> {
    let over: Vec<(String, String, String, String)> = keys::table
        .filter(keys::expire_time.le(now.0))
        .select(keys::table.primary_key())
        .limit(limit)
        .load(conn)?;
    let mut gone = 0;
    for (workspace, principal, method, request_id) in &over {
        // Since it was found it may have been claimed anew.
        let key = keys::table.find((workspace, principal, method, request_id));
        gone += diesel::delete(key.filter(keys::expire_time.le(now.0))).execute(conn)?;
    }
    Ok(gone)
}

type Row = (
    Vec<u8>,
    Option<String>,
    Option<i64>,
    Option<Vec<u8>>,
    Option<i64>,
);

/// What is stored under a key.
enum Found {
    Nothing,
    /// Its time is over, but it was not pruned yet.
    Over,
    Kept(Row),
}

fn found(conn: &mut Conn, key: &Key, now: Micros) -> Result<Found, Error> {
    let row: Option<Row> = row_of(key)
        .select((
            keys::request_hash,
            keys::resource,
            keys::revision,
            keys::response,
            keys::expire_time,
        ))
        .first(conn)
        .optional()?;
    Ok(match row {
        None => Found::Nothing,
        Some((.., Some(end))) if end <= now.0 => Found::Over,
        Some(row) => Found::Kept(row),
    })
}

#[diesel::dsl::auto_type(no_type_alias)]
fn row_of<'a>(key: &'a Key) -> _ {
    let workspace: &'a str = key.workspace.as_str();
    let principal: &'a str = key.principal.as_str();
    let method: &'a str = key.method.as_str();
    let request_id: &'a str = key.request_id.as_str();
    keys::table.find((workspace, principal, method, request_id))
}

fn insert(
    conn: &mut Conn,
    key: &Key,
    hash: &RequestHash,
    now: Micros,
    keep: Keep,
    answer: Option<&Stored>,
) -> Result<Claim, Error> {
    if try_insert(conn, key, hash, now, keep, answer)? {
        return Ok(Claim::Fresh);
    }
    match found(conn, key, now)? {
        Found::Kept(row) => return stored(row, hash).map(Claim::Replay),
        Found::Over => {
            diesel::delete(row_of(key).filter(keys::expire_time.le(now.0))).execute(conn)?;
        }
        // It was pruned just now.
        Found::Nothing => {}
    }
    if try_insert(conn, key, hash, now, keep, answer)? {
        Ok(Claim::Fresh)
    } else {
        Err(Error::RequestInProgress)
    }
}

fn try_insert(
    conn: &mut Conn,
    key: &Key,
    hash: &RequestHash,
    now: Micros,
    keep: Keep,
    answer: Option<&Stored>,
) -> Result<bool, Error> {
    let inserted = crate::each!(conn, |c| diesel::insert_into(keys::table)
        .values(row_values(key, hash, now, keep, answer))
        .on_conflict_do_nothing()
        .execute(c));
    match inserted.map_err(Error::from) {
        Ok(rows) => {
            if rows == 1 {
                context::set_key(KeyFate::Written);
            }
            Ok(rows == 1)
        }
        Err(Error::LockTimeout) => {
            context::set_key(KeyFate::Taken);
            Err(Error::RequestInProgress)
        }
        Err(error) => Err(error),
    }
}

/// The columns of a key's row.
#[diesel::dsl::auto_type(no_type_alias)]
fn row_values<'a>(
    key: &'a Key,
    hash: &'a RequestHash,
    now: Micros,
    keep: Keep,
    answer: Option<&'a Stored>,
) -> _ {
    let workspace: &'a str = key.workspace.as_str();
    let principal: &'a str = key.principal.as_str();
    let method: &'a str = key.method.as_str();
    let request_id: &'a str = key.request_id.as_str();
    let hash: &'a [u8] = hash.0.as_slice();
    let resource: Option<&'a str> = answer.map(|answer| answer.resource.as_str());
    let revision: Option<i64> = answer.map(|answer| answer.revision);
    let response: Option<&'a [u8]> = answer.map(|answer| answer.response.as_slice());
    let create_time: i64 = now.0;
    let expire_time: Option<i64> = keep.until(now);
    (
        keys::workspace.eq(workspace),
        keys::principal.eq(principal),
        keys::method.eq(method),
        keys::request_id.eq(request_id),
        keys::request_hash.eq(hash),
        keys::resource.eq(resource),
        keys::revision.eq(revision),
        keys::response.eq(response),
        keys::create_time.eq(create_time),
        keys::expire_time.eq(expire_time),
    )
}

fn stored(row: Row, hash: &RequestHash) -> Result<Stored, Error> {
    context::set_key(KeyFate::Found);
    let (stored_hash, resource, revision, response, _) = row;
    if stored_hash != hash.0 {
        return Err(Error::RequestIdReused);
    }
    Ok(Stored {
        resource: resource.unwrap_or_default(),
        revision: revision.unwrap_or_default(),
        response: response.unwrap_or_default(),
    })
}
