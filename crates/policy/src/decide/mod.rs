//! The decision: where a contact stands, what is known and asked, and what follows.
//!
//! Invariant: this is the only code that moves anyone. It reads no clock, no database and no
//! random source; the same arguments give the same answer, so a dry run and the real call cannot
//! disagree.

mod activity;
mod convert;
mod open;
mod outcome;
mod refusal;
mod triggers;

use std::collections::BTreeSet;

use types::Micros;

use crate::expression::{Expression, Scope};
use crate::facts::{Activity, Engagement, Facts};
use crate::policy::{Policy, StageIndex};

pub use self::activity::{Fold, fold};
pub(crate) use self::convert::check as check_conversion;
pub use self::outcome::{Cause, Decision, Effect, POLICY_ACTOR, Transition, Withheld};
pub use self::refusal::{FailedGuard, Refusal};
pub use self::triggers::{Due, due};

/// Where a contact stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The stage; `None` while the contact has no position (role unspecified, no entitlements),
    /// and once it is closed.
    pub stage: Option<String>,
    /// The revision of the last transition; 0 before the first.
    pub revision: i64,
    /// The effective time of the last transition.
    pub entered: Micros,
}

impl Position {
    /// No position, and no history of one.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Standing in `stage` since `entered`.
    #[must_use]
    pub fn at(stage: impl Into<String>, revision: i64, entered: Micros) -> Self {
        Self {
            stage: Some(stage.into()),
            revision,
            entered,
        }
    }

    /// Whether it was closed by deletion or merge. Such a contact is only reopened: opening it anew
    /// would be a way backward.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.stage.is_none() && self.revision > 0
    }

    /// The position after `decision`, which was made for this one.
    #[must_use]
    pub fn after(&self, decision: &Decision) -> Self {
        decision.transitions.last().map_or_else(
            || self.clone(),
            |last| Self {
                stage: last.to.clone(),
                revision: last.revision,
                entered: last.effective_time,
            },
        )
    }
}

/// Who asks, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Request<'a> {
    /// The principal.
    pub actor: &'a str,
    /// The reason, from the policy's list where it has one.
    pub reason: &'a str,
    /// A free note; recorded, never decided by.
    pub note: &'a str,
    /// What the principal may do.
    pub permissions: Permissions<'a>,
}

/// The permissions of a principal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Permissions<'a> {
    /// Everything; also what nobody asked for, such as imports that were authorised as a whole.
    #[default]
    All,
    /// Only these.
    Only(&'a BTreeSet<String>),
}

impl Permissions<'_> {
    fn allow(self, permission: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(held) => permission.is_empty() || held.contains(permission),
        }
    }
}

/// What happened, or what is asked for.
#[derive(Clone, Copy, Debug)]
pub enum Command<'a> {
    /// Somebody moves the contact to a stage.
    Convert {
        /// Where to.
        stage: &'a str,
        /// Who and why.
        request: Request<'a>,
        /// When it took effect, at the latest now; now where absent.
        effective_time: Option<Micros>,
    },
    /// The contact became known.
    Open {
        /// The stage that was asked for at creation or import, or empty.
        requested_stage: &'a str,
        /// Who created or imported it.
        request: Request<'a>,
        /// Whether it came by an import.
        imported: bool,
    },
    /// An activity was recorded.
    Record {
        /// The activity.
        activity: &'a Activity,
        /// What was recorded before it.
        trail: &'a Trail,
    },
    /// A field of the contact changed.
    FactsChanged {
        /// The stage that was asked for at creation or import, or empty.
        requested_stage: &'a str,
        /// Whether the contact came by an import.
        imported: bool,
    },
    /// The contact's opportunity changed.
    OpportunityChanged,
    /// Time passed.
    Tick {
        /// The keys of effects that timers have caused already.
        fired: &'a BTreeSet<String>,
    },
    /// The contact is deleted, or merged into another.
    Close {
        /// Which of the two.
        cause: Closing,
        /// Who and why.
        request: Request<'a>,
    },
    /// The contact is there again; it stands where it stood.
    Reopen {
        /// The stage that was left when the position was closed.
        stage: &'a str,
        /// Who and why.
        request: Request<'a>,
    },
    /// Another policy was activated, and its stage map leads here.
    Map {
        /// The policy under which the contact stood.
        from: &'a Policy,
        /// The stage of the new policy.
        stage: &'a str,
        /// Who activated it.
        request: Request<'a>,
    },
}

/// Why a position is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// The contact is deleted.
    Deletion,
    /// The contact is merged into another.
    Merge,
}

