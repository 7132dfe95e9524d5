//! Reading where contacts stand.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use policy::company::Kind;
use store::Conn;
use types::{ContactName, Deadline};

use super::evaluation::Verdict;
use super::evaluator::TOGETHER;
use super::{App, companies, gate};
use crate::domain::activations::Lineage;
use crate::domain::contacts::{Contact, Presence};
use crate::domain::grants::Pending;
use crate::domain::positions::{Position, Shown, State};
use crate::error::Error;
use crate::store as tables;

/// How many contacts the directory is asked for at once, and how many are looked at at once.
const SLICE: usize = 256;
const AT_ONCE: usize = 16;
/// How long a read of a position waits for a directory that it could do without.
const ASK_TIME: Duration = Duration::from_millis(500);

impl App {
    /// Where a contact stands now. A contact that nobody looked at here yet is read from the
    /// directory and opened at once.
    pub async fn position_shown(
        &self,
        name: &ContactName,
        fresh: &[String],
        deadline: Deadline,
    ) -> Result<(Shown, Arc<Lineage>), Error> {
        let asked = self.needs_directory(fresh)?;
        if asked {
            self.evaluate_if_there(name, deadline).await?;
        }
        if let Some((shown, lineage)) = self.position_read(name, deadline).await?
            && was_looked_at(&shown.position)
        {
            let closed = shown.position.is_closed() && !asked;
            if !closed || !self.was_restored(name, deadline).await {
                return Ok((shown, lineage));
            }
        } else {
            self.evaluate(name, deadline).await?;
        }
        self.position_read(name, deadline)
            .await?
            .ok_or_else(|| Error::no_contact(name))
    }

    /// Whether a contact whose position is closed is there again and was looked at: the log may not
    /// have told it yet. Where the directory does not answer, the position is taken as it is.
    async fn was_restored(&self, name: &ContactName, deadline: Deadline) -> bool {
        let deadline = deadline.within(ASK_TIME);
        match self.contacts.get(name, deadline).await {
            Ok(contact) if contact.presence == Presence::Active => {
                self.evaluate_read(contact, deadline).await.is_ok()
            }
            Ok(_) | Err(_) => false,
        }
    }

    /// Looks at the contact as the directory knows it now; whoever waits, waits.
    async fn evaluate_if_there(&self, name: &ContactName, deadline: Deadline) -> Result<(), Error> {
        waiting_is_fine(self.evaluate(name, deadline).await)
    }

    /// What is stored, under the policy in force; `None` where there is nothing.
    async fn position_read(
        &self,
        name: &ContactName,
        deadline: Deadline,
    ) -> Result<Option<(Shown, Arc<Lineage>)>, Error> {
        loop {
            let asked = name.clone();
            let found = self
                .store
                .within(&name.workspace)
                .read_point("position.get", deadline, move |conn| {
                    tables::positions::position_get(conn, &asked)
                })
                .await?;
            let Some((position, workspace)) = found else {
                return Ok(None);
            };
            if position.state == State::Revoking {
                return self.position_read_whole(name, deadline).await;
            }
            let rows = std::slice::from_ref(&position);
            let fitting =
                self.lineage_fitting(&name.workspace, workspace.activation, rows, deadline);
            match fitting.await? {
                None => {}
                Some(lineage) if companies::follows(&lineage, position.kind) => {
                    return self.position_read_whole(name, deadline).await;
                }
                Some(lineage) => {
                    let shown = gate::shown(&lineage, position, None, None);
                    return Ok(Some((shown, lineage)));
                }
            }
        }
    }

    /// The same where other rows belong to the position: its move, or its primary contact. They have
    /// to be of one moment.
    async fn position_read_whole(
        &self,
        name: &ContactName,
        deadline: Deadline,
    ) -> Result<Option<(Shown, Arc<Lineage>)>, Error> {
        let names = vec![name.contact.clone()];
        let (shown, lineage) = self
            .positions_read(&name.workspace, names, deadline)
            .await?;
        Ok(shown.into_iter().next().map(|shown| (shown, lineage)))
    }

    /// The same for contacts of one workspace, in no order; those without a row are left out.
    async fn positions_read(
        &self,
        workspace: &str,
        contacts: Vec<String>,
        deadline: Deadline,
    ) -> Result<(Vec<Shown>, Arc<Lineage>), Error> {
        loop {
            let (of, ids) = (workspace.to_owned(), contacts.clone());
            let stored = self
                .store
                .within(workspace)
                .read_snapshot("positions.get", deadline, move |conn| {
                    let positions = tables::positions::positions_of(conn, &of, &ids)?;
                    stored(conn, &of, positions)
                })
                .await?;
            let fitting =
                self.lineage_fitting(workspace, stored.activation, &stored.positions, deadline);
            if let Some(lineage) = fitting.await? {
                return Ok((stored.shown(&lineage), lineage));
            }
        }
    }

