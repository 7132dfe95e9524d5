//! Putting a revision in force, and reading what became of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use policy::activation::{Obstacle, Plan, Standing, mapped, plan};
use prost::Message as _;
use store::Conn;
use store::change_log::{self, LogPosition, NewChange};
use store::pages::Key;
use types::{Deadline, PolicyName};

use super::gate::Scene;
use super::lists::{List, Page, PageRequest};
use super::requests::{self, Identity};
use super::{ATTEMPTS_MAX, Abort, App, Call, Stale, conversions, fences};
use crate::domain::activations::{Activation, Impact, Lineage, State};
use crate::domain::policies::{Active, PolicyRef};
use crate::error::Error;
use crate::store as tables;
use crate::store::workspaces::Workspace;
use crate::wire;

/// The kind of all entries in the change log that tell of an activation.
pub const ACTIVATION_CHANGED: &str = "policy_activation.changed";

/// A revision that is to be put in force.
#[derive(Clone, Debug)]
pub struct Activate {
    /// The workspace.
    pub workspace: String,
    /// The revision.
    pub policy: PolicyRef,
    /// Where vanishing stages lead.
    pub stage_map: BTreeMap<String, String>,
    /// Check everything, change nothing.
    pub validate_only: bool,
    /// The request's identity, where it has one.
    pub identity: Option<Identity>,
}

/// An activation as it is answered.
#[derive(Clone, Debug)]
pub struct Activated {
    /// The activation.
    pub activation: Activation,
    /// The token of the write; empty where nothing was written.
    pub consistency_token: String,
    /// Whether the request was a repetition.
    pub replayed: bool,
}

impl App {
    /// Puts a revision in force, or has it wait for its fence; the answer waits a little with it.
    pub async fn activate_policy(&self, call: &Call, ask: Activate) -> Result<Activated, Error> {
        let identity = ask.identity.as_ref().filter(|_| !ask.validate_only);
        if let Some(stored) = requests::look_up(&self.store, identity, call.deadline).await? {
            return self
                .replay_activation(&ask.workspace, &stored, call.deadline)
                .await;
        }
        let name = PolicyName::new(&ask.workspace, &ask.policy.policy);
        let new = self
            .get_policy(&name, Some(ask.policy.revision), call.deadline)
            .await?;
        let compiled = self
            .compiled(&ask.workspace, &ask.policy, &new.definition)
            .await?;
        let mut lineage = self.lineage_now(&ask.workspace, call.deadline).await?;
        for _ in 0..ATTEMPTS_MAX {
            let id = requests::id_of(ask.identity.as_ref());
            let scene = self.scene(lineage, &ask.workspace, &call.actor, id);
            let (asked, new) = (ask.clone(), Arc::clone(&compiled));
            self.announce(&ask.workspace, call.deadline).await?;
            let done = self
                .store
                .within(&ask.workspace)
                .write("policy.activate", call.deadline, move |conn| {
                    tables::workspaces::intent_withdraw(conn, &scene.workspace)?;
                    activate(conn, &scene, &asked, &new)
                })
                .await;
            if done.is_err() {
                self.withdraw(&ask.workspace).await;
            }
            match done {
                Ok(Done::Fresh(mut done)) => {
                    self.wait_for_fence(&mut done, call.deadline).await?;
                    return Ok(*done);
                }
                Ok(Done::Replay(stored)) => {
                    return self
                        .replay_activation(&ask.workspace, &stored, call.deadline)
                        .await;
                }
                Err(Abort::Preview(done)) => {
                    if let Done::Fresh(done) = *done {
                        return Ok(*done);
                    }
                    lineage = self.lineage_now(&ask.workspace, call.deadline).await?;
                }
                Err(Abort::Error(error)) => return Err(*error),
                Err(Abort::Stale(_)) => {
                    lineage = self.lineage_now(&ask.workspace, call.deadline).await?;
                }
            }
        }
        Err(Error::ConcurrentUpdate {
            resource: format!("workspaces/{}", ask.workspace),
        })
    }

