//! The conformance cases of the CEL specification, for the part of the language that guards have.
//!
//! The cases stand outside the repository, under `CLIENTELE_TRUTH`; without it the test says so.

use std::path::Path;

use cel::Value;
use serde_json::Value as Json;

use super::eval::{Outcome, evaluate};
use super::{Fields, Scope, compile_as};
use crate::facts::{Engagement, Facts};

/// What guards leave out of CEL, as the refusals name it.
const LEFT_OUT: [&str; 5] = [
    "unsigned numbers are not part",
    "bytes are not part",
    "null is not part",
    "there is no function `dyn`",
    "there is no `x`",
];

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// The value, or the error, is the one expected.
    Same,
    /// The case uses what guards leave out.
    Outside(String),
    /// The case switches the type checker off to see a run-time error; guards are always checked.
    Unchecked,
    Different(String),
}

#[test]
fn the_guard_language_answers_as_the_specification_says() {
    let Ok(root) = std::env::var("CLIENTELE_TRUTH") else {
        println!("CLIENTELE_TRUTH is not set: the CEL conformance cases are skipped");
        return;
    };
    let path = Path::new(&root).join("cel/raw/core.json");
    let text = std::fs::read_to_string(&path).expect("the truth folder has the CEL cases");
    let json: Json = serde_json::from_str(&text).expect("the cases are JSON");
    let cases = json["cases"].as_array().expect("a list of cases");
    let (mut same, mut unchecked) = (0, 0);
    let mut outside = std::collections::BTreeMap::<String, usize>::new();
    let mut different = Vec::new();
    for case in cases {
        match verdict(case) {
            Verdict::Same => same += 1,
            Verdict::Unchecked => unchecked += 1,
            Verdict::Outside(why) => *outside.entry(why).or_default() += 1,
            Verdict::Different(why) => different.push(format!("{}: {why}", case["expr"])),
        }
    }
    println!(
        "CEL conformance: {} cases, {same} answered as specified, {unchecked} with the type checker \
         off (refused when saved), {} outside the guard language: {outside:?}",
        cases.len(),
        outside.values().sum::<usize>()
    );
    assert!(different.is_empty(), "{different:#?}");
    assert!(
        same >= 100,
        "only {same} cases are inside the guard language"
    );
}

fn verdict(case: &Json) -> Verdict {
    let expression = case["expr"].as_str().expect("an expression");
    let error_expected = case.get("expect_error").is_some();
    let compiled = match compile_as(expression, &Fields::none(), None) {
        Ok((_, compiled)) => compiled,
        Err(problems) => {
            let problem = problems.first().cloned().unwrap_or_default();
            return match LEFT_OUT.iter().find(|out| problem.contains(*out)) {
                Some(out) => Verdict::Outside((*out).to_owned()),
                None if case["disable_check"] == true => Verdict::Unchecked,
                None => Verdict::Different(format!("refused: {problem}")),
            };
        }
    };
    let facts = Facts::default();
    let scope = Scope {
        facts: &facts,
        engagement: &Engagement::default(),
        stage: "",
        role: "",
        entered: None,
        activity: None,
        reason: "",
        actor: "",
        now: types::Micros(0),
    };
    let found = evaluate(&compiled.tree, &compiled.reads, &compiled.patterns, &scope);
    match found {
        Err(_) if error_expected => Verdict::Same,
        Err(why) => Verdict::Different(format!("error: {why}")),
        Ok(value) if error_expected => Verdict::Different(format!("no error but {value:?}")),
        Ok(value) => {
            let value = match value {
                Outcome::Bool(answer) => Value::Bool(answer),
                Outcome::Other(value) => value,
            };
            if equal(&value, &case["expect"]) {
                Verdict::Same
            } else {
                Verdict::Different(format!("{value:?} instead of {}", case["expect"]))
            }
        }
    }
}

fn equal(value: &Value, expected: &Json) -> bool {
    let (kind, expected) = expected
        .as_object()
        .and_then(|object| object.iter().next())
        .expect("one typed value");
    let text = expected.as_str().unwrap_or_default();
    match (kind.as_str(), value) {
        ("int", Value::Int(value)) => Ok(*value) == text.parse(),
        ("double", Value::Float(value)) => text
            .parse::<f64>()
            .is_ok_and(|text| text.to_bits() == value.to_bits()),
        ("string", Value::String(value)) => value.as_str() == text,
        ("bool", Value::Bool(value)) => expected.as_bool() == Some(*value),
        ("list", Value::List(values)) => {
            let expected = expected.as_array().expect("a list");
            values.len() == expected.len()
                && values
                    .iter()
                    .zip(expected)
                    .all(|(value, expected)| equal(value, expected))
        }
        ("map", Value::Map(map)) => {
            let entries = expected.as_array().expect("a list of entries");
            map.map.len() == entries.len()
                && entries.iter().all(|entry| {
                    map.map.iter().any(|(key, value)| {
                        equal(&Value::from(key), &entry[0]) && equal(value, &entry[1])
                    })
                })
        }
        _ => false,
    }
}
