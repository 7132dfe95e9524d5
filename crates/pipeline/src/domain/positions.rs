//! Where one contact stands, as it is stored and as it is shown.

use std::collections::BTreeSet;

use policy::company::{self, Kind};
use types::{ContactName, Micros, Role};

use super::policies::{Active, PolicyRef};

/// Whether a contact stands firmly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It stands in its stage.
    Open,
    /// A move waits until every grant is given back; the stage is still the old one.
    Revoking,
    /// It has no position.
    None,
}

impl State {
    /// The name that rows and filters use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "OPEN",
            Self::Revoking => "REVOKING",
            Self::None => "NONE",
        }
    }

    /// The state of that name.
    pub fn of(name: &str) -> Option<Self> {
        [Self::Open, Self::Revoking, Self::None]
            .into_iter()
            .find(|state| state.as_str() == name)
    }
}

/// Where a contact stands, as it is stored: `stage` and `role` are those of its newest transition,
/// in the words of the policy of `activation`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Whose it is.
    pub name: ContactName,
    /// Person, company or group, as last read.
    pub kind: Kind,
    /// The stage; none without a position.
    pub stage: Option<String>,
    /// The stage's role.
    pub role: Option<Role>,
    /// Whether it stands firmly.
    pub state: State,
    /// How many transitions there were.
    pub revision: i64,
    /// Counts every change, for etags.
    pub change: i64,
    /// The activation in whose policy `stage` is expressed.
    pub activation: i64,
    /// The policy revision of the newest transition.
    pub policy: PolicyRef,
    /// The effective time of the newest transition.
    pub entered: Micros,
    /// The hash of the newest transition.
    pub head: policy::history::Hash,
    /// The revision up to which the history is sealed.
    pub sealed_revision: i64,
    /// Rises with every change of what the contact is entitled to; never used twice.
    pub grant_revision: i64,
    /// The age of the contact that was last decided on.
    pub facts_time: Micros,
    /// Why the opening was refused; empty where it was not.
    pub refusal: String,
    /// Whether a holder that was forgotten since had issued a document under a grant.
    pub documents_exist: bool,
}

impl Position {
    /// The position of a contact that was never opened.
    pub fn unopened(name: ContactName, kind: Kind, activation: i64, policy: PolicyRef) -> Self {
        Self {
            name,
            kind,
            stage: None,
            role: None,
            state: State::None,
            revision: 0,
            change: 1,
            activation,
            policy,
            entered: Micros(0),
            head: policy::history::GENESIS,
            sealed_revision: 0,
            grant_revision: 1,
            facts_time: Micros(i64::MIN),
            refusal: String::new(),
            documents_exist: false,
        }
    }

    /// The position as the engine takes it, standing in `stage`.
    pub fn standing(&self, stage: Option<&str>) -> policy::Position {
        policy::Position {
            stage: stage.map(str::to_owned),
            revision: self.revision,
            entered: self.entered,
        }
    }

    /// What a contact of this kind is entitled to in `stage`.
    pub fn entitlements(&self, active: &Active, stage: Option<&str>) -> BTreeSet<String> {
        company::entitlements(&active.policy, self.kind, stage)
    }

    /// Whether the contact had a position until it was removed.
    pub fn is_closed(&self) -> bool {
        self.state == State::None && self.revision > 0 && self.refusal.is_empty()
    }

    /// The etag that callers see.
    pub fn etag(&self) -> String {
        types::etag(&self.name.position().to_string(), self.change)
    }
}

/// The name that rows use for a kind.
pub fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Person => "PERSON",
        Kind::Company => "COMPANY",
        Kind::Group => "GROUP",
    }
}

/// The kind of that name.
pub fn kind_of(name: &str) -> Option<Kind> {
    [Kind::Person, Kind::Company, Kind::Group]
        .into_iter()
        .find(|kind| kind_name(*kind) == name)
}

/// A position as it is shown: in the words of the policy in force, with what it entitles to and
/// what is pending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// What is stored.
    pub position: Position,
    /// The stage under the policy in force.
    pub stage: Option<String>,
    /// That stage's role.
    pub role: Option<Role>,
    /// What it entitles to.
    pub entitlements: BTreeSet<String>,
    /// Where a pending move goes, and since when; no stage for a removal.
    pub pending: Option<(Option<String>, Micros)>,
    /// What a pending move leaves of the entitlements: all that may be acted on while it waits.
    pub remaining: BTreeSet<String>,
    /// Whom it follows, as a company does where companies come first.
    pub primary: Option<ContactName>,
}
