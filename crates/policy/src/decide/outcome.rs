//! What a decision says: transitions to write and effects to cause.

use std::collections::BTreeSet;
use std::fmt;

use types::{Micros, Role};

use super::{Engine, Refusal, Request};
use crate::definition::EffectKind;
use crate::policy::{Policy, StageIndex};

/// What follows from a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// The moves to write, in this order and in one transaction: none, one or two.
    pub transitions: Vec<Transition>,
    /// What to cause in the same transaction. Each has a key that makes it happen once.
    pub effects: Vec<Effect>,
    /// Why the contact still has no position, where that was decided.
    pub withheld: Option<Withheld>,
}

/// One move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The stage that is left; `None` for an opening.
    pub from: Option<String>,
    /// The stage that is entered; `None` for a closing.
    pub to: Option<String>,
    /// The role of the stage that is left.
    pub from_role: Option<Role>,
    /// The role of the stage that is entered.
    pub to_role: Option<Role>,
    /// Whether it passes over a stage of the funnel.
    pub skip: bool,
    /// What brought it about.
    pub cause: Cause,
    /// The principal, or [`POLICY_ACTOR`].
    pub actor: String,
    /// The reason that was given.
    pub reason: String,
    /// The note that was given.
    pub note: String,
    /// The trigger that fired.
    pub trigger: Option<String>,
    /// The activity that it fired on.
    pub activity: Option<String>,
    /// The entitlements it adds.
    pub gained: BTreeSet<String>,
    /// The entitlements it takes away: such a move goes through recall.
    pub lost: BTreeSet<String>,
    /// Whether activities that occurred before it fire nothing any more.
    pub barrier: bool,
    /// The position's revision after it.
    pub revision: i64,
    /// When it took effect.
    pub effective_time: Micros,
    /// When it was decided.
    pub record_time: Micros,
}

/// The actor of moves that no person made.
pub const POLICY_ACTOR: &str = "policy";

/// What brought a move about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// Somebody converted the contact.
    Manual,
    /// The contact became known.
    Opening,
    /// The contact was imported.
    Import,
    /// A trigger fired on an activity.
    Activity,
    /// A trigger fired on a fact.
    Fact,
    /// A trigger fired on an opportunity.
    Opportunity,
    /// A timer fired.
    Timer,
    /// Another policy was activated.
    Activation,
    /// The contact was deleted.
    Deletion,
    /// The contact was merged into another.
    Merge,
    /// The contact was undeleted.
    Undeletion,
}

impl Cause {
    /// All causes.
    pub const ALL: [Self; 11] = [
        Self::Manual,
        Self::Opening,
        Self::Import,
        Self::Activity,
        Self::Fact,
        Self::Opportunity,
        Self::Timer,
        Self::Activation,
        Self::Deletion,
        Self::Merge,
        Self::Undeletion,
    ];

    /// The name that rows and messages use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "MANUAL",
            Self::Opening => "OPENING",
            Self::Import => "IMPORT",
            Self::Activity => "ACTIVITY",
            Self::Fact => "FACT",
            Self::Opportunity => "OPPORTUNITY",
            Self::Timer => "TIMER",
            Self::Activation => "ACTIVATION",
            Self::Deletion => "DELETION",
            Self::Merge => "MERGE",
            Self::Undeletion => "UNDELETION",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a decision causes besides moving. Whoever carries it out remembers the key: an effect with
/// a key that was carried out before is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Open a work item, because the stage was entered.
    WorkItem {
        /// Makes it happen once.
        key: String,
        /// The stage that was entered.
        stage: String,
        /// What it says.
        message: String,
        /// When it is due.
        due: Option<Micros>,
    },
    /// Ask for the opportunity to be named, because the stage was entered.
    Opportunity {
        /// Makes it happen once.
        key: String,
        /// The stage that was entered.
        stage: String,
        /// What the request says.
        message: String,
        /// When it is due.
        due: Option<Micros>,
    },
    /// Enrol the contact in a sequence, because the stage was entered.
    Enrolment {
        /// Makes it happen once.
        key: String,
        /// The stage that was entered.
        stage: String,
        /// The sequence.
        sequence: String,
    },
    /// Open a work item that proposes a move, or only says what is the matter.
    Suggestion {
        /// Makes it happen once.
        key: String,
        /// The trigger that proposes it.
        trigger: String,
        /// The stage to move to, where one is proposed.
        to: Option<String>,
        /// What it says.
        message: String,
    },
    /// Open a work item: a trigger would have moved the contact, and the move was refused.
    Refused {
        /// Makes it happen once.
        key: String,
        /// The trigger.
        trigger: String,
        /// The stage that it would have led to.
        to: String,
        /// Why not.
        refusal: Refusal,
    },
}

