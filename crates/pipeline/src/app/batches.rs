//! Converting many contacts: all or none, or each for itself.

use futures::StreamExt as _;
use prost::Message;
use store::Conn;
use types::ContactName;

use super::conversions::{self, Request};
use super::gate::{self, Scene, Step};
use super::requests::{self, Identity};
use super::steps::Ask;
use super::waiting::Conversion;
use super::{ATTEMPTS_MAX, Abort, App, Call, Stale, companies};
use crate::domain::contacts::Contact;
use crate::error::Error;

/// Moves that somebody asks for together.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The workspace.
    pub workspace: String,
    /// Whom, where to, and why; each contact once.
    pub items: Vec<(ContactName, Ask)>,
    /// Do all or none.
    pub atomic: bool,
    /// Check everything, change nothing.
    pub validate_only: bool,
    /// The request's identity, where it has one.
    pub identity: Option<Identity>,
}

/// What became of a batch, and whether it had been done before.
pub struct BatchConverted {
    /// Each move's answer or refusal, in the order asked for.
    pub answer: Stored,
    /// Whether the request is a repetition.
    pub replayed: bool,
}

/// The answer of a batch as it is stored for repetitions.
#[derive(Clone, PartialEq, Message)]
pub struct Stored {
    /// Each move's answer; empty where it was refused.
    #[prost(message, repeated, tag = "1")]
    pub conversions: Vec<Conversion>,
    /// Each move's encoded status; empty where it was accepted.
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub statuses: Vec<Vec<u8>>,
}

/// How many moves of a batch that is not atomic are made at once.
const AT_ONCE: usize = 16;

/// How a refusal is stored: the encoded `google.rpc.Status`. Given by the api room, which alone knows.
pub type EncodeStatus = fn(&Error) -> Vec<u8>;

impl App {
    /// Moves many contacts. `encode` is how refusals of single moves are stored for repetitions.
    pub async fn convert_batch(
        &self,
        call: &Call,
        batch: Batch,
        encode: EncodeStatus,
    ) -> Result<BatchConverted, Error> {
        let identity = batch.identity.clone().filter(|_| !batch.validate_only);
        if let Some(stored) =
            requests::look_up(&self.store, identity.as_ref(), call.deadline).await?
        {
            return self.replay_batch(&stored, call, batch.atomic, encode).await;
        }
        let mut done = if batch.atomic {
            self.convert_atomic(call, &batch, encode).await?
        } else {
            self.convert_each(call, &batch, encode).await?
        };
        if !done.replayed && !batch.validate_only {
            let waiting = &mut done.answer.conversions;
            let given_up = self.wait_for_recall(waiting, call.deadline).await;
            tell_given_up(&mut done.answer, &given_up, batch.atomic, encode)?;
        }
        Ok(done)
    }

    async fn replay_batch(
        &self,
        bytes: &[u8],
        call: &Call,
        atomic: bool,
        encode: EncodeStatus,
    ) -> Result<BatchConverted, Error> {
        let mut answer = Stored::decode(bytes).map_err(|_| {
            Error::Store(store::Error::Corrupt {
                table: "idempotency_keys",
                id: "contacts.convert".to_owned(),
            })
        })?;
        let given_up = self
            .update_all(&mut answer.conversions, call.deadline)
            .await?;
        tell_given_up(&mut answer, &given_up, atomic, encode)?;
        Ok(BatchConverted {
            answer,
            replayed: true,
        })
    }

