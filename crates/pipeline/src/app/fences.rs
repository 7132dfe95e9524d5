//! The fence of an activation: acknowledged, it lets the activation come into force; until then the
//! activation can be given up.

use std::collections::BTreeMap;

use store::{Conn, epoch};
use types::Deadline;

use super::activations::{Activated, Done, absent, fresh, locked, tell};
use super::gate::Scene;
use super::requests::{self, Identity};
use super::{Abort, App, Call, conversions, policies};
use crate::domain::activations::{Activation, Impact, State};
use crate::error::Error;
use crate::store as tables;
use crate::store::workspaces::Workspace;

impl App {
    /// Takes the acknowledgement of a fence; whether the activation goes on with it.
    pub async fn acknowledge_fence(
        &self,
        workspace: &str,
        holder: &str,
        number: i64,
        told_epoch: i64,
        deadline: Deadline,
    ) -> Result<bool, Error> {
        let holder = holder.to_owned();
        self.in_scene(
            workspace,
            deadline,
            "fence.acknowledge",
            move |conn, scene| {
                let state = locked(conn, scene)?;
                if state.activating != Some(number) || epoch::current(conn)?.number != told_epoch {
                    return Ok(false);
                }
                tables::activations::fence_acknowledge(
                    conn,
                    &scene.workspace,
                    number,
                    &holder,
                    scene.now,
                )?;
                Ok(come_into_force(conn, scene, state)?)
            },
        )
        .await
    }

    /// Gives up an activation that waits for its fence.
    pub async fn cancel_activation(
        &self,
        call: &Call,
        workspace: &str,
        number: i64,
        validate_only: bool,
        identity: Option<Identity>,
    ) -> Result<Activated, Error> {
        let identity = identity.filter(|_| !validate_only);
        let stored = requests::look_up(&self.store, identity.as_ref(), call.deadline).await?;
        if let Some(stored) = stored {
            return self
                .replay_activation(workspace, &stored, call.deadline)
                .await;
        }
        let id = requests::id_of(identity.as_ref()).to_owned();
        let lineage = self.lineage(workspace, call.deadline).await?;
        let scene = self.scene(lineage, workspace, &call.actor, &id);
        let done = self
            .store
            .within(workspace)
            .write("activation.cancel", call.deadline, move |conn| {
                cancel(conn, &scene, number, validate_only, identity.as_ref())
            })
            .await;
        match policies::committed(done, format!("workspaces/{workspace}"))? {
            Done::Fresh(done) => Ok(*done),
            Done::Replay(stored) => {
                self.replay_activation(workspace, &stored, call.deadline)
                    .await
            }
        }
    }
}

/// Puts the activation that waits in force if everybody has acknowledged its fence. The workspace is
/// locked.
pub fn come_into_force(
    conn: &mut Conn,
    scene: &Scene,
    state: Workspace,
) -> Result<bool, store::Error> {
    let Some(number) = state.activating else {
        return Ok(false);
    };
    let Some(mut activation) = tables::activations::activation_get(conn, &scene.workspace, number)?
    else {
        return Ok(false);
    };
    if tables::activations::fences_waiting(conn, &scene.workspace, number)? {
        return Ok(false);
    }
    let epoch = epoch::current(conn)?.number;
    // Whom the fence was put to is not enough to go by: a restore may have forgotten some of them.
    if activation.fenced && tables::holders::holders_missing(conn, epoch)? {
        return Ok(false);
    }
    activation.active_time = Some(scene.now);
    activation.state = State::Mapping;
    if !tables::positions::positions_lag(conn, &scene.workspace, number)? {
        activation.state = State::Complete;
        activation.end_time = Some(scene.now);
    }
    tables::activations::activation_update(conn, &activation)?;
    let state = Workspace {
        activation: number,
        activating: None,
    };
    tables::workspaces::workspace_update(conn, &scene.workspace, state)?;
    tell(conn, scene, &activation)?;
    Ok(true)
}

/// Gives up an activation. A holder may have raised the fence to its number already and takes no
/// grant below it any more, so the policy that stays in force gets the next number.
fn cancel(
    conn: &mut Conn,
    scene: &Scene,
    number: i64,
    validate_only: bool,
    identity: Option<&Identity>,
) -> Result<Done, Abort<Done>> {
    if let Some(stored) = requests::claim(conn, identity, scene.now)? {
        return Ok(Done::Replay(stored));
    }
    let state = locked(conn, scene)?;
    let mut given_up = tables::activations::activation_get(conn, &scene.workspace, number)?
        .ok_or_else(|| absent(&scene.workspace, number))?;
    if given_up.state != State::Activating {
        return Err(Error::ActivationOver {
            activation: given_up.name(),
            state: given_up.state.as_str(),
        }
        .into());
    }
    given_up.state = State::Cancelled;
    given_up.end_time = Some(scene.now);
    tables::activations::activation_update(conn, &given_up)?;
    tables::activations::fences_delete(conn, &scene.workspace, number)?;
    let next = Activation {
        number: tables::activations::activation_last_number(conn, &scene.workspace)? + 1,
        policy: given_up.previous.clone(),
        previous: given_up.previous.clone(),
        previous_number: state.activation,
        stage_map: BTreeMap::new(),
        state: State::Mapping,
        impact: Impact::default(),
        mapped_count: 0,
        fenced: false,
        actor: scene.actor.clone(),
        create_time: scene.now,
        active_time: Some(scene.now),
        end_time: None,
        workspace: scene.workspace.clone(),
    };
    tables::activations::activation_insert(conn, &next)?;
    let state = Workspace {
        activation: next.number,
        activating: None,
    };
    tables::workspaces::workspace_update(conn, &scene.workspace, state)?;
    let log = tell(conn, scene, &given_up)?;
    if validate_only {
        return Err(Abort::Preview(Box::new(fresh(given_up, String::new()))));
    }
    let token = conversions::token(log);
    let stored = format!("{} {token}", given_up.number);
    requests::complete(
        conn,
        identity,
        &given_up.name(),
        given_up.number,
        stored.as_bytes(),
    )?;
    Ok(fresh(given_up, token))
}
