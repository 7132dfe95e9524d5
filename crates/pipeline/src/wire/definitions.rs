//! Policy definitions: the proto message and the engine's own form, field by field.

use policy::Span;
use policy::definition::{
    CompanyFirst, Definition, EffectKind, EntryEffect, Event, Firing, Guard, Intake, Mode, Score,
    Since, Stage, Trail, Transition, Trigger,
};
use prost_types::Duration;
use proto::convert::{role_from_wire, role_to_wire};
use proto::pipeline::v1::{self, policy_definition, policy_entry_effect, policy_trigger};
use types::Role;

/// A field that the engine's form cannot hold: its path and what it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// The path within the definition.
    pub path: String,
    /// What it must be.
    pub problem: &'static str,
}

/// The misfits found so far.
#[derive(Default)]
struct Misfits(Vec<Misfit>);

impl Misfits {
    /// The value, or where there is none what stands in for it until the misfit is refused.
    fn or<T>(&mut self, value: Option<T>, instead: T, path: String, problem: &'static str) -> T {
        value.unwrap_or_else(|| {
            self.0.push(Misfit { path, problem });
            instead
        })
    }
}

/// The engine's form of a definition, or every field that it cannot hold.
pub fn definition(wire: &v1::PolicyDefinition) -> Result<Definition, Vec<Misfit>> {
    let mut misfits = Misfits::default();
    let found = read(wire, &mut misfits);
    if misfits.0.is_empty() {
        Ok(found)
    } else {
        Err(misfits.0)
    }
}

fn read(wire: &v1::PolicyDefinition, misfits: &mut Misfits) -> Definition {
    let stages = wire.stages.iter().enumerate();
    let triggers = wire.triggers.iter().enumerate();
    Definition {
        display_name: wire.display_name.clone(),
        description: wire.description.clone(),
        mode: match wire.mode() {
            policy_definition::Mode::CompanyFirst => Mode::CompanyFirst,
            policy_definition::Mode::Contact | policy_definition::Mode::Unspecified => {
                Mode::Contact
            }
        },
        company_first: wire.company_first.as_ref().map(|settings| CompanyFirst {
            company_required: settings.company_required.unwrap_or(true),
        }),
        initial: wire.initial.clone(),
        create_in: wire.create_in.clone(),
        stages: stages.map(|(at, wire)| stage(at, wire, misfits)).collect(),
        transitions: wire.transitions.iter().map(transition).collect(),
        guards: wire
            .guards
            .iter()
            .map(|wire| Guard {
                id: wire.id.clone(),
                expression: wire.expression.clone(),
                message: wire.message.clone(),
            })
            .collect(),
        intake: wire
            .intake
            .iter()
            .map(|wire| Intake {
                id: wire.id.clone(),
                when: wire.when.clone(),
                stage: wire.stage.clone(),
                none: wire.none,
            })
            .collect(),
        triggers: triggers
            .map(|(at, wire)| trigger(at, wire, misfits))
            .collect(),
        scores: wire
            .scores
            .iter()
            .map(|wire| Score {
                id: wire.id.clone(),
                when: wire.when.clone(),
                points: wire.points,
            })
            .collect(),
        reasons: wire.reasons.clone(),
    }
}

fn stage(at: usize, wire: &v1::PolicyStage, misfits: &mut Misfits) -> Stage {
    let path = |field: &str| format!("stages[{at}].{field}");
    let effects = wire.on_enter.iter().enumerate();
    let role = role_from_wire(wire.role);
    let order = u32::try_from(wire.order).ok();
    let percent = wire.probability_percent;
    let percent = percent.map(|percent| u8::try_from(percent).ok());
    Stage {
        id: wire.id.clone(),
        display_name: wire.display_name.clone(),
        role: misfits.or(
            role,
            Role::Contact,
            path("role"),
            "must be CONTACT, LEAD, PROSPECT or CLIENT",
        ),
        entitlements: wire.entitlements.clone(),
        enter: wire.enter.clone(),
        on_enter: effects
            .map(|(number, wire)| {
                entry_effect(&path(&format!("on_enter[{number}]")), wire, misfits)
            })
            .collect(),
        reasons: wire.reasons.clone(),
        time_budget: span(wire.time_budget.as_ref(), path("time_budget"), misfits),
        order: misfits.or(order, 0, path("order"), "must not be negative"),
        probability_percent: percent
            .map(|percent| misfits.or(percent, 0, path("probability_percent"), "must be 0 to 100")),
    }
}