    /// A repetition renders the activation as it is by then.
    pub(super) async fn replay_activation(
        &self,
        workspace: &str,
        stored: &[u8],
        deadline: Deadline,
    ) -> Result<Activated, Error> {
        let text = String::from_utf8_lossy(stored).into_owned();
        let (number, token) = text.split_once(' ').unwrap_or(("0", ""));
        let activation = self
            .get_activation(workspace, number.parse().unwrap_or(0), deadline)
            .await?;
        Ok(Activated {
            activation,
            consistency_token: token.to_owned(),
            replayed: true,
        })
    }

    /// The activation with this number.
    pub async fn get_activation(
        &self,
        workspace: &str,
        number: i64,
        deadline: Deadline,
    ) -> Result<Activation, Error> {
        self.lineage(workspace, deadline).await?;
        let asked = workspace.to_owned();
        let found = self
            .store
            .within(workspace)
            .read("activation.get", deadline, move |conn| {
                tables::activations::activation_get(conn, &asked, number)
            })
            .await?;
        found.ok_or_else(|| absent(workspace, number))
    }

    /// Activations of a workspace, the newest first.
    pub async fn list_activations(
        &self,
        workspace: &str,
        page: PageRequest,
        deadline: Deadline,
    ) -> Result<Page<Activation>, Error> {
        self.lineage(workspace, deadline).await?;
        let asked = List::Activations(workspace).read(&page)?;
        let before = match asked.after.as_deref() {
            None => i64::MAX,
            Some([Key::Int(before)]) => *before,
            Some(_) => return Err(store::Error::PageTokenInvalid.into()),
        };
        let (of, filter, limit) = (workspace.to_owned(), asked.filter.clone(), asked.limit());
        let rows = self
            .store
            .within(workspace)
            .read("activations.list", deadline, move |conn| {
                tables::activations::activations_list(conn, &of, filter.as_ref(), before, limit)
            })
            .await?;
        let rows = rows
            .into_iter()
            .map(|row| {
                let key = vec![Key::Int(row.number)];
                (row, key)
            })
            .collect();
        Ok(asked.cut(rows))
    }
}

/// What a transaction came to.
pub(super) enum Done {
    Fresh(Box<Activated>),
    Replay(Vec<u8>),
}

/// Holds the workspace against every decision.
pub(super) fn locked<T>(conn: &mut Conn, scene: &Scene) -> Result<Workspace, Abort<T>> {
    Ok(tables::workspaces::workspace_lock(conn, &scene.workspace)?.ok_or(Stale::Lineage)?)
}

fn activate(
    conn: &mut Conn,
    scene: &Scene,
    ask: &Activate,
    new: &Arc<policy::Policy>,
) -> Result<Done, Abort<Done>> {
    let identity = ask.identity.as_ref().filter(|_| !ask.validate_only);
    if let Some(stored) = requests::claim(conn, identity, scene.now)? {
        return Ok(Done::Replay(stored));
    }
    let state = locked(conn, scene)?;
    if state.activation != scene.lineage.active().number {
        return Err(Stale::Lineage.into());
    }
    if let Some(number) = state.activating {
        let waiting = tables::activations::activation_get(conn, &scene.workspace, number)?;
        return Err(Error::ActivationPending {
            workspace: scene.workspace.clone(),
            to: waiting
                .as_ref()
                .map(|waiting| waiting.policy.name(&scene.workspace))
                .unwrap_or_default(),
            since: waiting
                .map(|waiting| waiting.create_time)
                .unwrap_or_default(),
        }
        .into());
    }
    let old = scene.lineage.active();
    let planned = planned(conn, scene, ask, new)?;
    let mut activation = Activation {
        workspace: scene.workspace.clone(),
        number: tables::activations::activation_last_number(conn, &scene.workspace)? + 1,
        policy: ask.policy.clone(),
        previous: old.reference.clone(),
        previous_number: old.number,
        stage_map: ask.stage_map.clone(),
        state: State::Activating,
        impact: Impact::from(&planned),
        mapped_count: 0,
        fenced: planned.fence,
        actor: scene.actor.clone(),
        create_time: scene.now,
        active_time: None,
        end_time: None,
    };
    tables::activations::activation_insert(conn, &activation)?;
    if activation.fenced {
        tables::activations::fences_insert(conn, &scene.workspace, activation.number)?;
    }
    let state = Workspace {
        activating: Some(activation.number),
        ..state
    };
    tables::workspaces::workspace_update(conn, &scene.workspace, state)?;
    let log = tell(conn, scene, &activation)?;
    fences::come_into_force(conn, scene, state)?;
    activation = tables::activations::activation_get(conn, &scene.workspace, activation.number)?
        .ok_or(Stale::Lineage)?;
    let token = conversions::token(log);
    if ask.validate_only {
        activation.number = 0;
        activation.active_time = None;
        activation.end_time = None;
        activation.state = State::Activating;
        return Err(Abort::Preview(Box::new(fresh(activation, String::new()))));
    }
    let stored = format!("{} {token}", activation.number);
    requests::complete(
        conn,
        identity,
        &activation.name(),
        activation.number,
        stored.as_bytes(),
    )?;
    Ok(fresh(activation, token))
}

