//! Conversions one by one: reasons, permissions, times, orders and previews.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{DAY, NOW, convert, preset, ready, yaml};
use policy::{
    Cause, Command, Facts, FieldType, Permissions, Policy, Position, Refusal, Request, decide,
    preview,
};
use types::{Micros, Role};

fn strict() -> Policy {
    yaml(
        "initial: new
reasons: [other]
stages:
  - {id: new, role: LEAD}
  - {id: hot, role: PROSPECT, enter: [mail], reasons: [called, met]}
  - {id: won, role: CLIENT, entitlements: [invoice]}
transitions:
  - {from: new, to: hot, guards: [owned, mail]}
  - {from: new, to: won, reasons: [signed], reason_required: true, permission: deals.close}
  - {from: hot, to: won}
  - {from: won, to: new, reason_required: true}
guards:
  - {id: mail, expression: contact.has_email, message: An e-mail address is known.}
  - {id: owned, expression: \"contact.owner != ''\", message: Somebody owns it.}
",
    )
}

fn ask<'a>(stage: &'a str, reason: &'a str, permissions: Permissions<'a>) -> Command<'a> {
    Command::Convert {
        stage,
        request: Request {
            actor: "ada@example.com",
            reason,
            note: "on the phone",
            permissions,
        },
        effective_time: None,
    }
}

fn asked(policy: &Policy, from: &str, stage: &str, reason: &str) -> Result<(), Refusal> {
    let position = Position::at(from, 3, Micros(DAY));
    decide(
        policy,
        &position,
        &ready(),
        ask(stage, reason, Permissions::All),
        NOW,
    )
    .map(|_| ())
}

#[test]
fn a_row_says_everything_about_the_move() {
    let position = Position::at("new", 3, Micros(DAY));
    let decision = decide(
        &strict(),
        &position,
        &ready(),
        ask("won", "signed", Permissions::All),
        NOW,
    )
    .expect("allowed");
    let row = &decision.transitions[0];
    assert_eq!(
        (row.from.as_deref(), row.to.as_deref()),
        (Some("new"), Some("won"))
    );
    assert_eq!(
        (row.from_role, row.to_role),
        (Some(Role::Lead), Some(Role::Client))
    );
    assert_eq!((row.revision, row.skip, row.barrier), (4, true, true));
    assert_eq!(
        (row.cause, row.actor.as_str()),
        (Cause::Manual, "ada@example.com")
    );
    assert_eq!(
        (row.reason.as_str(), row.note.as_str()),
        ("signed", "on the phone")
    );
    assert_eq!(row.gained, BTreeSet::from(["invoice".to_owned()]));
    assert!(row.lost.is_empty());
    assert_eq!((row.effective_time, row.record_time), (NOW, NOW));
    let after = position.after(&decision);
    assert_eq!(after, Position::at("won", 4, NOW));
}

#[test]
fn the_nearest_list_of_reasons_counts() {
    let policy = strict();
    for (from, to, reason, expected) in [
        ("new", "hot", "", None),
        ("new", "hot", "called", None),
        ("new", "hot", "other", Some("ReasonUnknown")),
        ("new", "won", "signed", None),
        ("new", "won", "", Some("ReasonRequired")),
        ("new", "won", "called", Some("ReasonUnknown")),
        ("hot", "won", "other", None),
        ("hot", "won", "signed", Some("ReasonUnknown")),
        ("won", "new", "", Some("ReasonRequired")),
        ("won", "new", "other", None),
    ] {
        let found = asked(&policy, from, to, reason).err();
        let name = found.as_ref().map(|refusal| match refusal {
            Refusal::ReasonUnknown { allowed, .. } if !allowed.is_empty() => "ReasonUnknown",
            Refusal::ReasonRequired { allowed } if !allowed.is_empty() => "ReasonRequired",
            _ => "something else",
        });
        assert_eq!(
            name, expected,
            "{from} > {to} because {reason:?}: {found:?}"
        );
        assert!(found.is_none_or(|refusal| refusal.reason() == "FIELD_INVALID"));
    }
    // Without any list every text is a reason, and none is needed.
    assert!(
        convert(
            &preset("one-way"),
            &Position::at("lead", 1, Micros(0)),
            &ready(),
            "client"
        )
        .is_ok()
    );
}

