//! Activities: what they lead to, in whatever order they arrive.
//!
//! The stage after the last barrier is the fold of the activities since, by the time they occurred
//! and then by id. A new activity moves the contact only where the fold with it differs from the
//! fold without it, so one that arrives late appends at most one transition, and one that arrives
//! twice appends none.

use std::collections::{BTreeMap, HashMap};

use types::Micros;

use super::outcome::{Cause, Decision, Effect, Origin};
use super::triggers::{by_policy, fires, refused, suggestion};
use super::{Engine, Refusal, Trail, convert, holds};
use crate::definition::{Event, Firing, Trigger};
use crate::expression::Scope;
use crate::facts::{Activity, Engagement, Facts};
use crate::policy::{Policy, StageIndex};

/// Where the activities of a trail lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fold {
    /// The stage after the last of them.
    pub stage: String,
    /// When it was entered.
    pub entered: Micros,
    /// What has happened, counted.
    pub engagement: Engagement,
}

/// Where `trail` leads under `policy`. `None` where the policy lacks the trail's stage.
#[must_use]
pub fn fold(policy: &Policy, facts: &Facts, trail: &Trail) -> Option<Fold> {
    let mut run = Run::start(policy, trail)?;
    for activity in in_order(trail, None) {
        run.apply(policy, facts, activity);
    }
    Some(Fold {
        stage: policy.stage_at(run.stage).id.clone(),
        entered: run.entered,
        engagement: run.engagement,
    })
}

impl Engine<'_> {
    pub(super) fn record(&self, activity: &Activity, trail: &Trail) -> Result<Decision, Refusal> {
        let Some(at) = self.stage()?.filter(|_| !self.follows_primary()) else {
            return Ok(Decision::default());
        };
        let known = trail.activities.iter().any(|known| known.id == activity.id);
        if known || !trail.goes_on_with(activity) {
            return Ok(Decision::default());
        }
        let Some(mut without) = Run::start(self.policy, trail) else {
            return Err(Refusal::StageUnmapped {
                stage: trail.stage.clone(),
            });
        };
        let all = in_order(trail, Some(activity));
        let place = all
            .iter()
            .position(|other| other.id == activity.id)
            .unwrap_or(all.len());
        let (before, after) = all.split_at(place);
        for earlier in before {
            without.apply(self.policy, self.facts, earlier);
        }
        let mut with = without.clone();
        for other in after {
            with.apply(self.policy, self.facts, other);
        }
        for later in after.iter().skip(1) {
            without.apply(self.policy, self.facts, later);
        }
        let mut decision = Decision::default();
        if with.stage != without.stage && with.stage != at {
            decision = self.correct(at, &with, activity);
        }
        let news = with
            .effects
            .into_iter()
            .filter(|(key, _)| !without.effects.contains_key(key));
        decision.effects.extend(news.map(|(_, effect)| effect));
        Ok(decision)
    }

    /// The one transition from where the contact stands to where the fold leads. It must be in the
    /// table and pass its guards like any other.
    fn correct(&self, at: StageIndex, with: &Run, activity: &Activity) -> Decision {
        let trigger = with.last.and_then(|place| self.policy.trigger_at(place));
        let refuse = |refusal| Decision {
            effects: vec![Effect::Refused {
                key: format!("fold/{}", activity.id),
                trigger: trigger
                    .map(|trigger| trigger.id.clone())
                    .unwrap_or_default(),
                to: self.policy.stage_at(with.stage).id.clone(),
                refusal,
            }],
            ..Decision::default()
        };
        if self.policy.transition(at, with.stage).is_none() {
            return refuse(self.not_allowed(&self.policy.stage_at(with.stage).id));
        }
        let scope = Scope {
            activity: Some(activity),
            engagement: &with.engagement,
            ..self.scope(&by_policy())
        };
        if let Err(refusal) = convert::guards(self.policy, Some(at), with.stage, &scope) {
            return refuse(refusal);
        }
        let effective_time = activity.time.clamp(self.position.entered, self.latest());
        let mut origin = Origin::of_policy(Cause::Activity, effective_time);
        origin.trigger = trigger.map(|trigger| trigger.id.as_str());
        origin.activity = Some(&activity.id);
        self.walk(Some(at), &[Some(with.stage)], &origin)
    }
}

