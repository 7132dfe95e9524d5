//! Converting one contact: facts from the directory first, then one transaction.

use prost::Message as _;
use store::Conn;
use types::{ContactName, Service, Token, TokenKind};

use super::gate::{self, Scene, Step};
use super::reopening::reopening;
use super::requests::{self, Identity};
use super::steps::{self, Ask};
use super::waiting::Conversion;
use super::{ATTEMPTS_MAX, Abort, App, Call, Stale, companies, completions};
use crate::domain::contacts::{Contact, Presence};
use crate::error::Error;
use crate::store as tables;
use crate::wire;

/// A conversion that somebody asks for.
#[derive(Clone, Debug)]
pub struct Request {
    /// Whom.
    pub contact: ContactName,
    /// Where to, and why.
    pub ask: Ask,
    /// Check everything, change nothing.
    pub validate_only: bool,
    /// The request's identity, where it has one.
    pub identity: Option<Identity>,
}

/// What was done, and whether it had been done before.
#[derive(Debug)]
pub struct Converted {
    /// The answer.
    pub conversion: Conversion,
    /// Whether the request was a repetition.
    pub replayed: bool,
}

impl App {
    /// Moves a contact, or has the move wait until every holder has given its grant back.
    pub async fn convert(&self, call: &Call, request: Request) -> Result<Converted, Error> {
        let identity = request.identity.as_ref().filter(|_| !request.validate_only);
        if let Some(stored) = requests::look_up(&self.store, identity, call.deadline).await? {
            return self.replay(&stored, call).await;
        }
        let contact = self.contacts.get(&request.contact, call.deadline).await?;
        let (mut conversion, replayed) = self.convert_once(call, &request, contact).await?;
        if replayed {
            return self.replay(&conversion.encode_to_vec(), call).await;
        }
        if conversion.waits && !request.validate_only {
            let waiting = std::slice::from_mut(&mut conversion);
            if !self
                .wait_for_recall(waiting, call.deadline)
                .await
                .is_empty()
            {
                return Err(conversion.given_up());
            }
        }
        Ok(Converted {
            conversion,
            replayed,
        })
    }

    /// The same without waiting for holders of grants: for moves of a batch, which wait together.
    pub async fn convert_without_waiting(
        &self,
        call: &Call,
        request: &Request,
        contact: Option<Contact>,
    ) -> Result<Conversion, Error> {
        let identity = request.identity.as_ref().filter(|_| !request.validate_only);
        if let Some(stored) = requests::look_up(&self.store, identity, call.deadline).await? {
            return Ok(self.replay(&stored, call).await?.conversion);
        }
        let contact = match contact {
            Some(contact) => contact,
            None => self.contacts.get(&request.contact, call.deadline).await?,
        };
        let (conversion, _) = self.convert_once(call, request, contact).await?;
        Ok(conversion)
    }

    async fn replay(&self, stored: &[u8], call: &Call) -> Result<Converted, Error> {
        let mut conversion = stored_conversion(stored)?;
        let stored = std::slice::from_mut(&mut conversion);
        let given_up = self.update_all(stored, call.deadline).await?;
        if !given_up.is_empty() {
            return Err(conversion.given_up());
        }
        Ok(Converted {
            conversion,
            replayed: true,
        })
    }

    /// Decides until nothing that the decision rests on has changed meanwhile.
    async fn convert_once(
        &self,
        call: &Call,
        request: &Request,
        mut contact: Contact,
    ) -> Result<(Conversion, bool), Error> {
        let name = &request.contact;
        let mut lineage = self.lineage(&name.workspace, call.deadline).await?;
        let mut superseded = Vec::new();
        for _ in 0..ATTEMPTS_MAX {
            let id = requests::id_of(request.identity.as_ref());
            let scene = Scene {
                superseded: superseded.clone(),
                ..self.scene(lineage.clone(), &name.workspace, &call.actor, id)
            };
            let (seen, asked) = (contact.clone(), request.clone());
            let done = self
                .store
                .within(&name.workspace)
                .write("contact.convert", call.deadline, move |conn| {
                    convert(conn, &scene, &seen, &asked)
                })
                .await;
            match done {
                Ok(done) => return Ok(done),
                Err(Abort::Preview(done)) => return Ok(*done),
                Err(Abort::Error(error)) => return Err(*error),
                Err(Abort::Stale(Stale::Lineage)) => {
                    lineage = self.lineage_read(&name.workspace, call.deadline).await?;
                }
                Err(Abort::Stale(Stale::Facts(age))) => {
                    superseded.push(age);
                    contact = self.contacts.get(name, call.deadline).await?;
                }
            }
        }
        Err(Error::ConcurrentUpdate {
            resource: name.position().to_string(),
        })
    }
}