#[test]
fn who_has_no_position_gets_one_for_a_listed_reason_too() {
    let policy = yaml(
        "initial: new
create_in: [new, hot]
reasons: [other]
stages: [{id: new, role: LEAD}, {id: hot, role: PROSPECT, reasons: [called]}]
transitions: [{from: new, to: hot, reason_required: true}]
",
    );
    for (stage, reason, known) in [
        ("new", "", true),
        ("new", "other", true),
        ("new", "called", false),
        ("hot", "", true),
        ("hot", "called", true),
        ("hot", "other", false),
    ] {
        let command = ask(stage, reason, Permissions::All);
        let opened = decide(&policy, &Position::none(), &ready(), command, NOW);
        match opened {
            Ok(decision) => {
                assert!(known, "{stage} because {reason:?}");
                assert_eq!(decision.transitions[0].reason, reason);
            }
            Err(Refusal::ReasonUnknown { allowed, .. }) => {
                assert!(!known && !allowed.is_empty(), "{stage} because {reason:?}");
            }
            Err(other) => panic!("{stage} because {reason:?}: {other:?}"),
        }
    }
}

#[test]
fn a_permission_is_asked_for_by_the_transition_that_names_one() {
    let policy = strict();
    let position = Position::at("new", 3, Micros(DAY));
    let none = BTreeSet::new();
    let held = BTreeSet::from(["deals.close".to_owned()]);
    let with = |permissions| {
        decide(
            &policy,
            &position,
            &ready(),
            ask("won", "signed", permissions),
            NOW,
        )
    };
    assert!(with(Permissions::All).is_ok());
    assert!(with(Permissions::Only(&held)).is_ok());
    let refusal = with(Permissions::Only(&none)).expect_err("not held");
    assert_eq!(
        refusal,
        Refusal::PermissionMissing {
            permission: "deals.close".to_owned()
        }
    );
    let other = decide(
        &policy,
        &position,
        &ready(),
        ask("hot", "", Permissions::Only(&none)),
        NOW,
    );
    assert!(other.is_ok(), "this transition names none");
}

#[test]
fn converting_to_where_one_stands_is_not_allowed() {
    for known in policy::presets::all() {
        let policy = preset(known.id);
        for stage in policy.stages() {
            let position = Position::at(stage, 2, Micros(0));
            let refusal = convert(&policy, &position, &ready(), stage).expect_err("no move");
            assert_eq!(refusal.reason(), "TRANSITION_NOT_ALLOWED");
        }
    }
}

#[test]
fn unknown_stages_are_named_with_those_there_are() {
    let refusal = asked(&strict(), "new", "gone", "").expect_err("no such stage");
    assert!(matches!(&refusal, Refusal::StageUnknown { known, .. } if known.len() == 3));
    assert_eq!(refusal.reason(), "STAGE_UNKNOWN");
    let refusal = asked(&strict(), "gone", "new", "").expect_err("an old stage");
    assert_eq!(refusal.reason(), "STAGE_UNMAPPED");
}

#[test]
fn the_effective_time_lies_between_the_last_move_and_now() {
    let policy = preset("free-switch");
    let position = Position::at("contact", 1, Micros(5 * DAY));
    let at = |time| {
        let command = Command::Convert {
            stage: "lead",
            request: Request::default(),
            effective_time: Some(time),
        };
        decide(&policy, &position, &Facts::default(), command, NOW)
    };
    for time in [Micros(5 * DAY), Micros(6 * DAY), NOW] {
        assert_eq!(
            at(time).expect("allowed").transitions[0].effective_time,
            time
        );
    }
    for time in [
        Micros(5 * DAY - 1),
        Micros(NOW.0 + 1),
        Micros(i64::MIN),
        Micros(i64::MAX),
    ] {
        assert!(matches!(
            at(time),
            Err(Refusal::EffectiveTimeInvalid { .. })
        ));
    }
}

