//! Activating another policy: what it does to those who stand somewhere.

mod common;

use std::collections::BTreeMap;

use common::{COMPILER, NOW, preset, ready};
use policy::activation::{Obstacle, Standing, mapped, plan};
use policy::company::{Kind, OF_COMPANIES};
use policy::{Cause, Command, Fields, Position, Request, decide};
use types::Micros;

fn counts(of: &[(&str, u64)]) -> BTreeMap<String, u64> {
    of.iter()
        .map(|(stage, count)| ((*stage).to_owned(), *count))
        .collect()
}

fn people(of: &[(&str, u64)]) -> Standing {
    standing(Kind::Person, of)
}

fn standing(kind: Kind, of: &[(&str, u64)]) -> Standing {
    of.iter()
        .map(|(stage, count)| ((*stage).to_owned(), [(kind, *count)].into()))
        .collect()
}

fn map(of: &[(&str, &str)]) -> BTreeMap<String, String> {
    of.iter()
        .map(|(from, to)| ((*from).to_owned(), (*to).to_owned()))
        .collect()
}

#[test]
fn every_stage_that_would_vanish_with_people_in_it_is_named() {
    let (old, new) = (preset("one-way"), preset("verified-interest"));
    let all = people(&[("lead", 5), ("prospect", 3), ("client", 2)]);
    let obstacles = plan(&old, &new, &BTreeMap::new(), &all).expect_err("prospect vanishes");
    assert_eq!(
        obstacles,
        [Obstacle::StageUnmapped {
            stage: "prospect".to_owned(),
            contacts: 3
        }]
    );
    assert_eq!(obstacles[0].reason(), "STAGE_UNMAPPED");
    let call = preset("call-driven");
    let obstacles = plan(
        &old,
        &call,
        &map(&[("prospect", "gone"), ("x", "lead")]),
        &all,
    )
    .expect_err("three obstacles");
    assert_eq!(obstacles.len(), 3, "{obstacles:?}");
    let empty = people(&[("lead", 5), ("prospect", 0)]);
    assert!(
        plan(&old, &new, &BTreeMap::new(), &empty).is_ok(),
        "nobody is there"
    );
}

#[test]
fn a_plan_counts_who_moves_stays_gains_and_loses() {
    let (old, new) = (preset("one-way"), preset("verified-interest"));
    let people = people(&[("lead", 5), ("prospect", 3), ("client", 2)]);
    let stages = map(&[("prospect", "contact")]);
    let found = plan(&old, &new, &stages, &people).expect("everyone is mapped");
    assert_eq!((found.moving, found.staying), (3, 7));
    assert_eq!(found.losing, counts(&[("portal_login", 3)]));
    assert!(found.gaining.is_empty());
    assert!(found.fence, "prospects lose the login");
    // The same policy once more, and one that only adds, need no fence.
    assert!(
        !plan(&old, &old, &BTreeMap::new(), &people)
            .expect("nothing changes")
            .fence
    );
    let mut more = old.definition().clone();
    more.stages[0].entitlements = vec!["promo_material".to_owned()];
    let more = COMPILER
        .compile(&more, &Fields::none())
        .expect("it compiles");
    let found = plan(&old, &more, &BTreeMap::new(), &people).expect("nothing vanishes");
    assert!(!found.fence);
    assert_eq!(found.gaining, counts(&[("promo_material", 5)]));
    assert!(
        plan(&more, &old, &BTreeMap::new(), &Standing::new())
            .expect("nobody is there")
            .fence
    );
}

#[test]
fn a_plan_counts_what_people_lose_when_companies_come_first() {
    let old = preset("one-way");
    let mut definition = old.definition().clone();
    definition.mode = policy::definition::Mode::CompanyFirst;
    let new = COMPILER
        .compile(&definition, &Fields::none())
        .expect("it compiles");
    let found = plan(&old, &new, &BTreeMap::new(), &people(&[("client", 2)])).expect("a plan");
    let lost = OF_COMPANIES.map(|key| (key, 2));
    assert_eq!(found.losing, counts(&lost));
    assert!(found.fence && found.gaining.is_empty());
    let companies = standing(Kind::Company, &[("client", 2)]);
    let found = plan(&old, &new, &BTreeMap::new(), &companies).expect("a plan");
    assert!(found.losing.is_empty() && found.fence);
    let found = plan(&new, &old, &BTreeMap::new(), &people(&[("client", 2)])).expect("a plan");
    assert_eq!(found.gaining, counts(&lost));
    assert!(!found.fence);
}

#[test]
fn mapping_writes_one_row_with_what_it_gives_and_takes() {
    let (old, new) = (preset("one-way"), preset("verified-interest"));
    let stages = map(&[("prospect", "contact")]);
    let moved = |stage: &str| {
        let at = Position::at(stage, 4, Micros(0));
        let to = mapped(&new, &stages, stage).expect("it leads somewhere");
        let request = Request {
            actor: "ada@example.com",
            ..Request::default()
        };
        let command = Command::Map {
            from: &old,
            stage: to,
            request,
        };
        decide(&new, &at, &ready(), command, NOW).expect("not refused")
    };
    let decision = moved("prospect");
    let row = &decision.transitions[0];
    assert_eq!(
        (row.from.as_deref(), row.to.as_deref()),
        (Some("prospect"), Some("contact"))
    );
    assert_eq!(
        (row.cause, row.revision, row.barrier),
        (Cause::Activation, 5, true)
    );
    assert_eq!(
        row.lost.iter().map(String::as_str).collect::<Vec<_>>(),
        ["portal_login"]
    );
    assert!(
        decision.effects.is_empty(),
        "nobody entered by their own doing"
    );
    assert!(moved("client").is_empty());
    assert_eq!(mapped(&new, &stages, "gone"), None);
}
