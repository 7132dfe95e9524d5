//! Checking histories: the hash chain, the fold against the position, and the seals.

mod rows;

use std::collections::HashMap;

use policy::history::{Checkpoint as Seal, GENESIS, Head};
use rows::Rows;
use store::Conn;
use types::{ContactName, Deadline};

use super::App;
use crate::domain::positions::{Position, State};
use crate::domain::transitions::Transition;
use crate::error::Error;
use crate::store as tables;
use crate::store::checkpoints::Checkpoint;

/// What was checked, and holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Histories.
    pub contacts: i64,
    /// Moves.
    pub transitions: i64,
    /// Seals.
    pub checkpoints: i64,
}

/// Positions whose histories are checked in one snapshot.
const PAGE: i64 = 200;
/// Sealed heads that are read at once.
const HEADS: i64 = 1000;

impl App {
    /// Checks one contact's history.
    pub async fn verify_contact(
        &self,
        name: &ContactName,
        deadline: Deadline,
    ) -> Result<Verified, Error> {
        let verified = self.verify_stored(name, deadline).await?;
        if verified.contacts > 0 {
            return Ok(verified);
        }
        // It is opened now, if the directory knows it at all.
        self.position_shown(name, &[], deadline).await?;
        self.verify_stored(name, deadline).await
    }

    async fn verify_stored(
        &self,
        name: &ContactName,
        deadline: Deadline,
    ) -> Result<Verified, Error> {
        let name = name.clone();
        self.store
            .within(&name.workspace)
            .read_snapshot("history.verify", deadline, move |conn| {
                verify_contact(conn, &name)
            })
            .await
    }

    /// Checks all histories of a workspace and its seals.
    pub async fn verify_workspace(
        &self,
        workspace: &str,
        deadline: Deadline,
    ) -> Result<Verified, Error> {
        let mut verified = Verified::default();
        let mut after = String::new();
        loop {
            let (asked, from) = (workspace.to_owned(), after.clone());
            let (page, last) = self
                .store
                .within(workspace)
                .read_snapshot("histories.verify", deadline, move |conn| {
                    verify_page(conn, &asked, &from)
                })
                .await?;
            verified.contacts += page.contacts;
            verified.transitions += page.transitions;
            match last {
                Some(last) => after = last,
                None => break,
            }
        }
        verified.checkpoints = self.verify_checkpoints(workspace, deadline).await?;
        Ok(verified)
    }

    async fn verify_checkpoints(&self, workspace: &str, deadline: Deadline) -> Result<i64, Error> {
        let (mut count, mut previous) = (0, GENESIS);
        loop {
            let (asked, after) = (workspace.to_owned(), count);
            let next = self
                .store
                .within(workspace)
                .read("checkpoints.read", deadline, move |conn| {
                    tables::checkpoints::checkpoints_after(conn, &asked, after, 1)
                })
                .await?;
            let Some(seal) = next.into_iter().next() else {
                return Ok(count);
            };
            let broken = |problem: &str| broken_seal(workspace, seal.number, problem);
            if seal.number != count + 1 {
                return Err(broken("a seal before it is missing"));
            }
            if seal.previous_hash != previous {
                return Err(broken("it does not carry the hash of the seal before"));
            }
            let hash = self.seal_hash(workspace, &seal, deadline).await?;
            if hash != seal.hash {
                return Err(broken("what it says does not have its hash"));
            }
            previous = seal.hash;
            count = seal.number;
        }
    }

    /// The hash over the heads of a seal, each of which the history must still have.
    async fn seal_hash(
        &self,
        workspace: &str,
        seal: &Checkpoint,
        deadline: Deadline,
    ) -> Result<policy::history::Hash, Error> {
        let mut hasher = Seal::begin(&seal.previous_hash, workspace, seal.number);
        let mut after = String::new();
        loop {
            let (asked, number, from) = (workspace.to_owned(), seal.number, after.clone());
            let heads = self
                .store
                .within(workspace)
                .read("checkpoint.heads", deadline, move |conn| {
                    tables::checkpoints::checkpoint_heads(conn, &asked, number, &from, HEADS)
                })
                .await?;
            let Some((last, _)) = heads.last() else {
                return Ok(hasher.finish());
            };
            after.clone_from(&last.contact);
            for (head, now) in heads {
                if now != Some(head.hash) {
                    let name = ContactName::new(workspace, &head.contact);
                    let problem = format!("it is not the row that seal {} has", seal.number);
                    return Err(broken(&name, head.revision, problem));
                }
                hasher
                    .add(&head.contact, &head.hash, head.revision)
                    .map_err(|error| broken_seal(workspace, seal.number, &error.to_string()))?;
            }
        }
    }
}

