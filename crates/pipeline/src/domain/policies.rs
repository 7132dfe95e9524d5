//! Policies: written down at a revision, and compiled and in force.

use std::fmt::Write as _;
use std::sync::Arc;

use types::{Micros, PolicyName, PolicyRevisionName};

/// The id of the policy that a workspace begins with.
pub const FIRST_POLICY: &str = "default";

/// A policy revision within its workspace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyRef {
    /// The policy's id.
    pub policy: String,
    /// The revision's number, from 1.
    pub revision: i64,
}

impl PolicyRef {
    /// The revision with this number.
    pub fn new(policy: impl Into<String>, revision: i64) -> Self {
        Self {
            policy: policy.into(),
            revision,
        }
    }

    /// No policy at all.
    pub fn none() -> Self {
        Self::new("", 0)
    }

    /// The resource name; empty for none.
    pub fn name(&self, workspace: &str) -> String {
        if self.revision == 0 {
            return String::new();
        }
        PolicyRevisionName::new(workspace, &self.policy, self.revision.to_string()).to_string()
    }
}

/// A policy at one of its revisions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The policy.
    pub name: PolicyName,
    /// The preset it was made from; empty where it was written.
    pub preset: String,
    /// The revision's number.
    pub revision: i64,
    /// What it says.
    pub definition: policy::Definition,
    /// Whether the revision is in force.
    pub state: State,
    /// When the policy was created.
    pub create_time: Micros,
    /// When the revision was made.
    pub revision_create_time: Micros,
    /// Who made the revision.
    pub creator: String,
}

impl Policy {
    /// The revision within its workspace.
    pub fn reference(&self) -> PolicyRef {
        PolicyRef::new(&self.name.policy, self.revision)
    }

    /// The etag that callers see: it changes with every new revision.
    pub fn etag(&self) -> String {
        types::etag(&self.name.to_string(), self.revision)
    }
}

/// Whether a revision is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is not.
    Inactive,
    /// Its activation waits for holders of grants.
    Activating,
    /// It is.
    Active,
}

/// A compiled policy and the activation by which it is, or was, in force.
#[derive(Clone, Debug)]
pub struct Active {
    /// The activation's number.
    pub number: i64,
    /// The revision.
    pub reference: PolicyRef,
    /// The compiled policy.
    pub policy: Arc<policy::Policy>,
}

/// The parts of a definition that an update mask can name, in the order of the proto.
pub const PARTS: [&str; 13] = [
    "display_name",
    "description",
    "mode",
    "company_first",
    "initial",
    "create_in",
    "stages",
    "transitions",
    "guards",
    "intake",
    "triggers",
    "scores",
    "reasons",
];

/// Takes one part of `new` over into `old`; false where there is no such part.
pub fn take_part(old: &mut policy::Definition, new: &policy::Definition, part: &str) -> bool {
    match part {
        "display_name" => old.display_name.clone_from(&new.display_name),
        "description" => old.description.clone_from(&new.description),
        "mode" => old.mode = new.mode,
        "company_first" => old.company_first = new.company_first,
        "initial" => old.initial.clone_from(&new.initial),
        "create_in" => old.create_in.clone_from(&new.create_in),
        "stages" => old.stages.clone_from(&new.stages),
        "transitions" => old.transitions.clone_from(&new.transitions),
        "guards" => old.guards.clone_from(&new.guards),
        "intake" => old.intake.clone_from(&new.intake),
        "triggers" => old.triggers.clone_from(&new.triggers),
        "scores" => old.scores.clone_from(&new.scores),
        "reasons" => old.reasons.clone_from(&new.reasons),
        _ => return false,
    }
    true
}

/// Up to ten items in a sentence.
pub fn listed<'a>(items: impl IntoIterator<Item = &'a str>) -> String {
    let mut text = String::new();
    for (index, item) in items.into_iter().enumerate() {
        if index == 10 {
            text.push_str(", ...");
            break;
        }
        let comma = if index == 0 { "" } else { ", " };
        let _ = write!(text, "{comma}{item}");
    }
    text
}
