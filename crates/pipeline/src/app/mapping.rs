//! Rewriting positions in the words of the policy in force, in slices.
//!
//! Reads apply the map anyway, so this job may take its time and may be interrupted anywhere.

use std::time::Duration;

use store::Conn;
use store::leases::{self, Lease};
use types::{ContactName, Deadline};

use super::activations::tell;
use super::fences::come_into_force;
use super::gate::{self, Scene};
use super::{Abort, App, Stale, companies, steps};
use crate::domain::activations::State;
use crate::domain::positions::State as Standing;
use crate::error::Error;
use crate::store as tables;

/// Positions that are rewritten in one transaction. On SQLite it keeps every other writer waiting, for
/// about ten milliseconds.
const SLICE: i64 = 32;
/// Activations that are looked at at once.
const SCAN: i64 = 100;
/// How often the job looks by itself.
const PAUSE: Duration = Duration::from_secs(1);
const STEP_TIME: Duration = Duration::from_secs(10);

/// What a slice came to.
enum Slice {
    /// There may be more.
    More,
    /// Nothing is left that can be rewritten now.
    Idle,
}

impl App {
    /// Rewrites positions for as long as it holds the lease.
    pub async fn map_positions(&self, lease: Lease) {
        loop {
            let mut seen = self.store.seen();
            match self.map_once(&lease).await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, "positions are not rewritten now"),
            }
            self.store.wait_for_change(&mut seen, PAUSE).await;
        }
    }

    /// One slice for every activation that is being mapped; whether there is more to do. What fails
    /// in one workspace is left for the next time and keeps no other from going on.
    pub async fn map_once(&self, lease: &Lease) -> Result<bool, Error> {
        let mut more = false;
        let mut after = (String::new(), 0);
        loop {
            let from = after.clone();
            let unfinished = self
                .store
                .across()
                .read(
                    "activations.scan",
                    Deadline::after(STEP_TIME),
                    move |conn| {
                        tables::activations::activations_mapping(conn, (&from.0, from.1), SCAN)
                    },
                )
                .await?;
            let Some(last) = unfinished.last().cloned() else {
                return Ok(more);
            };
            after = last;
            for (workspace, number) in unfinished {
                let lease = lease.clone();
                let deadline = Deadline::after(STEP_TIME);
                let slice = self
                    .in_scene(&workspace, deadline, "positions.map", move |conn, scene| {
                        leases::hold(conn, &lease, scene.now)?;
                        slice(conn, scene, number)
                    })
                    .await;
                match slice {
                    Ok(slice) => more |= matches!(slice, Slice::More),
                    Err(error) => {
                        tracing::warn!(%error, workspace, "its positions are not rewritten now");
                    }
                }
            }
        }
    }

    /// Puts every activation in force that waits for nobody any more. What fails in one workspace is
    /// left for the next time.
    pub async fn sweep_activations(&self) -> Result<(), Error> {
        let mut after = String::new();
        loop {
            let (from, deadline) = (after.clone(), Deadline::after(STEP_TIME));
            let waiting = self
                .store
                .across()
                .read("activations.scan", deadline, move |conn| {
                    tables::activations::activations_waiting(conn, &from, SCAN)
                })
                .await?;
            let Some(last) = waiting.last().cloned() else {
                return Ok(());
            };
            after = last;
            for workspace in waiting {
                let run = self.in_scene(
                    &workspace,
                    Deadline::after(STEP_TIME),
                    "activation.complete",
                    |conn, scene| {
                        let state = tables::workspaces::workspace_lock(conn, &scene.workspace)?
                            .ok_or(Stale::Lineage)?;
                        Ok(come_into_force(conn, scene, state)?)
                    },
                );
                if let Err(error) = run.await {
                    tracing::warn!(%error, workspace, "its activation does not go on now");
                }
            }
        }
    }
}

fn slice(conn: &mut Conn, scene: &Scene, number: i64) -> Result<Slice, Abort<Slice>> {
    gate::enter::<Abort<Slice>>(conn, scene, true)?;
    let newest = scene.lineage.active().number;
    let lagging = tables::positions::positions_lagging(conn, &scene.workspace, newest, SLICE)?;
    let mut mapped = 0;
    for contact in &lagging {
        let name = ContactName::new(&scene.workspace, contact);
        mapped += i64::from(map_one(conn, scene, &name)?);
    }
    let Some(mut current) = tables::activations::activation_get(conn, &scene.workspace, number)?
    else {
        return Ok(Slice::Idle);
    };
    if current.state != State::Mapping {
        return Ok(Slice::Idle);
    }
    current.mapped_count += mapped;
    let over = !tables::positions::positions_lag(conn, &scene.workspace, current.number)?;
    if over {
        current.state = State::Complete;
        current.end_time = Some(scene.now);
    }
    if over || mapped > 0 {
        tables::activations::activation_update(conn, &current)?;
        tell(conn, scene, &current)?;
    }
    Ok(if !over && mapped > 0 {
        Slice::More
    } else {
        Slice::Idle
    })
}

/// Rewrites one position; false where that has to wait.
fn map_one(conn: &mut Conn, scene: &Scene, name: &ContactName) -> Result<bool, Abort<Slice>> {
    let Some(position) = tables::positions::position_lock(conn, name)? else {
        return Ok(false);
    };
    if position.state == Standing::Revoking {
        return Ok(false);
    }
    if !scene.lineage.reaches(position.activation) {
        return Err(Stale::Lineage.into());
    }
    if companies::follows(&scene.lineage, position.kind) || position.stage.is_none() {
        // A company finds its primary contact, and what the old rules refused the new ones may not.
        tables::evaluations::evaluation_request(conn, name, scene.now)?;
    }
    let step = steps::mapping(scene, position);
    if step.settled.is_empty() {
        gate::note(conn, scene, step.position, false)?;
    } else {
        gate::carry_out(conn, scene, vec![step])?;
    }
    Ok(true)
}
