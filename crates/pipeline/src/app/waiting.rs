//! Waiting for holders to give their grants back, or to raise a fence.
//!
//! Invariant: whoever waits holds no connection and no transaction.

use std::time::Duration;

use prost::Message;
use proto::pipeline::v1::ConvertContactResponse;
use store::Conn;
use types::{ContactName, Deadline};

use super::App;
use super::activations::Activated;
use super::gate::{self, Outcome};
use crate::domain::activations::{Lineage, State::Activating};
use crate::domain::positions::{Shown, State};
use crate::domain::transitions::Transition;
use crate::error::Error;
use crate::store as tables;

/// The longest that a call waits for a recall.
const WAIT_MAX: Duration = Duration::from_secs(2);
/// What is kept back of the deadline, so that the answer still arrives.
const MARGIN: Duration = Duration::from_millis(100);

/// What a conversion came to, as it is answered and stored for repetitions.
#[derive(Clone, PartialEq, Message)]
pub struct Conversion {
    /// The answer as it was first given.
    #[prost(message, optional, tag = "1")]
    pub response: Option<ConvertContactResponse>,
    /// The decision's id.
    #[prost(string, tag = "2")]
    pub decision: String,
    /// Whether it waited when it was first answered.
    #[prost(bool, tag = "3")]
    pub waits: bool,
    /// The last revision of the position before the moves that may wait.
    #[prost(int64, tag = "4")]
    pub revision: i64,
}

/// What became of a decision by now.
pub struct Fate {
    /// Whether it still waits.
    pub waits: bool,
    /// The position by now.
    pub shown: Shown,
    /// Its last transition, if it was completed.
    pub transition: Option<Transition>,
}

impl Conversion {
    /// What became of a step.
    pub fn of(outcome: &Outcome, gained: Vec<String>, lost: Vec<String>) -> Self {
        let moved = outcome.transitions.last().filter(|_| !outcome.waits);
        Self {
            response: Some(ConvertContactResponse {
                position: Some(crate::wire::positions::position(&outcome.shown)),
                transition: moved.map(crate::wire::transitions::transition),
                state: crate::wire::positions::state(outcome.shown.position.state) as i32,
                gained,
                lost,
                consistency_token: String::new(),
            }),
            decision: outcome.decision.clone(),
            waits: outcome.waits,
            revision: outcome.shown.position.revision,
        }
    }

    /// The contact it is about.
    pub fn contact(&self) -> Option<ContactName> {
        self.response
            .as_ref()
            .and_then(|response| response.position.as_ref())
            .and_then(|position| position.contact.parse().ok())
    }

    /// Brings the answer up to what became of the decision by now.
    pub fn update(&mut self, fate: &Fate) {
        let Some(response) = &mut self.response else {
            return;
        };
        if self.waits {
            response.position = Some(crate::wire::positions::position(&fate.shown));
            response.state = crate::wire::positions::state(match fate.shown.position.state {
                State::Revoking if !fate.waits => State::Open,
                state => state,
            }) as i32;
            response.transition = fate
                .transition
                .as_ref()
                .map(crate::wire::transitions::transition);
        }
    }
}

impl App {
    /// Waits until none of these decisions waits any more, at most for two seconds and until shortly
    /// before the deadline, and brings the answers up to date.
    pub async fn wait_for_recall(
        &self,
        conversions: &mut [Conversion],
        deadline: Deadline,
    ) -> Result<(), Error> {
        let until = deadline.less(MARGIN).within(WAIT_MAX);
        loop {
            let mut seen = self.store.seen();
            let waits = self.update_all(conversions, deadline).await?;
            if !waits || until.expired() {
                return Ok(());
            }
            // Acknowledgements that other replicas take are found by the store's poll.
            self.store
                .wait_for_change(&mut seen, until.remaining())
                .await;
        }
    }

    /// Waits until an activation waits for its fence no more, as long as for a recall at most, and
    /// brings the answer up to date.
    pub async fn wait_for_fence(
        &self,
        activated: &mut Activated,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let until = deadline.less(MARGIN).within(WAIT_MAX);
        let (workspace, number) = (
            activated.activation.workspace.clone(),
            activated.activation.number,
        );
        while activated.activation.state == Activating && !until.expired() {
            let mut seen = self.store.seen();
            activated.activation = self.get_activation(&workspace, number, deadline).await?;
            if activated.activation.state == Activating {
                // Acknowledgements that other replicas take are found by the store's poll.
                self.store
                    .wait_for_change(&mut seen, until.remaining())
                    .await;
            }
        }
        Ok(())
    }

    /// Brings answers up to date; whether any of them still waits.
    pub async fn update_all(
        &self,
        conversions: &mut [Conversion],
        deadline: Deadline,
    ) -> Result<bool, Error> {
        let mut waits = false;
        for conversion in conversions.iter_mut().filter(|conversion| conversion.waits) {
            let Some(contact) = conversion.contact() else {
                continue;
            };
            let fate = self
                .fate(
                    &contact,
                    &conversion.decision,
                    conversion.revision,
                    deadline,
                )
                .await?;
            waits |= fate.waits;
            conversion.update(&fate);
        }
        Ok(waits)
    }

    /// What became of a decision by now.
    async fn fate(
        &self,
        contact: &ContactName,
        decision: &str,
        revision: i64,
        deadline: Deadline,
    ) -> Result<Fate, Error> {
        let mut lineage = self.lineage(&contact.workspace, deadline).await?;
        loop {
            let (name, decision, with) = (contact.clone(), decision.to_owned(), lineage.clone());
            let found = self
                .store
                .read("transition.fate", deadline, move |conn| {
                    fate(conn, &name, &decision, revision, &with)
                })
                .await?;
            match found {
                Some(fate) => return Ok(fate),
                None => lineage = self.lineage_read(&contact.workspace, deadline).await?,
            }
        }
    }
}

/// `None` where the position is in the words of a policy that the lineage does not know yet.
fn fate(
    conn: &mut Conn,
    contact: &ContactName,
    decision: &str,
    revision: i64,
    lineage: &Lineage,
) -> Result<Option<Fate>, Error> {
    let pending =
        tables::pending::pending_get(conn, contact)?.filter(|pending| pending.decision == decision);
    let (position, workspace) = tables::positions::position_get(conn, contact)?
        .ok_or_else(|| Error::no_contact(contact))?;
    if workspace.activation != lineage.active().number || !lineage.reaches(position.activation) {
        return Ok(None);
    }
    let after = tables::transitions::transitions_of(conn, contact, revision, 2)?;
    let transition = after
        .into_iter()
        .rfind(|transition| transition.decision == decision);
    let shown = gate::show(conn, lineage, position)?;
    Ok(Some(Fate {
        waits: pending.is_some(),
        shown,
        transition,
    }))
}
