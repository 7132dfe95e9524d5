//! The cases of `policies/` in the truth folder, each mapped to what the engine is asked.
//!
//! The sources describe opportunity pipelines as well as contact funnels. The engine knows stages,
//! their order and their probability; amounts and forecasts are computed here from those, as the
//! opportunity service will. Every case must be mapped: one that is not makes the test fail.

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use common::{convert, open, path, preset, ready, yaml};
use policy::{Policy, Position, is_slug};
use serde_json::Value as Json;
use types::Micros;

/// Cases about an opportunity's own numbers, which no policy holds: for the opportunity service.
const OUTSIDE: [(&str, &str, &str); 1] = [(
    "odoo",
    "opportunity with probability 65.5",
    "weighted amount of 15000 asked",
)];

/// The policy of a case, and the ids of its stages by the names that the source uses.
struct Subject {
    policy: Policy,
    ids: BTreeMap<String, String>,
}

/// The slug of a stage's name: what a resource id may contain of it.
fn slug(name: &str) -> String {
    let plain: String = name
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    plain.trim_matches('-').to_owned()
}

/// An opportunity pipeline as a policy in which every stage leads to every other.
fn pipeline(stages: &[Json]) -> Subject {
    let mut ids = BTreeMap::new();
    let mut lines = Vec::new();
    for (at, stage) in stages.iter().enumerate() {
        let name = stage["name"].as_str().expect("a name");
        let order = stage["sequence"].as_u64().or(stage["sort"].as_u64());
        let order = order.unwrap_or(at as u64 + 1);
        let won = name.to_lowercase().contains("won");
        let role = if won { "CLIENT" } else { "LEAD" };
        let (id, probability) = (slug(name), &stage["probability"]);
        lines.push(format!(
            "{{id: {id}, display_name: '{name}', role: {role}, order: {order}, \
              probability_percent: {probability}}}"
        ));
        ids.insert(name.to_owned(), id);
    }
    let all: Vec<&String> = ids.values().collect();
    let moves: Vec<String> = all
        .iter()
        .flat_map(|from| all.iter().map(move |to| (from, to)))
        .filter(|(from, to)| from != to)
        .map(|(from, to)| format!("{{from: {from}, to: {to}}}"))
        .collect();
    let initial = slug(stages[0]["name"].as_str().expect("a name"));
    let policy = yaml(&format!(
        "{{initial: {initial}, stages: [{}], transitions: [{}]}}",
        lines.join(", "),
        moves.join(", ")
    ));
    Subject { policy, ids }
}

impl Subject {
    fn of_preset(id: &str) -> Self {
        let policy = preset(id);
        let ids = policy
            .definition()
            .stages
            .iter()
            .map(|stage| (stage.display_name.clone(), stage.id.clone()))
            .collect();
        Self { policy, ids }
    }

    fn id(&self, name: &str) -> &str {
        &self.ids[name]
    }

    fn moves(&self, from: &str, to: &str) -> Result<(), &'static str> {
        let position = Position::at(self.id(from), 1, Micros(0));
        convert(&self.policy, &position, &ready(), self.id(to))
            .map(|_| ())
            .map_err(|refusal| refusal.reason())
    }

    fn probability(&self, name: &str) -> i64 {
        let stage = self.policy.stage(self.id(name)).expect("it is there");
        i64::from(stage.probability_percent.expect("the source has one"))
    }

    /// An amount in minor units weighed with the stage's probability.
    fn weighted(&self, minor_units: i64, name: &str) -> i64 {
        minor_units * self.probability(name) / 100
    }

    /// The open stages by order: what a funnel shows from left to right.
    fn funnel(policy: &Policy) -> Vec<&str> {
        let mut stages: Vec<_> = policy.definition().stages.iter().collect();
        stages.sort_by_key(|stage| (stage.role, stage.order));
        stages.iter().map(|stage| stage.id.as_str()).collect()
    }
}

