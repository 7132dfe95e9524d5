//! What a policy is made of, as it is written: YAML, JSON, and one to one the proto message
//! `PolicyDefinition`.
//!
//! Invariant: a definition is data that nobody has checked yet. Only [`crate::Compiler`] turns it
//! into a [`crate::Policy`], and only a policy moves anyone.

use serde::{Deserialize, Serialize};
use types::Role;

use crate::span::Span;

/// A progression policy as a workspace writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// What people call the policy; any text, up to 100 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub display_name: String,
    /// What the policy is for; up to 2000 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Who stands in the funnel: each contact, or companies through their primary contact.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mode: Mode,
    /// What company-first mode asks for beyond its rules; only with `mode: company_first`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub company_first: Option<CompanyFirst>,
    /// The stage where a contact is opened when no intake rule and no request says otherwise.
    pub initial: String,
    /// The stages a contact may be opened in, the initial one among them; none means only that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub create_in: Vec<String>,
    /// The stages; 1 to 64.
    pub stages: Vec<Stage>,
    /// The moves that are allowed; every other is refused. At most 4096.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transitions: Vec<Transition>,
    /// The conditions that transitions and stages refer to by id; at most 256.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guards: Vec<Guard>,
    /// Where contacts are opened, first match first; at most 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub intake: Vec<Intake>,
    /// What moves a contact, or suggests to, when something happens; at most 256, first match
    /// wins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub triggers: Vec<Trigger>,
    /// What makes a contact promising, term by term; at most 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scores: Vec<Score>,
    /// The reasons that a conversion may give; none means any text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
}

/// Who stands in the funnel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Each contact for itself.
    #[default]
    Contact,
    /// Companies receive projects, invoices and files; a company stands where its primary contact
    /// stands (seed 001).
    CompanyFirst,
}

/// The settings of company-first mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompanyFirst {
    /// Whether a person must belong to a company before it is opened in, or moved to, any stage.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub company_required: bool,
}

impl Default for CompanyFirst {
    fn default() -> Self {
        Self {
            company_required: true,
        }
    }
}

impl Definition {
    /// Whether a person must belong to a company.
    pub(crate) fn requires_company(&self) -> bool {
        self.mode == Mode::CompanyFirst && self.company_first.unwrap_or_default().company_required
    }
}

/// A named step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// The id, a slug: `^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`. It carries no order.
    pub id: String,
    /// What people read, such as `Demo/Making`; up to 100 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub display_name: String,
    /// What the stage means to the other services.
    #[serde(with = "role")]
    pub role: Role,
    /// The keys that the stage grants; `invoice` and `project` only where the role is CLIENT.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entitlements: Vec<String>,
    /// Ids of the guards that must hold to enter the stage, wherever from; at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub enter: Vec<String>,
    /// What entering the stage causes; at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on_enter: Vec<EntryEffect>,
    /// The reasons that entering may give, in place of the policy's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// How long one should stay; timers may refer to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_budget: Option<Span>,
    /// Place among the stages of one role, 0 to 1,000,000; gaps are legal.
    #[serde(default, skip_serializing_if = "is_default")]
    pub order: u32,
    /// How likely business is from here, 0 to 100; what a forecast weighs amounts with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability_percent: Option<u8>,
}

/// A move that is allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transition {
    /// The stage that is left.
    pub from: String,
    /// The stage that is entered; never the same.
    pub to: String,
    /// Ids of the guards that must hold for this move; at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guards: Vec<String>,
    /// The permission that a person needs for this move beyond converting at all.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub permission: String,
    /// What people call the move, such as "Close the deal"; up to 100 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub display_name: String,
    /// The reasons that this move may give, in place of the stage's and the policy's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// Whether a person must give a reason.
    #[serde(default, skip_serializing_if = "is_default")]
    pub reason_required: bool,
}

/// A condition that must be true.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guard {
    /// The id, a slug.
    pub id: String,
    /// A CEL expression of type bool; at most 4096 bytes.
    pub expression: String,
    /// What would satisfy it, for people; up to 500 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// A rule on where a contact is opened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intake {
    /// The id, a slug.
    pub id: String,
    /// A CEL expression of type bool.
    pub when: String,
    /// The stage to open in, one of `create_in`; absent exactly where `none` is set.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stage: String,
    /// The contact gets no position: it is known, but not in the funnel.
    #[serde(default, skip_serializing_if = "is_default")]
    pub none: bool,
}

