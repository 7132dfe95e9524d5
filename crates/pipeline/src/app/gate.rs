//! The gate, within a transaction: moves are written at once, or wait until every holder of a grant
//! has given back what they take away.
//!
//! Invariant: nothing is taken away from a contact while anybody may still act on it; no timeout ever
//! completes a move. The protocol is checked as a model in `tests/gate_model`.

use std::collections::BTreeSet;
use std::sync::Arc;

use policy::company::Kind;
use store::change_log::LogPosition;
use store::{Conn, epoch};
use types::{ContactName, Ids, Micros};

use super::{Stale, companies, log};
use crate::domain::activations::Lineage;
use crate::domain::grants::Pending;
use crate::domain::positions::{Position, Shown, State};
use crate::domain::transitions::{Effect, Move, Origin, Transition};
use crate::error::Error;
use crate::store as tables;

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

impl Scene {
    /// The position of a contact that was never looked at, under the policy in force.
    pub fn unopened(&self, name: ContactName, kind: Kind) -> Position {
        let active = self.lineage.active();
        Position::unopened(name, kind, active.number, active.reference.clone())
    }
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
    /// Whether callers see something else of the position even where it does not move: why it has
    /// none.
    pub seen: bool,
}

impl Step {
    /// Whether it takes anything away.
    pub fn loses(&self) -> bool {
        !self.before.is_subset(&self.after)
    }
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
        tables::workspaces::workspace_share(conn, &scene.workspace, scene.now)?
    } else {
        tables::workspaces::workspace_share_if_calm(conn, &scene.workspace, scene.now)?
    };
    if let Some(state) = held {
        return if state.activation == active {
            Ok(())
        } else {
            Err(Stale::Lineage.into())
        };
    }
    if while_activating {
        // Somebody is about to activate; whoever reads the policies again waits for that.
        return Err(Stale::Lineage.into());
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
    let losing: Vec<&Step> = steps.iter().filter(|step| step.loses()).collect();
    if must_wait(conn, &losing)? {
        return steps
            .into_iter()
            .map(|step| set_aside(conn, scene, &origin, step))
            .collect();
    }
    let written = steps.into_iter().map(|step| written(scene, &origin, step));
    finish_all(conn, scene, written.collect(), false, &decision)
}

/// Whether somebody holds what would be taken away, or may hold it without our knowing.
fn must_wait(conn: &mut Conn, losing: &[&Step]) -> Result<bool, store::Error> {
    if losing.is_empty() {
        return Ok(false);
    }
    for step in losing {
        if !tables::grants::grant_holders_of(conn, &step.position.name)?.is_empty() {
            return Ok(true);
        }
    }
    let epoch = epoch::current(conn)?.number;
    tables::holders::holders_missing(conn, epoch)
}

/// One transaction does it all.
fn written(scene: &Scene, origin: &Origin, step: Step) -> Finished {
    let mut position = step.position;
    let entitled_anew = step.before != step.after || !step.settled.is_empty();
    let all = step.settled.into_iter().chain(step.moves);
    let transitions = advance(scene, origin, &mut position, all);
    if entitled_anew {
        position.grant_revision += 1;
    }
    Finished {
        position,
        transitions,
        effects: step.effects,
    }
}

/// The first of two transactions: nothing moves yet, holders are told to narrow their grants.
fn set_aside(
    conn: &mut Conn,
    scene: &Scene,
    origin: &Origin,
    step: Step,
) -> Result<Outcome, store::Error> {
    let loses = step.loses();
    let mut position = step.position;
    let transitions = advance(scene, origin, &mut position, step.settled.into_iter());
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
    let finished = Finished {
        position,
        transitions,
        effects: Vec::new(),
    };
    finish(conn, scene, finished, true, &origin.decision)
}

/// The transitions of these moves; brings the position along.
pub(super) fn advance(
    scene: &Scene,
    origin: &Origin,
    position: &mut Position,
    decided: impl Iterator<Item = Move>,
) -> Vec<Transition> {
    let mut transitions = Vec::new();
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
        transitions.push(transition);
    }
    transitions
}

