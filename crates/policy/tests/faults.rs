//! Definitions that contradict themselves: every fault, with its path, when the policy is saved.

mod common;

use common::COMPILER;
use policy::{CompileError, Definition, FaultCode, Fields};

fn faults(text: &str) -> Vec<(String, String)> {
    let definition = Definition::from_yaml(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    match COMPILER.compile(&definition, &Fields::none()) {
        Ok(_) => Vec::new(),
        Err(CompileError::Invalid(faults)) => {
            for fault in &faults {
                assert!(fault.message.ends_with('.'), "{fault}");
                let expression = fault.path.ends_with("expression") || fault.path.ends_with("when");
                assert_eq!(
                    fault.code == FaultCode::PolicyExpressionInvalid,
                    expression,
                    "{fault}"
                );
            }
            faults
                .into_iter()
                .map(|fault| (fault.path, fault.message))
                .collect()
        }
        Err(CompileError::Busy) => panic!("the compiler is busy"),
    }
}

/// A definition of two stages with `rest` added to it.
fn with(rest: &str) -> String {
    format!(
        "initial: a
stages: [{{id: a, role: LEAD}}, {{id: b, role: CLIENT}}]
transitions: [{{from: a, to: b}}]
{rest}
"
    )
}

#[test]
fn each_fault_has_its_path_and_a_sentence() {
    for (text, path, says) in [
        ("{initial: x, stages: [{id: a, role: LEAD}]}".to_owned(), "initial", "no stage `x`"),
        ("{initial: a, stages: []}".to_owned(), "stages", "at least one stage"),
        ("{initial: a, stages: [{id: a, role: LEAD}, {id: a, role: LEAD}]}".to_owned(), "stages[1].id", "used twice"),
        ("{initial: A/b, stages: [{id: A/b, role: LEAD}]}".to_owned(), "stages[0].id", "beginning with a letter"),
        ("{initial: a, stages: [{id: a, role: LEAD}, {id: b, role: LEAD}]}".to_owned(), "stages[1]", "Nothing leads to `b`"),
        ("{initial: a, stages: [{id: a, role: PROSPECT, entitlements: [invoice]}]}".to_owned(), "stages[0].entitlements[0]", "Only a stage of role CLIENT grants `invoice`"),
        ("{initial: a, stages: [{id: a, role: CONTACT, entitlements: [estimate, project]}]}".to_owned(), "stages[0].entitlements[1]", "Only a stage of role CLIENT grants `project`"),
        ("{initial: a, stages: [{id: a, role: LEAD, entitlements: [Estimate]}]}".to_owned(), "stages[0].entitlements[0]", "underscores"),
        ("{initial: a, stages: [{id: a, role: LEAD, entitlements: [x, x]}]}".to_owned(), "stages[0].entitlements[1]", "listed twice"),
        ("{initial: a, stages: [{id: a, role: LEAD, enter: [g]}]}".to_owned(), "stages[0].enter[0]", "no guard `g`"),
        ("{initial: a, stages: [{id: a, role: LEAD, probability_percent: 101}]}".to_owned(), "stages[0].probability_percent", "0 to 100"),
        ("{initial: a, stages: [{id: a, role: LEAD, on_enter: [{effect: enrol}]}]}".to_owned(), "stages[0].on_enter[0].sequence", "id of a sequence"),
        ("{initial: a, stages: [{id: a, role: LEAD, display_name: \"a\\u0000b\"}]}".to_owned(), "stages[0].display_name", "control characters"),
        (with("create_in: [b]"), "create_in", "initial stage"),
        (with("create_in: [a, x]"), "create_in[1]", "no stage `x`"),
        (with("create_in: [a, a]"), "create_in[1]", "listed twice"),
        ("{initial: a, stages: [{id: a, role: LEAD}], transitions: [{from: a, to: x}]}".to_owned(), "transitions[0].to", "no stage `x`"),
        ("{initial: a, stages: [{id: a, role: LEAD}], transitions: [{from: a, to: a}]}".to_owned(), "transitions[0]", "another stage"),
        ("{initial: a, stages: [{id: a, role: LEAD}, {id: b, role: LEAD}], transitions: [{from: a, to: b}, {from: a, to: b}]}".to_owned(), "transitions[1]", "listed twice"),
        ("{initial: a, stages: [{id: a, role: LEAD}, {id: b, role: LEAD}], transitions: [{from: a, to: b, guards: [g]}]}".to_owned(), "transitions[0].guards[0]", "no guard `g`"),
        (with("guards: [{id: g, expression: 'true'}, {id: g, expression: 'true'}]"), "guards[1].id", "used twice"),
        (with("guards: [{id: g, expression: contact.has_emial}]"), "guards[0].expression", "no `contact.has_emial`"),
        (with("guards: [{id: g, expression: contact.owner}]"), "guards[0].expression", "gives string"),
        (with("guards: [{id: g, expression: '1 +'}]"), "guards[0].expression", "does not parse"),
        (with("intake: [{id: i, when: 'true'}]"), "intake[0]", "either a stage or"),
        (with("intake: [{id: i, when: 'true', stage: a, none: true}]"), "intake[0]", "either a stage or"),
        (with("intake: [{id: i, when: 'true', stage: b}]"), "intake[0].stage", "not a stage that contacts are opened in"),
        (with("intake: [{id: i, when: '1', none: true}]"), "intake[0].when", "gives int"),
        (with("triggers: [{id: t, on: activity, from: [a], mode: auto}]"), "triggers[0].to", "where to"),
        (with("triggers: [{id: t, on: activity, from: [], to: b, mode: auto}]"), "triggers[0].from", "at least one"),
        (with("triggers: [{id: t, on: activity, from: [b], to: a, mode: auto}]"), "triggers[0].from[0]", "No transition leads from `b` to `a`"),
        (with("triggers: [{id: t, on: activity, from: [b], to: b, mode: suggest}]"), "triggers[0].from[0]", "to itself"),
        (with("triggers: [{id: t, on: activity, from: [a], through: a, to: b, mode: auto}]"), "triggers[0].through", "Only triggers on"),
        (with("triggers: [{id: t, on: fact, from: [a], to: b, mode: auto, trail: {count: 1, within: 1d}}]"), "triggers[0].trail", "Only triggers on"),
        (with("triggers: [{id: t, on: activity, from: [a], to: b, mode: auto, trail: {count: 0, within: 1d}}]"), "triggers[0].trail.count", "1 to 1000"),
        (with("triggers: [{id: t, on: timer, from: [a], to: b, mode: auto}]"), "triggers[0].from[0]", "time budget"),
        (with("triggers: [{id: t, on: fact, from: [a], to: b, mode: auto, after: 1d}]"), "triggers[0]", "Only triggers on `timer`"),
        (with("triggers: [{id: t, on: fact, from: [a, a], to: b, mode: auto}]"), "triggers[0].from[1]", "listed twice"),
        (with("triggers: [{id: t, on: fact, from: [x], to: y, mode: auto}]"), "triggers[0].to", "no stage `y`"),
        (with("scores: [{id: s, when: 'true', points: 5000}]"), "scores[0].points", "-1000 to 1000"),
        (with("reasons: [a, a]"), "reasons[1]", "listed twice"),
        (with("company_first: {company_required: false}"), "company_first", "mode: company_first"),
    ] {
        let found = faults(&text);
        assert!(
            found.iter().any(|(at, message)| at == path && message.contains(says)),
            "{text}: {found:?} lacks {path}: {says}"
        );
    }
}

#[test]
fn all_faults_are_listed_at_once() {
    let found = faults(
        "initial: nowhere
stages: [{id: Bad Id, role: LEAD, entitlements: [invoice, project]}, {id: b, role: CLIENT}]
transitions: [{from: b, to: b}, {from: c, to: d}]
guards: [{id: g, expression: contact.nothing && 1}, {id: h, expression: '('}]
intake: [{id: i, when: now}]
",
    );
    let paths: Vec<&str> = found.iter().map(|(path, _)| path.as_str()).collect();
    for path in [
        "initial",
        "stages[0].id",
        "stages[0].entitlements[0]",
        "stages[0].entitlements[1]",
        "stages[1]",
        "transitions[0]",
        "transitions[1].from",
        "transitions[1].to",
        "guards[0].expression",
        "guards[1].expression",
        "intake[0]",
        "intake[0].when",
    ] {
        assert!(paths.contains(&path), "{path} is missing in {paths:?}");
    }
}

#[test]
fn limits_are_limits() {
    let stages = |count: usize| {
        let list: Vec<String> = (0..count)
            .map(|at| format!("{{id: s{at}, role: LEAD}}"))
            .collect();
        let open: Vec<String> = (0..count).map(|at| format!("s{at}")).collect();
        format!(
            "{{initial: s0, stages: [{}], create_in: [{}]}}",
            list.join(", "),
            open.join(", ")
        )
    };
    assert!(faults(&stages(64)).is_empty());
    assert_eq!(faults(&stages(65))[0].0, "stages");
    let guards: Vec<String> = (0..257)
        .map(|at| format!("{{id: g{at}, expression: 'true'}}"))
        .collect();
    assert_eq!(
        faults(&with(&format!("guards: [{}]", guards.join(", "))))[0].0,
        "guards"
    );
    let keys: Vec<String> = (0..65).map(|at| format!("k{at}")).collect();
    let stage = format!(
        "{{initial: a, stages: [{{id: a, role: LEAD, entitlements: [{}]}}]}}",
        keys.join(", ")
    );
    assert_eq!(faults(&stage)[0].0, "stages[0].entitlements");
    let long: Vec<String> = (0..20)
        .map(|at| {
            format!(
                "{{id: g{at}, expression: \"true // {}\"}}",
                "x".repeat(4000)
            )
        })
        .collect();
    let definition =
        Definition::from_yaml(&with(&format!("guards: [{}]", long.join(", ")))).expect("it reads");
    let refused = COMPILER
        .compile(&definition, &Fields::none())
        .expect_err("64 KiB together");
    assert_eq!(refused.faults()[0].code, FaultCode::PolicyExpressionInvalid);
    assert_eq!(
        refused.faults()[0].code.as_str(),
        "POLICY_EXPRESSION_INVALID"
    );
}

#[test]
fn display_names_keep_their_slashes() {
    let text = "{initial: demo-making, stages: [{id: demo-making, display_name: Demo/Making, role: LEAD}]}";
    let policy = common::yaml(text);
    assert_eq!(
        policy
            .stage("demo-making")
            .expect("it is there")
            .display_name,
        "Demo/Making"
    );
    assert!(policy.stage("Demo/Making").is_none());
}