/// The transaction: claims the key, decides, carries out, stores the answer.
fn convert(
    conn: &mut Conn,
    scene: &Scene,
    contact: &Contact,
    request: &Request,
) -> Result<(Conversion, bool), Abort<(Conversion, bool)>> {
    let identity = request.identity.as_ref().filter(|_| !request.validate_only);
    if let Some(stored) = requests::claim(conn, identity, scene.now)? {
        return Ok((stored_conversion(&stored)?, true));
    }
    gate::enter::<Abort<_>>(conn, scene, false)?;
    let step = converting(conn, scene, contact, &request.ask)?;
    let (gained, lost) = difference(&step);
    let mut all = vec![step];
    let followers = companies::follow_primaries(conn, scene, &all).map_err(without_preview)?;
    all.extend(followers);
    let outcomes = gate::carry_out(conn, scene, all)?;
    let outcome = outcomes.first().ok_or(Stale::Lineage)?;
    let log = outcomes.iter().map(|outcome| outcome.log).max();
    let mut conversion = Conversion::of(outcome, gained, lost);
    if let Some(response) = &mut conversion.response {
        response.consistency_token = token(log.unwrap_or(outcome.log));
    }
    if request.validate_only {
        return Err(Abort::Preview(Box::new((tried(conversion), false))));
    }
    let name = contact.name.position().to_string();
    let revision = outcome.shown.position.revision;
    requests::complete(conn, identity, &name, revision, &conversion.encode_to_vec())?;
    Ok((conversion, false))
}

/// Locks the position and decides on a move that somebody asks for.
pub fn converting<T>(
    conn: &mut Conn,
    scene: &Scene,
    contact: &Contact,
    ask: &Ask,
) -> Result<Step, Abort<T>> {
    let (position, newer) = steps::locked(conn, scene, contact)?;
    present(contact)?;
    completions::refuse_pending(conn, &position)?;
    if newer {
        // They count as decided on from now on, but what they fire was not looked at.
        tables::evaluations::evaluation_request(conn, &contact.name, scene.now)?;
    }
    let reopening = reopening(conn, scene, &position)?;
    companies::associate_with(conn, scene, contact)?;
    Ok(steps::convert(
        scene,
        position,
        contact,
        reopening.as_ref(),
        ask,
    )?)
}

/// Refuses to move whoever is gone or going.
pub fn present(contact: &Contact) -> Result<(), Error> {
    match contact.presence {
        Presence::Active => Ok(()),
        Presence::Deleting | Presence::Merging => Err(Error::TransitionPending {
            contact: contact.name.clone(),
            to: String::new(),
            is_removal: true,
            since: contact.update_time,
        }),
        Presence::Absent => Err(Error::no_contact(&contact.name)),
        Presence::Deleted => Err(Error::Deleted(contact.name.clone())),
        Presence::Merged => Err(Error::Merged {
            contact: contact.name.clone(),
            into: contact.merged_into.clone(),
        }),
    }
}

/// What the moves of a step give and take, opening and maps put aside.
pub fn difference(step: &Step) -> (Vec<String>, Vec<String>) {
    (
        step.after.difference(&step.before).cloned().collect(),
        step.before.difference(&step.after).cloned().collect(),
    )
}

/// The answer of a call that was only tried: ids, etag and tokens are left out.
pub fn tried(mut conversion: Conversion) -> Conversion {
    if let Some(response) = &mut conversion.response {
        response.consistency_token.clear();
        response.position = response.position.take().map(wire::positions::unstored);
        if let Some(transition) = &mut response.transition {
            transition.name.clear();
            transition.hash.clear();
        }
    }
    conversion
}

/// The consistency token of a place in the change log.
pub fn token(at: store::change_log::LogPosition) -> String {
    Token {
        kind: TokenKind::Consistency,
        service: Service::Pipeline,
        epoch: at.epoch,
        tx: at.tx,
        id: at.id,
    }
    .to_string()
}

/// The same end of a transaction for one with another result.
pub fn without_preview<T>(abort: Abort<()>) -> Abort<T> {
    match abort {
        Abort::Error(error) => Abort::Error(error),
        Abort::Stale(stale) => Abort::Stale(stale),
        Abort::Preview(_) => Abort::Stale(Stale::Lineage),
    }
}

fn stored_conversion(bytes: &[u8]) -> Result<Conversion, Error> {
    Conversion::decode(bytes).map_err(|_| {
        Error::Store(store::Error::Corrupt {
            table: "idempotency_keys",
            id: "contact.convert".to_owned(),
        })
    })
}
