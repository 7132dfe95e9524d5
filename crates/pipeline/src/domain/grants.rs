//! Grants, recalls and fences: what others may rely on, and how it is taken back.

use std::collections::BTreeSet;

use types::{ContactName, Micros, Role};

use super::policies::PolicyRef;
use super::transitions::{Effect, Move};

/// A recallable right to act on what a contact is entitled to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The contact.
    pub contact: ContactName,
    /// What it entitles to.
    pub entitlements: BTreeSet<String>,
    /// Per contact, rising, never used twice.
    pub revision: i64,
    /// The activation it is given under.
    pub activation: i64,
    /// The policy revision in force.
    pub policy: PolicyRef,
    /// The epoch of this database.
    pub epoch: i64,
    /// The stage, for refusals.
    pub stage: Option<String>,
    /// The stage's role.
    pub role: Option<Role>,
    /// The position's revision.
    pub position_revision: i64,
}

/// Who holds a grant on a contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The id of the holder's database.
    pub id: String,
    /// The last recall it acknowledged.
    pub acknowledged_revision: i64,
    /// Whether it ever issued a document under a grant.
    pub documents_exist: bool,
}

/// Moves of one contact that wait until every holder has narrowed its grant. They were decided and
/// are written as they stand here, without deciding again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The contact.
    pub contact: ContactName,
    /// Moves of one batch complete together.
    pub batch: String,
    /// The decision's id.
    pub decision: String,
    /// The moves.
    pub moves: Vec<Move>,
    /// What else the decision caused, to be written with the moves.
    pub effects: Vec<Effect>,
    /// The facts they were decided on, as JSON.
    pub facts: String,
    /// What the contact stays entitled to.
    pub remaining: BTreeSet<String>,
    /// The policy revision they were decided under.
    pub policy: PolicyRef,
    /// The activation of that policy revision.
    pub activation: i64,
    /// The revision that holders acknowledge; 0 for a move that takes nothing away and only waits
    /// for others of its batch.
    pub recall_revision: i64,
    /// The epoch of this database when they were decided.
    pub epoch: i64,
    /// Who asked.
    pub actor: String,
    /// The request id of the call.
    pub request_id: String,
    /// Since when they wait.
    pub create_time: Micros,
}

impl Pending {
    /// Where the contact goes; empty where to no position.
    pub fn to_stage(&self) -> &str {
        self.moves.last().map_or("", |last| last.to.as_str())
    }

    /// The role of that stage; empty where there is none.
    pub fn to_role(&self) -> &str {
        self.moves.last().map_or("", |last| last.to_role.as_str())
    }

    /// Whether the contact goes away. A company that lost its primary contact does not: it goes to no
    /// position and stays.
    pub fn is_removal(&self) -> bool {
        self.moves.last().is_some_and(Move::is_removal)
    }
}

/// What a holder must do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Orders {
    /// Grants to narrow.
    pub recalls: Vec<Pending>,
    /// Fences to raise: workspace, and the lowest activation whose grants may still be used.
    pub fences: Vec<(String, i64)>,
    /// The epoch of this database.
    pub epoch: i64,
}
