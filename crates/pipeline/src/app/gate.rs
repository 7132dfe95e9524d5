//! The gate, within a transaction: moves are written at once, or wait until every holder of a grant
//! has given back what they take away.
//!
//! Invariant: nothing is taken away from a contact while anybody may still act on it; no timeout ever
//! completes a move. The protocol is checked as a model in `tests/gate_model.rs`.

use std::collections::BTreeSet;
use std::sync::Arc;

use prost::Message as _;
use proto::convert::timestamp_to_wire;
use proto::pipeline::v1::TransitionChange;
use store::change_log::{self, LogPosition, NewChange};
use store::{Conn, epoch};
use types::{ContactName, Ids, Micros};

use super::Stale;
use crate::domain::activations::Lineage;
use crate::domain::grants::Pending;
use crate::domain::positions::{Position, Shown, State};
use crate::domain::transitions::{Effect, Move, Origin, Transition};
use crate::error::Error;
use crate::store as tables;
use crate::wire;

/// The kind of all entries in the change log that tell of a position.
pub const POSITION_CHANGED: &str = "position.changed";

/// What a transaction about positions of one workspace is about.
#[derive(Clone)]
pub struct Scene {
    /// The policies, as read before; [`enter`] makes sure that they are in force.
    pub lineage: Arc<Lineage>,
    /// The workspace.
    pub workspace: String,
    /// The present.
    pub now: Micros,
    /// New ids.
    pub ids: Ids,
    /// Who asks.
    pub actor: String,
    /// The request id of the call; empty for none.
    pub request_id: String,
    /// Ages of facts with which positions were seen before the directory was asked again: what it
    /// then told is newer, whatever its clocks say.
    pub superseded: Vec<Micros>,
}

/// What was decided for one contact. `settled` is written in any case; `moves` go through the gate.
pub struct Step {
    /// The position, locked, as it is stored.
    pub position: Position,
    /// Moves that take nothing away that anybody holds: an opening, an activation's map.
    pub settled: Vec<Move>,
    /// Moves that may take something away.
    pub moves: Vec<Move>,
    /// What else was caused.
    pub effects: Vec<Effect>,
    /// What the contact is entitled to before the moves.
    pub before: BTreeSet<String>,
    /// What it is entitled to after them.
    pub after: BTreeSet<String>,
    /// The facts it was decided on, as JSON.
    pub facts: String,
}

/// What became of a step.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The position afterwards.
    pub shown: Shown,
    /// The transitions that were written.
    pub transitions: Vec<Transition>,
    /// Whether the moves wait for grants to be given back.
    pub waits: bool,
    /// The decision's id, under which transitions are found that were written later.
    pub decision: String,
    /// Where the change log stands after it.
    pub log: LogPosition,
}

/// Holds the workspace against activations and makes sure that the policy is the one in force.
/// Decisions are refused while an activation waits, and then hold nothing, so that they do not keep
/// the activation from going on; removals are not refused, they only take away.
pub fn enter<E>(conn: &mut Conn, scene: &Scene, while_activating: bool) -> Result<(), E>
where
    E: From<store::Error> + From<Error> + From<Stale>,
{
    let active = scene.lineage.active().number;
    let held = if while_activating {
        tables::workspaces::workspace_share(conn, &scene.workspace)?
    } else {
        tables::workspaces::workspace_share_if_calm(conn, &scene.workspace)?
    };
    if let Some(state) = held {
        return if state.activation == active {
            Ok(())
        } else {
            Err(Stale::Lineage.into())
        };
    }
    let state = tables::workspaces::workspace_get(conn, &scene.workspace)?;
    let Some(number) = state
        .filter(|state| state.activation == active)
        .and_then(|state| state.activating)
    else {
        return Err(Stale::Lineage.into());
    };
    let waiting = tables::activations::activation_get(conn, &scene.workspace, number)?;
    Err(Error::ActivationPending {
        workspace: scene.workspace.clone(),
        to: waiting
            .as_ref()
            .map(|waiting| waiting.policy.name(&scene.workspace))
            .unwrap_or_default(),
        since: waiting
            .map(|waiting| waiting.create_time)
            .unwrap_or_default(),
    }
    .into())
}

