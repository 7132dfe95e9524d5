//! What the engine decides, made into steps for the gate.
//!
//! Invariant: every move comes out of [`policy::decide`], but for two that only repeat what it
//! decided: a company follows its primary contact ([`super::companies`]), to no position where it has
//! none, and a stage whose role a new policy changed is written down once more with the new role.

use std::collections::BTreeSet;
use std::sync::Arc;

use policy::{
    Cause, Closing, Command, Decision, POLICY_ACTOR, Permissions, Refusal, Request, decide,
};
use store::Conn;
use types::Micros;

use super::gate::{Scene, Step};
use super::reopening::Reopening;
use super::{Abort, Stale};
use crate::domain::contacts::{Contact, Presence};
use crate::domain::positions::Position;
use crate::domain::transitions::{Effect, Move, role_name};
use crate::error::Error;
use crate::store as tables;

/// A move that somebody asks for.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    /// Where to.
    pub stage: String,
    /// Why.
    pub reason: String,
    /// A note for the history.
    pub note: String,
    /// The etag that was read; empty for any.
    pub etag: String,
    /// When it took effect; now where absent.
    pub effective_time: Option<Micros>,
    /// What whoever asks may do beyond converting at all; everything where absent.
    pub permissions: Option<Arc<BTreeSet<String>>>,
}

/// Locks the position of a contact, which is there afterwards, and refuses facts that are older
/// than those that were decided on before; also whether they are newer.
pub fn locked<T>(
    conn: &mut Conn,
    scene: &Scene,
    contact: &Contact,
) -> Result<(Position, bool), Abort<T>> {
    let position = tables::positions::position_ensure(
        conn,
        &scene.unopened(contact.name.clone(), contact.kind),
    )?;
    with_facts_of(scene, contact, position)
}

/// The same for contacts of one workspace, in the order of their ids.
pub fn locked_all<T>(
    conn: &mut Conn,
    scene: &Scene,
    contacts: &[&Contact],
) -> Result<Vec<Position>, Abort<T>> {
    let unopened: Vec<Position> = contacts
        .iter()
        .map(|contact| scene.unopened(contact.name.clone(), contact.kind))
        .collect();
    tables::positions::positions_ensure(conn, &unopened)?
        .into_iter()
        .zip(contacts)
        .map(|(position, contact)| {
            with_facts_of(scene, contact, position).map(|(position, _)| position)
        })
        .collect()
}

/// Of two readings of a contact the later one has the later time of change, unless clocks were set
/// wrong. So that those cannot keep a contact as it is for ever, what was read after the position had
/// been seen is newer in any case.
fn with_facts_of<T>(
    scene: &Scene,
    contact: &Contact,
    mut position: Position,
) -> Result<(Position, bool), Abort<T>> {
    let before = position.facts_time;
    let facts_time = if contact.update_time >= before {
        contact.update_time
    } else if scene.superseded.contains(&before) {
        // Nobody who read the contact earlier may take that for as new.
        Micros(before.0.saturating_add(1))
    } else {
        return Err(Stale::Facts(before).into());
    };
    if !scene.lineage.reaches(position.activation) {
        return Err(Stale::Lineage.into());
    }
    position.facts_time = facts_time;
    if contact.presence != Presence::Absent {
        position.kind = contact.kind;
    }
    Ok((position, facts_time > before))
}

/// A walk through decisions about one contact: where it stands by now, and what was decided.
pub struct Walk<'a> {
    scene: &'a Scene,
    contact: &'a Contact,
    /// The locked position; only its activation changes here.
    pub position: Position,
    standing: policy::Position,
    settled: Vec<Move>,
    effects: Vec<Effect>,
    refused_before: String,
}

