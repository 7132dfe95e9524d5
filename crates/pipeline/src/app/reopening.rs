//! Positions that were closed: for good, or until their contact is there again.

use store::Conn;

use super::gate::Scene;
use crate::domain::positions::Position;
use crate::domain::transitions::Transition;
use crate::store as tables;

/// How a closed position can be opened again.
#[derive(Clone, Debug)]
pub struct Reopening {
    /// The stage it stood in, in the words of the policy in force; the initial stage where that has
    /// vanished without a map.
    pub stage: String,
    /// Whether its contact was gone and is there again. It was not where a company lost its primary
    /// contact.
    pub restored: bool,
}

/// Whether the position was closed because its contact is gone.
pub fn is_gone(conn: &mut Conn, position: &Position) -> Result<bool, store::Error> {
    Ok(closing(conn, position)?.is_some_and(|last| last.moved.is_removal()))
}

/// How to open a position again; `None` where it is open, or never was.
pub fn reopening(
    conn: &mut Conn,
    scene: &Scene,
    position: &Position,
) -> Result<Option<Reopening>, store::Error> {
    let last = closing(conn, position)?.filter(|last| !last.moved.from.is_empty());
    let Some(last) = last else {
        return Ok(None);
    };
    let active = scene.lineage.active();
    let mut stage = last.moved.from.clone();
    let later = tables::activations::activations_between(
        conn,
        &scene.workspace,
        last.activation,
        active.number,
    )?;
    for activation in later {
        if let Some(to) = activation.stage_map.get(&stage) {
            stage.clone_from(to);
        }
    }
    if active.policy.stage(&stage).is_none() {
        stage.clone_from(&active.policy.definition().initial);
    }
    Ok(Some(Reopening {
        stage,
        restored: last.moved.is_removal(),
    }))
}

/// The move that closed the position.
fn closing(conn: &mut Conn, position: &Position) -> Result<Option<Transition>, store::Error> {
    if position.stage.is_some() || position.revision == 0 {
        return Ok(None);
    }
    tables::transitions::transition_get(conn, &position.name, position.revision)
}
