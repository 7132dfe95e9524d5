//! Looking at one contact: opening it, firing what its facts fire, or closing it for good.
//!
//! The same whether the change log brought the contact or somebody asked for it before.

use std::collections::BTreeSet;

use policy::{Closing, Command, Decision, Refusal, Withheld};
use serde_json::json;
use store::Conn;
use types::{ContactName, Deadline};

use super::companies::{self, Candidate};
use super::gate::{self, Outcome, Scene, Step};
use super::reopening::{Reopening, reopening};
use super::steps::{self, Walk};
use super::{ATTEMPTS_MAX, Abort, App, Stale, completions};
use crate::domain::contacts::{Contact, Presence};
use crate::domain::positions::{Position, State};
use crate::domain::transitions::Effect;
use crate::error::Error;
use crate::store as tables;
use crate::store::evaluations::Evaluation;

/// What looking at a contact came to.
#[derive(Debug)]
pub enum Verdict {
    /// It stands where it should.
    Settled,
    /// A move waits; the contact is looked at again when that is over.
    Waits,
    /// It is going away and nobody holds anything any more: the directory may complete it.
    Gone,
}

impl App {
    /// Looks at a contact as the directory knows it now. Errors: [`Error::NotFound`].
    pub async fn evaluate(&self, name: &ContactName, deadline: Deadline) -> Result<Verdict, Error> {
        let contact = self.contacts.get(name, deadline).await?;
        self.evaluate_read(contact, deadline).await
    }

    /// Looks at a contact that was just read.
    pub async fn evaluate_read(
        &self,
        mut contact: Contact,
        deadline: Deadline,
    ) -> Result<Verdict, Error> {
        let workspace = contact.name.workspace.clone();
        let mut lineage = self.lineage(&workspace, deadline).await?;
        let mut superseded = Vec::new();
        for _ in 0..ATTEMPTS_MAX {
            let candidate = self.candidate(&contact, &lineage, deadline).await?;
            let scene = Scene {
                superseded: superseded.clone(),
                ..self.scene(lineage.clone(), &workspace, policy::POLICY_ACTOR, "")
            };
            let seen = contact.clone();
            let done = self
                .store
                .within(&workspace)
                .write("contact.evaluate", deadline, move |conn| {
                    evaluate(conn, &scene, &seen, &candidate)
                })
                .await;
            match done {
                Ok(verdict) => return Ok(verdict),
                Err(Abort::Error(error)) => return Err(*error),
                Err(Abort::Preview(_)) => return Ok(Verdict::Settled),
                Err(Abort::Stale(Stale::Lineage)) => {
                    lineage = self.lineage_read(&workspace, deadline).await?;
                }
                Err(Abort::Stale(Stale::Facts(age))) => {
                    superseded.push(age);
                    contact = self.look_up(&contact.name, deadline).await?;
                }
            }
        }
        Err(Error::ConcurrentUpdate {
            resource: contact.name.to_string(),
        })
    }

    /// A contact as it is now, or as one that the directory does not know.
    pub async fn look_up(&self, name: &ContactName, deadline: Deadline) -> Result<Contact, Error> {
        match self.contacts.get(name, deadline).await {
            Err(Error::NotFound { .. }) => Ok(Contact::absent(name.clone(), self.clock.now())),
            answer => answer,
        }
    }

    /// A scene of decisions that nobody's call began, or somebody's.
    pub fn scene(
        &self,
        lineage: std::sync::Arc<crate::domain::activations::Lineage>,
        workspace: &str,
        actor: &str,
        request_id: &str,
    ) -> Scene {
        Scene {
            lineage,
            workspace: workspace.to_owned(),
            now: self.clock.now(),
            ids: self.ids.clone(),
            actor: actor.to_owned(),
            request_id: request_id.to_owned(),
            superseded: Vec::new(),
        }
    }
}

fn evaluate(
    conn: &mut Conn,
    scene: &Scene,
    contact: &Contact,
    candidate: &Candidate,
) -> Result<Verdict, Abort<()>> {
    let closing = match contact.presence {
        Presence::Active => None,
        Presence::Deleting | Presence::Deleted | Presence::Absent => Some(Closing::Deletion),
        Presence::Merging | Presence::Merged => Some(Closing::Merge),
    };
    gate::enter::<Abort<()>>(conn, scene, closing.is_some())?;
    match closing {
        None => attend(conn, scene, contact, candidate),
        Some(closing) => leave(conn, scene, contact, closing),
    }
}