impl<'a> Walk<'a> {
    /// Begins where the contact stands, in the words of the policy in force.
    pub fn begin(scene: &'a Scene, contact: &'a Contact, position: Position) -> Self {
        let standing = position.standing(position.stage.as_deref());
        let mut walk = Self {
            scene,
            contact,
            refused_before: position.refusal.clone(),
            position,
            standing,
            settled: Vec::new(),
            effects: Vec::new(),
        };
        walk.catch_up();
        walk
    }

    /// Begins where a conversion does: whoever asks before the contact was looked at opens it, or opens
    /// it again.
    pub fn begin_conversion(
        scene: &'a Scene,
        contact: &'a Contact,
        position: Position,
        reopening: Option<&Reopening>,
    ) -> Self {
        let unseen = position.revision == 0 && position.refusal.is_empty();
        let mut walk = Self::begin(scene, contact, position);
        if unseen {
            walk.open();
        }
        if let Some(Ok(decision)) = reopening.map(|reopening| walk.reopen(reopening)) {
            walk.settle(&decision);
        }
        walk
    }

    /// The stage one stands in by now.
    pub fn stage(&self) -> Option<&str> {
        self.standing.stage.as_deref()
    }

    /// Where one stands by now, as the engine takes it.
    pub fn standing(&self) -> &policy::Position {
        &self.standing
    }

    /// Decides on a command without taking it over.
    pub fn decide(&self, command: Command) -> Result<Decision, Refusal> {
        let policy = &self.scene.lineage.active().policy;
        decide(
            policy,
            &self.standing,
            &self.contact.facts,
            command,
            self.scene.now,
        )
    }

    /// Takes a decision over as settled: it takes nothing away.
    pub fn settle(&mut self, decision: &Decision) {
        self.settled
            .extend(decision.transitions.iter().map(Move::from));
        self.effects
            .extend(decision.effects.iter().map(Effect::from));
        self.standing = self.standing.after(decision);
    }

    /// The step of a decision that goes through the gate.
    pub fn step(mut self, decision: &Decision) -> Step {
        let active = self.scene.lineage.active();
        let after = self.standing.after(decision);
        self.effects
            .extend(decision.effects.iter().map(Effect::from));
        Step {
            before: self.position.entitlements(active, self.stage()),
            after: self.position.entitlements(active, after.stage.as_deref()),
            moves: decision.transitions.iter().map(Move::from).collect(),
            settled: self.settled,
            effects: self.effects,
            facts: serde_json::to_string(&self.contact.facts).unwrap_or_default(),
            seen: self.position.refusal != self.refused_before,
            position: self.position,
        }
    }

    /// Applies the maps of activations that this position has not seen yet. What an activation takes
    /// away was fenced before it came into force, so this goes through no gate.
    fn catch_up(&mut self) {
        let (moved, standing) = caught_up(self.scene, &self.position, &self.contact.facts);
        self.position.activation = self.scene.lineage.active().number;
        self.settled.extend(moved);
        self.standing = standing;
    }

    /// Opens a contact that was never looked at, as if the change log had brought it; what is
    /// refused is left as it is.
    pub fn open(&mut self) {
        if self.position.revision > 0 || self.stage().is_some() {
            return;
        }
        if let Ok(decision) = self.decide(opening(self.contact)) {
            self.settle(&decision);
        }
    }

    /// Decides on standing again where the contact stood when its position was closed.
    pub fn reopen(&self, reopening: &Reopening) -> Result<Decision, Refusal> {
        let actor = if reopening.restored {
            &self.contact.updater
        } else {
            POLICY_ACTOR
        };
        let mut decision = self.decide(Command::Reopen {
            stage: &reopening.stage,
            request: Request {
                actor,
                ..Request::default()
            },
        })?;
        if !reopening.restored {
            for transition in &mut decision.transitions {
                transition.cause = Cause::Fact;
            }
        }
        Ok(decision)
    }
}

/// The command that opens a contact.
pub fn opening(contact: &Contact) -> Command<'_> {
    Command::Open {
        requested_stage: &contact.requested_stage,
        request: Request {
            actor: &contact.creator,
            ..Request::default()
        },
        imported: contact.imported,
    }
}