#[test]
fn skips_follow_the_order_within_a_role_too() {
    let policy = yaml(
        "{initial: new, create_in: [new, qualified, proposition],
          stages: [{id: new, role: LEAD, order: 1}, {id: qualified, role: LEAD, order: 2},
                   {id: proposition, role: PROSPECT, order: 3}, {id: won, role: CLIENT, order: 70}],
          transitions: [{from: new, to: qualified}, {from: new, to: proposition}, {from: new, to: won},
                        {from: proposition, to: won}, {from: won, to: new}]}",
    );
    for (from, to, skip) in [
        ("new", "qualified", false),
        ("new", "proposition", true),
        ("new", "won", true),
        ("proposition", "won", false),
        ("won", "new", false),
    ] {
        let position = Position::at(from, 1, Micros(0));
        let decision = convert(&policy, &position, &ready(), to).expect("allowed");
        assert_eq!(decision.transitions[0].skip, skip, "{from} > {to}");
    }
}

#[test]
fn a_preview_shows_every_guard_with_what_it_read() {
    let policy = strict();
    let position = Position::at("new", 1, Micros(0));
    let request = Request::default();
    let stages = preview(&policy, &position, &Facts::default(), &request, NOW);
    let names: Vec<&str> = stages.iter().map(|stage| stage.stage.as_str()).collect();
    assert_eq!(names, ["new", "hot", "won"]);
    assert!(stages[0].current && !stages[0].reachable && stages[0].guards.is_empty());
    let hot = &stages[1];
    assert!(!hot.reachable && !hot.skip);
    let guards: Vec<(&str, bool)> = hot
        .guards
        .iter()
        .map(|guard| (guard.id.as_str(), guard.holds))
        .collect();
    assert_eq!(
        guards,
        [("owned", false), ("mail", false)],
        "each once, the move's first"
    );
    assert_eq!(hot.guards[1].readings[0].path, "contact.has_email");
    assert_eq!(hot.guards[1].message, "An e-mail address is known.");
    assert_eq!(
        hot.refusal.as_ref().map(Refusal::reason),
        Some("GUARD_NOT_MET")
    );
    assert!(stages[2].skip && stages[2].gained.contains("invoice"));
    let ready = preview(&policy, &position, &ready(), &request, NOW);
    assert!(ready[1].reachable && ready[1].guards.iter().all(|guard| guard.holds));
}

#[test]
fn guards_read_attributes_by_the_types_that_the_workspace_declares() {
    let fields = [("budget", FieldType::Int)].into_iter().collect();
    let policy =
        common::guard_with("contact.attributes.budget >= 1000", &fields).expect("declared");
    let position = Position::at("a", 1, Micros(0));
    let mut facts = Facts::default();
    let missing = convert(&policy, &position, &facts, "b").expect_err("not set");
    let failed = &missing.failed_guards()[0];
    assert_eq!(
        failed.error.as_deref(),
        Some("contact.attributes.budget is not set")
    );
    assert_eq!(failed.readings[0].value, "not set");
    for (value, passes) in [(999.0, false), (1000.0, true), (1000.5, false)] {
        facts.contact.attributes =
            BTreeMap::from([("budget".to_owned(), policy::Attribute::Number(value))]);
        assert_eq!(
            convert(&policy, &position, &facts, "b").is_ok(),
            passes,
            "{value}"
        );
    }
    assert!(
        common::guard("contact.attributes.budget >= 1000").is_err(),
        "not declared"
    );
}