/// The activities after the barrier, each id once, by occurrence and then by id.
fn in_order<'a>(trail: &'a Trail, new: Option<&'a Activity>) -> Vec<&'a Activity> {
    let mut all: Vec<&Activity> = trail
        .activities
        .iter()
        .chain(new)
        .filter(|activity| trail.goes_on_with(activity))
        .collect();
    all.sort_by(|a, b| (a.time, &a.id).cmp(&(b.time, &b.id)));
    all.dedup_by(|a, b| a.id == b.id);
    all
}

/// The state of a fold.
#[derive(Clone)]
struct Run {
    stage: StageIndex,
    entered: Micros,
    engagement: Engagement,
    /// Per trigger with a trail, when activities matched it during this stay.
    matched: HashMap<usize, Vec<Micros>>,
    /// What was caused, by key.
    effects: BTreeMap<String, Effect>,
    /// The trigger that moved last.
    last: Option<usize>,
}

impl Run {
    fn start(policy: &Policy, trail: &Trail) -> Option<Self> {
        Some(Self {
            stage: policy.index_of(&trail.stage)?,
            entered: trail.entered,
            engagement: trail.engagement.clone(),
            matched: HashMap::new(),
            effects: BTreeMap::new(),
            last: None,
        })
    }

    /// Applies one activity: the first trigger that matches fires, every trail counts on.
    fn apply(&mut self, policy: &Policy, facts: &Facts, activity: &Activity) {
        self.engagement.count(activity);
        let stage = policy.stage_at(self.stage);
        let engagement = self.engagement.clone();
        let request = by_policy();
        let scope = Scope {
            facts,
            engagement: &engagement,
            stage: &stage.id,
            role: stage.role.as_str(),
            entered: Some(self.entered),
            activity: Some(activity),
            reason: request.reason,
            actor: request.actor,
            // The instant of the activity, so that the outcome is the same whenever it arrives.
            now: activity.time,
        };
        let mut fired = false;
        for (place, (trigger, when)) in policy.triggers().enumerate() {
            if !fires(trigger, Event::Activity, &stage.id) || (fired && trigger.trail.is_none()) {
                continue;
            }
            if !holds(when, &scope) || !self.trail_is_complete(place, trigger, activity) || fired {
                continue;
            }
            fired = true;
            if self.fire(policy, place, trigger, activity, &scope) {
                return;
            }
        }
    }

    /// Whether enough activities matched within the window; always where none is asked for.
    fn trail_is_complete(&mut self, place: usize, trigger: &Trigger, activity: &Activity) -> bool {
        let Some(trail) = trigger.trail else {
            return true;
        };
        let times = self.matched.entry(place).or_default();
        times.push(activity.time);
        let oldest = activity.time.minus(trail.within.duration());
        times.retain(|time| *time >= oldest);
        times.len() >= trail.count as usize
    }

    /// Carries out a trigger; says whether it moved.
    fn fire(
        &mut self,
        policy: &Policy,
        place: usize,
        trigger: &Trigger,
        activity: &Activity,
        scope: &Scope,
    ) -> bool {
        let key = if trigger.trail.is_some() {
            format!("{}/{}", trigger.id, self.entered.0)
        } else {
            format!("{}/{}", trigger.id, activity.id)
        };
        let to = policy.index_of(&trigger.to);
        let decision = match (trigger.mode, to) {
            (Firing::Auto, Some(to)) => {
                match convert::guards(policy, Some(self.stage), to, scope) {
                    Ok(()) => {
                        self.stage = to;
                        self.entered = activity.time;
                        self.engagement.helpful_mails_since_entry = 0;
                        self.matched.clear();
                        self.last = Some(place);
                        return true;
                    }
                    Err(refusal) => refused(trigger, key, refusal),
                }
            }
            _ => suggestion(trigger, key),
        };
        for effect in decision.effects {
            self.effects
                .entry(effect.key().to_owned())
                .or_insert(effect);
        }
        false
    }
}
