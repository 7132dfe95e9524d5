//! The checks that a definition must pass besides those of its expressions.
//!
//! Invariant: everything that could go wrong at first use is refused when the policy is saved.

mod funnel;
mod rules;

use std::collections::{BTreeMap, HashSet};

use crate::company;
use crate::definition::{Definition, Mode, Stage};
use crate::expression::SOURCE_BYTES_MAX;
use crate::fault::{Fault, FaultCode};

pub(crate) use self::rules::steps;

/// Stages of a policy.
pub const STAGES_MAX: usize = 64;
/// Transitions of a policy.
pub const TRANSITIONS_MAX: usize = 4096;
/// Guards of a policy.
pub const GUARDS_MAX: usize = 256;
/// Guards of one transition, and of entering one stage.
pub const GUARDS_PER_MOVE_MAX: usize = 16;
/// Triggers of a policy.
pub const TRIGGERS_MAX: usize = 256;
/// Intake rules of a policy.
pub const INTAKE_MAX: usize = 64;
/// Score terms of a policy.
pub const SCORES_MAX: usize = 64;
/// Entitlements of one stage.
pub const ENTITLEMENTS_MAX: usize = 64;
/// Effects of entering one stage.
pub const EFFECTS_MAX: usize = 16;
/// Reasons in one list.
pub const REASONS_MAX: usize = 64;
/// Bytes of all expressions of a policy together.
pub const EXPRESSIONS_BYTES_MAX: usize = 64 << 10;

const NAME_CHARS_MAX: usize = 100;
const MESSAGE_CHARS_MAX: usize = 500;
const DESCRIPTION_CHARS_MAX: usize = 2000;
const ORDER_MAX: u32 = 1_000_000;
const TRAIL_MAX: u32 = 1000;
const POINTS_MAX: i32 = 1000;

/// Where an expression stands.
pub(crate) struct Site<'a> {
    pub path: String,
    pub source: &'a str,
    /// One of the constants, or the place of a trigger.
    pub at: usize,
}

impl Site<'_> {
    pub(crate) const GUARD: usize = usize::MAX;
    pub(crate) const INTAKE: usize = usize::MAX - 1;
    pub(crate) const SCORE: usize = usize::MAX - 2;
    pub(crate) const MEMBERSHIP: usize = usize::MAX - 3;
}

/// Every expression of a definition, in its order, and those that its settings stand for. Triggers may
/// have none.
pub(crate) fn expressions(definition: &Definition) -> Vec<Site<'_>> {
    let site = |path, source, at| Site { path, source, at };
    let guards = definition.guards.iter().enumerate().map(|(at, guard)| {
        site(
            format!("guards[{at}].expression"),
            guard.expression.as_str(),
            Site::GUARD,
        )
    });
    let intake = definition.intake.iter().enumerate().map(|(at, rule)| {
        site(
            format!("intake[{at}].when"),
            rule.when.as_str(),
            Site::INTAKE,
        )
    });
    let triggers = definition
        .triggers
        .iter()
        .enumerate()
        .filter(|(_, trigger)| !trigger.when.is_empty())
        .map(|(at, trigger)| site(format!("triggers[{at}].when"), trigger.when.as_str(), at));
    let scores = definition.scores.iter().enumerate().map(|(at, score)| {
        site(
            format!("scores[{at}].when"),
            score.when.as_str(),
            Site::SCORE,
        )
    });
    let membership = definition.requires_company().then(|| {
        let path = "company_first.company_required".to_owned();
        site(path, company::MEMBERSHIP, Site::MEMBERSHIP)
    });
    guards
        .chain(intake)
        .chain(triggers)
        .chain(scores)
        .chain(membership)
        .collect()
}

/// The fault of having more expressions than a compiler would look at in good time.
pub(crate) fn expressions_too_large(sites: &[Site]) -> Option<Fault> {
    let counted = sites.len();
    let bytes: usize = sites.iter().map(|site| site.source.len()).sum();
    let longest = sites
        .iter()
        .find(|site| site.source.len() > SOURCE_BYTES_MAX);
    let (path, message) = if let Some(site) = longest {
        (
            site.path.clone(),
            format!("An expression has at most {SOURCE_BYTES_MAX} bytes."),
        )
    } else if bytes > EXPRESSIONS_BYTES_MAX || counted > GUARDS_MAX + TRIGGERS_MAX + 128 {
        (
            "guards".to_owned(),
            format!(
                "The expressions of a policy have at most {EXPRESSIONS_BYTES_MAX} bytes together."
            ),
        )
    } else {
        return None;
    };
    Some(Fault {
        path,
        code: FaultCode::PolicyExpressionInvalid,
        message,
    })
}

/// Every fault of the definition's shape.
pub(crate) fn faults(definition: &Definition) -> Vec<Fault> {
    let mut check = Check::new(definition);
    check.sizes();
    if !check.faults.is_empty() {
        // The other checks compare lists with one another; lists this long are not worth it.
        return check.faults;
    }
    check.names();
    check.stages();
    check.openings();
    check.transitions();
    check.guards();
    check.intake();
    check.triggers();
    check.scores();
    check.reachability();
    check.faults
}

