//! Activities in whatever order they arrive: folds, barriers, late ones and repeats.

mod common;

use common::{
    DAY, NOW, Person, SECOND, activity, call, convert, helpful_mail, preset, voicemail, yaml,
};
use policy::{Activity, Cause, Effect, Facts, Policy, fold};
use proptest::prelude::*;
use types::Micros;

/// Every order of `items`.
fn orders<T: Clone>(items: &[T]) -> Vec<Vec<T>> {
    if items.len() <= 1 {
        return vec![items.to_vec()];
    }
    let mut all = Vec::new();
    for (at, first) in items.iter().enumerate() {
        let mut rest = items.to_vec();
        rest.remove(at);
        for mut order in orders(&rest) {
            order.insert(0, first.clone());
            all.push(order);
        }
    }
    all
}

fn not_now(id: &str, day: i64) -> Activity {
    Activity {
        outcome: "NOT_NOW".to_owned(),
        ..call(id, day, 5 * SECOND)
    }
}

#[test]
fn calls_out_of_order_and_repeated_end_in_the_same_stage() {
    let policy = preset("call-driven");
    let calls = [
        call("a", 2, 40 * SECOND),
        voicemail("b", 3, 40 * SECOND),
        not_now("c", 4),
        voicemail("d", 5, 0),
        call("e", 6, 31 * SECOND),
    ];
    for count in 1..=calls.len() {
        let mut ends = std::collections::BTreeSet::new();
        for order in orders(&calls[..count]) {
            let mut person = Person::at("lead", Micros(DAY));
            for call in order.iter().chain(&order) {
                person.record(&policy, &Facts::default(), call);
            }
            ends.insert(person.stage().to_owned());
        }
        assert_eq!(ends.len(), 1, "the first {count} calls end in {ends:?}");
    }
}

#[test]
fn an_activity_that_arrives_a_hundred_times_counts_once() {
    let policy = preset("call-driven");
    let mut person = Person::at("contact", Micros(DAY));
    let mut moves = 0;
    for _ in 0..100 {
        moves += person
            .record(&policy, &Facts::default(), &helpful_mail("m", 2))
            .transitions
            .len();
        moves += person
            .record(&policy, &Facts::default(), &voicemail("v", 3, 0))
            .transitions
            .len();
    }
    assert_eq!((person.stage(), moves), ("lead", 1));
}

#[test]
fn what_occurred_before_a_manual_move_fires_nothing() {
    let policy = preset("call-driven");
    let mut person = Person::at("lead", Micros(DAY));
    let moved = convert(&policy, &person.position, &Facts::default(), "contact").expect("allowed");
    assert!(moved.transitions[0].barrier);
    person.apply(&moved);
    let late = voicemail("v", 500, 0);
    assert!(late.time < moved.transitions[0].effective_time);
    assert!(person.record(&policy, &Facts::default(), &late).is_empty());
    assert_eq!(person.stage(), "contact");
}

#[test]
fn an_entitlement_that_was_taken_away_is_a_barrier_too() {
    let policy = preset("call-driven");
    let mut person = Person::at("lead", Micros(DAY));
    let moved = person.record(&policy, &Facts::default(), &call("c", 5, 40 * SECOND));
    let row = &moved.transitions[0];
    assert!(row.barrier && !row.lost.is_empty());
    assert_eq!(
        row.effective_time,
        Micros(5 * DAY),
        "in force since the call"
    );
    assert_eq!(row.record_time, NOW);
    // A booking that occurred earlier but arrives now is recorded; the move stands.
    assert!(
        person
            .record(&policy, &Facts::default(), &activity("b", 4, "BOOKING"))
            .is_empty()
    );
    assert_eq!(person.stage(), "contact");
    assert_eq!(person.trail.entered, Micros(5 * DAY));
}

/// Three stages of equal rights, so that no move between them is a barrier.
fn ring() -> Policy {
    yaml(
        "initial: a
stages: [{id: a, role: LEAD}, {id: b, role: LEAD}, {id: c, role: LEAD}]
transitions: [{from: a, to: b}, {from: b, to: c}, {from: c, to: a}, {from: a, to: c}, {from: b, to: a}]
triggers:
  - {id: ab, on: activity, when: activity.kind == 'VISIT', from: [a], to: b, mode: auto}
  - {id: bc, on: activity, when: activity.kind == 'VISIT', from: [b], to: c, mode: auto}
  - {id: ca, on: activity, when: activity.kind == 'FORM', from: [c], to: a, mode: auto}
  - {id: ac, on: activity, when: activity.kind == 'DOWNLOAD' && engagement.bookings == 0, from: [a], to: c, mode: auto}
  - {id: trail, on: activity, when: activity.kind == 'OPEN', from: [a, b], mode: suggest, trail: {count: 2, within: 3d}}
",
    )
}

