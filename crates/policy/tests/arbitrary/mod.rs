//! Arbitrary policies, facts and activities.

use std::collections::BTreeSet;

use policy::definition::{
    EffectKind, EntryEffect, Event, Firing, Guard, Intake, Since, Stage, Trail as TrailRule,
    Transition, Trigger,
};
use policy::{Activity, Definition, Engagement, Facts, Fields, Policy, Span};
use proptest::prelude::*;
use proptest::sample::select;
use types::{Micros, Role};

use crate::common::{COMPILER, DAY, SECOND};

const EXPRESSIONS: [&str; 12] = [
    "true",
    "contact.has_email",
    "contact.owner != ''",
    "contact.next_step_due > now",
    "contact.labels['tier'] == 'gold'",
    "engagement.bookings == 0",
    "activity.kind == 'CALL' && activity.duration > duration('30s')",
    "activity.helpful || request.reason != ''",
    "1 / engagement.calls > 0",
    "now - position.entered > duration('24h')",
    "opportunity.state == 'WON'",
    "position.role != 'CLIENT'",
];

fn expression() -> impl Strategy<Value = String> {
    select(&EXPRESSIONS[..]).prop_map(str::to_owned)
}

fn role() -> impl Strategy<Value = Role> {
    select(&Role::ALL[..])
}

fn stage_name(number: usize) -> String {
    format!("s{number}")
}

/// A policy that is valid by construction: every stage opens, and triggers follow the table.
pub fn policies() -> impl Strategy<Value = Policy> {
    (2_usize..6)
        .prop_flat_map(|count| {
            let stages = prop::collection::vec(
                (role(), any::<[bool; 7]>(), any::<bool>(), any::<bool>()),
                count,
            );
            let moves =
                prop::collection::vec((0..count, 0..count, any::<bool>(), any::<bool>()), 1..16);
            let guards = prop::collection::vec(expression(), 3);
            let triggers = prop::collection::vec(
                (
                    any::<u8>(),
                    any::<prop::sample::Index>(),
                    expression(),
                    any::<bool>(),
                ),
                0..6,
            );
            let intake = prop::collection::vec((expression(), 0..=count), 0..3);
            (stages, moves, guards, triggers, intake)
        })
        .prop_map(|(stages, moves, guards, triggers, intake)| {
            let count = stages.len();
            let mut definition =
                Definition::from_yaml("{initial: s0, stages: []}").expect("it reads");
            definition.create_in = (0..count).map(stage_name).collect();
            definition.stages = stages.into_iter().enumerate().map(stage).collect();
            definition.guards = guards
                .into_iter()
                .enumerate()
                .map(|(number, expression)| Guard {
                    id: format!("g{number}"),
                    expression,
                    message: String::new(),
                })
                .collect();
            let mut seen = BTreeSet::new();
            for (from, to, guarded, reason_required) in moves {
                if from != to && seen.insert((from, to)) {
                    definition.transitions.push(Transition {
                        from: stage_name(from),
                        to: stage_name(to),
                        guards: if guarded {
                            vec!["g0".to_owned(), "g1".to_owned()]
                        } else {
                            Vec::new()
                        },
                        permission: if reason_required {
                            "p".to_owned()
                        } else {
                            String::new()
                        },
                        reason_required,
                        ..Transition::default()
                    });
                }
            }
            if !definition.transitions.is_empty() {
                definition.triggers = triggers
                    .into_iter()
                    .enumerate()
                    .map(|(number, rule)| trigger(number, rule, &definition.transitions))
                    .collect();
            }
            definition.intake = intake
                .into_iter()
                .enumerate()
                .map(|(number, (when, to))| Intake {
                    id: format!("i{number}"),
                    when,
                    stage: if to < count {
                        stage_name(to)
                    } else {
                        String::new()
                    },
                    none: to == count,
                })
                .collect();
            COMPILER
                .compile(&definition, &Fields::none())
                .unwrap_or_else(|error| panic!("{error:?}"))
        })
}

