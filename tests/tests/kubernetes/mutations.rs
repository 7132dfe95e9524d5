//! Every rule finds what it is there to find: an installation that is broken in one place is told of by
//! the rule for it. A rule that no breakage here trips over would be a rule that checks nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::objects::{Objects, name};
use crate::rules::RULES;

/// Where a workload has its pod, and its first container.
const SHORT: [(&str, &str); 2] = [
    ("$pod", "/spec/template/spec"),
    ("$container", "/spec/template/spec/containers/0"),
];

/// Breakages by the rule that must tell of them: object, place and what stands there then.
type Mutations = BTreeMap<String, Vec<(String, String, Value)>>;

/// The installation with one place of it changed.
fn broken(whole: &Objects, object: &str, at: &str, value: &Value) -> Objects {
    let mut objects = whole.clone();
    let (kind, begins) = object.split_once('/').expect("kind and name");
    // What is generated has a hash after its name.
    let is_meant = |found: &Value| {
        let name = name(found);
        let (generated, _) = name.rsplit_once('-').unwrap_or((name, ""));
        let of_generator = found["kind"] == "ConfigMap" && generated == begins;
        found["kind"] == kind && (name == begins || of_generator)
    };
    let index = objects.0.iter().position(is_meant);
    let index = index.unwrap_or_else(|| panic!("there is no {object}"));
    if at.is_empty() {
        objects.0.remove(index);
        return objects;
    }
    let (parent, key) = at.rsplit_once('/').expect("a place");
    let key = key.replace("~1", "/");
    let parent_found = objects.0[index].pointer_mut(parent);
    match parent_found.unwrap_or_else(|| panic!("{object} has no {parent}")) {
        Value::Array(members) => {
            members[key.parse::<usize>().expect("a number")] = value.clone();
        }
        Value::Object(members) if value.is_null() => {
            let taken = members.remove(&key);
            assert!(taken.is_some(), "{object} has no {at}");
        }
        Value::Object(members) => {
            members.insert(key, value.clone());
        }
        other => panic!("{object} has {other} at {parent}"),
    }
    objects
}

#[test]
fn every_rule_tells_of_what_it_is_there_for() {
    let mutations: Mutations =
        serde_saphyr::from_str(include_str!("mutations.yaml")).expect("the breakages");
    let tried: BTreeSet<&str> = mutations.keys().map(String::as_str).collect();
    let rules: BTreeSet<&str> = RULES.iter().map(|(name, _)| *name).collect();
    assert_eq!(tried, rules, "each rule is tried");
    let whole = Objects::render("production");
    let mut silent = Vec::new();
    for (rule, check) in RULES {
        for (object, at, value) in &mutations[*rule] {
            let place = SHORT
                .iter()
                .fold(at.clone(), |at, (short, long)| at.replace(short, long));
            if check(&broken(&whole, object, &place, value)).is_empty() {
                silent.push(format!("{rule}: {object} {at} = {value}"));
            }
        }
    }
    assert!(silent.is_empty(), "unnoticed:\n{}", silent.join("\n"));
}