/// What is to be written of one contact.
pub(super) struct Finished {
    /// The position as it is afterwards.
    pub position: Position,
    /// The transitions that led there.
    pub transitions: Vec<Transition>,
    /// What else they caused.
    pub effects: Vec<Effect>,
}

/// Writes transitions, position and effects of one contact, and tells the log.
pub(super) fn finish(
    conn: &mut Conn,
    scene: &Scene,
    finished: Finished,
    waits: bool,
    decision: &str,
) -> Result<Outcome, store::Error> {
    let id = finished.position.name.to_string();
    let mut outcomes = finish_all(conn, scene, vec![finished], waits, decision)?;
    outcomes.pop().ok_or(store::Error::Corrupt {
        table: "positions",
        id,
    })
}

/// The same for several contacts, with as few statements.
fn finish_all(
    conn: &mut Conn,
    scene: &Scene,
    mut finished: Vec<Finished>,
    waits: bool,
    decision: &str,
) -> Result<Vec<Outcome>, store::Error> {
    let transitions = finished.iter().flat_map(|one| &one.transitions);
    tables::transitions::transitions_insert(conn, transitions)?;
    for one in &mut finished {
        one.position.change += 1;
    }
    let positions: Vec<&Position> = finished.iter().map(|one| &one.position).collect();
    tables::positions::positions_update(conn, &positions)?;
    let mut outcomes = Vec::with_capacity(finished.len());
    for Finished {
        position,
        transitions,
        effects,
    } in finished
    {
        for effect in &effects {
            let revision = position.revision;
            tables::effects::effect_insert(conn, &position.name, revision, effect, scene.now)?;
        }
        outcomes.push(Outcome {
            shown: show(conn, &scene.lineage, position)?,
            transitions,
            waits,
            decision: decision.to_owned(),
            log: LogPosition::START,
        });
    }
    let log = log::tell(conn, scene, &outcomes)?;
    for outcome in &mut outcomes {
        outcome.log = log;
    }
    Ok(outcomes)
}

/// Writes back a position that does not move. Only what callers can see counts as a change; the age
/// of the facts is not.
pub fn note(
    conn: &mut Conn,
    scene: &Scene,
    position: Position,
    seen: bool,
) -> Result<(), store::Error> {
    if !seen {
        return tables::positions::position_update(conn, &position);
    }
    let finished = Finished {
        position,
        transitions: Vec::new(),
        effects: Vec::new(),
    };
    finish(conn, scene, finished, false, "").map(|_| ())
}

/// The position as it is shown under the policy in force.
pub fn show(conn: &mut Conn, lineage: &Lineage, position: Position) -> Result<Shown, store::Error> {
    let pending = match position.state {
        State::Revoking => tables::pending::pending_get(conn, &position.name)?,
        State::Open | State::None => None,
    };
    let primary = if companies::follows(lineage, position.kind) {
        tables::companies::company_primary(conn, &position.name)?
    } else {
        None
    };
    Ok(shown(lineage, position, pending.as_ref(), primary))
}

/// The position as it is shown, with the move that waits and whoever is its primary contact.
pub fn shown(
    lineage: &Lineage,
    position: Position,
    pending: Option<&Pending>,
    primary: Option<ContactName>,
) -> Shown {
    let stage = position
        .stage
        .as_deref()
        .map(|stage| lineage.mapped(position.activation, stage));
    Shown {
        role: lineage.role(stage.as_deref()),
        entitlements: position.entitlements(lineage.active(), stage.as_deref()),
        pending: pending.map(|pending| {
            let to = pending.to_stage();
            let to = (!to.is_empty()).then(|| lineage.mapped(pending.activation, to));
            (to, pending.create_time)
        }),
        remaining: pending
            .map(|pending| pending.remaining.clone())
            .unwrap_or_default(),
        primary: primary.filter(|_| companies::follows(lineage, position.kind)),
        stage,
        position,
    }
}

/// A contact's name, for sorting locks.
pub fn by_name(a: &ContactName, b: &ContactName) -> std::cmp::Ordering {
    a.contact.cmp(&b.contact)
}
