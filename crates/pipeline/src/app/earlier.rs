//! Where contacts stood at an earlier time.

use proto::pipeline::v1;
use store::Conn;
use types::{ContactName, Deadline, Micros};

use super::App;
use crate::domain::policies::PolicyRef;
use crate::domain::transitions::Transition;
use crate::error::Error;
use crate::store as tables;

/// The last move that had taken effect at a time, in the words of the policy in force then.
struct Earlier {
    transition: Transition,
    /// The stage by then; none without a position.
    stage: Option<String>,
    /// The policy revision in force.
    policy: PolicyRef,
}

impl App {
    /// Where a contact stood at an earlier time: what had taken effect by then, under the policy in
    /// force then. A move that waited shows once it was complete.
    pub async fn position_as_of(
        &self,
        name: &ContactName,
        time: Micros,
        fresh: &[String],
        deadline: Deadline,
    ) -> Result<v1::Position, Error> {
        let (shown, _) = self.position_shown(name, fresh, deadline).await?;
        let asked = name.clone();
        let found = self
            .store
            .within(&name.workspace)
            .read_snapshot("position.as_of", deadline, move |conn| {
                earlier(conn, &asked, time)
            })
            .await?;
        let Some(earlier) = found else {
            return Ok(v1::Position {
                name: name.position().to_string(),
                contact: name.to_string(),
                state: v1::position::State::None as i32,
                ..v1::Position::default()
            });
        };
        let policy = self
            .policy_compiled(&name.workspace, &earlier.policy, deadline)
            .await?;
        let (transition, stage) = (&earlier.transition, earlier.stage.as_deref());
        let entitlements = policy::company::entitlements(&policy, shown.position.kind, stage);
        let role = stage.and_then(|stage| policy.role(stage));
        let firm = match stage {
            Some(_) => v1::position::State::Open,
            None => v1::position::State::None,
        };
        Ok(v1::Position {
            name: name.position().to_string(),
            contact: name.to_string(),
            stage: stage.unwrap_or_default().to_owned(),
            role: proto::convert::role_to_wire(role) as i32,
            revision: transition.revision,
            policy_revision: transition.policy.name(&name.workspace),
            entitlements: entitlements.into_iter().collect(),
            enter_time: stage.map(|_| {
                proto::convert::timestamp_to_wire(Micros(transition.moved.effective_time))
            }),
            state: firm as i32,
            ..v1::Position::default()
        })
    }
}

fn earlier(
    conn: &mut Conn,
    contact: &ContactName,
    time: Micros,
) -> Result<Option<Earlier>, store::Error> {
    let Some(transition) = tables::transitions::transition_at(conn, contact, time)? else {
        return Ok(None);
    };
    let to = &transition.moved.to;
    let mut stage = (!to.is_empty()).then(|| to.clone());
    let mut policy = transition.policy.clone();
    // What came into force after the move and was not written down in a move of its own by then.
    let later = tables::activations::activations_until(
        conn,
        &contact.workspace,
        transition.activation,
        time,
    )?;
    for activation in later {
        stage = stage.map(|stage| activation.stage_map.get(&stage).cloned().unwrap_or(stage));
        policy = activation.policy;
    }
    Ok(Some(Earlier {
        transition,
        stage,
        policy,
    }))
}
