//! What the texts of the presets say beyond tables: guards, triggers, intake and timers. The
//! call-driven one has a file of its own.

mod common;

use std::collections::BTreeSet;

use common::{DAY, NOW, Person, activity, convert, facts_changed, open, path, preset, ready, tick};
use policy::{Activity, Cause, Command, Effect, Facts, Position, Withheld, decide, due, score};
use types::Micros;

fn lead() -> Position {
    Position::at("lead", 1, Micros(DAY))
}

#[test]
fn one_way_asks_for_an_email_address_before_anyone_may_log_in() {
    let policy = preset("one-way");
    for stage in ["prospect", "client"] {
        let refusal = convert(&policy, &lead(), &Facts::default(), stage).expect_err("no e-mail");
        assert_eq!(refusal.reason(), "GUARD_NOT_MET");
        let failed = &refusal.failed_guards()[0];
        assert_eq!(failed.id, "has-email");
        assert_eq!(failed.expression, "contact.has_email");
        assert_eq!(failed.readings[0].value, "false");
        assert!(open(&policy, &Facts::default(), stage).is_err());
    }
    assert!(open(&policy, &Facts::default(), "lead").is_ok());
}

#[test]
fn free_switch_opens_a_work_item_for_a_lead_and_suggests_the_client() {
    let policy = preset("free-switch");
    let contact = Position::at("contact", 1, Micros(DAY));
    let decision = convert(&policy, &contact, &Facts::default(), "lead").expect("allowed");
    assert!(matches!(&decision.effects[..], [Effect::WorkItem { stage, .. }] if stage == "lead"));

    for (outcome, kind) in [("AGREED", "CALL"), ("", "PURCHASE")] {
        let mut person = Person::at("lead", Micros(DAY));
        let event = Activity {
            outcome: outcome.to_owned(),
            ..activity("a", 2, kind)
        };
        let decision = person.record(&policy, &Facts::default(), &event);
        assert_eq!(person.stage(), "lead", "a suggestion moves nobody");
        assert!(
            matches!(&decision.effects[..], [Effect::Suggestion { to: Some(to), .. }] if to == "client")
        );
        assert!(
            person.record(&policy, &Facts::default(), &event).is_empty(),
            "once"
        );
    }
}

#[test]
fn a_lead_with_no_activity_and_no_next_step_is_stale_at_the_exact_instant() {
    let policy = preset("free-switch");
    let mut facts = Facts::default();
    facts.engagement.last_activity = Some(Micros(10 * DAY));
    let timers = due(&policy, &lead(), &facts);
    assert_eq!(timers[0].at, Micros(24 * DAY));
    let none = BTreeSet::new();
    let before = tick(&policy, &lead(), &facts, &none, Micros(24 * DAY - 1));
    assert!(before.is_empty());
    let at = tick(&policy, &lead(), &facts, &none, Micros(24 * DAY));
    assert!(
        matches!(&at.effects[..], [Effect::Suggestion { to: None, trigger, .. }] if trigger == "stale")
    );
    let fired: BTreeSet<String> = at
        .effects
        .iter()
        .map(|effect| effect.key().to_owned())
        .collect();
    assert_eq!(timers[0].key, at.effects[0].key());
    assert!(
        tick(&policy, &lead(), &facts, &fired, NOW).is_empty(),
        "once"
    );

    facts.contact.next_step_due = Some(Micros(NOW.0 + 1));
    assert!(
        tick(&policy, &lead(), &facts, &none, NOW).is_empty(),
        "a next step is planned"
    );
    facts.contact.next_step_due = Some(NOW);
    assert!(
        !tick(&policy, &lead(), &facts, &none, NOW).is_empty(),
        "it was due, and nothing happened"
    );
    facts.contact.next_step_due = None;
    facts.engagement.last_activity = Some(Micros(990 * DAY));
    assert!(
        tick(&policy, &lead(), &facts, &fired, NOW).is_empty(),
        "activity again"
    );
}

#[test]
fn relationship_leads_come_from_the_six_sources_of_interest() {
    let policy = preset("relationship");
    for channel in [
        "FORM",
        "REFERRAL",
        "EVENT",
        "AD",
        "SOCIAL",
        "TRADE_SHOW",
        "IMPORT",
        "CALL",
        "DIRECT",
        "",
    ] {
        let mut facts = Facts::default();
        facts.contact.source.channel = channel.into();
        let interested = !matches!(channel, "IMPORT" | "CALL" | "DIRECT" | "");
        let opened = open(&policy, &facts, "");
        assert_eq!(opened.is_ok(), interested, "{channel}");
        if let Err(refusal) = opened {
            assert_eq!(refusal.failed_guards()[0].id, "interest-source");
            // It opens when a later fact satisfies the rule.
            let waiting = facts_changed(&policy, &Position::none(), &facts);
            assert!(matches!(waiting.withheld, Some(Withheld::Refused(_))));
            facts.contact.source.channel = "EVENT".into();
            assert_eq!(
                path(&facts_changed(&policy, &Position::none(), &facts)),
                ["lead"]
            );
        }
    }
}

#[test]
fn relationship_lists_every_guard_that_fails() {
    let policy = preset("relationship");
    for bits in 0_u8..8 {
        let mut facts = Facts::default();
        let mut expected = Vec::new();
        for (bit, id) in ["qualified", "assigned", "ready-to-buy"].iter().enumerate() {
            if bits & (1 << bit) == 0 {
                expected.push(*id);
            } else {
                match bit {
                    0 => facts.contact.qualification.verdict = "QUALIFIED".into(),
                    1 => facts.contact.owner = "ada@example.com".into(),
                    _ => facts.contact.ready_to_buy = true,
                }
            }
        }
        let failed: Vec<String> = match convert(&policy, &lead(), &facts, "contact") {
            Ok(_) => Vec::new(),
            Err(refusal) => refusal
                .failed_guards()
                .iter()
                .map(|guard| guard.id.clone())
                .collect(),
        };
        assert_eq!(failed, expected);
    }
}

