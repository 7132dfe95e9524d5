//! The checks of stages, openings and transitions.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use types::Role;

use super::{
    Check, EFFECTS_MAX, ENTITLEMENTS_MAX, MESSAGE_CHARS_MAX, NAME_CHARS_MAX, ORDER_MAX, cut,
    is_slug,
};
use crate::definition::{EffectKind, EntryEffect, Stage};
use crate::entitlements;

impl Check<'_> {
    pub(super) fn stages(&mut self) {
        let mut seen = HashSet::new();
        for (at, stage) in self.definition.stages.iter().enumerate() {
            let path = format!("stages[{at}]");
            self.id(&path, &stage.id, &mut seen);
            self.text(
                format!("{path}.display_name"),
                &stage.display_name,
                NAME_CHARS_MAX,
            );
            self.entitlements(&path, stage);
            self.guard_ids(&format!("{path}.enter"), &stage.enter);
            self.reasons(&format!("{path}.reasons"), &stage.reasons);
            self.at_most(
                format!("{path}.on_enter"),
                stage.on_enter.len(),
                EFFECTS_MAX,
            );
            for (number, effect) in stage.on_enter.iter().enumerate() {
                self.effect(&format!("{path}.on_enter[{number}]"), effect);
            }
            if stage.order > ORDER_MAX {
                self.fault(
                    format!("{path}.order"),
                    format!("The order is at most {ORDER_MAX}."),
                );
            }
            if stage
                .probability_percent
                .is_some_and(|percent| percent > 100)
            {
                self.fault(
                    format!("{path}.probability_percent"),
                    "A probability is 0 to 100 percent.",
                );
            }
        }
    }

    pub(super) fn entitlements(&mut self, path: &str, stage: &Stage) {
        self.at_most(
            format!("{path}.entitlements"),
            stage.entitlements.len(),
            ENTITLEMENTS_MAX,
        );
        let mut seen = HashSet::new();
        for (at, key) in stage.entitlements.iter().enumerate() {
            let path = format!("{path}.entitlements[{at}]");
            if !entitlements::is_key(key) {
                self.fault(&path, "An entitlement is 1 to 63 of a-z, 0-9 and underscores, beginning with a letter.");
            }
            if !seen.insert(key) {
                self.fault(&path, format!("`{}` is listed twice.", cut(key)));
            }
            if entitlements::CLIENT_ONLY.contains(&key.as_str()) && stage.role != Role::Client {
                self.fault(
                    &path,
                    format!(
                        "Only a stage of role CLIENT grants `{key}`; `{}` has role {}.",
                        cut(&stage.id),
                        stage.role
                    ),
                );
            }
        }
    }

    pub(super) fn effect(&mut self, path: &str, effect: &EntryEffect) {
        self.text(
            format!("{path}.message"),
            &effect.message,
            MESSAGE_CHARS_MAX,
        );
        match effect.effect {
            EffectKind::Enrol if !is_slug(&effect.sequence) => {
                self.fault(
                    format!("{path}.sequence"),
                    "Enrolling needs the id of a sequence.",
                );
            }
            EffectKind::WorkItem | EffectKind::Opportunity if !effect.sequence.is_empty() => {
                self.fault(format!("{path}.sequence"), "Only `enrol` has a sequence.");
            }
            _ => {}
        }
    }

    pub(super) fn openings(&mut self) {
        let definition = self.definition;
        self.known("initial", &definition.initial);
        let mut seen = HashSet::new();
        for (at, stage) in definition.create_in.iter().enumerate() {
            self.known(format!("create_in[{at}]"), stage);
            if !seen.insert(stage) {
                self.fault(
                    format!("create_in[{at}]"),
                    format!("`{}` is listed twice.", cut(stage)),
                );
            }
        }
        if !definition.create_in.is_empty() && !seen.contains(&definition.initial) {
            self.fault(
                "create_in",
                "The initial stage is one that contacts are opened in.",
            );
        }
    }

    pub(super) fn transitions(&mut self) {
        let mut seen = HashSet::new();
        for (at, transition) in self.definition.transitions.iter().enumerate() {
            let path = format!("transitions[{at}]");
            self.known(format!("{path}.from"), &transition.from);
            self.known(format!("{path}.to"), &transition.to);
            if transition.from == transition.to {
                self.fault(&path, "A transition leads to another stage.");
            }
            if !seen.insert((&transition.from, &transition.to)) {
                self.fault(
                    &path,
                    format!(
                        "The transition from `{}` to `{}` is listed twice.",
                        cut(&transition.from),
                        cut(&transition.to)
                    ),
                );
            }
            self.text(
                format!("{path}.display_name"),
                &transition.display_name,
                NAME_CHARS_MAX,
            );
            self.text(
                format!("{path}.permission"),
                &transition.permission,
                NAME_CHARS_MAX,
            );
            self.guard_ids(&format!("{path}.guards"), &transition.guards);
            self.reasons(&format!("{path}.reasons"), &transition.reasons);
        }
    }

    /// Every stage must be one that contacts are opened in, or be led to from such a one.
    pub(super) fn reachability(&mut self) {
        let definition = self.definition;
        let mut reached: BTreeSet<&str> = BTreeSet::new();
        let mut next: Vec<&str> = vec![&definition.initial];
        next.extend(definition.create_in.iter().map(String::as_str));
        let mut leads: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (from, to) in &self.moves {
            leads.entry(from).or_default().push(to);
        }
        while let Some(stage) = next.pop() {
            if reached.insert(stage) {
                next.extend(leads.get(stage).into_iter().flatten());
            }
        }
        for (at, stage) in definition.stages.iter().enumerate() {
            if !reached.contains(stage.id.as_str()) {
                self.fault(
                    format!("stages[{at}]"),
                    format!("Nothing leads to `{}`: contacts are not opened in it and no transition reaches it.", cut(&stage.id)),
                );
            }
        }
    }
}