fn transition(wire: &v1::PolicyTransition) -> Transition {
    Transition {
        from: wire.from.clone(),
        to: wire.to.clone(),
        guards: wire.guards.clone(),
        permission: wire.permission.clone(),
        display_name: wire.display_name.clone(),
        reasons: wire.reasons.clone(),
        reason_required: wire.reason_required,
    }
}

fn trigger(at: usize, wire: &v1::PolicyTrigger, misfits: &mut Misfits) -> Trigger {
    let path = |field: &str| format!("triggers[{at}].{field}");
    Trigger {
        id: wire.id.clone(),
        display_name: wire.display_name.clone(),
        on: match wire.on() {
            policy_trigger::Event::Activity | policy_trigger::Event::Unspecified => Event::Activity,
            policy_trigger::Event::Fact => Event::Fact,
            policy_trigger::Event::Timer => Event::Timer,
            policy_trigger::Event::Opportunity => Event::Opportunity,
        },
        when: wire.when.clone(),
        from: wire.from.clone(),
        to: wire.to.clone(),
        through: wire.through.clone(),
        mode: match wire.mode() {
            policy_trigger::Firing::Auto => Firing::Auto,
            policy_trigger::Firing::Suggest | policy_trigger::Firing::Unspecified => {
                Firing::Suggest
            }
        },
        trail: wire.trail.as_ref().map(|trail| {
            let count = u32::try_from(trail.count).ok();
            let within = trail.within.as_ref();
            if within.is_none() {
                misfits.or(None, (), path("trail.within"), "must be set");
            }
            Trail {
                count: misfits.or(count, 0, path("trail.count"), "must not be negative"),
                within: span(within, path("trail.within"), misfits).unwrap_or_default(),
            }
        }),
        after: span(wire.after.as_ref(), path("after"), misfits),
        since: match wire.since() {
            policy_trigger::Since::Entry | policy_trigger::Since::Unspecified => Since::Entry,
            policy_trigger::Since::Activity => Since::Activity,
        },
        message: wire.message.clone(),
    }
}

fn entry_effect(path: &str, wire: &v1::PolicyEntryEffect, misfits: &mut Misfits) -> EntryEffect {
    let effect = match wire.effect() {
        policy_entry_effect::Kind::WorkItem => Some(EffectKind::WorkItem),
        policy_entry_effect::Kind::Opportunity => Some(EffectKind::Opportunity),
        policy_entry_effect::Kind::Enrol => Some(EffectKind::Enrol),
        policy_entry_effect::Kind::Unspecified => None,
    };
    EntryEffect {
        effect: misfits.or(
            effect,
            EffectKind::WorkItem,
            format!("{path}.effect"),
            "must be set",
        ),
        message: wire.message.clone(),
        sequence: wire.sequence.clone(),
        due_in: span(wire.due_in.as_ref(), format!("{path}.due_in"), misfits),
    }
}

fn span(wire: Option<&Duration>, path: String, misfits: &mut Misfits) -> Option<Span> {
    let wire = wire?;
    let span = u64::try_from(wire.seconds)
        .ok()
        .filter(|_| wire.nanos == 0)
        .and_then(Span::from_seconds);
    if span.is_none() {
        let problem = "must be whole seconds, at most ten thousand days";
        misfits.or(None, (), path, problem);
    }
    span
}

/// The proto message of a definition.
pub fn to_wire(definition: &Definition) -> v1::PolicyDefinition {
    v1::PolicyDefinition {
        display_name: definition.display_name.clone(),
        description: definition.description.clone(),
        mode: match definition.mode {
            Mode::Contact => policy_definition::Mode::Contact,
            Mode::CompanyFirst => policy_definition::Mode::CompanyFirst,
        } as i32,
        company_first: definition
            .company_first
            .map(|settings| v1::PolicyCompanyFirst {
                company_required: Some(settings.company_required),
            }),
        initial: definition.initial.clone(),
        create_in: definition.create_in.clone(),
        stages: definition.stages.iter().map(stage_to_wire).collect(),
        transitions: definition
            .transitions
            .iter()
            .map(|transition| v1::PolicyTransition {
                from: transition.from.clone(),
                to: transition.to.clone(),
                guards: transition.guards.clone(),
                permission: transition.permission.clone(),
                display_name: transition.display_name.clone(),
                reasons: transition.reasons.clone(),
                reason_required: transition.reason_required,
            })
            .collect(),
        guards: definition
            .guards
            .iter()
            .map(|guard| v1::PolicyGuard {
                id: guard.id.clone(),
                expression: guard.expression.clone(),
                message: guard.message.clone(),
            })
            .collect(),
        intake: definition
            .intake
            .iter()
            .map(|rule| v1::PolicyIntakeRule {
                id: rule.id.clone(),
                when: rule.when.clone(),
                stage: rule.stage.clone(),
                none: rule.none,
            })
            .collect(),
        triggers: definition.triggers.iter().map(trigger_to_wire).collect(),
        scores: definition
            .scores
            .iter()
            .map(|score| v1::PolicyScore {
                id: score.id.clone(),
                when: score.when.clone(),
                points: score.points,
            })
            .collect(),
        reasons: definition.reasons.clone(),
    }
}

