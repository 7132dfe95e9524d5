//! The checks of guards, intake rules, triggers and scores.

use std::collections::HashSet;

use super::{Check, MESSAGE_CHARS_MAX, NAME_CHARS_MAX, POINTS_MAX, TRAIL_MAX, cut};
use crate::definition::{Event, Firing, Since, Trigger};

impl Check<'_> {
    pub(super) fn guards(&mut self) {
        let mut seen = HashSet::new();
        for (at, guard) in self.definition.guards.iter().enumerate() {
            let path = format!("guards[{at}]");
            self.id(&path, &guard.id, &mut seen);
            self.text(format!("{path}.message"), &guard.message, MESSAGE_CHARS_MAX);
        }
    }

    pub(super) fn intake(&mut self) {
        let mut seen = HashSet::new();
        for (at, rule) in self.definition.intake.iter().enumerate() {
            let path = format!("intake[{at}]");
            self.id(&path, &rule.id, &mut seen);
            if rule.none != rule.stage.is_empty() {
                self.fault(&path, "An intake rule has either a stage or `none: true`.");
            } else if !rule.none
                && self.known(format!("{path}.stage"), &rule.stage)
                && !self.opens(&rule.stage)
            {
                self.fault(
                    format!("{path}.stage"),
                    format!(
                        "`{}` is not a stage that contacts are opened in.",
                        rule.stage
                    ),
                );
            }
        }
    }

    pub(super) fn opens(&self, stage: &str) -> bool {
        let definition = self.definition;
        definition.initial == stage || definition.create_in.iter().any(|other| other == stage)
    }

    pub(super) fn triggers(&mut self) {
        let mut seen = HashSet::new();
        for (at, trigger) in self.definition.triggers.iter().enumerate() {
            let path = format!("triggers[{at}]");
            self.id(&path, &trigger.id, &mut seen);
            self.text(
                format!("{path}.display_name"),
                &trigger.display_name,
                NAME_CHARS_MAX,
            );
            self.text(
                format!("{path}.message"),
                &trigger.message,
                MESSAGE_CHARS_MAX,
            );
            self.trigger_shape(&path, trigger);
            self.trigger_moves(&path, trigger);
        }
    }

    pub(super) fn trigger_shape(&mut self, path: &str, trigger: &Trigger) {
        if trigger.to.is_empty() && (trigger.mode == Firing::Auto || !trigger.through.is_empty()) {
            self.fault(format!("{path}.to"), "A trigger that moves says where to.");
        }
        if trigger.from.is_empty() {
            self.fault(
                format!("{path}.from"),
                "A trigger looks in at least one stage.",
            );
        }
        if !trigger.through.is_empty() && !matches!(trigger.on, Event::Fact | Event::Opportunity) {
            self.fault(
                format!("{path}.through"),
                "Only triggers on `fact` and `opportunity` pass through a stage.",
            );
        }
        match trigger.trail {
            Some(_) if trigger.on != Event::Activity => {
                self.fault(
                    format!("{path}.trail"),
                    "Only triggers on `activity` have a trail.",
                );
            }
            Some(trail) if !(1..=TRAIL_MAX).contains(&trail.count) => {
                self.fault(
                    format!("{path}.trail.count"),
                    format!("A trail has 1 to {TRAIL_MAX} activities."),
                );
            }
            _ => {}
        }
        let timed = trigger.after.is_some() || trigger.since != Since::Entry;
        if timed && trigger.on != Event::Timer {
            self.fault(path, "Only triggers on `timer` have `after` and `since`.");
        }
    }

    pub(super) fn trigger_moves(&mut self, path: &str, trigger: &Trigger) {
        let mut known = true;
        if !trigger.to.is_empty() {
            known &= self.known(format!("{path}.to"), &trigger.to);
        }
        if !trigger.through.is_empty() {
            known &= self.known(format!("{path}.through"), &trigger.through);
        }
        let mut seen = HashSet::new();
        for (at, from) in trigger.from.iter().enumerate() {
            let path = format!("{path}.from[{at}]");
            if !seen.insert(from) {
                self.fault(&path, format!("`{}` is listed twice.", cut(from)));
            }
            if !self.known(&path, from) || !known {
                continue;
            }
            let budget = self
                .stages
                .get(from.as_str())
                .and_then(|stage| stage.time_budget);
            if trigger.on == Event::Timer && trigger.after.is_none() && budget.is_none() {
                self.fault(
                    &path,
                    format!("A timer has `after`, or `{from}` a time budget."),
                );
            }
            if from == &trigger.to {
                self.fault(&path, format!("The trigger leads from `{from}` to itself."));
            }
            for (from, to) in steps(trigger, from) {
                if !self.moves.contains(&(from, to)) {
                    self.fault(
                        &path,
                        format!("No transition leads from `{from}` to `{to}`."),
                    );
                }
            }
        }
    }

    pub(super) fn scores(&mut self) {
        let mut seen = HashSet::new();
        for (at, score) in self.definition.scores.iter().enumerate() {
            let path = format!("scores[{at}]");
            self.id(&path, &score.id, &mut seen);
            if score.points.unsigned_abs() > POINTS_MAX.unsigned_abs() {
                self.fault(
                    format!("{path}.points"),
                    format!("Points are -{POINTS_MAX} to {POINTS_MAX}."),
                );
            }
        }
    }
}

/// The moves that a trigger makes from one of its stages: at most two. A stage to pass through is
/// left out where one already stands there.
pub(crate) fn steps<'a>(trigger: &'a Trigger, from: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut steps = Vec::with_capacity(2);
    let mut at = from;
    for to in [trigger.through.as_str(), trigger.to.as_str()] {
        if !to.is_empty() && to != at {
            steps.push((at, to));
            at = to;
        }
    }
    steps
}
