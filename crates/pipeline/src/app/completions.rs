//! Moves that wait for grants to be given back: what becomes of them, written or given up, and the
//! refusal of everything else meanwhile.
//!
//! Invariant: the positions of a batch are locked in the order of their names.

use store::{Conn, epoch};
use types::ContactName;

use super::gate::{Finished, Outcome, Scene, advance, finish};
use crate::domain::grants::Pending;
use crate::domain::positions::{Position, State};
use crate::domain::transitions::{Move, Origin};
use crate::error::Error;
use crate::store as tables;

/// Writes the moves of a batch if every holder of every contact in it has acknowledged; `None` while
/// one has not.
pub fn complete(
    conn: &mut Conn,
    scene: &Scene,
    batch: &str,
) -> Result<Option<Vec<Outcome>>, store::Error> {
    let positions = lock(conn, scene, batch)?;
    // Read now that nothing can change any more.
    let batched = tables::pending::pendings_of_batch(conn, &scene.workspace, batch)?;
    if batched.is_empty() || batched.len() != positions.len() || !settled(conn, &batched)? {
        return Ok(None);
    }
    let mut outcomes = Vec::with_capacity(batched.len());
    for (pending, position) in batched.into_iter().zip(positions) {
        outcomes.push(complete_one(conn, scene, pending, position)?);
    }
    Ok(Some(outcomes))
}

/// The positions of a batch, held in the order of their names.
fn lock(conn: &mut Conn, scene: &Scene, batch: &str) -> Result<Vec<Position>, store::Error> {
    let batched = tables::pending::pendings_of_batch(conn, &scene.workspace, batch)?;
    let mut positions = Vec::with_capacity(batched.len());
    for pending in &batched {
        positions.extend(tables::positions::position_lock(conn, &pending.contact)?);
    }
    Ok(positions)
}

/// Holds everybody whose move waits together with that of a contact, the contact among them; the
/// batch, if the contact's move waits. To be called before the contact itself is held, where the
/// batch may have to be given up.
pub fn lock_batch_of(
    conn: &mut Conn,
    scene: &Scene,
    contact: &ContactName,
) -> Result<Option<String>, store::Error> {
    let Some(pending) = tables::pending::pending_get(conn, contact)? else {
        return Ok(None);
    };
    lock(conn, scene, &pending.batch)?;
    Ok(Some(pending.batch))
}

/// Whether nobody holds any more than what remains.
fn settled(conn: &mut Conn, batch: &[Pending]) -> Result<bool, store::Error> {
    for pending in batch {
        let holders = tables::grants::grant_holders_of(conn, &pending.contact)?;
        let acknowledged =
            |revision: i64| pending.recall_revision == 0 || revision == pending.recall_revision;
        if !holders
            .iter()
            .all(|holder| acknowledged(holder.acknowledged_revision))
        {
            return Ok(false);
        }
    }
    let epoch = epoch::current(conn)?.number;
    Ok(!tables::holders::holders_missing(conn, epoch)?)
}

/// The second of two transactions, for one contact of the batch.
fn complete_one(
    conn: &mut Conn,
    scene: &Scene,
    pending: Pending,
    mut position: Position,
) -> Result<Outcome, store::Error> {
    let origin = Origin {
        decision: pending.decision.clone(),
        policy: pending.policy.clone(),
        activation: pending.activation,
    };
    tables::pending::pending_delete(conn, &pending.contact)?;
    // Holders are forgotten, but not what they said.
    let holders = tables::grants::grant_holders_of(conn, &pending.contact)?;
    position.documents_exist |= holders.iter().any(|holder| holder.documents_exist);
    // Until now the contact stood where it stood: only a move that took effect before it was asked
    // for keeps its time.
    let (since, now) = (pending.create_time.0, scene.now.0);
    let moves = pending
        .moves
        .into_iter()
        .map(|moved| match moved.effective_time {
            earlier if earlier < since => moved,
            decided => Move {
                effective_time: decided.max(now),
                ..moved
            },
        });
    let transitions = advance(scene, &origin, &mut position, moves);
    position.grant_revision += 1;
    if pending.remaining.is_empty() {
        tables::grants::grant_holders_delete(conn, &pending.contact)?;
    }
    // Facts may have changed meanwhile, and a removal has to be confirmed.
    look_again(conn, scene, &pending.contact)?;
    let scene = Scene {
        actor: pending.actor,
        request_id: pending.request_id,
        ..scene.clone()
    };
    let finished = Finished {
        position,
        transitions,
        effects: pending.effects,
    };
    finish(conn, &scene, finished, false, &pending.decision)
}

/// Gives up all moves of a batch. Their holders stay registered: they may not have heard of the
/// recall yet, and what they hold is right again.
pub fn give_up(conn: &mut Conn, scene: &Scene, batch: &str) -> Result<Vec<Outcome>, store::Error> {
    let batched = tables::pending::pendings_of_batch(conn, &scene.workspace, batch)?;
    let mut outcomes = Vec::with_capacity(batched.len());
    for pending in batched {
        let Some(mut position) = tables::positions::position_lock(conn, &pending.contact)? else {
            continue;
        };
        // Only now is it certain that the move still waits.
        if tables::pending::pending_get(conn, &pending.contact)?.as_ref() != Some(&pending) {
            continue;
        }
        tables::pending::pending_delete(conn, &pending.contact)?;
        position.grant_revision += 1;
        position.state = State::Open;
        if position.stage.is_none() {
            position.state = State::None;
        }
        look_again(conn, scene, &pending.contact)?;
        let finished = Finished {
            position,
            transitions: Vec::new(),
            effects: Vec::new(),
        };
        outcomes.push(finish(conn, scene, finished, false, &pending.decision)?);
    }
    Ok(outcomes)
}

/// Has a contact looked at whose move waits no more, and the companies that follow it: one that began
/// to follow while the move waited has no part in the batch.
fn look_again(conn: &mut Conn, scene: &Scene, contact: &ContactName) -> Result<(), store::Error> {
    tables::evaluations::evaluation_request(conn, contact, scene.now)?;
    for company in tables::companies::companies_of_primary(conn, contact)? {
        tables::evaluations::evaluation_request(conn, &company, scene.now)?;
    }
    Ok(())
}

/// The move of a contact that waits, as the refusal of everything else.
pub fn refuse_pending(conn: &mut Conn, position: &Position) -> Result<(), Error> {
    if position.state != State::Revoking {
        return Ok(());
    }
    let pending = tables::pending::pending_get(conn, &position.name)?;
    Err(Error::TransitionPending {
        contact: position.name.clone(),
        to: pending
            .as_ref()
            .map(|pending| pending.to_stage().to_owned())
            .unwrap_or_default(),
        is_removal: pending.as_ref().is_some_and(Pending::is_removal),
        since: pending
            .map(|pending| pending.create_time)
            .unwrap_or_default(),
    })
}
