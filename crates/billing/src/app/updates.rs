//! Changing a resource by its update mask: the same way for each of them.
//!
//! Claim the request's key, lock what is stored, compare the etag, put what the mask names in its
//! place, check the whole anew, store it, log it, and keep the answer under the key.

use ::store::idempotency::Keep;
use ::store::{Conn, Error as StoreError};
use prost::Message;
use prost_types::FieldMask;

use super::calls::{Call, Done, Sent, Write, log_all, replayed, settled};
use super::{Abort, App};
use crate::error::{Error, Kind};
use crate::wire::{Resource, masks};

/// A resource that is changed by a mask.
pub(super) trait ByMask: Sized {
    /// Its resource name.
    type Name: std::fmt::Display + Send + Sync + 'static;
    /// Its message.
    type Wire: Resource + Message + Send + Sync + 'static;
    /// The answer of the rpc.
    type Response: Message + Default + Send + 'static;

    /// What it is, for refusals.
    const KIND: Kind;
    /// The rpc, as `Service/Method`.
    const METHOD: &'static str;
    /// The operation's label.
    const OP: &'static str;
    /// The kind of its changes in the log.
    const CHANGE: &'static str;

    /// What is stored, locked until the transaction ends.
    fn for_change(conn: &mut Conn, name: &Self::Name) -> Result<Option<Self>, StoreError>;

    /// The etag of its revision.
    fn etag(&self) -> String;

    /// Its revision.
    fn revision(&self) -> i64;

    /// The next revision, with what `paths` name taken from `given`.
    fn changed(self, given: &Self::Wire, paths: &[String], write: &Write) -> Result<Self, Error>;

    /// Stores it in the place of the one that is locked.
    fn save(&self, conn: &mut Conn) -> Result<(), StoreError>;

    /// Its message.
    fn to_wire(&self) -> Self::Wire;

    /// The answer.
    fn response(wire: Self::Wire, consistency_token: String) -> Self::Response;

    /// The answer's resource and token.
    fn parts(response: &mut Self::Response) -> (Option<&mut Self::Wire>, &mut String);
}

/// What is asked for: the fields of `given` that `mask` names, in the place of what is stored.
pub(super) struct Update<'a, R: ByMask> {
    /// The resource.
    pub name: R::Name,
    /// Its workspace's id.
    pub workspace: &'a str,
    /// What the caller sent.
    pub given: R::Wire,
    /// Which of it counts.
    pub mask: Option<&'a FieldMask>,
    /// The revision that is to be changed; empty for any.
    pub etag: String,
    /// The client's request id; empty for none.
    pub request_id: &'a str,
    /// Whether nothing is to be changed.
    pub validate_only: bool,
}

impl App {
    /// Changes the fields that the mask names. `bare` is the request without its request id.
    pub(super) async fn update<R: ByMask>(
        &self,
        call: &Call,
        update: Update<'_, R>,
        bare: &impl Message,
    ) -> Result<Done<R::Response>, Error> {
        let sent = Sent {
            method: R::METHOD,
            workspace: update.workspace,
            request_id: update.request_id,
            validate_only: update.validate_only,
            keep: Keep::WEEK,
        };
        let write = Write::new(call, sent, bare, self.clock.now(), &self.ids);
        if let Some(stored) = write.look_up(&self.store, call).await? {
            return replayed(&stored);
        }
        let paths = masks::paths(update.mask)?;
        let Update {
            name, given, etag, ..
        } = update;
        let outcome = self
            .store
            .within(&write.workspace)
            .write(R::OP, call.deadline, move |conn| {
                change::<R>(conn, &name, &given, &paths, &etag, &write)
            })
            .await;
        settled(outcome, |response| {
            let (resource, token) = R::parts(response);
            token.clear();
            resource.into_iter().for_each(Resource::unstore);
        })
    }
}

fn change<R: ByMask>(
    conn: &mut Conn,
    name: &R::Name,
    given: &R::Wire,
    paths: &[String],
    etag: &str,
    write: &Write,
) -> Result<R::Response, Abort<R::Response>> {
    write.claim(conn)?;
    let resource = name.to_string();
    let Some(stored) = R::for_change(conn, name)? else {
        let kind = R::KIND;
        return Err(Error::NotFound { kind, resource }.into());
    };
    if !etag.is_empty() && etag != stored.etag() {
        return Err(Error::EtagMismatch { resource }.into());
    }
    let changed = stored.changed(given, paths, write)?;
    changed.save(conn)?;
    let (wire, revision) = (changed.to_wire(), changed.revision());
    let (payload, mask) = (wire.encode_to_vec(), paths.join(","));
    let change = write.change(R::CHANGE, &resource, revision, &payload, &mask);
    let response = R::response(wire, log_all(conn, &[change])?);
    write.complete(conn, &resource, revision, &response.encode_to_vec())?;
    write.end(response)
}
