//! The policies in force, compiled and kept.
//!
//! Revisions and activations never change once they are in force, so what is kept is right for ever;
//! whether it is still the newest is found out in each transaction.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use policy::{CompileError, Definition, Fields};
use store::Conn;
use types::{Deadline, Micros, PolicyName};

use super::App;
use crate::domain::activations::{Activation, Earlier, Impact, Lineage, State};
use crate::domain::policies::{self, Active, FIRST_POLICY, Policy, PolicyRef};
use crate::domain::positions::Position;
use crate::error::Error;
use crate::store as tables;

/// How many workspaces and policies are kept; beyond that all are forgotten and read again.
const KEPT_MAX: usize = 10_000;

/// What was read and compiled before.
#[derive(Default)]
pub struct Cache {
    lineages: RwLock<HashMap<String, Arc<Lineage>>>,
    compiled: RwLock<HashMap<(String, PolicyRef), Arc<policy::Policy>>>,
    /// The policy that workspaces begin with: most have it, so they share it.
    default: OnceLock<Arc<policy::Policy>>,
}

fn kept<K: std::hash::Hash + Eq, V: Clone>(map: &RwLock<HashMap<K, V>>, key: &K) -> Option<V> {
    map.read()
        .unwrap_or_else(PoisonError::into_inner)
        .get(key)
        .cloned()
}

fn keep<K: std::hash::Hash + Eq, V>(map: &RwLock<HashMap<K, V>>, key: K, value: V) {
    let mut map = map.write().unwrap_or_else(PoisonError::into_inner);
    if map.len() >= KEPT_MAX {
        map.clear();
    }
    map.insert(key, value);
}

/// An activation and the policy it put in force, as they are stored.
type Stored = (Activation, Policy);

impl App {
    /// The policies of a workspace as they were when last read. Creates the workspace where it was
    /// never named before.
    pub async fn lineage(
        &self,
        workspace: &str,
        deadline: Deadline,
    ) -> Result<Arc<Lineage>, Error> {
        match kept(&self.lineages.lineages, &workspace.to_owned()) {
            Some(lineage) => Ok(lineage),
            None => self.lineage_read(workspace, deadline).await,
        }
    }

    /// The policies of a workspace as they are now; where somebody is about to change which is in
    /// force, after that.
    pub async fn lineage_read(
        &self,
        workspace: &str,
        deadline: Deadline,
    ) -> Result<Arc<Lineage>, Error> {
        self.calm(workspace, deadline).await?;
        self.lineage_now(workspace, deadline).await
    }

    /// The policies of a workspace as they are now, for whoever is about to change them.
    pub async fn lineage_now(
        &self,
        workspace: &str,
        deadline: Deadline,
    ) -> Result<Arc<Lineage>, Error> {
        let mut chain = self.chain(workspace, deadline).await?;
        if chain.is_empty() {
            self.workspace_create(workspace, deadline).await?;
            chain = self.chain(workspace, deadline).await?;
        }
        let mut actives = Vec::with_capacity(chain.len());
        for (activation, policy) in &chain {
            actives.push(Active {
                number: activation.number,
                reference: activation.policy.clone(),
                policy: self
                    .compiled(workspace, &activation.policy, &policy.definition)
                    .await?,
            });
        }
        let mut actives = actives.into_iter();
        let newest = actives.next().ok_or_else(|| corrupt(workspace))?;
        let earlier = actives
            .zip(&chain)
            .map(|(active, (after, _))| Earlier {
                active,
                onward: after.stage_map.clone(),
            })
            .collect();
        let lineage = Arc::new(Lineage::new(newest, earlier));
        keep(
            &self.lineages.lineages,
            workspace.to_owned(),
            Arc::clone(&lineage),
        );
        Ok(lineage)
    }

    /// The policies with which positions can be shown that were read while `activation` was in force;
    /// `None` where others have come into force since, and the positions have to be read again: the
    /// policies that these are expressed in may be gone.
    pub async fn lineage_fitting(
        &self,
        workspace: &str,
        activation: i64,
        positions: &[Position],
        deadline: Deadline,
    ) -> Result<Option<Arc<Lineage>>, Error> {
        let fits = |lineage: &Arc<Lineage>| {
            let mut read = positions.iter().map(|position| position.activation);
            positions.is_empty()
                || lineage.active().number == activation && read.all(|of| lineage.reaches(of))
        };
        let kept = Some(self.lineage(workspace, deadline).await?).filter(fits);
        if kept.is_some() {
            return Ok(kept);
        }
        self.check_expressed(workspace, activation, positions, deadline)
            .await?;
        Ok(Some(self.lineage_read(workspace, deadline).await?).filter(fits))
    }

    /// Refuses positions that were read while `activation` was in force and are expressed in none of
    /// the policies that led to it: reading them again would never find one that fits.
    pub async fn check_expressed(
        &self,
        workspace: &str,
        activation: i64,
        positions: &[Position],
        deadline: Deadline,
    ) -> Result<(), Error> {
        let of = workspace.to_owned();
        let oldest = positions.iter().map(|position| position.activation).min();
        let Some(oldest) = oldest else {
            return Ok(());
        };
        let led = self
            .store
            .within(workspace)
            .read("lineage.check", deadline, move |conn| {
                leading_to(conn, &of, activation, oldest)
            })
            .await?;
        let stray = positions
            .iter()
            .find(|position| !led.contains(&position.activation));
        match stray {
            None => Ok(()),
            Some(position) => Err(Error::Store(store::Error::Corrupt {
                table: "positions",
                id: position.name.to_string(),
            })),
        }
    }

