//! Claims about every policy, every fact and every command.

mod arbitrary;
mod common;

use std::collections::BTreeSet;

use arbitrary::{activities, facts, policies, time};
use common::{NOW, preset, ready};
use policy::{
    Activity, Closing, Command, Facts, Permissions, Policy, Position, Request, Trail, decide, due,
    preview,
};
use proptest::prelude::*;
use types::{Micros, Role};

/// A command with numbers in place of what it refers to.
#[derive(Clone, Debug)]
struct Order {
    kind: u8,
    stage: usize,
    reason: bool,
    permitted: bool,
    time: Option<Micros>,
}

fn orders() -> impl Strategy<Value = Order> {
    (
        0_u8..9,
        0_usize..7,
        any::<bool>(),
        any::<bool>(),
        prop::option::of(time()),
    )
        .prop_map(|(kind, stage, reason, permitted, time)| Order {
            kind,
            stage,
            reason,
            permitted,
            time,
        })
}

/// What a command borrows.
struct Parts<'a> {
    stage: &'a str,
    trail: &'a Trail,
    activity: &'a Activity,
    none: &'a BTreeSet<String>,
    old: &'a Policy,
}

fn command<'a>(order: &Order, parts: &Parts<'a>) -> Command<'a> {
    let request = Request {
        actor: "ada@example.com",
        reason: if order.reason { "because" } else { "" },
        note: "",
        permissions: if order.permitted {
            Permissions::All
        } else {
            Permissions::Only(parts.none)
        },
    };
    match order.kind {
        0 => Command::Convert {
            stage: parts.stage,
            request,
            effective_time: order.time,
        },
        1 => Command::Open {
            requested_stage: parts.stage,
            request,
            imported: order.reason,
        },
        2 => Command::Record {
            activity: parts.activity,
            trail: parts.trail,
        },
        3 => Command::FactsChanged {
            requested_stage: "",
            imported: false,
        },
        4 => Command::OpportunityChanged,
        5 => Command::Tick { fired: parts.none },
        6 => Command::Close {
            cause: if order.reason {
                Closing::Deletion
            } else {
                Closing::Merge
            },
            request,
        },
        7 => Command::Reopen {
            stage: parts.stage,
            request,
        },
        _ => Command::Map {
            from: parts.old,
            stage: parts.stage,
            request,
        },
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any policy, any facts, any command: an answer, of the promised shape, and always the same.
    #[test]
    fn decide_is_total_and_deterministic(
        policy in policies(),
        facts in facts(),
        activities in activities(),
        order in orders(),
        at in 0_usize..8,
        revision in any::<i64>(),
        entered in time(),
        now in time(),
    ) {
        let known: Vec<String> = policy.stages().map(str::to_owned).chain(["gone".to_owned()]).collect();
        let stage = known[order.stage % known.len()].as_str();
        let position = Position { stage: known.get(at).cloned(), revision, entered };
        let trail = Trail {
            stage: known[at % known.len()].clone(),
            entered,
            activity: activities.get(2).map(|activity| activity.id.clone()),
            engagement: facts.engagement.clone(),
            activities: activities[1..].to_vec(),
        };
        let none = BTreeSet::new();
        let parts = Parts { stage, trail: &trail, activity: &activities[0], none: &none, old: &policy };
        let command = command(&order, &parts);
        let first = decide(&policy, &position, &facts, command, now);
        let again = decide(&policy, &position, &facts, command, now);
        prop_assert_eq!(&first, &again);
        let _ = due(&policy, &position, &facts);
        let Ok(decision) = first else { return Ok(()) };
        prop_assert!(decision.transitions.len() <= 2);
        prop_assert!(!decision.is_empty() || position == position.after(&decision));
        let mut before = position.clone();
        let mut keys = BTreeSet::new();
        prop_assert!(decision.effects.iter().all(|effect| keys.insert(effect.key().to_owned())));
        for row in &decision.transitions {
            prop_assert_eq!(&row.from, &before.stage);
            prop_assert!(row.from != row.to);
            prop_assert_eq!(row.revision, before.revision.saturating_add(1));
            prop_assert!(row.effective_time >= before.entered);
            if order.kind < 6 && row.from.is_some() {
                let allowed = policy.allowed_from(row.from.as_deref());
                prop_assert!(allowed.iter().any(|to| Some(to) == row.to.as_ref()), "{row:?}");
            }
            if row.from.as_deref() != Some("gone") {
                prop_assert_eq!(&row.gained, &policy.gained(row.from.as_deref(), row.to.as_deref()));
                prop_assert_eq!(&row.lost, &policy.lost(row.from.as_deref(), row.to.as_deref()));
            }
            before = Position { stage: row.to.clone(), revision: row.revision, entered: row.effective_time };
        }
        prop_assert_eq!(before, position.after(&decision));
    }

    /// A preview says exactly what the call would say.
    #[test]
    fn preview_equals_decide(
        policy in policies(),
        facts in facts(),
        at in 0_usize..7,
        reason in any::<bool>(),
        permitted in any::<bool>(),
        now in time(),
    ) {
        let known: Vec<String> = policy.stages().map(str::to_owned).collect();
        let position = Position { stage: known.get(at).cloned(), revision: 1, entered: Micros(0) };
        let none = BTreeSet::new();
        let request = Request {
            actor: "ada@example.com",
            reason: if reason { "because" } else { "" },
            note: "",
            permissions: if permitted { Permissions::All } else { Permissions::Only(&none) },
        };
        for stage in preview(&policy, &position, &facts, &request, now) {
            let command = Command::Convert { stage: &stage.stage, request, effective_time: None };
            match decide(&policy, &position, &facts, command, now) {
                Ok(decision) => {
                    let row = &decision.transitions[0];
                    prop_assert!(stage.reachable && stage.refusal.is_none());
                    prop_assert_eq!(&stage.gained, &row.gained);
                    prop_assert_eq!(&stage.lost, &row.lost);
                    prop_assert_eq!(stage.skip, row.skip);
                    prop_assert!(stage.guards.iter().all(|guard| guard.holds));
                }
                Err(refusal) => {
                    prop_assert!(!stage.reachable);
                    let failed: Vec<&str> = refusal.failed_guards().iter().map(|guard| guard.id.as_str()).collect();
                    if !failed.is_empty() {
                        let shown: Vec<&str> = stage.guards.iter().filter(|guard| !guard.holds).map(|guard| guard.id.as_str()).collect();
                        prop_assert_eq!(shown, failed);
                    }
                    prop_assert_eq!(stage.refusal, Some(refusal));
                }
            }
        }
    }

    /// No sequence of commands moves anyone backward under `one-way`.
    #[test]
    fn one_way_never_descends(
        orders in prop::collection::vec((orders(), facts(), activities()), 1..40),
    ) {
        let policy = preset("one-way");
        let stages: Vec<String> = policy.stages().map(str::to_owned).collect();
        let none = BTreeSet::new();
        let mut position = Position::none();
        let mut highest = None;
        let mut left = "lead".to_owned();
        for (order, facts, activities) in orders {
            let trail = Trail { stage: left.clone(), activities: activities[1..].to_vec(), ..Trail::default() };
            // Undeletion restores the stage that history has last; mapping needs another policy.
            let stage = if order.kind == 7 { left.as_str() } else { stages[order.stage % 3].as_str() };
            if order.kind == 8 {
                continue;
            }
            let parts = Parts { stage, trail: &trail, activity: &activities[0], none: &none, old: &policy };
            let Ok(decision) = decide(&policy, &position, &facts, command(&order, &parts), NOW) else { continue };
            position = position.after(&decision);
            if let Some(stage) = &position.stage {
                let role = policy.role(stage);
                prop_assert!(role >= highest, "{role:?} after {highest:?}");
                highest = role;
                left.clone_from(stage);
            }
        }
    }

    /// `free-switch` leads from every stage to every other, any number of times, one row each.
    #[test]
    fn free_switch_reaches_every_pair(moves in prop::collection::vec(0_usize..3, 1..60)) {
        let policy = preset("free-switch");
        let stages: Vec<String> = policy.stages().map(str::to_owned).collect();
        let mut position = Position::at("contact", 1, Micros(0));
        for to in moves {
            let before = position.clone();
            let stage = stages[to].as_str();
            let decision = common::convert(&policy, &position, &Facts::default(), stage);
            if before.stage.as_deref() == Some(stage) {
                prop_assert!(decision.is_err());
                continue;
            }
            let decision = decision.expect("every pair is allowed");
            prop_assert_eq!(decision.transitions.len(), 1);
            position = position.after(&decision);
            prop_assert_eq!(position.stage.as_deref(), Some(stage));
            prop_assert_eq!(position.revision, before.revision + 1);
        }
    }

    /// Whatever a policy says, nobody but a client is invoiced or assigned to projects.
    #[test]
    fn only_clients_are_invoiced(policy in policies()) {
        for stage in policy.stages() {
            for key in policy::entitlements::CLIENT_ONLY {
                prop_assert!(!policy.entitles(stage, key) || policy.role(stage) == Some(Role::Client));
            }
        }
    }
}

#[test]
fn policies_are_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Policy>();
    shared::<policy::Compiler>();
}

#[test]
fn facts_survive_being_stored() {
    let mut facts = ready();
    facts
        .contact
        .attributes
        .insert("a".to_owned(), policy::Attribute::Number(1.5));
    facts.contact.attributes.insert(
        "b".to_owned(),
        policy::Attribute::List(vec!["x".to_owned()]),
    );
    facts.engagement.last_activity = Some(Micros(-1));
    let json = serde_json::to_string(&facts).expect("it writes");
    let again: Facts = serde_json::from_str(&json).expect("it reads");
    assert_eq!(again, facts);
}