#[test]
fn a_late_activity_appends_at_most_one_correcting_transition() {
    let policy = ring();
    let mut person = Person::at("a", Micros(0));
    let facts = Facts::default();
    let first = person.record(&policy, &facts, &activity("d", 5, "DOWNLOAD"));
    assert_eq!(common::path(&first), ["c"]);
    assert!(!first.transitions[0].barrier);
    // The booking came first after all: without the download's move one is still at `a`.
    let late = person.record(&policy, &facts, &activity("b", 4, "BOOKING"));
    let row = &late.transitions[0];
    assert_eq!(
        (row.from.as_deref(), row.to.as_deref()),
        (Some("c"), Some("a"))
    );
    assert_eq!(row.cause, Cause::Activity);
    assert_eq!(row.activity.as_deref(), Some("b"));
    assert_eq!(
        row.effective_time,
        Micros(5 * DAY),
        "history stays in order"
    );
    assert_eq!(late.transitions.len(), 1);
}

#[test]
fn a_correction_that_the_table_lacks_is_a_work_item_and_no_move() {
    let facts = Facts::default();
    let policy = yaml(
        "{initial: a, stages: [{id: a, role: LEAD}, {id: b, role: LEAD}],
          transitions: [{from: a, to: b}],
          triggers: [{id: t, on: activity, when: activity.kind == 'VISIT' && engagement.bookings == 0, from: [a], to: b, mode: auto}]}",
    );
    let mut person = Person::at("a", Micros(0));
    person.record(&policy, &facts, &activity("v", 5, "VISIT"));
    assert_eq!(person.stage(), "b");
    let late = person.record(&policy, &facts, &activity("k", 4, "BOOKING"));
    assert!(late.transitions.is_empty());
    assert!(
        matches!(&late.effects[..], [Effect::Refused { refusal, .. }] if refusal.reason() == "TRANSITION_NOT_ALLOWED")
    );
    assert_eq!(person.stage(), "b");
}

#[test]
fn activities_at_one_instant_are_ordered_by_their_ids() {
    let policy = ring();
    let facts = Facts::default();
    for order in orders(&[
        activity("1", 2, "VISIT"),
        activity("2", 2, "DOWNLOAD"),
        activity("3", 2, "VISIT"),
    ]) {
        let mut person = Person::at("a", Micros(0));
        for one in &order {
            person.record(&policy, &facts, one);
        }
        assert_eq!(person.stage(), "c");
    }
}

#[test]
fn calls_at_one_instant_end_in_the_same_stage_though_one_takes_an_entitlement_away() {
    let policy = preset("call-driven");
    let facts = Facts::default();
    let of_a_kind = |id: &str, kind: usize| match kind {
        0 => not_now(id, 3),
        1 => voicemail(id, 3, 0),
        2 => call(id, 3, 40 * SECOND),
        _ => activity(id, 3, "VISIT"),
    };
    // Moved to contact by the first and back by the second, whichever arrives first.
    for order in orders(&[not_now("a", 3), voicemail("b", 3, 0)]) {
        let mut person = Person::at("lead", Micros(DAY));
        for one in &order {
            person.record(&policy, &facts, one);
        }
        assert_eq!(person.stage(), "lead", "{} first", order[0].id);
        assert_eq!(person.activities.len(), 2);
    }
    for kinds in 0..64 {
        let calls = [
            of_a_kind("a", kinds % 4),
            of_a_kind("b", kinds / 4 % 4),
            of_a_kind("c", kinds / 16),
        ];
        let mut ends = std::collections::BTreeMap::new();
        for order in orders(&calls) {
            let mut person = Person::at("lead", Micros(DAY));
            for call in order.iter().chain(&order) {
                person.record(&policy, &facts, call);
            }
            let ids: String = order.iter().map(|call| call.id.as_str()).collect();
            ends.entry(person.stage().to_owned())
                .or_insert_with(Vec::new)
                .push(ids);
        }
        assert_eq!(ends.len(), 1, "{calls:?} end in {ends:?}");
    }
}

#[test]
fn what_occurred_at_the_instant_of_a_manual_move_came_before_it() {
    let policy = preset("call-driven");
    let mut person = Person::at("lead", Micros(DAY));
    let moved = convert(&policy, &person.position, &Facts::default(), "contact").expect("allowed");
    person.apply(&moved);
    let at_once = Activity {
        time: moved.transitions[0].effective_time,
        ..voicemail("v", 0, 0)
    };
    assert!(
        person
            .record(&policy, &Facts::default(), &at_once)
            .is_empty()
    );
    assert_eq!(person.stage(), "contact");
}

