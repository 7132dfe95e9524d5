//! What the text of the call-driven preset says beyond tables: calls, mails, referrals and budgets.

mod common;

use std::collections::BTreeSet;

use common::{
    DAY, Person, SECOND, activity, call, helpful_mail, open, path, preset, tick, voicemail,
};
use policy::{Activity, Effect, Facts, Position};
use types::Micros;

#[test]
fn call_driven_thirty_seconds_do_not_fire_and_a_millisecond_more_does() {
    let policy = preset("call-driven");
    for (duration, stage) in [
        (0, "lead"),
        (30_000_000, "lead"),
        (30_000_001, "contact"),
        (30_001_000, "contact"),
    ] {
        let mut person = Person::at("lead", Micros(DAY));
        person.record(&policy, &Facts::default(), &call("c", 2, duration));
        assert_eq!(person.stage(), stage, "{duration} microseconds");
    }
}

#[test]
fn call_driven_whoever_booked_or_bought_is_not_set_back_by_a_long_call() {
    let policy = preset("call-driven");
    for kind in ["BOOKING", "PURCHASE"] {
        let mut person = Person::at("lead", Micros(DAY));
        person.record(&policy, &Facts::default(), &activity("b", 2, kind));
        person.record(&policy, &Facts::default(), &call("c", 3, 60 * SECOND));
        assert_eq!(person.stage(), "lead", "{kind}");
        // What happened before the barrier counts as well.
        let mut person = Person::at("lead", Micros(DAY));
        person.trail.engagement.bookings = 1;
        person.record(&policy, &Facts::default(), &call("c", 3, 60 * SECOND));
        assert_eq!(person.stage(), "lead", "{kind}");
    }
}

#[test]
fn call_driven_voicemail_wins_over_duration_and_turns_back() {
    let policy = preset("call-driven");
    let mut person = Person::at("lead", Micros(DAY));
    person.record(&policy, &Facts::default(), &voicemail("v", 2, 60 * SECOND));
    assert_eq!(person.stage(), "lead");
    let mut person = Person::at("contact", Micros(DAY));
    person.record(&policy, &Facts::default(), &voicemail("v", 2, 60 * SECOND));
    assert_eq!(person.stage(), "lead");
}

#[test]
fn call_driven_keep_me_in_mind_makes_a_contact() {
    let policy = preset("call-driven");
    for kind in ["CALL", "MAIL", "MEETING"] {
        let mut person = Person::at("lead", Micros(DAY));
        let said = Activity {
            outcome: "NOT_NOW".to_owned(),
            ..activity("n", 2, kind)
        };
        person.record(&policy, &Facts::default(), &said);
        assert_eq!(person.stage(), "contact", "{kind}");
    }
}

#[test]
fn call_driven_three_helpful_mails_in_thirty_days_turn_back_once_per_stay() {
    let policy = preset("call-driven");
    let run = |days: &[i64]| {
        let mut person = Person::at("contact", Micros(DAY));
        let mut moves = 0;
        for (number, day) in days.iter().enumerate() {
            let mail = helpful_mail(&format!("m{number}"), *day);
            moves += person
                .record(&policy, &Facts::default(), &mail)
                .transitions
                .len();
        }
        (person.stage().to_owned(), moves)
    };
    let lead = ("lead".to_owned(), 1);
    let contact = ("contact".to_owned(), 0);
    assert_eq!(run(&[2, 3]), contact);
    assert_eq!(run(&[2, 3, 4]), lead);
    assert_eq!(run(&[2, 3, 32]), lead, "the window includes its ends");
    assert_eq!(run(&[2, 3, 33]), contact);
    assert_eq!(run(&[2, 20, 33, 40]), lead);
    assert_eq!(run(&[2, 3, 4, 5, 6, 7]), lead, "once per stay");
    assert_eq!(
        run(&[0, 1, 2]),
        contact,
        "mails before the stay do not count"
    );
    let mut person = Person::at("contact", Micros(DAY));
    for number in 0..3 {
        let mut sales = helpful_mail(&format!("s{number}"), 2 + number);
        sales.helpful = false;
        person.record(&policy, &Facts::default(), &sales);
        let mut inbound = helpful_mail(&format!("i{number}"), 2 + number);
        inbound.direction = "INBOUND".into();
        person.record(&policy, &Facts::default(), &inbound);
    }
    assert_eq!(person.stage(), "contact");
}

#[test]
fn call_driven_referrals_start_by_who_referred_them() {
    let policy = preset("call-driven");
    for (kind, stage) in [
        ("OWNER_RELATION", "lead"),
        ("BUSINESS", "contact"),
        ("", "lead"),
    ] {
        let mut facts = Facts::default();
        facts.contact.source.channel = "REFERRAL".into();
        facts.contact.source.referral_kind = kind.into();
        assert_eq!(
            path(&open(&policy, &facts, "").expect("it opens")),
            [stage],
            "{kind}"
        );
    }
    let mut facts = Facts::default();
    facts.contact.source.referral_kind = "BUSINESS".into();
    let asked = open(&policy, &facts, "lead").expect("it opens");
    assert_eq!(
        path(&asked),
        ["lead"],
        "what was asked for goes before the rule"
    );
}

#[test]
fn call_driven_a_spent_time_budget_proposes_and_moves_nobody() {
    let policy = preset("call-driven");
    let contact = Position::at("contact", 4, Micros(10 * DAY));
    let none = BTreeSet::new();
    let before = tick(
        &policy,
        &contact,
        &Facts::default(),
        &none,
        Micros(40 * DAY - 1),
    );
    assert!(before.is_empty());
    let spent = tick(
        &policy,
        &contact,
        &Facts::default(),
        &none,
        Micros(40 * DAY),
    );
    assert!(spent.transitions.is_empty());
    assert!(
        matches!(&spent.effects[..], [Effect::Suggestion { to: Some(to), .. }] if to == "lead")
    );
}
