//! What the tests of the engine share: a compiler, presets, and facts to begin with.
#![expect(dead_code, reason = "each test file uses its own part of this")]

use std::collections::BTreeSet;
use std::sync::LazyLock;

use policy::{
    Activity, Command, CompileError, Compiler, Decision, Definition, Facts, Fault, Fields, Policy,
    Position, Refusal, Request, Trail, decide, presets,
};
use types::Micros;

pub static COMPILER: LazyLock<Compiler> =
    LazyLock::new(|| Compiler::start().expect("a thread can be started"));

pub const SECOND: i64 = 1_000_000;
pub const DAY: i64 = 86_400 * SECOND;

/// An instant well after everything else in the tests.
pub const NOW: Micros = Micros(1_000 * DAY);

pub fn preset(id: &str) -> Policy {
    let definition = presets::get(id)
        .expect("the preset ships")
        .definition()
        .expect("the preset reads");
    COMPILER
        .compile(&definition, &Fields::none())
        .unwrap_or_else(|error| panic!("{id}: {error:?}"))
}

pub fn yaml(text: &str) -> Policy {
    let definition = Definition::from_yaml(text).expect("the definition reads");
    COMPILER
        .compile(&definition, &Fields::none())
        .unwrap_or_else(|error| panic!("{error:?}"))
}

/// Compiles one expression as the guard of a small policy.
pub fn guard(expression: &str) -> Result<Policy, Vec<Fault>> {
    guard_with(expression, &Fields::none())
}

pub fn guard_with(expression: &str, fields: &Fields) -> Result<Policy, Vec<Fault>> {
    let mut definition = Definition::from_yaml(
        "{initial: a, stages: [{id: a, role: LEAD}, {id: b, role: PROSPECT, enter: [g]}],
          transitions: [{from: a, to: b}], guards: [{id: g, expression: 'true'}]}",
    )
    .expect("the definition reads");
    definition.guards[0].expression = expression.into();
    COMPILER
        .compile(&definition, fields)
        .map_err(|error| match error {
            CompileError::Invalid(faults) => faults,
            CompileError::Busy => panic!("the compiler is busy"),
        })
}

/// Everything that the presets' guards ask for.
pub fn ready() -> Facts {
    let mut facts = Facts::default();
    facts.contact.kind = "PERSON".into();
    facts.contact.has_email = true;
    facts.contact.has_company = true;
    facts.contact.source.channel = "FORM".into();
    facts.contact.interest.expressed_time = Some(Micros(DAY));
    facts.contact.identity.verified_time = Some(Micros(DAY));
    facts.contact.qualification.verdict = "QUALIFIED".into();
    facts.contact.owner = "ada@example.com".into();
    facts.contact.ready_to_buy = true;
    facts
}

pub fn convert(
    policy: &Policy,
    position: &Position,
    facts: &Facts,
    stage: &str,
) -> Result<Decision, Refusal> {
    let command = Command::Convert {
        stage,
        request: Request {
            actor: "ada@example.com",
            ..Request::default()
        },
        effective_time: None,
    };
    decide(policy, position, facts, command, NOW)
}

pub fn open(policy: &Policy, facts: &Facts, requested_stage: &str) -> Result<Decision, Refusal> {
    let command = Command::Open {
        requested_stage,
        request: Request::default(),
        imported: false,
    };
    decide(policy, &Position::none(), facts, command, NOW)
}

pub fn facts_changed(policy: &Policy, position: &Position, facts: &Facts) -> Decision {
    let command = Command::FactsChanged {
        requested_stage: "",
        imported: false,
    };
    decide(policy, position, facts, command, NOW).expect("nothing to refuse")
}

pub fn tick(
    policy: &Policy,
    position: &Position,
    facts: &Facts,
    fired: &BTreeSet<String>,
    now: Micros,
) -> Decision {
    decide(policy, position, facts, Command::Tick { fired }, now).expect("nothing to refuse")
}

/// The stages that a decision leads through.
pub fn path(decision: &Decision) -> Vec<&str> {
    decision
        .transitions
        .iter()
        .map(|transition| transition.to.as_deref().unwrap_or("-"))
        .collect()
}

/// One contact, its position, and the trail since its last barrier: what a service keeps.
#[derive(Clone, Debug)]
pub struct Person {
    pub position: Position,
    pub trail: Trail,
    /// Every activity recorded so far.
    pub activities: Vec<Activity>,
    pub effects: BTreeSet<String>,
}

impl Person {
    pub fn at(stage: &str, entered: Micros) -> Self {
        Self {
            position: Position::at(stage, 1, entered),
            trail: Trail {
                stage: stage.to_owned(),
                entered,
                ..Trail::default()
            },
            activities: Vec::new(),
            effects: BTreeSet::new(),
        }
    }

    pub fn stage(&self) -> &str {
        self.position.stage.as_deref().unwrap_or_default()
    }

    /// Carries a decision out, as a service would.
    pub fn apply(&mut self, decision: &Decision) {
        self.position = self.position.after(decision);
        self.effects.extend(
            decision
                .effects
                .iter()
                .map(|effect| effect.key().to_owned()),
        );
        if let Some(barrier) = decision.transitions.iter().rev().find(|row| row.barrier) {
            self.trail = Trail::after(barrier, &self.activities);
        }
        self.trail.activities = self
            .activities
            .iter()
            .filter(|activity| self.trail.goes_on_with(activity))
            .cloned()
            .collect();
    }

    pub fn record(&mut self, policy: &Policy, facts: &Facts, activity: &Activity) -> Decision {
        let command = Command::Record {
            activity,
            trail: &self.trail,
        };
        let decision = decide(policy, &self.position, facts, command, NOW).expect("not refused");
        if !self.activities.iter().any(|known| known.id == activity.id) {
            self.activities.push(activity.clone());
        }
        self.apply(&decision);
        decision
    }
}

pub fn activity(id: &str, day: i64, kind: &str) -> Activity {
    Activity {
        id: id.to_owned(),
        time: Micros(day * DAY),
        kind: kind.to_owned(),
        ..Activity::default()
    }
}

pub fn call(id: &str, day: i64, duration_micros: i64) -> Activity {
    Activity {
        duration_micros,
        ..activity(id, day, "CALL")
    }
}

pub fn voicemail(id: &str, day: i64, duration_micros: i64) -> Activity {
    Activity {
        outcome: "VOICEMAIL".to_owned(),
        ..call(id, day, duration_micros)
    }
}

pub fn helpful_mail(id: &str, day: i64) -> Activity {
    Activity {
        direction: "OUTBOUND".to_owned(),
        helpful: true,
        ..activity(id, day, "MAIL")
    }
}