fn broken(contact: &ContactName, revision: i64, problem: impl Into<String>) -> Error {
    Error::HistoryBroken {
        contact: contact.to_string(),
        revision,
        problem: problem.into(),
    }
}

fn broken_seal(workspace: &str, number: i64, problem: &str) -> Error {
    Error::HistoryBroken {
        contact: format!("workspaces/{workspace}/contacts/-"),
        revision: number,
        problem: format!("seal {number}: {problem}"),
    }
}

fn verify_contact(conn: &mut Conn, name: &ContactName) -> Result<Verified, Error> {
    let position = tables::positions::position_get(conn, name)?.map(|(position, _)| position);
    let checkpoints = verify_heads(conn, name)?;
    let mut rows = Rows::of_contact(conn, name);
    let transitions = verify_history(name, position.as_ref(), &mut rows)?;
    Ok(Verified {
        contacts: i64::from(position.is_some()),
        transitions,
        checkpoints,
    })
}

/// Each sealed head of the contact must be the row that the history has; answers how many there are.
fn verify_heads(conn: &mut Conn, name: &ContactName) -> Result<i64, Error> {
    let (mut count, mut after) = (0, (i64::MIN, i64::MIN));
    loop {
        let heads = tables::checkpoints::heads_of_contact(conn, name, after, HEADS)?;
        let Some((number, revision, _)) = heads.last() else {
            return Ok(count);
        };
        after = (*revision, *number);
        count += i64::try_from(heads.len()).unwrap_or(i64::MAX);
        let mut revisions: Vec<i64> = heads.iter().map(|(_, revision, _)| *revision).collect();
        revisions.dedup();
        let stored = tables::transitions::transition_hashes(conn, name, &revisions)?;
        let stored: HashMap<i64, Vec<u8>> = stored.into_iter().collect();
        for (number, revision, hash) in &heads {
            if stored.get(revision) != Some(hash) {
                let problem = format!("it is not the row that seal {number} has");
                return Err(broken(name, *revision, problem));
            }
        }
    }
}

/// Checks the rows of one contact, with which `rows` must go on; answers how many there are.
fn verify_history(
    name: &ContactName,
    position: Option<&Position>,
    rows: &mut Rows<'_>,
) -> Result<i64, Error> {
    let contact = name.to_string();
    let (mut head, mut count) = (Head::genesis(), 0);
    let mut last: Option<Transition> = None;
    while let Some(row) = rows.next_of(name)? {
        if position.is_none() {
            return Err(stray(&row));
        }
        head = head
            .followed_by(&contact, &row.sealed())
            .map_err(|why| broken(name, row.revision, why.to_string()))?;
        if !row.note_holds() {
            let problem = "its note is not the one that was sealed";
            return Err(broken(name, row.revision, problem));
        }
        count += 1;
        last = Some(row);
    }
    let Some(position) = position else {
        return Ok(0);
    };
    let standing = position.standing(position.stage.as_deref());
    if !head.agrees(&standing) || head.hash != position.head || !repeats(position, last.as_ref()) {
        let problem = "the position is not where the history leads";
        return Err(broken(name, head.revision, problem));
    }
    Ok(count)
}

fn stray(row: &Transition) -> Error {
    broken(&row.contact, row.revision, "there is no position for it")
}

/// Whether a position says what its newest transition says, beside where it led and when. Its stage is
/// put in the words of a later policy without a transition where nothing of it changes.
fn repeats(position: &Position, last: Option<&Transition>) -> bool {
    let placed = match position.state {
        State::Open => position.stage.is_some(),
        State::None => position.stage.is_none(),
        State::Revoking => true,
    };
    let role = position.role.map_or("", types::Role::as_str);
    placed
        && last.map_or(role.is_empty(), |last| {
            last.moved.to_role == role
                && last.policy == position.policy
                && last.activation <= position.activation
        })
}

/// A page of histories, and the contact it ends with; none at the end.
fn verify_page(
    conn: &mut Conn,
    workspace: &str,
    after: &str,
) -> Result<(Verified, Option<String>), Error> {
    let positions = tables::positions::positions_after(conn, Some(workspace), ("", after), PAGE)?;
    // Beyond the last position there may still be rows that belong to nobody.
    let last = positions
        .last()
        .map(|position| position.name.contact.clone());
    let mut verified = Verified::default();
    let mut rows = Rows::after(conn, workspace, after, last.clone());
    for position in &positions {
        let name = &position.name;
        if let Some(row) = rows.peek()?
            && row.contact.contact < name.contact
        {
            return Err(stray(row));
        }
        let count = verify_history(name, Some(position), &mut rows)?;
        verified.contacts += i64::from(count > 0);
        verified.transitions += count;
    }
    match rows.peek()? {
        Some(row) => Err(stray(row)),
        None => Ok((verified, last)),
    }
}
