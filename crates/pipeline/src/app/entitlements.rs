//! What a contact is entitled to, for people and other services.

use store::change_log::{self, Scope};
use types::{ContactName, Deadline, Role};

use super::App;
use crate::domain::positions::State;
use crate::error::Error;

/// Whether a contact is entitled to something, and why.
#[derive(Clone, Debug)]
pub struct Entitlement {
    /// Whether it is.
    pub allowed: bool,
    /// Why, in a sentence.
    pub reason: String,
    /// The stage; none without a position.
    pub stage: Option<String>,
    /// The stage's role.
    pub role: Option<Role>,
    /// The policy revision in force.
    pub policy_revision: String,
    /// The position's revision.
    pub position_revision: i64,
    /// How fresh the answer is.
    pub consistency_token: String,
}

impl App {
    /// Says whether a contact is entitled to something now. What is unknown is denied.
    pub async fn check_entitlement(
        &self,
        contact: &ContactName,
        entitlement: &str,
        fresh: &[String],
        deadline: Deadline,
    ) -> Result<Entitlement, Error> {
        let (shown, lineage) = self.position_shown(contact, fresh, deadline).await?;
        let entitled = shown.entitlements.contains(entitlement);
        let staying = match shown.position.state {
            State::Revoking => shown.remaining.contains(entitlement),
            State::Open | State::None => true,
        };
        let reason = match (&shown.stage, entitled) {
            (None, _) => "The contact has no position, so it is entitled to nothing.".to_owned(),
            (Some(stage), true) if staying => {
                format!("The stage `{stage}` grants `{entitlement}`.")
            }
            (Some(stage), true) => format!(
                "The stage `{stage}` grants `{entitlement}`, and a move that takes it away waits."
            ),
            (Some(stage), false) => {
                format!("The stage `{stage}` does not grant `{entitlement}`.")
            }
        };
        // Read after the position, so that whoever waits for it sees what was answered.
        let of = contact.workspace.clone();
        let newest = self.store.within(&contact.workspace);
        let newest = newest
            .read_point("change_log.newest", deadline, move |conn| {
                change_log::newest(conn, Scope::Workspace(&of))
            })
            .await?;
        Ok(Entitlement {
            allowed: entitled && staying,
            reason,
            role: shown.role,
            policy_revision: lineage.active().reference.name(&contact.workspace),
            position_revision: shown.position.revision,
            stage: shown.stage,
            consistency_token: self.token_of_read(newest),
        })
    }
}