/// Opens contacts of one workspace that the directory has just made, as its log tells of them; the
/// others, which somebody has looked at before, are answered. All of it or nothing.
pub(super) fn open_together(
    conn: &mut Conn,
    scene: &Scene,
    created: &[Contact],
) -> Result<Vec<ContactName>, Abort<()>> {
    gate::enter::<Abort<()>>(conn, scene, false)?;
    let ids: Vec<String> = created.iter().map(|one| one.name.contact.clone()).collect();
    let mut known: BTreeSet<ContactName> =
        tables::positions::positions_of(conn, &scene.workspace, &ids)?
            .into_iter()
            .map(|position| position.name)
            .collect();
    let new: Vec<&Contact> = created
        .iter()
        .filter(|contact| !known.contains(&contact.name))
        .collect();
    let mut all = Vec::with_capacity(new.len());
    let positions = steps::locked_all(conn, scene, &new)?;
    for (contact, position) in new.into_iter().zip(positions) {
        if position.revision == 0 && position.refusal.is_empty() {
            all.push(attended(conn, scene, contact, position)?);
        } else {
            // Somebody has looked at it just now.
            known.insert(position.name);
        }
    }
    settle_apart(conn, scene, all)?;
    Ok(known.into_iter().collect())
}

/// Looks at contacts that are there, in the order of their ids, in a workspace that does not put
/// companies first, and notes what was done with it: all of it or nothing.
pub(super) fn evaluate_together(
    conn: &mut Conn,
    scene: &Scene,
    contacts: &[Contact],
    done: &[Evaluation],
) -> Result<(), Abort<()>> {
    gate::enter::<Abort<()>>(conn, scene, false)?;
    let contacts: Vec<&Contact> = contacts.iter().collect();
    let mut all = Vec::with_capacity(contacts.len());
    let positions = steps::locked_all(conn, scene, &contacts)?;
    for (contact, position) in contacts.into_iter().zip(positions) {
        if position.state == State::Revoking {
            gate::note(conn, scene, position, false)?;
        } else {
            all.push(attended(conn, scene, contact, position)?);
        }
    }
    settle_apart(conn, scene, all)?;
    tables::evaluations::evaluations_done(conn, done)?;
    Ok(())
}

/// A contact that is there: opens it, or fires what its facts fire.
fn attend(
    conn: &mut Conn,
    scene: &Scene,
    contact: &Contact,
    candidate: &Candidate,
) -> Result<Verdict, Abort<()>> {
    let led = companies::leader(conn, scene, candidate)?;
    let (position, _) = steps::locked(conn, scene, contact)?;
    if position.state == State::Revoking {
        gate::note(conn, scene, position, false)?;
        return Ok(Verdict::Waits);
    }
    if companies::follows(&scene.lineage, contact.kind) {
        return companies::follow(conn, scene, position, led.as_ref(), candidate);
    }
    let mut all = vec![attended(conn, scene, contact, position)?];
    companies::associate_with(conn, scene, contact)?;
    let followers = companies::follow_primaries(conn, scene, &all)?;
    all.extend(followers);
    settle(conn, scene, all)
}

/// The step of a contact that is there and whose position is held.
fn attended(
    conn: &mut Conn,
    scene: &Scene,
    contact: &Contact,
    position: Position,
) -> Result<Step, Abort<()>> {
    let reopening = reopening(conn, scene, &position)?;
    let unseen = position.revision == 0 && position.refusal.is_empty();
    let mut walk = Walk::begin(scene, contact, position);
    let (decision, refusal) = decided(&walk, contact, reopening.as_ref(), unseen);
    walk.position.refusal = refusal.as_ref().map(Refusal::to_string).unwrap_or_default();
    if let Some(withheld) = &decision.withheld {
        walk.position.refusal = withheld_text(withheld);
    }
    let mut step = walk.step(&decision);
    if let Some(effect) = refused(&step, decision.withheld.as_ref(), refusal.as_ref()) {
        step.effects.push(effect);
    }
    Ok(step)
}

/// The decision about a contact that is there, and why it has no position where that was refused.
fn decided(
    walk: &Walk<'_>,
    contact: &Contact,
    reopening: Option<&Reopening>,
    unseen: bool,
) -> (Decision, Option<Refusal>) {
    if walk.stage().is_none() {
        if let Some(reopening) = reopening {
            return match walk.reopen(reopening) {
                Ok(decision) => (decision, None),
                Err(refusal) => (Decision::default(), Some(refusal)),
            };
        }
        if unseen {
            return match walk.decide(steps::opening(contact)) {
                Ok(decision) => (decision, None),
                Err(refusal) => (Decision::default(), Some(refusal)),
            };
        }
    }
    let changed = Command::FactsChanged {
        requested_stage: &contact.requested_stage,
        imported: contact.imported,
    };
    // A trigger whose move is refused says so in an effect; what else is refused moves nobody.
    (walk.decide(changed).unwrap_or_default(), None)
}