#[test]
fn relationship_vendors_need_no_position_but_customers_who_also_sell_do() {
    let policy = preset("relationship");
    for (kinds, positioned) in [
        (vec![], true),
        (vec!["CUSTOMER"], true),
        (vec!["CUSTOMER", "VENDOR"], true),
        (vec!["VENDOR"], false),
        (vec!["SUPPLIER", "PARTNER"], false),
        (vec!["INVESTOR"], false),
        (vec!["EMPLOYEE"], false),
        (vec!["ADVISER"], false),
    ] {
        let mut facts = ready();
        facts.contact.relationship_kinds = kinds.iter().map(|kind| (*kind).to_owned()).collect();
        let decision = open(&policy, &facts, "").expect("not refused");
        assert_eq!(!decision.transitions.is_empty(), positioned, "{kinds:?}");
        if !positioned {
            assert_eq!(
                decision.withheld,
                Some(Withheld::Intake {
                    rule: "not-in-the-funnel".to_owned()
                })
            );
            // One who turns out to be a customer is opened by that fact.
            facts.contact.relationship_kinds.push("CUSTOMER".to_owned());
            assert_eq!(
                path(&facts_changed(&policy, &Position::none(), &facts)),
                ["lead"]
            );
        }
    }
}

#[test]
fn relationship_customers_are_those_who_bought() {
    let policy = preset("relationship");
    for stage in ["lead", "contact"] {
        let mut person = Person::at(stage, Micros(DAY));
        let decision = person.record(&policy, &Facts::default(), &activity("p", 2, "PURCHASE"));
        assert_eq!(person.stage(), "customer");
        assert_eq!(decision.transitions[0].cause, Cause::Activity);
        assert_eq!(decision.transitions[0].skip, stage == "lead");
        assert!(
            person
                .record(&policy, &Facts::default(), &activity("q", 3, "PURCHASE"))
                .is_empty()
        );
    }
    let activities = [
        activity("a", 1, "OPEN"),
        activity("b", 1, "VISIT"),
        activity("c", 2, "VISIT"),
        activity("d", 3, "DOWNLOAD"),
        activity("e", 3, "CALL"),
    ];
    let scored = score(&policy, &lead(), &Facts::default(), &activities, NOW);
    assert_eq!(scored.total, 1 + 2 * 3 + 5);
    let terms: Vec<(&str, u32)> = scored
        .terms
        .iter()
        .map(|term| (term.id.as_str(), term.matches))
        .collect();
    assert_eq!(terms, [("open", 1), ("visit", 2), ("download", 1)]);
}

#[test]
fn verified_interest_needs_both_in_either_order_and_moves_once() {
    let policy = preset("verified-interest");
    let evidence = |interest: bool, identity: bool| {
        let mut facts = Facts::default();
        facts.contact.source.channel = "FORM".into();
        facts.contact.interest.expressed_time = interest.then_some(Micros(DAY));
        facts.contact.identity.verified_time = identity.then_some(Micros(DAY));
        facts
    };
    for (interest, identity) in [(false, false), (true, false), (false, true), (true, true)] {
        let both = interest && identity;
        let facts = evidence(interest, identity);
        let expected: &[&str] = if both {
            &["lead", "contact"]
        } else {
            &["lead"]
        };
        assert_eq!(
            path(&open(&policy, &facts, "").expect("it opens")),
            expected
        );
        assert_eq!(convert(&policy, &lead(), &facts, "contact").is_ok(), both);
    }
    for first in [true, false] {
        let mut person = Person::at("lead", Micros(DAY));
        let one = facts_changed(&policy, &person.position, &evidence(first, !first));
        assert!(one.is_empty(), "one of the two is not enough");
        let two = facts_changed(&policy, &person.position, &evidence(true, true));
        assert_eq!(path(&two), ["contact"]);
        assert!(
            matches!(&two.effects[..], [Effect::Opportunity { .. }]),
            "name the opportunity"
        );
        person.apply(&two);
        assert!(
            facts_changed(&policy, &person.position, &evidence(true, true)).is_empty(),
            "once"
        );
    }
}

#[test]
fn verified_interest_won_opportunities_write_two_rows_in_one_decision() {
    let policy = preset("verified-interest");
    let mut facts = ready();
    facts.opportunity.state = "WON".into();
    let changed = |position: &Position, facts: &Facts| {
        decide(&policy, position, facts, Command::OpportunityChanged, NOW).expect("not refused")
    };
    let decision = changed(&lead(), &facts);
    assert_eq!(path(&decision), ["contact", "client"]);
    assert_eq!(
        decision
            .transitions
            .iter()
            .map(|row| row.revision)
            .collect::<Vec<_>>(),
        [2, 3]
    );
    assert!(
        decision
            .transitions
            .iter()
            .all(|row| !row.skip && row.cause == Cause::Opportunity)
    );
    assert_eq!(
        path(&changed(&Position::at("contact", 2, Micros(DAY)), &facts)),
        ["client"]
    );
    assert!(changed(&Position::at("client", 3, Micros(DAY)), &facts).is_empty());

    // A guard that refuses leaves the opportunity won and raises a task; neither row is written.
    facts.contact.identity.verified_time = None;
    let refused = changed(&lead(), &facts);
    assert!(refused.transitions.is_empty());
    assert!(matches!(&refused.effects[..], [Effect::Refused { trigger, .. }] if trigger == "won"));
    facts.opportunity.state = "LOST".into();
    assert!(changed(&lead(), &facts).is_empty());
}
