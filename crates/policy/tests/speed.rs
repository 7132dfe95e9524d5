//! What a decision costs. The bounds are wide, for unoptimised builds on busy machines; the numbers
//! are printed.

mod common;

use std::hint::black_box;
use std::time::{Duration, Instant};

use common::{NOW, call, convert, preset, ready};
use policy::{Command, Facts, Position, Request, Trail, decide, preview};
use types::Micros;

const ROUNDS: u32 = 2_000;

fn measure(bound: Duration, mut work: impl FnMut()) -> Duration {
    work();
    let begin = Instant::now();
    for _ in 0..ROUNDS {
        work();
    }
    let each = begin.elapsed() / ROUNDS;
    assert!(each < bound, "it takes {each:?}");
    each
}

#[test]
fn decisions_take_microseconds() {
    let bound = Duration::from_micros(500);
    let lead = Position::at("lead", 1, Micros(0));
    let one_way = preset("one-way");
    println!(
        "one-way, lead > client, one guard: {:?}",
        measure(bound, || {
            black_box(convert(&one_way, &lead, &ready(), "client")).expect("allowed");
        })
    );
    let facts = ready();
    println!(
        "one-way, the same with the facts at hand: {:?}",
        measure(bound, || {
            black_box(convert(&one_way, &lead, &facts, "client")).expect("allowed");
        })
    );
    let relationship = preset("relationship");
    println!(
        "relationship, lead > contact, three guards: {:?}",
        measure(bound, || {
            black_box(convert(&relationship, &lead, &facts, "contact")).expect("allowed");
        })
    );
    let empty = Facts::default();
    println!(
        "relationship, three guards refused and explained: {:?}",
        measure(bound, || {
            black_box(convert(&relationship, &lead, &empty, "contact")).expect_err("refused");
        })
    );
    println!(
        "relationship, preview of every stage: {:?}",
        measure(bound, || {
            black_box(preview(
                &relationship,
                &lead,
                &facts,
                &Request::default(),
                NOW,
            ));
        })
    );
    let calls = preset("call-driven");
    let trail = Trail {
        stage: "lead".to_owned(),
        ..Trail::default()
    };
    let activity = call("c", 2, 40_000_000);
    println!(
        "call-driven, a long call: {:?}",
        measure(bound, || {
            let command = Command::Record {
                activity: &activity,
                trail: &trail,
            };
            black_box(decide(&calls, &lead, &empty, command, NOW)).expect("not refused");
        })
    );
    let trail = Trail {
        stage: "lead".to_owned(),
        activities: (0..100).map(|at| call(&format!("x{at}"), at, 1)).collect(),
        ..Trail::default()
    };
    println!(
        "call-driven, a late call among a hundred: {:?}",
        measure(Duration::from_millis(20), || {
            let command = Command::Record {
                activity: &activity,
                trail: &trail,
            };
            black_box(decide(&calls, &lead, &empty, command, NOW)).expect("not refused");
        })
    );
}