pub(super) fn fresh(activation: Activation, consistency_token: String) -> Done {
    Done::Fresh(Box::new(Activated {
        activation,
        consistency_token,
        replayed: false,
    }))
}

/// What the activation does to whom, and every obstacle: also where somebody is about to go to a
/// stage that the new policy lacks.
fn planned(
    conn: &mut Conn,
    scene: &Scene,
    ask: &Activate,
    new: &policy::Policy,
) -> Result<Plan, Abort<Done>> {
    let lineage: &Lineage = &scene.lineage;
    let mut standing = Standing::new();
    for (number, stage, kind, count) in tables::positions::positions_count(conn, &scene.workspace)?
    {
        if !lineage.reaches(number) {
            return Err(Stale::Lineage.into());
        }
        let kinds = standing.entry(lineage.mapped(number, &stage)).or_default();
        *kinds.entry(kind).or_default() += u64::try_from(count).unwrap_or(0);
    }
    let old: &Active = lineage.active();
    let mut obstacles = match plan(&old.policy, new, &ask.stage_map, &standing) {
        Ok(plan) if waiting_fit(conn, scene, ask, new)?.is_empty() => return Ok(plan),
        Ok(_) => Vec::new(),
        Err(obstacles) => obstacles,
    };
    for (stage, contacts) in waiting_fit(conn, scene, ask, new)? {
        let known = obstacles.iter().any(|obstacle| {
            matches!(obstacle, Obstacle::StageUnmapped { stage: unmapped, .. } if *unmapped == stage)
        });
        if !known {
            obstacles.push(Obstacle::StageUnmapped { stage, contacts });
        }
    }
    Err(Error::Unmapped {
        policy_revision: ask.policy.name(&scene.workspace),
        obstacles,
    }
    .into())
}

/// Stages that waiting moves lead to and that the new policy has no place for.
fn waiting_fit(
    conn: &mut Conn,
    scene: &Scene,
    ask: &Activate,
    new: &policy::Policy,
) -> Result<BTreeMap<String, u64>, store::Error> {
    let mut unfit = BTreeMap::new();
    for (number, stage) in tables::pending::targets(conn, &scene.workspace)? {
        let shown = scene.lineage.mapped(number, &stage);
        if mapped(new, &ask.stage_map, &shown).is_none() {
            *unfit.entry(shown).or_default() += 1;
        }
    }
    Ok(unfit)
}

/// Tells the change log how far an activation is.
pub fn tell(
    conn: &mut Conn,
    scene: &Scene,
    activation: &Activation,
) -> Result<LogPosition, store::Error> {
    let (name, event_id) = (activation.name(), scene.ids.next());
    change_log::append(
        conn,
        &NewChange {
            workspace: &scene.workspace,
            kind: ACTIVATION_CHANGED,
            resource: &name,
            revision: activation.number,
            payload: &wire::policies::activation(activation).encode_to_vec(),
            paths: "",
            actor: &scene.actor,
            request_id: &scene.request_id,
            event_id: &event_id,
            record_time: scene.now,
        },
    )
}

pub(super) fn absent(workspace: &str, number: i64) -> Error {
    Error::NotFound {
        kind: "clientele.dev/PolicyActivation",
        name: format!("workspaces/{workspace}/policyActivations/{number}"),
    }
}