fn withheld_text(withheld: &Withheld) -> String {
    match withheld {
        Withheld::Intake { rule } => format!("The intake rule `{rule}` gives it no position."),
        Withheld::CompanyFirst => "A company stands where its primary contact stands.".to_owned(),
        Withheld::Refused(refusal) => refusal.to_string(),
    }
}

/// The work item of an opening that was refused.
fn refused(step: &Step, withheld: Option<&Withheld>, refusal: Option<&Refusal>) -> Option<Effect> {
    let refusal = refusal.or(match withheld {
        Some(Withheld::Refused(refusal)) => Some(refusal),
        _ => None,
    })?;
    let message = refusal.to_string();
    Some(Effect {
        id: format!(
            "opening-refused/{}/{}",
            step.position.revision,
            refusal.reason()
        ),
        kind: "OPENING_REFUSED".to_owned(),
        payload: json!({"reason": refusal.reason(), "message": message}),
    })
}

/// A contact that goes away: closes its position, in place of any other move that waits.
fn leave(
    conn: &mut Conn,
    scene: &Scene,
    contact: &Contact,
    cause: Closing,
) -> Result<Verdict, Abort<()>> {
    let batch = completions::lock_batch_of(conn, scene, &contact.name)?;
    let (mut position, _) = steps::locked(conn, scene, contact)?;
    if position.state == State::Revoking {
        let pending = tables::pending::pending_get(conn, &contact.name)?;
        match pending {
            Some(pending) if pending.is_removal() => return Ok(Verdict::Waits),
            // It began to wait only just now, and who waits with it is not held.
            Some(pending) if Some(&pending.batch) != batch.as_ref() => {
                return Err(Stale::Lineage.into());
            }
            Some(pending) => {
                completions::give_up(conn, scene, &pending.batch)?;
                (position, _) = steps::locked(conn, scene, contact)?;
            }
            None => {}
        }
    }
    // A company that is gone follows nobody, and nobody follows whoever is gone.
    tables::companies::company_delete(conn, &contact.name)?;
    for led in tables::companies::companies_of_primary(conn, &contact.name)? {
        tables::companies::company_release(conn, &led, &contact.name)?;
        tables::evaluations::evaluation_request(conn, &led, scene.now)?;
    }
    if position.stage.is_none() {
        // Also what was never opened is remembered as gone: whoever read the contact before its
        // removal must not open it afterwards.
        gate::note(conn, scene, position, false)?;
        return Ok(Verdict::Gone);
    }
    let step = steps::close(scene, position, contact, cause);
    match settle(conn, scene, vec![step])? {
        Verdict::Waits => Ok(Verdict::Waits),
        Verdict::Settled | Verdict::Gone => Ok(Verdict::Gone),
    }
}

/// Carries steps out of contacts that have nothing to do with each other: what one of them loses
/// keeps none of the others waiting.
fn settle_apart(conn: &mut Conn, scene: &Scene, all: Vec<Step>) -> Result<(), Abort<()>> {
    let (losing, others): (Vec<Step>, Vec<Step>) = all.into_iter().partition(Step::loses);
    settle(conn, scene, others)?;
    for step in losing {
        settle(conn, scene, vec![step])?;
    }
    Ok(())
}

/// Carries steps out; steps that say nothing only write their position back.
pub(super) fn settle(conn: &mut Conn, scene: &Scene, all: Vec<Step>) -> Result<Verdict, Abort<()>> {
    let (moving, still): (Vec<Step>, Vec<Step>) = all
        .into_iter()
        .partition(|step| !(step.moves.is_empty() && step.settled.is_empty()));
    for Step {
        position,
        effects,
        seen,
        ..
    } in still
    {
        for effect in &effects {
            let revision = position.revision;
            tables::effects::effect_insert(conn, &position.name, revision, effect, scene.now)?;
        }
        gate::note(conn, scene, position, seen)?;
    }
    let outcomes: Vec<Outcome> = if moving.is_empty() {
        Vec::new()
    } else {
        gate::carry_out(conn, scene, moving)?
    };
    Ok(if outcomes.iter().any(|outcome| outcome.waits) {
        Verdict::Waits
    } else {
        Verdict::Settled
    })
}