fn stage(
    (number, (role, rights, guarded, effect)): (usize, (Role, [bool; 7], bool, bool)),
) -> Stage {
    let keys = policy::entitlements::STANDARD.iter().zip(rights);
    Stage {
        id: stage_name(number),
        display_name: String::new(),
        role,
        entitlements: keys
            .filter(|(key, held)| {
                *held && (role == Role::Client || !policy::entitlements::CLIENT_ONLY.contains(key))
            })
            .map(|(key, _)| (*key).to_owned())
            .collect(),
        enter: if guarded {
            vec!["g2".to_owned()]
        } else {
            Vec::new()
        },
        on_enter: if effect {
            vec![EntryEffect {
                effect: EffectKind::WorkItem,
                message: String::new(),
                sequence: String::new(),
                due_in: None,
            }]
        } else {
            Vec::new()
        },
        reasons: Vec::new(),
        time_budget: Some(Span::days(3)),
        order: 0,
        probability_percent: None,
    }
}

fn trigger(
    number: usize,
    (kind, place, when, auto): (u8, prop::sample::Index, String, bool),
    transitions: &[Transition],
) -> Trigger {
    let transition = &transitions[place.index(transitions.len())];
    let on = [
        Event::Activity,
        Event::Fact,
        Event::Timer,
        Event::Opportunity,
    ][usize::from(kind % 4)];
    Trigger {
        id: format!("t{number}"),
        on,
        when,
        from: vec![transition.from.clone()],
        to: transition.to.clone(),
        mode: if auto { Firing::Auto } else { Firing::Suggest },
        trail: (on == Event::Activity && kind > 127).then(|| TrailRule {
            count: 1 + u32::from(kind % 3),
            within: Span::days(5),
        }),
        since: if on == Event::Timer && kind > 127 {
            Since::Activity
        } else {
            Since::Entry
        },
        ..Trigger::default()
    }
}

pub fn time() -> impl Strategy<Value = Micros> {
    prop_oneof![
        8 => (0_i64..1_200 * DAY).prop_map(Micros),
        1 => any::<i64>().prop_map(Micros),
    ]
}

pub fn facts() -> impl Strategy<Value = Facts> {
    (
        any::<[bool; 5]>(),
        prop::option::of(time()),
        any::<[u8; 3]>(),
        select(vec!["", "OPEN", "WON"]),
        ".{0,8}",
    )
        .prop_map(|(flags, due, counts, state, text)| {
            let mut facts = Facts::default();
            facts.contact.has_email = flags[0];
            facts.contact.owner = if flags[1] { text } else { String::new() };
            facts.contact.next_step_due = due;
            if flags[2] {
                facts
                    .contact
                    .labels
                    .insert("tier".to_owned(), "gold".to_owned());
            }
            facts.contact.interest.expressed_time = flags[3].then_some(Micros(0));
            facts.contact.identity.verified_time = flags[4].then_some(Micros(0));
            facts.engagement = Engagement {
                calls: u32::from(counts[0]),
                bookings: u32::from(counts[1] % 2),
                purchases: u32::from(counts[2] % 2),
                last_activity: due,
                ..Engagement::default()
            };
            facts.opportunity.state = state.into();
            facts
        })
}

pub fn activities() -> impl Strategy<Value = Vec<Activity>> {
    let one = (
        time(),
        select(vec!["CALL", "MAIL", "BOOKING", "PURCHASE", "FORM"]),
        any::<i64>(),
        any::<bool>(),
        select(vec!["", "VOICEMAIL", "NOT_NOW", "AGREED"]),
        0_u8..6,
    );
    prop::collection::vec(one, 1..6).prop_map(|all| {
        all.into_iter()
            .map(|(time, kind, duration, helpful, outcome, id)| Activity {
                id: format!("a{id}"),
                time,
                kind: kind.to_owned(),
                outcome: outcome.to_owned(),
                duration_micros: if helpful { duration } else { 31 * SECOND },
                direction: "OUTBOUND".to_owned(),
                helpful,
                referrer: String::new(),
            })
            .collect()
    })
}