/// The move by which a position follows the maps of later activations, and where it stands then.
fn caught_up(
    scene: &Scene,
    position: &Position,
    facts: &policy::Facts,
) -> (Option<Move>, policy::Position) {
    let lineage = &scene.lineage;
    let active = lineage.active();
    let standing = position.standing(position.stage.as_deref());
    let (Some(stage), Some(old)) = (&position.stage, lineage.at(position.activation)) else {
        return (None, standing);
    };
    if position.activation == active.number {
        return (None, standing);
    }
    let to = lineage.mapped(position.activation, stage);
    let command = Command::Map {
        from: &old.policy,
        stage: &to,
        request: Request {
            actor: POLICY_ACTOR,
            ..Request::default()
        },
    };
    let decided = decide(&active.policy, &standing, facts, command, scene.now);
    match decided {
        Ok(decision) if !decision.transitions.is_empty() => {
            let moved = decision.transitions.first().map(Move::from);
            (moved, standing.after(&decision))
        }
        Ok(_) | Err(_) => {
            let role = active.policy.role(stage);
            if role == position.role {
                return (None, standing);
            }
            let effective = scene.now.max(position.entered);
            let moved = Move {
                from: stage.clone(),
                to: stage.clone(),
                from_role: role_name(position.role),
                to_role: role_name(role),
                skip: false,
                cause: Cause::Activation.as_str().to_owned(),
                actor: POLICY_ACTOR.to_owned(),
                reason: String::new(),
                note: String::new(),
                trigger: String::new(),
                activity: String::new(),
                effective_time: effective.0,
            };
            let standing = policy::Position::at(stage.as_str(), position.revision + 1, effective);
            (Some(moved), standing)
        }
    }
}

/// The step by which a lagging position follows the maps, without anything else being decided.
pub fn mapping(scene: &Scene, mut position: Position) -> Step {
    let facts = policy::Facts::default();
    let (moved, standing) = caught_up(scene, &position, &facts);
    let active = scene.lineage.active();
    position.activation = active.number;
    let entitled = position.entitlements(active, standing.stage.as_deref());
    Step {
        settled: moved.into_iter().collect(),
        moves: Vec::new(),
        effects: Vec::new(),
        before: entitled.clone(),
        after: entitled,
        facts: String::new(),
        seen: false,
        position,
    }
}

/// The step of a move that somebody asks for. `reopening` is how the position can be opened again
/// where it was closed: whoever asks before the contact was looked at does it.
pub fn convert(
    scene: &Scene,
    position: Position,
    contact: &Contact,
    reopening: Option<&Reopening>,
    ask: &Ask,
) -> Result<Step, Error> {
    if !ask.etag.is_empty() && ask.etag != position.etag() {
        return Err(Error::EtagMismatch {
            resource: contact.name.position().to_string(),
        });
    }
    let walk = Walk::begin_conversion(scene, contact, position, reopening);
    let decision = walk
        .decide(Command::Convert {
            stage: &ask.stage,
            request: Request {
                actor: &scene.actor,
                reason: &ask.reason,
                note: &ask.note,
                permissions: ask
                    .permissions
                    .as_deref()
                    .map_or(Permissions::All, Permissions::Only),
            },
            effective_time: ask.effective_time,
        })
        .map_err(|refusal| Error::Refused {
            contact: contact.name.clone(),
            policy: scene.lineage.active().reference.clone(),
            refusal: Box::new(refusal),
        })?;
    Ok(walk.step(&decision))
}

/// The step by which a position is closed because its contact goes away.
pub fn close(scene: &Scene, position: Position, contact: &Contact, cause: Closing) -> Step {
    let walk = Walk::begin(scene, contact, position);
    let decision = walk
        .decide(Command::Close {
            cause,
            request: Request {
                actor: &contact.updater,
                ..Request::default()
            },
        })
        .unwrap_or_default();
    walk.step(&decision)
}