/// Carries out what was decided, all of it at once: writes the moves, or has them wait where one of
/// them takes away what somebody holds.
pub fn carry_out(
    conn: &mut Conn,
    scene: &Scene,
    steps: Vec<Step>,
) -> Result<Vec<Outcome>, store::Error> {
    let decision = scene.ids.next();
    let origin = Origin {
        decision: decision.clone(),
        policy: scene.lineage.active().reference.clone(),
        activation: scene.lineage.active().number,
    };
    let losing: Vec<&Step> = steps
        .iter()
        .filter(|step| !step.before.is_subset(&step.after))
        .collect();
    let waits = must_wait(conn, scene, &losing)?;
    steps
        .into_iter()
        .map(|step| {
            if waits {
                set_aside(conn, scene, &origin, step)
            } else {
                write(conn, scene, &origin, step)
            }
        })
        .collect()
}

/// Whether somebody holds what would be taken away, or may hold it without our knowing.
fn must_wait(conn: &mut Conn, scene: &Scene, losing: &[&Step]) -> Result<bool, store::Error> {
    if losing.is_empty() {
        return Ok(false);
    }
    for step in losing {
        if !tables::grants::grant_holders_of(conn, &step.position.name)?.is_empty() {
            return Ok(true);
        }
    }
    let epoch = epoch::current(conn)?.number;
    tables::grants::holders_missing(conn, &scene.workspace, epoch)
}

/// One transaction does it all.
fn write(
    conn: &mut Conn,
    scene: &Scene,
    origin: &Origin,
    step: Step,
) -> Result<Outcome, store::Error> {
    let mut position = step.position;
    let entitled_anew = step.before != step.after || !step.settled.is_empty();
    let all = step.settled.into_iter().chain(step.moves);
    let transitions = append(conn, scene, origin, &mut position, all)?;
    if entitled_anew {
        position.grant_revision += 1;
    }
    finish(
        conn,
        scene,
        position,
        transitions,
        &step.effects,
        false,
        &origin.decision,
    )
}

/// The first of two transactions: nothing moves yet, holders are told to narrow their grants.
fn set_aside(
    conn: &mut Conn,
    scene: &Scene,
    origin: &Origin,
    step: Step,
) -> Result<Outcome, store::Error> {
    let mut position = step.position;
    let loses = !step.before.is_subset(&step.after);
    let transitions = append(conn, scene, origin, &mut position, step.settled.into_iter())?;
    position.grant_revision += 1;
    position.state = State::Revoking;
    let pending = Pending {
        contact: position.name.clone(),
        batch: origin.decision.clone(),
        decision: origin.decision.clone(),
        moves: step.moves,
        effects: step.effects,
        facts: step.facts,
        remaining: step.before.intersection(&step.after).cloned().collect(),
        policy: origin.policy.clone(),
        activation: origin.activation,
        recall_revision: if loses { position.grant_revision } else { 0 },
        epoch: epoch::current(conn)?.number,
        actor: scene.actor.clone(),
        request_id: scene.request_id.clone(),
        create_time: scene.now,
    };
    tables::pending::pending_insert(conn, &pending)?;
    finish(
        conn,
        scene,
        position,
        transitions,
        &[],
        true,
        &origin.decision,
    )
}

/// Appends moves to the history and brings the position along.
pub(super) fn append(
    conn: &mut Conn,
    scene: &Scene,
    origin: &Origin,
    position: &mut Position,
    decided: impl Iterator<Item = Move>,
) -> Result<Vec<Transition>, store::Error> {
    let mut written = Vec::new();
    for moved in decided {
        let revision = position.revision + 1;
        let transition = Transition::seal(
            &position.name,
            position.head,
            revision,
            moved,
            origin,
            scene.now,
        );
        tables::transitions::transition_insert(conn, &transition)?;
        let moved = &transition.moved;
        position.stage = (!moved.to.is_empty()).then(|| moved.to.clone());
        position.role = moved.to_role.parse().ok();
        position.state = match position.stage {
            Some(_) => State::Open,
            None => State::None,
        };
        position.revision = revision;
        position.head = transition.hash;
        position.entered = Micros(moved.effective_time);
        position.policy = origin.policy.clone();
        position.activation = origin.activation;
        position.refusal.clear();
        written.push(transition);
    }
    Ok(written)
}

