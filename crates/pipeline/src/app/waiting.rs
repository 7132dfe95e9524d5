//! Waiting for holders to give their grants back, or to raise a fence.
//!
//! Invariant: whoever waits holds no place, no connection and no transaction.

use std::collections::HashMap;
use std::time::Duration;

use prost::Message;
use proto::pipeline::v1::ConvertContactResponse;
use store::Conn;
use store::change_log::{self, LogPosition, Scope};
use types::{ContactName, Deadline};

use super::App;
use super::activations::Activated;
use super::gate::{self, Outcome};
use super::positions::primaries;
use crate::domain::activations::{Lineage, State::Activating};
use crate::domain::grants::Pending;
use crate::domain::positions::{Position, Shown, State};
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

/// What became of a decision that waited.
enum Fate {
    /// It still waits.
    Waits(Shown),
    /// It was completed.
    Moved(Shown, Box<Transition>),
    /// It was given up.
    GivenUp,
}

/// A decision that waited when it was answered.
#[derive(Clone)]
struct Asked {
    /// Which of the answers it is.
    place: usize,
    contact: ContactName,
    decision: String,
    /// The position's revision before the moves that wait.
    revision: i64,
}

/// Which of some answers may still change, and which of them were given up.
struct Open {
    waiting: Vec<Asked>,
    given_up: Vec<usize>,
}

impl Open {
    fn of(conversions: &[Conversion]) -> Self {
        let waiting = conversions.iter().enumerate().filter_map(|(place, one)| {
            let contact = one.contact().filter(|_| one.waits)?;
            Some(Asked {
                place,
                contact,
                decision: one.decision.clone(),
                revision: one.revision,
            })
        });
        Self {
            waiting: waiting.collect(),
            given_up: Vec::new(),
        }
    }
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

    /// The refusal of a move that was given up.
    pub fn given_up(&self) -> Error {
        self.contact().map_or_else(
            || Error::ConcurrentUpdate {
                resource: String::new(),
            },
            Error::GivenUp,
        )
    }

    /// Brings the answer up to what became of the decision by now; `token` covers that.
    fn update(&mut self, fate: &Fate, token: &str) {
        let Some(response) = &mut self.response else {
            return;
        };
        match fate {
            Fate::Waits(shown) => {
                response.position = Some(crate::wire::positions::position(shown));
            }
            Fate::Moved(shown, transition) => {
                response.position = Some(crate::wire::positions::position(shown));
                response.state = crate::wire::positions::state(match shown.position.state {
                    // That is another move by now.
                    State::Revoking => State::Open,
                    state => state,
                }) as i32;
                response.transition = Some(crate::wire::transitions::transition(transition));
                token.clone_into(&mut response.consistency_token);
            }
            Fate::GivenUp => {}
        }
    }
}

impl App {
    /// Waits until none of these decisions of one workspace waits any more, at most for two seconds
    /// and until shortly before the deadline, and brings the answers up to date. Answers which of
    /// them were given up.
    ///
    /// They are written down, so nothing is an error any more: what can't be found out still waits.
    pub async fn wait_for_recall(
        &self,
        conversions: &mut [Conversion],
        deadline: Deadline,
    ) -> Vec<usize> {
        let deadline = deadline.less(MARGIN);
        let until = deadline.within(WAIT_MAX);
        let mut open = Open::of(conversions);
        loop {
            let mut seen = self.store.seen();
            if let Err(error) = self.look_again(conversions, &mut open, deadline).await {
                tracing::debug!(%error, "it is not known what became of moves that wait");
            }
            if open.waiting.is_empty() || until.expired() {
                return open.given_up;
            }
            // Acknowledgements that other replicas take are found by the store's poll.
            let change = self.store.wait_for_change(&mut seen, until.remaining());
            serve::aside(change).await;
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
                let change = self.store.wait_for_change(&mut seen, until.remaining());
                serve::aside(change).await;
            }
        }
        Ok(())
    }

    /// Brings answers of one workspace up to date; answers which of them were given up.
    pub async fn update_all(
        &self,
        conversions: &mut [Conversion],
        deadline: Deadline,
    ) -> Result<Vec<usize>, Error> {
        let mut open = Open::of(conversions);
        self.look_again(conversions, &mut open, deadline).await?;
        Ok(open.given_up)
    }

    async fn look_again(
        &self,
        conversions: &mut [Conversion],
        open: &mut Open,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let Some(first) = open.waiting.first() else {
            return Ok(());
        };
        let workspace = first.contact.workspace.clone();
        let mut lineage = self.lineage(&workspace, deadline).await?;
        let (fates, newest) = loop {
            let (asked, with) = (open.waiting.clone(), lineage.clone());
            let found = self
                .store
                .within(&workspace)
                .read_snapshot("transitions.fate", deadline, move |conn| {
                    fates(conn, &asked, &with)
                })
                .await?;
            match found {
                Some(found) => break found,
                None => lineage = self.lineage_read(&workspace, deadline).await?,
            }
        };
        let token = self.token_of_read(newest);
        for (asked, fate) in std::mem::take(&mut open.waiting).into_iter().zip(fates) {
            conversions[asked.place].update(&fate, &token);
            match fate {
                Fate::Waits(_) => open.waiting.push(asked),
                Fate::GivenUp => open.given_up.push(asked.place),
                Fate::Moved(..) => {}
            }
        }
        Ok(())
    }
}

