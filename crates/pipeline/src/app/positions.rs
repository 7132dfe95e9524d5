//! Reading where contacts stand.

use std::collections::HashMap;
use std::sync::Arc;

use proto::pipeline::v1;
use store::Conn;
use types::{ContactName, Deadline, Micros};

use super::{App, gate};
use crate::domain::activations::Lineage;
use crate::domain::positions::{Position, Shown, State};
use crate::error::Error;
use crate::store as tables;
use crate::wire;

impl App {
    /// Where a contact stands now. A contact that nobody looked at here yet is read from the
    /// directory and opened at once.
    pub async fn position_shown(
        &self,
        name: &ContactName,
        fresh: &[String],
        deadline: Deadline,
    ) -> Result<(Shown, Arc<Lineage>), Error> {
        if self.needs_directory(fresh)? {
            self.evaluate_if_there(name, deadline).await?;
        }
        if let Some((shown, lineage)) = self.position_read(name, deadline).await?
            && was_looked_at(&shown.position)
        {
            return Ok((shown, lineage));
        }
        self.evaluate(name, deadline).await?;
        self.position_read(name, deadline)
            .await?
            .ok_or_else(|| Error::no_contact(name))
    }

    /// Looks at the contact as the directory knows it now; whoever waits, waits.
    async fn evaluate_if_there(&self, name: &ContactName, deadline: Deadline) -> Result<(), Error> {
        match self.evaluate(name, deadline).await {
            Ok(_) | Err(Error::ActivationPending { .. } | Error::TransitionPending { .. }) => {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// What is stored, under the policy in force; `None` where there is nothing.
    async fn position_read(
        &self,
        name: &ContactName,
        deadline: Deadline,
    ) -> Result<Option<(Shown, Arc<Lineage>)>, Error> {
        let asked = name.clone();
        let found = self
            .store
            .read_point("position.get", deadline, move |conn| {
                let Some((position, workspace)) = tables::positions::position_get(conn, &asked)?
                else {
                    return Ok::<_, Error>(None);
                };
                let pending = match position.state {
                    State::Revoking => tables::pending::pending_get(conn, &asked)?,
                    State::Open | State::None => None,
                };
                Ok(Some((position, workspace.activation, pending)))
            })
            .await?;
        let Some((position, activation, pending)) = found else {
            return Ok(None);
        };
        let lineage = self
            .lineage_for(&name.workspace, activation, position.activation, deadline)
            .await?;
        let shown = gate::shown(&lineage, position, pending.as_ref());
        Ok(Some((shown, lineage)))
    }

    /// The policies of a workspace, where `activation` is in force and a position is expressed in
    /// those of `oldest`.
    pub async fn lineage_for(
        &self,
        workspace: &str,
        activation: i64,
        oldest: i64,
        deadline: Deadline,
    ) -> Result<Arc<Lineage>, Error> {
        let lineage = self.lineage(workspace, deadline).await?;
        if lineage.active().number == activation && lineage.reaches(oldest) {
            return Ok(lineage);
        }
        self.lineage_read(workspace, deadline).await
    }

    /// Where a contact stood at an earlier time: the fold of what had taken effect by then.
    pub async fn position_as_of(
        &self,
        name: &ContactName,
        time: Micros,
        deadline: Deadline,
    ) -> Result<v1::Position, Error> {
        let (shown, _) = self.position_shown(name, &[], deadline).await?;
        let asked = name.clone();
        let transition = self
            .store
            .read("position.as_of", deadline, move |conn| {
                tables::transitions::transition_at(conn, &asked, time)
            })
            .await?;
        let Some(transition) = transition else {
            return Ok(v1::Position {
                name: name.position().to_string(),
                contact: name.to_string(),
                state: v1::position::State::None as i32,
                ..v1::Position::default()
            });
        };
        let policy = self
            .policy_compiled(&name.workspace, &transition.policy, deadline)
            .await?;
        let moved = &transition.moved;
        let stage = (!moved.to.is_empty()).then_some(moved.to.as_str());
        let entitlements = policy::company::entitlements(&policy, shown.position.kind, stage);
        let firm = match stage {
            Some(_) => v1::position::State::Open,
            None => v1::position::State::None,
        };
        Ok(v1::Position {
            name: name.position().to_string(),
            contact: name.to_string(),
            stage: moved.to.clone(),
            role: wire::transitions::role(&moved.to_role) as i32,
            revision: transition.revision,
            policy_revision: transition.policy.name(&name.workspace),
            entitlements: entitlements.into_iter().collect(),
            enter_time: stage
                .map(|_| proto::convert::timestamp_to_wire(Micros(moved.effective_time))),
            state: firm as i32,
            ..v1::Position::default()
        })
    }

    /// Where many contacts stand, in the order asked for, all or none.
    pub async fn positions_batch(
        &self,
        workspace: &str,
        names: Vec<ContactName>,
        fresh: &[String],
        deadline: Deadline,
    ) -> Result<Vec<Shown>, Error> {
        let mut found = if self.needs_directory(fresh)? {
            HashMap::new()
        } else {
            self.positions_stored(workspace, &names, deadline).await?
        };
        let mut shown = Vec::with_capacity(names.len());
        for name in names {
            let one = match found.remove(&name.contact) {
                Some(one) => one,
                None => self.position_shown(&name, fresh, deadline).await?.0,
            };
            shown.push(one);
        }
        Ok(shown)
    }

    async fn positions_stored(
        &self,
        workspace: &str,
        names: &[ContactName],
        deadline: Deadline,
    ) -> Result<HashMap<String, Shown>, Error> {
        let asked = workspace.to_owned();
        let ids: Vec<String> = names.iter().map(|name| name.contact.clone()).collect();
        let (positions, pending, activation) = self
            .store
            .read("positions.get", deadline, move |conn| {
                let state = tables::workspaces::workspace_get(conn, &asked)?;
                let positions = tables::positions::positions_of(conn, &asked, &ids)?;
                let pending = waiting(conn, &asked, &positions)?;
                Ok::<_, Error>((
                    positions,
                    pending,
                    state.map_or(0, |state| state.activation),
                ))
            })
            .await?;
        let oldest = positions.iter().map(|position| position.activation).min();
        let lineage = self
            .lineage_for(
                workspace,
                activation,
                oldest.unwrap_or(activation),
                deadline,
            )
            .await?;
        Ok(positions
            .into_iter()
            .filter(was_looked_at)
            .map(|position| {
                let id = position.name.contact.clone();
                let pending = pending.iter().find(|one| one.contact == position.name);
                (id, gate::shown(&lineage, position, pending))
            })
            .collect())
    }
}

/// Whether the contact was opened, or it is known why not.
pub fn was_looked_at(position: &Position) -> bool {
    position.revision > 0 || !position.refusal.is_empty()
}

/// The moves of these positions that wait.
pub fn waiting(
    conn: &mut Conn,
    workspace: &str,
    positions: &[Position],
) -> Result<Vec<crate::domain::grants::Pending>, store::Error> {
    let revoking: Vec<String> = positions
        .iter()
        .filter(|position| position.state == State::Revoking)
        .map(|position| position.name.contact.clone())
        .collect();
    if revoking.is_empty() {
        return Ok(Vec::new());
    }
    tables::pending::pendings_of(conn, workspace, &revoking)
}