#[test]
fn a_trail_suggests_once_per_stay() {
    let policy = ring();
    let facts = Facts::default();
    let mut person = Person::at("a", Micros(0));
    let mut keys = Vec::new();
    for (id, day) in [("1", 1), ("2", 2), ("3", 3), ("4", 4)] {
        let decision = person.record(&policy, &facts, &activity(id, day, "OPEN"));
        keys.extend(
            decision
                .effects
                .iter()
                .map(|effect| effect.key().to_owned()),
        );
    }
    assert_eq!(keys, ["trail/0"]);
    person.record(&policy, &facts, &activity("5", 5, "VISIT"));
    for (id, day) in [("6", 6), ("7", 7)] {
        let decision = person.record(&policy, &facts, &activity(id, day, "OPEN"));
        keys.extend(
            decision
                .effects
                .iter()
                .map(|effect| effect.key().to_owned()),
        );
    }
    assert_eq!(keys, ["trail/0".to_owned(), format!("trail/{}", 5 * DAY)]);
}

fn events() -> impl Strategy<Value = Vec<Activity>> {
    let kinds = prop::sample::select(vec!["VISIT", "FORM", "DOWNLOAD", "BOOKING", "OPEN"]);
    prop::collection::vec((0_i64..12, kinds), 0..14).prop_map(|events| {
        events
            .into_iter()
            .enumerate()
            .map(|(number, (day, kind))| activity(&format!("{number}"), day, kind))
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Where every move of the fold is in the table and none is a barrier, arrival does not matter.
    #[test]
    fn arrival_does_not_matter(events in events(), keys in prop::collection::vec(any::<u32>(), 14)) {
        let policy = yaml(
            "initial: a
stages: [{id: a, role: LEAD}, {id: b, role: LEAD}, {id: c, role: LEAD}]
transitions: [{from: a, to: b}, {from: b, to: c}, {from: c, to: a}, {from: a, to: c}, {from: b, to: a}, {from: c, to: b}]
triggers:
  - {id: ab, on: activity, when: activity.kind == 'VISIT', from: [a], to: b, mode: auto}
  - {id: bc, on: activity, when: activity.kind == 'VISIT' && engagement.bookings < 2, from: [b], to: c, mode: auto}
  - {id: ca, on: activity, when: activity.kind == 'FORM', from: [c], to: a, mode: auto}
  - {id: ac, on: activity, when: activity.kind == 'DOWNLOAD' && engagement.bookings == 0, from: [a], to: c, mode: auto}
  - {id: trail, on: activity, when: activity.kind == 'OPEN', from: [a, b, c], mode: suggest, trail: {count: 2, within: 3d}}
  - {id: back, on: activity, when: activity.kind == 'OPEN', from: [b], to: a, mode: auto, trail: {count: 3, within: 5d}}
",
        );
        let facts = Facts::default();
        let mut shuffled: Vec<(u32, &Activity)> = keys.into_iter().zip(&events).collect();
        shuffled.sort_by_key(|(key, _)| *key);
        let mut straight = Person::at("a", Micros(-1));
        let mut in_order = events.clone();
        in_order.sort_by(|a, b| (a.time, &a.id).cmp(&(b.time, &b.id)));
        for event in &in_order {
            straight.record(&policy, &facts, event);
        }
        let mut person = Person::at("a", Micros(-1));
        for (_, event) in shuffled {
            let decision = person.record(&policy, &facts, event);
            prop_assert!(decision.transitions.len() <= 1);
            let repeated = person.record(&policy, &facts, event);
            prop_assert!(repeated.is_empty());
        }
        prop_assert_eq!(person.stage(), straight.stage());
        prop_assert!(straight.effects.iter().all(|key| person.effects.contains(key)));
        let folded = fold(&policy, &facts, &person.trail).expect("the stage is known");
        prop_assert_eq!(folded.stage.as_str(), person.stage());
    }

    /// The fold of what came after a barrier does not depend on the order it is handed over in.
    #[test]
    fn folding_sorts(events in events()) {
        let policy = preset("call-driven");
        let mut person = Person::at("lead", Micros(DAY));
        person.trail.activities = events.clone();
        let forward = fold(&policy, &Facts::default(), &person.trail);
        person.trail.activities.reverse();
        prop_assert_eq!(fold(&policy, &Facts::default(), &person.trail), forward);
    }
}