/// What became of decisions, and the newest row of the log.
type Fates = (Vec<Fate>, Option<LogPosition>);

/// What became of decisions of one workspace by now, and the newest row of its log; `None` where a
/// position is in the words of a policy that the lineage does not know.
fn fates(conn: &mut Conn, asked: &[Asked], lineage: &Lineage) -> Result<Option<Fates>, Error> {
    let Some(first) = asked.first() else {
        return Ok(None);
    };
    let workspace = &first.contact.workspace;
    let state = tables::workspaces::workspace_get(conn, workspace)?;
    let ids: Vec<String> = asked
        .iter()
        .map(|one| one.contact.contact.clone())
        .collect();
    let positions = tables::positions::positions_of(conn, workspace, &ids)?;
    let known = state.is_some_and(|state| state.activation == lineage.active().number)
        && positions
            .iter()
            .all(|position| lineage.reaches(position.activation));
    if !known {
        return Ok(None);
    }
    let pending = tables::pending::pendings_of(conn, workspace, &ids)?;
    let pending: HashMap<&ContactName, &Pending> =
        pending.iter().map(|one| (&one.contact, one)).collect();
    let waits = |one: &Asked| {
        let pending = pending.get(&one.contact);
        pending.is_some_and(|pending| pending.decision == one.decision)
    };
    let over: Vec<&Asked> = asked.iter().filter(|one| !waits(one)).collect();
    let mut moved = moved(conn, workspace, &over)?;
    let mut primaries = primaries(conn, workspace, &positions)?;
    let mut positions: HashMap<ContactName, Position> = positions
        .into_iter()
        .map(|position| (position.name.clone(), position))
        .collect();
    let mut fates = Vec::with_capacity(asked.len());
    for one in asked {
        let position = positions
            .remove(&one.contact)
            .ok_or_else(|| Error::no_contact(&one.contact))?;
        let primary = primaries.remove(&one.contact);
        let waiting = pending.get(&one.contact).copied();
        let shown = gate::shown(lineage, position, waiting, primary);
        fates.push(match moved.remove(&one.contact) {
            _ if waits(one) => Fate::Waits(shown),
            Some(transition) => Fate::Moved(shown, Box::new(transition)),
            None => Fate::GivenUp,
        });
    }
    Ok(Some((
        fates,
        change_log::newest(conn, Scope::Workspace(workspace))?,
    )))
}

/// The last transition of each of these decisions that was completed.
fn moved(
    conn: &mut Conn,
    workspace: &str,
    over: &[&Asked],
) -> Result<HashMap<ContactName, Transition>, store::Error> {
    if over.is_empty() {
        return Ok(HashMap::new());
    }
    let ids: Vec<String> = over.iter().map(|one| one.contact.contact.clone()).collect();
    let mut decisions: Vec<&str> = over.iter().map(|one| one.decision.as_str()).collect();
    decisions.dedup();
    let found = tables::transitions::transitions_decided(conn, workspace, &ids, &decisions)?;
    let before: HashMap<&ContactName, i64> = over
        .iter()
        .map(|one| (&one.contact, one.revision))
        .collect();
    // What the decision settled at once came before, and is not the move that waited.
    let moves = found.into_iter().filter(|one| {
        before
            .get(&one.contact)
            .is_some_and(|before| one.revision > *before)
    });
    Ok(moves.map(|one| (one.contact.clone(), one)).collect())
}