    /// The activation in force and those before it that positions are still expressed in, the newest
    /// first; none where the workspace was never named.
    async fn chain(&self, workspace: &str, deadline: Deadline) -> Result<Vec<Stored>, Error> {
        let workspace = workspace.to_owned();
        self.store
            .within(&workspace)
            .read_snapshot("lineage.read", deadline, move |conn| {
                chain(conn, &workspace)
            })
            .await
    }

    /// The compiled policy of a revision.
    pub async fn compiled(
        &self,
        workspace: &str,
        reference: &PolicyRef,
        definition: &Definition,
    ) -> Result<Arc<policy::Policy>, Error> {
        let key = (workspace.to_owned(), reference.clone());
        if let Some(compiled) = kept(&self.lineages.compiled, &key) {
            return Ok(compiled);
        }
        let compiled = match self.lineages.default.get() {
            Some(default) if default.definition() == definition => Arc::clone(default),
            _ => Arc::new(self.compile(definition).await?),
        };
        if reference.policy == FIRST_POLICY
            && self.lineages.default.get().is_none()
            && default().as_ref() == Some(definition)
        {
            let _ = self.lineages.default.set(Arc::clone(&compiled));
        }
        keep(&self.lineages.compiled, key, Arc::clone(&compiled));
        Ok(compiled)
    }

    /// Checks and compiles a definition, off the async threads.
    pub async fn compile(&self, definition: &Definition) -> Result<policy::Policy, Error> {
        let compiler = self.compiler.clone();
        let written = definition.clone();
        let done =
            tokio::task::spawn_blocking(move || compiler.compile(&written, &Fields::none())).await;
        match done {
            Ok(Ok(policy)) => Ok(policy),
            Ok(Err(CompileError::Invalid(faults))) => Err(Error::PolicyInvalid {
                guard: guard_of(definition, &faults),
                faults,
            }),
            Ok(Err(CompileError::Busy)) | Err(_) => Err(Error::CompilerBusy),
        }
    }

    /// A workspace exists once it is named, under the preset `one-way`.
    async fn workspace_create(&self, workspace: &str, deadline: Deadline) -> Result<(), Error> {
        let definition = default().ok_or_else(|| corrupt(policy::presets::DEFAULT))?;
        let now = self.clock.now();
        let first = Policy {
            name: PolicyName::new(workspace, FIRST_POLICY),
            preset: policy::presets::DEFAULT.to_owned(),
            revision: 1,
            definition,
            state: policies::State::Active,
            create_time: now,
            revision_create_time: now,
            creator: policy::POLICY_ACTOR.to_owned(),
        };
        self.store
            .within(&first.name.workspace)
            .write("workspace.create", deadline, move |conn| {
                create(conn, &first, now)
            })
            .await
    }
}

/// What a workspace begins with.
fn default() -> Option<Definition> {
    policy::presets::get(policy::presets::DEFAULT)?
        .definition()
        .ok()
}

fn chain(conn: &mut Conn, workspace: &str) -> Result<Vec<Stored>, Error> {
    let Some(state) = tables::workspaces::workspace_get(conn, workspace)? else {
        return Ok(Vec::new());
    };
    let oldest = tables::positions::positions_oldest_activation(conn, workspace)?
        .unwrap_or(state.activation);
    let mut found = Vec::new();
    let mut number = state.activation;
    loop {
        let activation = tables::activations::activation_get(conn, workspace, number)?
            .ok_or_else(|| corrupt(workspace))?;
        let policy = tables::policies::policy_get(conn, workspace, &activation.policy)?
            .ok_or_else(|| corrupt(workspace))?;
        let previous = activation.previous_number;
        found.push((activation, policy));
        if number <= oldest || previous == 0 {
            return Ok(found);
        }
        number = previous;
    }
}

/// The numbers of an activation and of those before it, down to `oldest`. What was in force once
/// stays the same, so these need not be of one moment with anything else.
fn leading_to(
    conn: &mut Conn,
    workspace: &str,
    newest: i64,
    oldest: i64,
) -> Result<Vec<i64>, store::Error> {
    let mut numbers = Vec::new();
    let mut number = newest;
    while number >= oldest.max(1) {
        let Some(activation) = tables::activations::activation_get(conn, workspace, number)? else {
            break;
        };
        numbers.push(number);
        number = activation.previous_number;
    }
    Ok(numbers)
}

fn create(conn: &mut Conn, first: &Policy, now: Micros) -> Result<(), Error> {
    let workspace = &first.name.workspace;
    if !tables::workspaces::workspace_insert(conn, workspace, now)? {
        return Ok(());
    }
    tables::policies::policy_insert(conn, first)?;
    tables::policies::revision_insert(conn, first)?;
    let activation = Activation {
        workspace: workspace.clone(),
        number: 1,
        policy: first.reference(),
        previous: PolicyRef::none(),
        previous_number: 0,
        stage_map: std::collections::BTreeMap::new(),
        state: State::Complete,
        impact: Impact::default(),
        mapped_count: 0,
        fenced: false,
        actor: first.creator.clone(),
        create_time: now,
        active_time: Some(now),
        end_time: Some(now),
    };
    tables::activations::activation_insert(conn, &activation)?;
    Ok(())
}

/// The id of the first guard whose expression has a fault.
fn guard_of(definition: &Definition, faults: &[policy::Fault]) -> String {
    let place = |fault: &policy::Fault| -> Option<usize> {
        let rest = fault.path.strip_prefix("guards[")?;
        rest.strip_suffix("].expression")?.parse().ok()
    };
    faults
        .iter()
        .find_map(place)
        .and_then(|at| definition.guards.get(at))
        .map(|guard| guard.id.clone())
        .unwrap_or_default()
}

fn corrupt(id: &str) -> Error {
    Error::Store(store::Error::Corrupt {
        table: "workspaces",
        id: id.to_owned(),
    })
}