/// The activities of a contact since its last barrier, and where it stood then.
///
/// A barrier is a transition that is manual or otherwise not caused by an activity, that takes an
/// entitlement away, or that enters the role CLIENT ([`Transition::barrier`]). What occurred before
/// it is recorded and fires nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trail {
    /// The stage that the barrier led to.
    pub stage: String,
    /// The effective time of the barrier.
    pub entered: Micros,
    /// The activity that caused the barrier, where it occurred at that very time: those of that time
    /// with a higher id come after it. Where none did, all of that time came before it.
    pub activity: Option<String>,
    /// What had happened up to the barrier, with no helpful mails since entry.
    pub engagement: Engagement,
    /// The activities recorded so far; order does not matter, and neither do older ones.
    pub activities: Vec<Activity>,
}

impl Trail {
    /// The trail that a barrier begins, where these activities were recorded before it and with it.
    #[must_use]
    pub fn after(barrier: &Transition, activities: &[Activity]) -> Self {
        let entered = barrier.effective_time;
        let occurred_then = |id: &&String| {
            let mut of_that_time = activities.iter().filter(|known| known.time == entered);
            of_that_time.any(|known| known.id == **id)
        };
        let mut trail = Self {
            stage: barrier.to.clone().unwrap_or_default(),
            entered,
            activity: barrier.activity.as_ref().filter(occurred_then).cloned(),
            ..Self::default()
        };
        let mut engagement = Engagement::default();
        for activity in activities {
            if !trail.goes_on_with(activity) {
                engagement.count(activity);
            }
        }
        engagement.helpful_mails_since_entry = 0;
        trail.engagement = engagement;
        trail
    }

    /// Whether an activity comes after the barrier, by the time it occurred and then by id.
    #[must_use]
    pub fn goes_on_with(&self, activity: &Activity) -> bool {
        let same_time_after = |last: &String| activity.time == self.entered && activity.id > *last;
        activity.time > self.entered || self.activity.as_ref().is_some_and(same_time_after)
    }
}

/// Decides what follows from `command` for a contact that stands at `position`.
///
/// Total: every argument gets an answer, in time linear in the policy, the expressions and the
/// trail. A refusal lists every failed guard.
pub fn decide(
    policy: &Policy,
    position: &Position,
    facts: &Facts,
    command: Command,
    now: Micros,
) -> Result<Decision, Refusal> {
    let engine = Engine {
        policy,
        position,
        facts,
        now,
    };
    match command {
        Command::Convert {
            stage,
            request,
            effective_time,
        } => engine.convert(stage, &request, effective_time),
        Command::Open {
            requested_stage,
            request,
            imported,
        } => engine.open(requested_stage, &request, imported),
        Command::Record { activity, trail } => engine.record(activity, trail),
        Command::FactsChanged {
            requested_stage,
            imported,
        } => engine.facts_changed(requested_stage, imported),
        Command::OpportunityChanged => engine.opportunity_changed(),
        Command::Tick { fired } => engine.tick(fired),
        Command::Close { cause, request } => Ok(engine.close(cause, &request)),
        Command::Reopen { stage, request } => engine.reopen(stage, &request),
        Command::Map {
            from,
            stage,
            request,
        } => engine.map(from, stage, &request),
    }
}

/// The arguments of a decision.
#[derive(Clone, Copy)]
pub(crate) struct Engine<'a> {
    pub policy: &'a Policy,
    pub position: &'a Position,
    pub facts: &'a Facts,
    pub now: Micros,
}

impl<'a> Engine<'a> {
    /// The stage one stands in; refused where this policy does not know it.
    pub(crate) fn stage(&self) -> Result<Option<StageIndex>, Refusal> {
        match &self.position.stage {
            None => Ok(None),
            Some(stage) => match self.policy.index_of(stage) {
                Some(at) => Ok(Some(at)),
                None => Err(Refusal::StageUnmapped {
                    stage: stage.clone(),
                }),
            },
        }
    }

    pub(crate) fn target(&self, stage: &str) -> Result<StageIndex, Refusal> {
        self.policy
            .index_of(stage)
            .ok_or_else(|| Refusal::StageUnknown {
                stage: stage.to_owned(),
                known: self.policy.stages().map(str::to_owned).collect(),
            })
    }

    /// What expressions are evaluated against, where nothing but the position matters.
    pub(crate) fn scope(&self, request: &Request<'a>) -> Scope<'a> {
        let stage = self.position.stage.as_deref();
        Scope {
            facts: self.facts,
            engagement: &self.facts.engagement,
            stage: stage.unwrap_or_default(),
            role: stage
                .and_then(|stage| self.policy.role(stage))
                .map_or("", types::Role::as_str),
            entered: stage.map(|_| self.position.entered),
            activity: None,
            reason: request.reason,
            actor: request.actor,
            now: self.now,
        }
    }
}

/// Whether an expression holds; one that fails does not, and absent ones do.
pub(crate) fn holds(expression: Option<&Expression>, scope: &Scope) -> bool {
    expression.is_none_or(|expression| expression.holds(scope).unwrap_or(false))
}