/// Whether `text` may be the id of a stage, a guard, a trigger or a rule:
/// `^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`.
#[must_use]
pub fn is_slug(text: &str) -> bool {
    let bytes = text.as_bytes();
    (1..=63).contains(&bytes.len())
        && bytes[0].is_ascii_lowercase()
        && bytes[bytes.len() - 1] != b'-'
        && bytes
            .iter()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
}

struct Check<'a> {
    definition: &'a Definition,
    stages: BTreeMap<&'a str, &'a Stage>,
    guards: HashSet<&'a str>,
    moves: HashSet<(&'a str, &'a str)>,
    faults: Vec<Fault>,
}

impl<'a> Check<'a> {
    fn new(definition: &'a Definition) -> Self {
        Self {
            definition,
            stages: definition
                .stages
                .iter()
                .map(|stage| (stage.id.as_str(), stage))
                .collect(),
            guards: definition
                .guards
                .iter()
                .map(|guard| guard.id.as_str())
                .collect(),
            moves: definition
                .transitions
                .iter()
                .map(|transition| (transition.from.as_str(), transition.to.as_str()))
                .collect(),
            faults: Vec::new(),
        }
    }

    fn fault(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.faults.push(Fault {
            path: path.into(),
            code: FaultCode::PolicyInvalid,
            message: message.into(),
        });
    }

    fn at_most(&mut self, path: impl Into<String>, found: usize, most: usize) {
        if found > most {
            self.fault(
                path,
                format!("There are {found}; at most {most} are allowed."),
            );
        }
    }

    fn text(&mut self, path: impl Into<String>, text: &str, most: usize) {
        let path = path.into();
        if text.chars().count() > most {
            self.fault(path, format!("The text has more than {most} characters."));
        } else if text.chars().any(|c| c.is_control() && c != '\n') {
            self.fault(path, "The text has control characters.");
        }
    }

    fn sizes(&mut self) {
        let definition = self.definition;
        if definition.stages.is_empty() {
            self.fault("stages", "A policy has at least one stage.");
        }
        self.at_most("stages", definition.stages.len(), STAGES_MAX);
        self.at_most("transitions", definition.transitions.len(), TRANSITIONS_MAX);
        self.at_most("guards", definition.guards.len(), GUARDS_MAX);
        self.at_most("triggers", definition.triggers.len(), TRIGGERS_MAX);
        self.at_most("intake", definition.intake.len(), INTAKE_MAX);
        self.at_most("scores", definition.scores.len(), SCORES_MAX);
        self.at_most("create_in", definition.create_in.len(), STAGES_MAX);
    }

    fn names(&mut self) {
        let definition = self.definition;
        self.text("display_name", &definition.display_name, NAME_CHARS_MAX);
        self.text(
            "description",
            &definition.description,
            DESCRIPTION_CHARS_MAX,
        );
        self.reasons("reasons", &definition.reasons);
        if definition.company_first.is_some() && definition.mode != Mode::CompanyFirst {
            self.fault(
                "company_first",
                "Only a policy with `mode: company_first` has these settings.",
            );
        }
    }

    fn reasons(&mut self, path: &str, reasons: &[String]) {
        self.at_most(path, reasons.len(), REASONS_MAX);
        let mut seen = HashSet::new();
        for (at, reason) in reasons.iter().enumerate() {
            self.text(format!("{path}[{at}]"), reason, NAME_CHARS_MAX);
            if reason.is_empty() {
                self.fault(format!("{path}[{at}]"), "A reason is not empty.");
            }
            if !seen.insert(reason) {
                self.fault(
                    format!("{path}[{at}]"),
                    format!("`{reason}` is listed twice."),
                );
            }
        }
    }

    fn id(&mut self, path: &str, id: &'a str, seen: &mut HashSet<&'a str>) {
        if !is_slug(id) {
            self.fault(
                format!("{path}.id"),
                "An id is 1 to 63 of a-z, 0-9 and hyphens, beginning with a letter and not ending with a hyphen.",
            );
        }
        if !seen.insert(id) {
            self.fault(
                format!("{path}.id"),
                format!("`{}` is used twice.", cut(id)),
            );
        }
    }

    fn guard_ids(&mut self, path: &str, ids: &[String]) {
        self.at_most(path, ids.len(), GUARDS_PER_MOVE_MAX);
        let mut seen = HashSet::new();
        for (at, id) in ids.iter().enumerate() {
            if !self.guards.contains(id.as_str()) {
                self.fault(
                    format!("{path}[{at}]"),
                    format!("There is no guard `{}`.", cut(id)),
                );
            }
            if !seen.insert(id) {
                self.fault(
                    format!("{path}[{at}]"),
                    format!("`{}` is listed twice.", cut(id)),
                );
            }
        }
    }

    fn known(&mut self, path: impl Into<String>, stage: &str) -> bool {
        let known = self.stages.contains_key(stage);
        if !known {
            self.fault(path, format!("There is no stage `{}`.", cut(stage)));
        }
        known
    }
}

/// A name from a definition, short enough for a message.
fn cut(name: &str) -> String {
    name.chars().take(80).collect()
}