/// Writes the position back, with effects and log.
pub(super) fn finish(
    conn: &mut Conn,
    scene: &Scene,
    mut position: Position,
    transitions: Vec<Transition>,
    effects: &[Effect],
    waits: bool,
    decision: &str,
) -> Result<Outcome, store::Error> {
    position.change += 1;
    tables::positions::position_update(conn, &position)?;
    for effect in effects {
        tables::effects::effect_insert(conn, &position.name, position.revision, effect, scene.now)?;
    }
    let shown = show(conn, &scene.lineage, position)?;
    let log = tell(conn, scene, &shown, &transitions)?;
    Ok(Outcome {
        shown,
        transitions,
        waits,
        decision: decision.to_owned(),
        log,
    })
}

/// Writes back a position that does not move. Only what callers can see counts as a change; the age
/// of the facts is not.
pub fn note(
    conn: &mut Conn,
    scene: &Scene,
    mut position: Position,
    seen: bool,
) -> Result<(), store::Error> {
    if !seen {
        return tables::positions::position_update(conn, &position);
    }
    position.change += 1;
    tables::positions::position_update(conn, &position)?;
    let shown = show(conn, &scene.lineage, position)?;
    tell(conn, scene, &shown, &[]).map(|_| ())
}

/// The position as it is shown under the policy in force.
pub fn show(conn: &mut Conn, lineage: &Lineage, position: Position) -> Result<Shown, store::Error> {
    let pending = match position.state {
        State::Revoking => tables::pending::pending_get(conn, &position.name)?,
        State::Open | State::None => None,
    };
    Ok(shown(lineage, position, pending.as_ref()))
}

/// The position as it is shown, with the move that waits.
pub fn shown(lineage: &Lineage, position: Position, pending: Option<&Pending>) -> Shown {
    let stage = position
        .stage
        .as_deref()
        .map(|stage| lineage.mapped(position.activation, stage));
    Shown {
        role: lineage.role(stage.as_deref()),
        entitlements: position.entitlements(lineage.active(), stage.as_deref()),
        pending: pending.map(|pending| {
            let to = (!pending.is_removal())
                .then(|| lineage.mapped(pending.activation, pending.to_stage()));
            (to, pending.create_time)
        }),
        stage,
        position,
    }
}

/// Tells the change log what happened, a change per transition; where there was none, one change
/// that only shows the position.
fn tell(
    conn: &mut Conn,
    scene: &Scene,
    shown: &Shown,
    transitions: &[Transition],
) -> Result<LogPosition, store::Error> {
    let resource = shown.position.name.position().to_string();
    let position = wire::positions::position(shown);
    let told: Vec<(i64, String, Vec<u8>)> = if transitions.is_empty() {
        vec![None]
    } else {
        transitions.iter().map(Some).collect()
    }
    .into_iter()
    .map(|transition| {
        let event_id = scene.ids.next();
        let change = TransitionChange {
            transition: transition.map(wire::transitions::transition),
            position: Some(position.clone()),
            request_id: scene.request_id.clone(),
            event_id: event_id.clone(),
            record_time: Some(timestamp_to_wire(scene.now)),
        };
        let revision = transition.map_or(shown.position.revision, |transition| transition.revision);
        (revision, event_id, change.encode_to_vec())
    })
    .collect();
    let changes: Vec<NewChange<'_>> = told
        .iter()
        .map(|(revision, event_id, payload)| NewChange {
            workspace: &scene.workspace,
            kind: POSITION_CHANGED,
            resource: &resource,
            revision: *revision,
            payload,
            paths: "",
            actor: &scene.actor,
            request_id: &scene.request_id,
            event_id,
            record_time: scene.now,
        })
        .collect();
    change_log::append_all(conn, &changes)
}

/// A contact's name, for sorting locks.
pub fn by_name(a: &ContactName, b: &ContactName) -> std::cmp::Ordering {
    a.contact.cmp(&b.contact)
}
