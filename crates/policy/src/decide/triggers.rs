//! Triggers on facts, opportunities and time.

use std::collections::BTreeSet;

use types::Micros;

use super::outcome::{Cause, Decision, Effect, Origin, POLICY_ACTOR};
use super::{Engine, Position, Refusal, Request, convert, holds};
use crate::definition::{Event, Firing, Since, Trigger};
use crate::expression::Scope;
use crate::facts::Facts;
use crate::policy::{Policy, StageIndex};
use crate::validate::steps;

/// When a timer of a position is due.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Due {
    /// When; also in the past.
    pub at: Micros,
    /// The trigger.
    pub trigger: String,
    /// The key of its effect; one that fired already is not due again.
    pub key: String,
}

/// The timers that run for `position`, the soonest first. Whether one does something is decided
/// when it is due, by `Command::Tick`.
#[must_use]
pub fn due(policy: &Policy, position: &Position, facts: &Facts) -> Vec<Due> {
    let Some(stage) = &position.stage else {
        return Vec::new();
    };
    let mut timers: Vec<Due> = policy
        .triggers()
        .filter(|(trigger, _)| trigger.on == Event::Timer && looks_in(trigger, stage))
        .filter_map(|(trigger, _)| timer(policy, position, facts, stage, trigger))
        .collect();
    timers.sort();
    timers
}

fn timer(
    policy: &Policy,
    position: &Position,
    facts: &Facts,
    stage: &str,
    trigger: &Trigger,
) -> Option<Due> {
    let since = match trigger.since {
        Since::Entry => position.entered,
        Since::Activity => facts
            .engagement
            .last_activity
            .map_or(position.entered, |last| last.max(position.entered)),
    };
    let after = trigger.after.or(policy.stage(stage)?.time_budget)?;
    Some(Due {
        at: since.plus(after.duration()),
        trigger: trigger.id.clone(),
        key: format!("{}/{}", trigger.id, since.0),
    })
}

pub(super) fn looks_in(trigger: &Trigger, stage: &str) -> bool {
    trigger.from.iter().any(|from| from == stage)
}

/// Whether `trigger` looks at `event` in `stage`.
pub(crate) fn fires(trigger: &Trigger, event: Event, stage: &str) -> bool {
    trigger.on == event && looks_in(trigger, stage)
}

impl Engine<'_> {
    /// The first trigger on facts that matches; `room` says how many transitions it may write.
    pub(super) fn facts_fire(&self, room: usize) -> Result<Decision, Refusal> {
        self.first(Event::Fact, Cause::Fact, room)
    }

    pub(super) fn opportunity_changed(&self) -> Result<Decision, Refusal> {
        self.first(Event::Opportunity, Cause::Opportunity, 2)
    }

    fn first(&self, event: Event, cause: Cause, room: usize) -> Result<Decision, Refusal> {
        let Some(at) = self.stage()?.filter(|_| !self.follows_primary()) else {
            return Ok(Decision::default());
        };
        let stage = &self.policy.stage_at(at).id;
        let scope = self.scope(&by_policy());
        let matching = self
            .policy
            .triggers()
            .filter(|(trigger, _)| fires(trigger, event, stage))
            .filter(|(trigger, _)| steps(trigger, stage).len() <= room)
            .find(|(_, when)| holds(*when, &scope));
        Ok(matching.map_or_else(Decision::default, |(trigger, _)| {
            let key = format!("{}/{}", trigger.id, self.position.entered.0);
            self.fire(at, trigger, cause, key)
        }))
    }

    /// Every timer that is due and has not fired; the first that moves is the last that fires.
    pub(super) fn tick(&self, fired: &BTreeSet<String>) -> Result<Decision, Refusal> {
        let Some(at) = self.stage()?.filter(|_| !self.follows_primary()) else {
            return Ok(Decision::default());
        };
        let stage = &self.policy.stage_at(at).id;
        let scope = self.scope(&by_policy());
        let mut decision = Decision::default();
        for (trigger, when) in self.policy.triggers() {
            if !fires(trigger, Event::Timer, stage) {
                continue;
            }
            let timer = timer(self.policy, self.position, self.facts, stage, trigger);
            let Some(due) = timer.filter(|due| due.at <= self.now && !fired.contains(&due.key))
            else {
                continue;
            };
            if !holds(when, &scope) {
                continue;
            }
            let next = self.fire(at, trigger, Cause::Timer, due.key);
            decision.effects.extend(next.effects);
            decision.transitions.extend(next.transitions);
            if !decision.transitions.is_empty() {
                break;
            }
        }
        Ok(decision)
    }

    /// What a matching trigger does. A move that a guard refuses becomes a work item, and of two
    /// moves neither is made where one is refused.
    fn fire(&self, at: StageIndex, trigger: &Trigger, cause: Cause, key: String) -> Decision {
        if trigger.mode == Firing::Suggest {
            return suggestion(trigger, key);
        }
        let mut origin = Origin::of_policy(cause, self.latest());
        origin.trigger = Some(&trigger.id);
        let stage = self.policy.stage_at(at).id.as_str();
        let mut path = Vec::with_capacity(2);
        for (left, to) in steps(trigger, stage) {
            let (Some(from), Some(to)) = (self.policy.index_of(left), self.policy.index_of(to))
            else {
                return Decision::default();
            };
            let scope = Scope {
                stage: left,
                role: self.policy.stage_at(from).role.as_str(),
                ..self.scope(&by_policy())
            };
            if let Err(refusal) = convert::guards(self.policy, Some(from), to, &scope) {
                return refused(trigger, key, refusal);
            }
            path.push(Some(to));
        }
        self.walk(Some(at), &path, &origin)
    }
}

pub(super) fn by_policy() -> Request<'static> {
    Request {
        actor: POLICY_ACTOR,
        ..Request::default()
    }
}

pub(super) fn suggestion(trigger: &Trigger, key: String) -> Decision {
    Decision {
        effects: vec![Effect::Suggestion {
            key,
            trigger: trigger.id.clone(),
            to: (!trigger.to.is_empty()).then(|| trigger.to.clone()),
            message: trigger.message.clone(),
        }],
        ..Decision::default()
    }
}

pub(super) fn refused(trigger: &Trigger, key: String, refusal: Refusal) -> Decision {
    Decision {
        effects: vec![Effect::Refused {
            key,
            trigger: trigger.id.clone(),
            to: trigger.to.clone(),
            refusal,
        }],
        ..Decision::default()
    }
}