/// A rule that moves a contact, or suggests to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// The id, a slug.
    pub id: String,
    /// What people call it; up to 100 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub display_name: String,
    /// What makes it look.
    pub on: Event,
    /// A CEL expression of type bool; absent means always.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub when: String,
    /// The stages it looks in.
    pub from: Vec<String>,
    /// The stage it leads to; may be absent where the mode is `suggest`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub to: String,
    /// A stage to pass through on the way, so that one firing writes two transitions; only on
    /// `fact` and `opportunity`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub through: String,
    /// Whether it moves or only proposes.
    pub mode: Firing,
    /// Asks for several matching activities within a window; only on `activity`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trail: Option<Trail>,
    /// When a timer is due after what `since` names; the stage's time budget where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Span>,
    /// What a timer counts from.
    #[serde(default, skip_serializing_if = "is_default")]
    pub since: Since,
    /// What the work item says; up to 500 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// What makes a trigger look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// An activity was recorded.
    #[default]
    Activity,
    /// A fact about the contact changed.
    Fact,
    /// Time passed.
    Timer,
    /// An opportunity changed.
    Opportunity,
}

/// What a matching trigger does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Firing {
    /// Moves the contact.
    Auto,
    /// Opens a work item and moves nobody.
    #[default]
    Suggest,
}

/// So many matching activities within so long, all since the stage was entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trail {
    /// How many; 1 to 1000.
    pub count: u32,
    /// Within how long, ends included.
    pub within: Span,
}

/// What a timer counts from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Since {
    /// Entering the stage.
    #[default]
    Entry,
    /// The last activity, or entering the stage where that was later.
    Activity,
}

/// What entering a stage causes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntryEffect {
    /// What kind.
    pub effect: EffectKind,
    /// What a work item or a request says; up to 500 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The sequence to enrol in; only with `enrol`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sequence: String,
    /// How long after entering it is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_in: Option<Span>,
}

/// The kinds of effects of entering a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EffectKind {
    /// Opens a work item.
    WorkItem,
    /// Asks for the opportunity to be named.
    Opportunity,
    /// Enrols the contact in a sequence.
    Enrol,
}

/// A term of the score that says how promising a contact is (seed 002: opens, visits, downloads).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Score {
    /// The id, a slug.
    pub id: String,
    /// A CEL expression of type bool over one activity.
    pub when: String,
    /// What each matching activity adds, -1000 to 1000.
    pub points: i32,
}

impl Definition {
    /// Reads a definition from YAML; JSON is YAML too.
    pub fn from_yaml(text: &str) -> Result<Self, FormatError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(FormatError(format!(
                "a policy is at most {TEXT_BYTES_MAX} bytes"
            )));
        }
        serde_saphyr::from_str(text).map_err(|error| FormatError(short(&error.to_string())))
    }

    /// Reads a definition from JSON.
    pub fn from_json(text: &str) -> Result<Self, FormatError> {
        serde_json::from_str(text).map_err(|error| FormatError(short(&error.to_string())))
    }

    /// The definition as YAML.
    pub fn to_yaml(&self) -> Result<String, FormatError> {
        serde_saphyr::to_string(self).map_err(|error| FormatError(short(&error.to_string())))
    }

    /// The definition as JSON, in one canonical form: the same definition is the same text.
    pub fn to_json(&self) -> Result<String, FormatError> {
        serde_json::to_string(self).map_err(|error| FormatError(short(&error.to_string())))
    }
}

/// The text is not a policy definition; says where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FormatError(String);

const TEXT_BYTES_MAX: usize = 1 << 20;

/// The first line of what a reader said, cut to a length that fits an error detail.
fn short(message: &str) -> String {
    message
        .lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(300)
        .collect()
}

fn yes() -> bool {
    true
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands a reference to skip_serializing_if"
)]
fn is_yes(value: &bool) -> bool {
    *value
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Roles as their names.
mod role {
    use serde::{Deserialize, Deserializer, Serializer};
    use types::Role;

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde hands a reference to a `with` module"
    )]
    pub fn serialize<S: Serializer>(role: &Role, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(role.as_str())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Role, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
