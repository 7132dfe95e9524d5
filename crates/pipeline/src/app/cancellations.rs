//! Giving up a move that waits for grants to be given back.

use prost::Message as _;
use proto::pipeline::v1::CancelTransitionResponse;
use store::Conn;
use types::ContactName;

use super::gate::{self, Scene};
use super::requests::{self, Identity};
use super::{ATTEMPTS_MAX, Abort, App, Call, Stale, completions, conversions};
use crate::error::Error;
use crate::store as tables;
use crate::wire;

type Cancelled = (CancelTransitionResponse, bool);

impl App {
    /// Gives up the move of a contact that waits, and all others of its batch; the answer, and
    /// whether the request was a repetition.
    pub async fn cancel_transition(
        &self,
        call: &Call,
        contact: ContactName,
        validate_only: bool,
        identity: Option<Identity>,
    ) -> Result<Cancelled, Error> {
        let identity = identity.filter(|_| !validate_only);
        let stored = requests::look_up(&self.store, identity.as_ref(), call.deadline).await?;
        if let Some(stored) = stored {
            return Ok((decoded(&stored)?, true));
        }
        let mut lineage = self.lineage(&contact.workspace, call.deadline).await?;
        for _ in 0..ATTEMPTS_MAX {
            let id = requests::id_of(identity.as_ref());
            let scene = self.scene(lineage.clone(), &contact.workspace, &call.actor, id);
            let (name, identity) = (contact.clone(), identity.clone());
            let done = self
                .store
                .within(&contact.workspace)
                .write("transition.cancel", call.deadline, move |conn| {
                    cancel(conn, &scene, &name, validate_only, identity.as_ref())
                })
                .await;
            match done {
                Ok(done) => return Ok(done),
                Err(Abort::Preview(done)) => return Ok(*done),
                Err(Abort::Error(error)) => return Err(*error),
                Err(Abort::Stale(_)) => {
                    lineage = self.lineage_read(&contact.workspace, call.deadline).await?;
                }
            }
        }
        Err(Error::ConcurrentUpdate {
            resource: contact.position().to_string(),
        })
    }
}

fn cancel(
    conn: &mut Conn,
    scene: &Scene,
    contact: &ContactName,
    validate_only: bool,
    identity: Option<&Identity>,
) -> Result<Cancelled, Abort<Cancelled>> {
    if let Some(stored) = requests::claim(conn, identity, scene.now)? {
        return Ok((decoded(&stored)?, true));
    }
    // Giving up is also possible while an activation waits: it only leaves things as they are.
    gate::enter::<Abort<_>>(conn, scene, true)?;
    let pending = tables::pending::pending_get(conn, contact)?
        .filter(|pending| !pending.is_removal())
        .ok_or_else(|| Error::NothingPending(contact.clone()))?;
    let outcomes = completions::give_up(conn, scene, &pending.batch)?;
    let outcome = outcomes
        .iter()
        .find(|outcome| outcome.shown.position.name == *contact)
        .ok_or(Stale::Lineage)?;
    let log = outcomes.iter().map(|outcome| outcome.log).max();
    let mut response = CancelTransitionResponse {
        position: Some(wire::positions::position(&outcome.shown)),
        consistency_token: conversions::token(log.unwrap_or(outcome.log)),
    };
    if validate_only {
        response.consistency_token.clear();
        response.position = response.position.map(wire::positions::unstored);
        return Err(Abort::Preview(Box::new((response, false))));
    }
    let name = contact.position().to_string();
    let change = outcome.shown.position.change;
    requests::complete(conn, identity, &name, change, &response.encode_to_vec())?;
    Ok((response, false))
}

fn decoded(stored: &[u8]) -> Result<CancelTransitionResponse, Error> {
    CancelTransitionResponse::decode(stored).map_err(|_| {
        Error::Store(store::Error::Corrupt {
            table: "idempotency_keys",
            id: "transition.cancel".to_owned(),
        })
    })
}