impl Effect {
    /// What makes it happen once per contact.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::WorkItem { key, .. }
            | Self::Opportunity { key, .. }
            | Self::Enrolment { key, .. }
            | Self::Suggestion { key, .. }
            | Self::Refused { key, .. } => key,
        }
    }
}

/// Why a contact has no position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Withheld {
    /// An intake rule says that it needs none.
    Intake {
        /// The rule.
        rule: String,
    },
    /// Its company stands where the primary contact stands.
    CompanyFirst,
    /// Opening was refused; it is tried again when a fact changes.
    Refused(Refusal),
}

impl Decision {
    /// Whether nothing follows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.transitions.is_empty() && self.effects.is_empty()
    }

    pub(super) fn withheld(why: Withheld) -> Self {
        Self {
            withheld: Some(why),
            ..Self::default()
        }
    }
}

/// What a transition records besides its stages.
#[derive(Clone, Copy)]
pub(super) struct Origin<'a> {
    pub cause: Cause,
    pub request: Request<'a>,
    pub trigger: Option<&'a str>,
    pub activity: Option<&'a str>,
    pub effective_time: Micros,
}

impl<'a> Origin<'a> {
    pub(super) fn of_policy(cause: Cause, effective_time: Micros) -> Self {
        Self {
            cause,
            request: Request {
                actor: POLICY_ACTOR,
                ..Request::default()
            },
            trigger: None,
            activity: None,
            effective_time,
        }
    }

    pub(super) fn of_request(cause: Cause, request: &Request<'a>, effective_time: Micros) -> Self {
        Self {
            request: *request,
            ..Self::of_policy(cause, effective_time)
        }
    }
}

impl Engine<'_> {
    /// The decision to walk along `stages`, at most two, each of which may be entered.
    pub(super) fn walk(
        &self,
        from: Option<StageIndex>,
        stages: &[Option<StageIndex>],
        origin: &Origin,
    ) -> Decision {
        let mut decision = Decision::default();
        let mut at = from;
        for &to in stages {
            let revision = self.position.revision.saturating_add(1);
            let revision = revision.saturating_add_unsigned(decision.transitions.len() as u64);
            let transition = transition(self.policy, at, to, origin, revision, self.now);
            if let Some(to) = to {
                enter(self.policy, to, &transition, &mut decision.effects);
            }
            decision.transitions.push(transition);
            at = to;
        }
        decision
    }
}

pub(super) fn transition(
    policy: &Policy,
    from: Option<StageIndex>,
    to: Option<StageIndex>,
    origin: &Origin,
    revision: i64,
    now: Micros,
) -> Transition {
    let stage = |at: Option<StageIndex>| at.map(|at| policy.stage_at(at));
    let (left, entered) = (stage(from), stage(to));
    let before = policy.entitlements_at(from);
    let after = policy.entitlements_at(to);
    let lost: BTreeSet<String> = before.difference(after).cloned().collect();
    let role = |stage: Option<&crate::definition::Stage>| stage.map(|stage| stage.role);
    let becomes_client = role(entered) == Some(Role::Client) && role(left) != Some(Role::Client);
    Transition {
        from: left.map(|stage| stage.id.clone()),
        to: entered.map(|stage| stage.id.clone()),
        from_role: role(left),
        to_role: role(entered),
        skip: match (left, entered) {
            (Some(left), Some(entered)) => policy.is_skip(&left.id, &entered.id),
            _ => false,
        },
        cause: origin.cause,
        actor: origin.request.actor.to_owned(),
        reason: origin.request.reason.to_owned(),
        note: origin.request.note.to_owned(),
        trigger: origin.trigger.map(str::to_owned),
        activity: origin.activity.map(str::to_owned),
        gained: after.difference(before).cloned().collect(),
        barrier: origin.cause != Cause::Activity || !lost.is_empty() || becomes_client,
        lost,
        revision,
        effective_time: origin.effective_time,
        record_time: now,
    }
}

/// What entering a stage causes.
fn enter(policy: &Policy, to: StageIndex, transition: &Transition, effects: &mut Vec<Effect>) {
    let stage = policy.stage_at(to);
    for (number, effect) in stage.on_enter.iter().enumerate() {
        let key = format!("enter/{}/{number}", transition.revision);
        let stage = stage.id.clone();
        let message = effect.message.clone();
        let due = effect
            .due_in
            .map(|span| transition.effective_time.plus(span.duration()));
        effects.push(match effect.effect {
            EffectKind::WorkItem => Effect::WorkItem {
                key,
                stage,
                message,
                due,
            },
            EffectKind::Opportunity => Effect::Opportunity {
                key,
                stage,
                message,
                due,
            },
            EffectKind::Enrol => Effect::Enrolment {
                key,
                stage,
                sequence: effect.sequence.clone(),
            },
        });
    }
}