    /// Each move for itself, as ConvertContact would do it. A key per move, derived from the
    /// batch's, makes a repetition after a crash go on where the first attempt ended.
    async fn convert_each(
        &self,
        call: &Call,
        batch: &Batch,
        encode: EncodeStatus,
    ) -> Result<BatchConverted, Error> {
        let ids: Vec<String> = batch
            .items
            .iter()
            .map(|(name, _)| name.contact.clone())
            .collect();
        // Where the directory does not know one of them, each is asked for by itself.
        let mut read = self
            .contacts
            .batch_get(&batch.workspace, &ids, call.deadline)
            .await?
            .unwrap_or_default()
            .into_iter();
        let each = batch.items.iter().map(|(contact, ask)| {
            let facts = read.next();
            let request = Request {
                contact: contact.clone(),
                ask: ask.clone(),
                validate_only: batch.validate_only,
                identity: batch
                    .identity
                    .as_ref()
                    .map(|identity| identity.of_item(contact)),
            };
            async move {
                if call.deadline.expired() {
                    return Err(Error::DeadlineExceeded);
                }
                self.convert_without_waiting(call, &request, facts).await
            }
        });
        let each: Vec<_> = each.collect();
        let done: Vec<Result<Conversion, Error>> = futures::stream::iter(each)
            .buffered(AT_ONCE)
            .collect()
            .await;
        // What failed for the moment may succeed when it is repeated; what was done is kept under the
        // keys of the single moves.
        let is_final = !done
            .iter()
            .any(|one| one.as_ref().is_err_and(Error::is_transient));
        let answer = Stored {
            statuses: done
                .iter()
                .map(|one| one.as_ref().err().map(encode).unwrap_or_default())
                .collect(),
            conversions: done.into_iter().map(Result::unwrap_or_default).collect(),
        };
        if is_final && !batch.validate_only {
            self.store_batch(call, batch.identity.as_ref(), &answer)
                .await?;
        }
        Ok(fresh(answer))
    }

    async fn store_batch(
        &self,
        call: &Call,
        identity: Option<&Identity>,
        answer: &Stored,
    ) -> Result<(), Error> {
        let Some(identity) = identity.cloned() else {
            return Ok(());
        };
        let (stored, now) = (answer.encode_to_vec(), self.clock.now());
        let written: Result<(), Abort<()>> = self
            .store
            .within(identity.workspace())
            .write("batch.complete", call.deadline, move |conn| {
                if requests::claim::<()>(conn, Some(&identity), now)?.is_none() {
                    requests::complete(conn, Some(&identity), "", 0, &stored)?;
                }
                Ok(())
            })
            .await;
        match written {
            Err(Abort::Error(error)) => Err(*error),
            Ok(()) | Err(Abort::Stale(_) | Abort::Preview(_)) => Ok(()),
        }
    }

    /// All moves in one transaction; where one takes something away that is held, all wait together.
    async fn convert_atomic(
        &self,
        call: &Call,
        batch: &Batch,
        encode: EncodeStatus,
    ) -> Result<BatchConverted, Error> {
        let ids: Vec<String> = batch
            .items
            .iter()
            .map(|(name, _)| name.contact.clone())
            .collect();
        let mut lineage = self.lineage(&batch.workspace, call.deadline).await?;
        let mut contacts = self.read_all(&batch.workspace, &ids, call).await?;
        let mut superseded = Vec::new();
        for _ in 0..ATTEMPTS_MAX {
            let id = requests::id_of(batch.identity.as_ref());
            let scene = Scene {
                superseded: superseded.clone(),
                ..self.scene(lineage.clone(), &batch.workspace, &call.actor, id)
            };
            let (seen, asked) = (contacts.clone(), batch.clone());
            let done = self
                .store
                .within(&batch.workspace)
                .write("contacts.convert", call.deadline, move |conn| {
                    convert_all(conn, &scene, &seen, &asked)
                })
                .await;
            match done {
                Ok(Done::Replay(stored)) => {
                    return self.replay_batch(&stored, call, true, encode).await;
                }
                Ok(Done::Fresh(answer)) => return Ok(fresh(answer)),
                Err(Abort::Preview(done)) => {
                    if let Done::Fresh(answer) = *done {
                        return Ok(fresh(answer));
                    }
                    lineage = self.lineage_read(&batch.workspace, call.deadline).await?;
                }
                Err(Abort::Stale(Stale::Lineage)) => {
                    lineage = self.lineage_read(&batch.workspace, call.deadline).await?;
                }
                Err(Abort::Error(error)) => return Err(*error),
                Err(Abort::Stale(Stale::Facts(age))) => {
                    superseded.push(age);
                    contacts = self.read_all(&batch.workspace, &ids, call).await?;
                }
            }
        }
        Err(Error::ConcurrentUpdate {
            resource: format!("workspaces/{}", batch.workspace),
        })
    }

    /// The contacts as they are now; the first that the directory does not know is named.
    async fn read_all(
        &self,
        workspace: &str,
        ids: &[String],
        call: &Call,
    ) -> Result<Vec<Contact>, Error> {
        if let Some(found) = self
            .contacts
            .batch_get(workspace, ids, call.deadline)
            .await?
        {
            return Ok(found);
        }
        let mut contacts = Vec::with_capacity(ids.len());
        for id in ids {
            let name = ContactName::new(workspace, id);
            contacts.push(self.contacts.get(&name, call.deadline).await?);
        }
        Ok(contacts)
    }
}