#[test]
fn the_rules_of_real_systems_are_reproduced() {
    let Ok(root) = std::env::var("CLIENTELE_TRUTH") else {
        println!("CLIENTELE_TRUTH is not set: the policy cases are skipped");
        return;
    };
    let file = Path::new(&root).join("policies/policies.json");
    let text = std::fs::read_to_string(file).expect("the truth folder has the policy cases");
    let json: Json = serde_json::from_str(&text).expect("the cases are JSON");
    let (mut reproduced, mut outside) = (0, 0);
    for source in json["policies"].as_array().expect("a list") {
        let id = source["id"].as_str().expect("an id");
        let subject = match id {
            "seed_contact_lead_client" => Subject::of_preset("free-switch"),
            "seed_lead_prospect_client" => Subject::of_preset("one-way"),
            _ => pipeline(source["stages"].as_array().expect("stages")),
        };
        for stage in source["stages"].as_array().expect("stages") {
            let name = stage["name"].as_str().expect("a name");
            let known = subject
                .policy
                .stage(subject.id(name))
                .expect("every stage is there");
            assert_eq!(known.display_name, name, "{id}");
        }
        for case in source["cases"].as_array().expect("cases") {
            let text = |key: &str| case[key].as_str().unwrap_or_default().to_owned();
            let (given, when, then) = (text("given"), text("when"), text("then"));
            if OUTSIDE.contains(&(id, given.as_str(), when.as_str())) {
                println!("{id}: {given}; {when}: {then} <- outside: nothing of it is the engine's");
                outside += 1;
                continue;
            }
            let how = check(id, &subject, &given, &when, &then);
            println!("{id}: {given}; {when}: {then} <- {how}");
            reproduced += 1;
        }
    }
    println!("policy cases: {reproduced} reproduced, {outside} outside the engine");
    assert!(reproduced > 0);
}

/// Checks one case and says what it was mapped to.
fn check(id: &str, subject: &Subject, given: &str, when: &str, then: &str) -> String {
    match id {
        "seed_contact_lead_client" => free_switch(subject, given, when, then),
        "seed_lead_prospect_client" => one_way(subject, given, when, then),
        _ => opportunity(id, subject, given, when, then),
    }
}

fn free_switch(subject: &Subject, given: &str, when: &str, then: &str) -> String {
    if when == "created" {
        let opened = open(&subject.policy, &ready(), "").expect("it opens");
        assert_eq!(path(&opened), [subject.id(then)]);
        return format!("opened in `{}`", subject.id(then));
    }
    let to = when
        .trim_start_matches("to ")
        .split(' ')
        .next()
        .expect("a stage");
    // Where the source leaves it open the preset decides: every pair is allowed, a switch of ours.
    assert!(
        then.starts_with("allowed") || then.starts_with("not stated"),
        "{then}"
    );
    assert_eq!(subject.moves(given, to), Ok(()), "{given} to {to}");
    format!("converted `{}` to `{}`", subject.id(given), subject.id(to))
}

fn one_way(subject: &Subject, given: &str, when: &str, then: &str) -> String {
    let denied = !then.starts_with("allowed");
    if let Some(to) = when.strip_prefix("to ") {
        let expected = if denied {
            Err("TRANSITION_NOT_ALLOWED")
        } else {
            Ok(())
        };
        assert_eq!(subject.moves(given, to), expected, "{given} to {to}");
        return format!(
            "converted `{}` to `{}`: {expected:?}",
            subject.id(given),
            subject.id(to)
        );
    }
    let keys: &[&str] = match when {
        "logs in to the portal" | "logs in" => &["portal_login"],
        "gets an estimate or a proposal" => &["estimate", "proposal"],
        "gets an estimate" => &["estimate"],
        "gets an invoice" => &["invoice"],
        "is assigned to a project" => &["project"],
        other => panic!("the case `{given}; {other}` is not mapped"),
    };
    for key in keys {
        assert_eq!(
            subject.policy.entitles(subject.id(given), key),
            !denied,
            "{given} {key}"
        );
    }
    format!(
        "entitlements {keys:?} of `{}`: {}",
        subject.id(given),
        !denied
    )
}