fn stage_to_wire(stage: &Stage) -> v1::PolicyStage {
    v1::PolicyStage {
        id: stage.id.clone(),
        display_name: stage.display_name.clone(),
        role: role_to_wire(Some(stage.role)) as i32,
        entitlements: stage.entitlements.clone(),
        enter: stage.enter.clone(),
        on_enter: stage
            .on_enter
            .iter()
            .map(|effect| v1::PolicyEntryEffect {
                effect: match effect.effect {
                    EffectKind::WorkItem => policy_entry_effect::Kind::WorkItem,
                    EffectKind::Opportunity => policy_entry_effect::Kind::Opportunity,
                    EffectKind::Enrol => policy_entry_effect::Kind::Enrol,
                } as i32,
                message: effect.message.clone(),
                sequence: effect.sequence.clone(),
                due_in: effect.due_in.map(span_to_wire),
            })
            .collect(),
        reasons: stage.reasons.clone(),
        time_budget: stage.time_budget.map(span_to_wire),
        order: i32::try_from(stage.order).unwrap_or(i32::MAX),
        probability_percent: stage.probability_percent.map(i32::from),
    }
}

fn trigger_to_wire(trigger: &Trigger) -> v1::PolicyTrigger {
    v1::PolicyTrigger {
        id: trigger.id.clone(),
        display_name: trigger.display_name.clone(),
        on: match trigger.on {
            Event::Activity => policy_trigger::Event::Activity,
            Event::Fact => policy_trigger::Event::Fact,
            Event::Timer => policy_trigger::Event::Timer,
            Event::Opportunity => policy_trigger::Event::Opportunity,
        } as i32,
        when: trigger.when.clone(),
        from: trigger.from.clone(),
        to: trigger.to.clone(),
        through: trigger.through.clone(),
        mode: match trigger.mode {
            Firing::Auto => policy_trigger::Firing::Auto,
            Firing::Suggest => policy_trigger::Firing::Suggest,
        } as i32,
        trail: trigger.trail.map(|trail| v1::PolicyTrail {
            count: i32::try_from(trail.count).unwrap_or(i32::MAX),
            within: Some(span_to_wire(trail.within)),
        }),
        after: trigger.after.map(span_to_wire),
        since: match trigger.since {
            Since::Entry => policy_trigger::Since::Entry,
            Since::Activity => policy_trigger::Since::Activity,
        } as i32,
        message: trigger.message.clone(),
    }
}

fn span_to_wire(span: Span) -> Duration {
    Duration {
        seconds: i64::try_from(span.seconds()).unwrap_or(i64::MAX),
        nanos: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_round_trips() {
        for preset in policy::presets::all() {
            let written = preset.definition().expect("a preset reads");
            assert_eq!(definition(&to_wire(&written)), Ok(written), "{}", preset.id);
        }
    }

    #[test]
    fn what_the_engine_cannot_hold_is_named() {
        let preset = policy::presets::get("one-way").expect("it ships");
        let mut wire = to_wire(&preset.definition().expect("it reads"));
        wire.stages[1].role = 0;
        wire.stages[0].time_budget = Some(Duration {
            seconds: -1,
            nanos: 0,
        });
        wire.stages[0].probability_percent = Some(300);
        wire.triggers = vec![v1::PolicyTrigger {
            trail: Some(v1::PolicyTrail::default()),
            ..v1::PolicyTrigger::default()
        }];
        let wrong = definition(&wire).expect_err("nothing of it fits");
        let paths: Vec<&str> = wrong.iter().map(|misfit| misfit.path.as_str()).collect();
        let expected = [
            "stages[0].time_budget",
            "stages[0].probability_percent",
            "stages[1].role",
            "triggers[0].trail.within",
        ];
        assert_eq!(paths, expected);
    }
}
