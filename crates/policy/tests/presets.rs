//! The five presets, pinned: every stage and entitlement, every pair of stages, where contacts are
//! opened, and that each definition survives YAML and JSON.

mod common;

use std::fmt::Write as _;

use common::{COMPILER, convert, open, preset, ready};
use policy::{Definition, Fields, Position, entitlements, presets};
use types::Micros;

/// `+` for each of the seven standard entitlements that the stage has, in the order of the funnel.
fn table(id: &str) -> String {
    let policy = preset(id);
    let mut text = String::new();
    for stage in policy.stages() {
        let marks: String = entitlements::STANDARD
            .iter()
            .map(|key| {
                if policy.entitles(stage, key) {
                    '+'
                } else {
                    '-'
                }
            })
            .collect();
        let role = policy.role(stage).expect("a stage has a role");
        let opens = if policy.create_in().any(|open| open == stage) {
            " opens"
        } else {
            ""
        };
        writeln!(text, "{stage} {role} {marks}{opens}").expect("a string takes all");
    }
    for from in policy.stages() {
        for to in policy.stages() {
            let position = Position::at(from, 1, Micros(0));
            let Ok(decision) = convert(&policy, &position, &ready(), to) else {
                continue;
            };
            let skip = if decision.transitions[0].skip {
                " skip"
            } else {
                ""
            };
            writeln!(text, "{from} > {to}{skip}").expect("a string takes all");
        }
    }
    text
}

#[test]
fn one_way_is_the_table_of_seed_001() {
    assert_eq!(
        table("one-way"),
        "lead LEAD ------- opens\n\
         prospect PROSPECT +++++-- opens\n\
         client CLIENT +++++++ opens\n\
         lead > prospect\n\
         lead > client skip\n\
         prospect > client\n"
    );
}

#[test]
fn free_switch_is_the_table_of_seed_000() {
    assert_eq!(
        table("free-switch"),
        "contact CONTACT ------- opens\n\
         lead LEAD -++++--\n\
         client CLIENT +++++++\n\
         contact > lead\n\
         contact > client skip\n\
         lead > contact\n\
         lead > client\n\
         client > contact\n\
         client > lead\n"
    );
}

#[test]
fn relationship_is_the_table_of_seed_002() {
    assert_eq!(
        table("relationship"),
        "lead LEAD ------- opens\n\
         contact PROSPECT -++++--\n\
         customer CLIENT +++++++\n\
         lead > contact\n\
         lead > customer skip\n\
         contact > customer\n"
    );
}

#[test]
fn verified_interest_is_the_table_of_seed_003() {
    assert_eq!(
        table("verified-interest"),
        "lead LEAD ------- opens\n\
         contact PROSPECT -++++--\n\
         client CLIENT +++++++\n\
         lead > contact\n\
         contact > client\n"
    );
}

#[test]
fn call_driven_is_the_table_of_seed_004() {
    assert_eq!(
        table("call-driven"),
        "contact CONTACT ------- opens\n\
         lead LEAD -++++-- opens\n\
         customer CLIENT +++++++\n\
         contact > lead\n\
         contact > customer skip\n\
         lead > contact\n\
         lead > customer\n"
    );
}

#[test]
fn every_pair_outside_a_table_is_refused_and_told_what_is_allowed() {
    for known in presets::all() {
        let policy = preset(known.id);
        let stages: Vec<String> = policy.stages().map(str::to_owned).collect();
        for from in &stages {
            let allowed = policy.allowed_from(Some(from));
            for to in stages.iter().filter(|to| !allowed.contains(to)) {
                let position = Position::at(from.as_str(), 7, Micros(0));
                let refusal =
                    convert(&policy, &position, &ready(), to).expect_err("not in the table");
                assert_eq!(
                    refusal.reason(),
                    "TRANSITION_NOT_ALLOWED",
                    "{}: {from} > {to}",
                    known.id
                );
                for other in &allowed {
                    assert!(refusal.to_string().contains(other.as_str()), "{refusal}");
                }
            }
        }
    }
}

#[test]
fn unknown_keys_and_unknown_stages_are_denied() {
    for known in presets::all() {
        let policy = preset(known.id);
        for stage in policy.stages() {
            for key in ["", "Invoice", "invoices", "INVOICE", "anything", "invoice "] {
                assert!(!policy.entitles(stage, key), "{}: {stage} {key}", known.id);
            }
        }
        assert!(policy.entitle("no-such-stage").is_empty());
    }
}

#[test]
fn contacts_open_in_the_initial_stage_and_only_where_the_table_says() {
    for (id, initial) in [
        ("one-way", "lead"),
        ("free-switch", "contact"),
        ("relationship", "lead"),
        ("verified-interest", "lead"),
        ("call-driven", "lead"),
    ] {
        let policy = preset(id);
        let mut facts = ready();
        // Otherwise the facts would lead on at once.
        facts.contact.identity.verified_time = None;
        let decision = open(&policy, &facts, "").expect("it opens");
        assert_eq!(common::path(&decision), [initial], "{id}");
        for stage in policy.stages() {
            let opens = policy.create_in().any(|open| open == stage);
            assert_eq!(open(&policy, &facts, stage).is_ok(), opens, "{id}: {stage}");
        }
        let refusal = open(&policy, &facts, "no-such-stage").expect_err("there is none");
        assert_eq!(refusal.reason(), "STAGE_UNKNOWN");
    }
}

#[test]
fn one_way_is_the_default_and_the_first() {
    assert_eq!(presets::DEFAULT, "one-way");
    assert_eq!(presets::all()[0].id, "one-way");
    assert!(presets::get("no-such-preset").is_none());
}

#[test]
fn definitions_survive_yaml_and_json() {
    for known in presets::all() {
        let definition = known.definition().expect("it reads");
        let yaml = definition.to_yaml().expect("it writes");
        assert_eq!(
            Definition::from_yaml(&yaml).expect("it reads"),
            definition,
            "{yaml}"
        );
        let json = definition.to_json().expect("it writes");
        assert_eq!(
            Definition::from_json(&json).expect("it reads"),
            definition,
            "{json}"
        );
        assert_eq!(
            Definition::from_yaml(&json).expect("JSON is YAML"),
            definition
        );
    }
}

#[test]
fn what_a_definition_does_not_know_is_refused_when_it_is_read() {
    for text in [
        "{initial: a, stages: [{id: a, role: LEAD, colour: red}]}",
        "{initial: a, stages: [{id: a, role: BOSS}]}",
        "{initial: a, stages: [{id: a, role: lead}]}",
        "{initial: a, stages: [{id: a, role: LEAD, time_budget: 3 weeks}]}",
        "{initial: a, stages: [{id: a, role: LEAD}], mode: people_first}",
        "{stages: [{id: a, role: LEAD}]}",
        "initial: [",
        "",
    ] {
        let error = Definition::from_yaml(text).expect_err(text);
        assert!(!error.to_string().contains('\n'), "{error}");
    }
    assert!(Definition::from_yaml(&" ".repeat(2 << 20)).is_err());
}

#[test]
fn company_first_is_available_to_one_way() {
    let mut definition = presets::get("one-way")
        .expect("it ships")
        .definition()
        .expect("it reads");
    definition.mode = policy::definition::Mode::CompanyFirst;
    assert!(COMPILER.compile(&definition, &Fields::none()).is_ok());
}