fn opportunity(id: &str, subject: &Subject, given: &str, when: &str, then: &str) -> String {
    match (id, given, when) {
        ("odoo", "opportunity at Proposition", "moved to New") => {
            assert_eq!(
                (subject.moves("Proposition", "New"), then),
                (Ok(()), "allowed")
            );
            "converted backward".to_owned()
        }
        ("odoo", "opportunity at New", "moved to Won") => {
            assert_eq!(subject.moves("New", "Won"), Ok(()));
            assert_eq!(format!("probability {}", subject.probability("Won")), then);
            "converted; probability of the stage entered".to_owned()
        }
        ("odoo", "opportunity at Proposition", "marked lost") => {
            // Lost is no stage: nothing in the policy leads there, so the outcome leaves the stage.
            assert!(subject.policy.stage("lost").is_none());
            let at = Position::at(subject.id("Proposition"), 3, Micros(0));
            let refusal =
                convert(&subject.policy, &at, &ready(), "lost").expect_err("no such stage");
            assert_eq!(refusal.reason(), "STAGE_UNKNOWN");
            let mut facts = ready();
            facts.opportunity.state = "LOST".into();
            let changed = policy::Command::OpportunityChanged;
            let decision = policy::decide(&subject.policy, &at, &facts, changed, common::NOW);
            assert_eq!(at.after(&decision.expect("not refused")), at);
            "the outcome is a fact; the position stays at `proposition`".to_owned()
        }
        ("odoo", "stages with sequences 1,2,3,70", "a stage with sequence 10 is added") => {
            let mut stages: Vec<Json> = [("New", 1), ("Qualified", 2), ("Proposition", 3), ("Won", 70)]
                .map(|(name, order)| serde_json::json!({"name": name, "sequence": order, "probability": 50}))
                .to_vec();
            stages.push(serde_json::json!({"name": "Added", "sequence": 10, "probability": 50}));
            let added = pipeline(&stages).policy;
            assert_eq!(
                Subject::funnel(&added),
                ["new", "qualified", "proposition", "added", "won"]
            );
            assert!(added.is_skip("proposition", "won") && !added.is_skip("added", "won"));
            "order of the stages, and what skips".to_owned()
        }
        ("espocrm_opportunity", "amount 1000 at Proposal", "moved to Negotiation") => {
            assert_eq!(subject.moves("Proposal", "Negotiation"), Ok(()));
            let weights =
                ["Proposal", "Negotiation"].map(|stage| subject.weighted(100_000, stage) / 100);
            assert_eq!(
                format!("weighted amount {} then {}", weights[0], weights[1]),
                then
            );
            "weighed with the stage's probability before and after".to_owned()
        }
        ("espocrm_opportunity", "any open stage", "Closed Lost") => {
            for stage in subject
                .ids
                .keys()
                .filter(|stage| !stage.starts_with("Closed"))
            {
                assert_eq!(subject.moves(stage, "Closed Lost"), Ok(()), "{stage}");
            }
            assert_eq!(subject.weighted(100_000, "Closed Lost"), 0, "{then}");
            "converted from every open stage; weighed with probability 0".to_owned()
        }
        ("frappe_deal", "a stage called Demo/Making", "used as a resource id") => {
            let stage = subject
                .policy
                .stage("demo-making")
                .expect("the slug is the id");
            assert!(is_slug(&stage.id) && !is_slug(&stage.display_name));
            assert_eq!(stage.display_name, "Demo/Making", "{then}");
            "id and display name".to_owned()
        }
        ("krayin", "every open stage with probability 100", "forecast") => {
            let open: Vec<&String> = subject
                .ids
                .keys()
                .filter(|stage| *stage != "lost")
                .collect();
            let forecast: i64 = open
                .iter()
                .map(|stage| subject.weighted(12_345, stage))
                .sum();
            assert_eq!(
                forecast,
                12_345 * i64::try_from(open.len()).expect("few"),
                "{then}"
            );
            assert_eq!(
                Subject::funnel(&subject.policy)[1..4],
                ["follow-up", "prospect", "negotiation"]
            );
            "the policy loads; weighed with 100 percent".to_owned()
        }
        _ => panic!("the case `{given}; {when}` of {id} is not mapped"),
    }
}