/// Refuses the moves that were given up while they waited. All of an atomic batch are given up as one.
fn tell_given_up(
    answer: &mut Stored,
    given_up: &[usize],
    atomic: bool,
    encode: EncodeStatus,
) -> Result<(), Error> {
    for place in given_up {
        let error = answer.conversions[*place].given_up();
        if atomic {
            return Err(error);
        }
        answer.statuses[*place] = encode(&error);
    }
    Ok(())
}

fn fresh(answer: Stored) -> BatchConverted {
    BatchConverted {
        answer,
        replayed: false,
    }
}

/// What the transaction of an atomic batch came to.
enum Done {
    Fresh(Stored),
    Replay(Vec<u8>),
}

fn convert_all(
    conn: &mut Conn,
    scene: &Scene,
    contacts: &[Contact],
    batch: &Batch,
) -> Result<Done, Abort<Done>> {
    let identity = batch.identity.as_ref().filter(|_| !batch.validate_only);
    if let Some(stored) = requests::claim(conn, identity, scene.now)? {
        return Ok(Done::Replay(stored));
    }
    gate::enter::<Abort<_>>(conn, scene, false)?;
    let mut all = decided(conn, scene, contacts, batch)?;
    let differences: Vec<_> = all.iter().map(conversions::difference).collect();
    let followers =
        companies::follow_primaries(conn, scene, &all).map_err(conversions::without_preview)?;
    let asked = all.len();
    all.extend(followers);
    let names: Vec<ContactName> = all.iter().map(|step| step.position.name.clone()).collect();
    let outcomes = gate::carry_out(conn, scene, all)?;
    let token = outcomes
        .iter()
        .map(|outcome| outcome.log)
        .max()
        .map(conversions::token)
        .unwrap_or_default();
    let mut found = Vec::with_capacity(batch.items.len());
    for (contact, _) in &batch.items {
        let place = names[..asked].iter().position(|name| name == contact);
        let (outcome, (gained, lost)) = place
            .and_then(|at| Some((outcomes.get(at)?, differences.get(at)?)))
            .ok_or(Stale::Lineage)?;
        let mut conversion = Conversion::of(outcome, gained.clone(), lost.clone());
        if let Some(response) = &mut conversion.response {
            response.consistency_token.clone_from(&token);
        }
        found.push(conversion);
    }
    let answer = |conversions: Vec<Conversion>| Stored {
        statuses: vec![Vec::new(); conversions.len()],
        conversions,
    };
    if batch.validate_only {
        let tried = found.into_iter().map(conversions::tried).collect();
        return Err(Abort::Preview(Box::new(Done::Fresh(answer(tried)))));
    }
    let answer = answer(found);
    requests::complete(conn, identity, "", 0, &answer.encode_to_vec())?;
    Ok(Done::Fresh(answer))
}

/// The steps of all moves, in the order of the contacts' names, which is the order of locks. Of
/// several refusals the first in the order asked for is answered.
fn decided(
    conn: &mut Conn,
    scene: &Scene,
    contacts: &[Contact],
    batch: &Batch,
) -> Result<Vec<Step>, Abort<Done>> {
    let mut order: Vec<usize> = (0..contacts.len().min(batch.items.len())).collect();
    order.sort_by(|a, b| gate::by_name(&contacts[*a].name, &contacts[*b].name));
    let mut all = Vec::with_capacity(order.len());
    let mut refused: Option<(usize, Box<Error>)> = None;
    for at in order {
        match conversions::converting(conn, scene, &contacts[at], &batch.items[at].1) {
            Ok(step) => all.push(step),
            Err(Abort::Error(error)) if is_refusal(&error) => {
                if refused.as_ref().is_none_or(|(first, _)| at < *first) {
                    refused = Some((at, error));
                }
            }
            Err(abort) => return Err(abort),
        }
    }
    match refused {
        Some((_, error)) => Err(Abort::Error(error)),
        None => Ok(all),
    }
}

/// Whether the others of the batch can still be looked at after it; a database's error may have
/// spoilt the transaction.
fn is_refusal(error: &Error) -> bool {
    !matches!(error, Error::Store(_))
}
