//! What every stage would take and give: the engine's own preview, on fresh facts.

use policy::{Request, StagePreview};
use types::{ContactName, Deadline};

use super::{App, conversions};
use crate::domain::positions::{Shown, State};
use crate::error::Error;

impl App {
    /// Tries a conversion to every stage of the policy in force.
    pub async fn preview_conversions(
        &self,
        name: &ContactName,
        actor: &str,
        reason: &str,
        deadline: Deadline,
    ) -> Result<(Shown, Vec<StagePreview>), Error> {
        let contact = self.contacts.get(name, deadline).await?;
        conversions::present(&contact)?;
        let (shown, lineage) = self.position_shown(name, &[], deadline).await?;
        let request = Request {
            actor,
            reason,
            ..Request::default()
        };
        let standing = shown.position.standing(shown.stage.as_deref());
        let policy = &lineage.active().policy;
        let mut stages = policy::preview(
            policy,
            &standing,
            &contact.facts,
            &request,
            self.clock.now(),
        );
        if shown.position.state == State::Revoking {
            // Whatever the policy says, nothing is accepted until the move that waits is over.
            for stage in &mut stages {
                stage.reachable = false;
            }
        }
        Ok((shown, stages))
    }
}