    /// Positions after one, in the order of their names: of one workspace, or of all.
    pub async fn positions_page(
        &self,
        workspace: Option<&str>,
        after: &(String, String),
        limit: i64,
        deadline: Deadline,
    ) -> Result<Vec<Shown>, Error> {
        'again: loop {
            let (of, after) = (workspace.map(str::to_owned), after.clone());
            let page = self
                .store
                .within_or_across(workspace)
                .read_snapshot("positions.page", deadline, move |conn| {
                    let after = (after.0.as_str(), after.1.as_str());
                    let found =
                        tables::positions::positions_after(conn, of.as_deref(), after, limit)?;
                    found
                        .chunk_by(|one, next| one.name.workspace == next.name.workspace)
                        .map(|some| stored(conn, &some[0].name.workspace, some.to_vec()))
                        .collect::<Result<Vec<Stored>, _>>()
                })
                .await?;
            let mut shown = Vec::new();
            for stored in page {
                let fitting = self.lineage_fitting(
                    &stored.workspace,
                    stored.activation,
                    &stored.positions,
                    deadline,
                );
                let Some(lineage) = fitting.await? else {
                    continue 'again;
                };
                shown.extend(stored.shown(&lineage));
            }
            return Ok(shown);
        }
    }

    /// Where many contacts stand, in the order asked for, all or none.
    pub async fn positions_batch(
        &self,
        workspace: &str,
        names: Vec<ContactName>,
        fresh: &[String],
        deadline: Deadline,
    ) -> Result<Vec<Shown>, Error> {
        let ids: Vec<String> = names.iter().map(|name| name.contact.clone()).collect();
        let known =
            !self.needs_directory(fresh)? || self.look_at_all_of(workspace, &ids, deadline).await?;
        let mut found: HashMap<String, Shown> = HashMap::new();
        if known {
            let (shown, _) = self.positions_read(workspace, ids, deadline).await?;
            let shown = shown.into_iter().filter(|one| was_looked_at(&one.position));
            found.extend(shown.map(|one| (one.position.name.contact.clone(), one)));
        }
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

    /// Looks at these contacts as the directory knows them now; false where it does not know one of
    /// them. That a position has seen the facts is not enough: what they fire may not have fired yet.
    async fn look_at_all_of(
        &self,
        workspace: &str,
        ids: &[String],
        deadline: Deadline,
    ) -> Result<bool, Error> {
        for slice in ids.chunks(SLICE) {
            let contacts = self.contacts.batch_get(workspace, slice, deadline).await?;
            let Some(mut contacts) = contacts else {
                return Ok(false);
            };
            // Rows are locked in one order everywhere.
            contacts.sort_by(|left, right| gate::by_name(&left.name, &right.name));
            contacts.dedup_by(|left, right| left.name == right.name);
            for share in contacts.chunks(TOGETHER) {
                if !self
                    .evaluate_all(share.to_vec(), Vec::new(), deadline)
                    .await?
                {
                    self.look_at_each(share, deadline).await?;
                }
            }
        }
        Ok(true)
    }

    async fn look_at_each(&self, contacts: &[Contact], deadline: Deadline) -> Result<(), Error> {
        let looks = contacts.iter().cloned().map(|contact| async move {
            waiting_is_fine(self.evaluate_read(contact, deadline).await)
        });
        let looks: Vec<_> = looks.collect();
        futures::stream::iter(looks)
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await
    }
}

/// Whoever waits is shown waiting.
fn waiting_is_fine(looked: Result<Verdict, Error>) -> Result<(), Error> {
    match looked {
        Ok(_) | Err(Error::ActivationPending { .. } | Error::TransitionPending { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Positions of one workspace as they were at one moment.
struct Stored {
    workspace: String,
    /// The activation that was in force.
    activation: i64,
    positions: Vec<Position>,
    /// The moves of these that waited.
    pending: Vec<Pending>,
    /// Whom the companies among these follow.
    primaries: HashMap<ContactName, ContactName>,
}

/// What belongs to positions that were read in the same snapshot.
fn stored(
    conn: &mut Conn,
    workspace: &str,
    positions: Vec<Position>,
) -> Result<Stored, store::Error> {
    let state = tables::workspaces::workspace_get(conn, workspace)?;
    Ok(Stored {
        workspace: workspace.to_owned(),
        activation: state.map_or(0, |state| state.activation),
        pending: waiting(conn, workspace, &positions)?,
        primaries: primaries(conn, workspace, &positions)?,
        positions,
    })
}

impl Stored {
    fn shown(self, lineage: &Lineage) -> Vec<Shown> {
        let (pending, mut primaries) = (self.pending, self.primaries);
        let positions = self.positions.into_iter();
        let shown = positions.map(|position| {
            let one = pending.iter().find(|one| one.contact == position.name);
            let primary = primaries.remove(&position.name);
            gate::shown(lineage, position, one, primary)
        });
        shown.collect()
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
) -> Result<Vec<Pending>, store::Error> {
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

/// Whom those of these positions follow that are companies'.
pub fn primaries(
    conn: &mut Conn,
    workspace: &str,
    positions: &[Position],
) -> Result<HashMap<ContactName, ContactName>, store::Error> {
    let companies: Vec<String> = positions
        .iter()
        .filter(|position| position.kind == Kind::Company)
        .map(|position| position.name.contact.clone())
        .collect();
    if companies.is_empty() {
        return Ok(HashMap::new());
    }
    let found = tables::companies::company_primaries(conn, workspace, &companies)?;
    Ok(found.into_iter().collect())
}
