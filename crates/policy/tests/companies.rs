//! Company-first mode: companies follow their primary contacts, and people belong to companies.

mod common;

use common::{COMPILER, DAY, NOW, convert, open, preset, ready};
use policy::{Position, Refusal, Request, preview};
use types::Micros;

#[test]
fn company_first_leaves_companies_to_their_primary_contact() {
    let mut definition = preset("one-way").definition().clone();
    definition.mode = policy::definition::Mode::CompanyFirst;
    let policy = COMPILER
        .compile(&definition, &policy::Fields::none())
        .expect("it compiles");
    let mut facts = ready();
    facts.contact.kind = "COMPANY".into();
    let opened = open(&policy, &facts, "").expect("not refused");
    assert_eq!(opened.withheld, Some(policy::Withheld::CompanyFirst));
    let refusal =
        convert(&policy, &Position::none(), &facts, "lead").expect_err("follows its primary");
    assert_eq!(refusal, Refusal::CompanyFollowsPrimary);
    assert!(convert(&policy, &Position::none(), &ready(), "lead").is_ok());
}

#[test]
fn company_first_asks_of_a_person_to_belong_to_a_company_unless_told_otherwise() {
    let mut definition = preset("one-way").definition().clone();
    definition.mode = policy::definition::Mode::CompanyFirst;
    let compile = |required: Option<bool>| {
        let mut definition = definition.clone();
        let settings = |company_required| policy::definition::CompanyFirst { company_required };
        definition.company_first = required.map(settings);
        COMPILER
            .compile(&definition, &policy::Fields::none())
            .expect("it compiles")
    };
    let mut alone = ready();
    alone.contact.has_company = false;
    let at_lead = Position::at("lead", 1, Micros(DAY));
    for (required, asked) in [(None, true), (Some(true), true), (Some(false), false)] {
        let policy = compile(required);
        assert_eq!(open(&policy, &alone, "").is_err(), asked, "{required:?}");
        let converted = convert(&policy, &at_lead, &alone, "client");
        assert_eq!(converted.is_err(), asked, "{required:?}");
        let stages = preview(&policy, &at_lead, &alone, &Request::default(), NOW);
        let client = stages.iter().find(|stage| stage.stage == "client");
        let client = client.expect("a preview");
        assert_eq!(client.reachable, !asked, "{required:?}");
        if let Err(refusal) = converted {
            let failed = &refusal.failed_guards()[0];
            assert_eq!(failed.id, "company-required");
            assert!(!failed.message.is_empty());
            assert_eq!(client.guards[0].id, "company-required");
        }
        // Whoever belongs to one, and whoever is no person, is not asked.
        assert!(open(&policy, &ready(), "").is_ok());
        let mut group = alone.clone();
        group.contact.kind = "GROUP".into();
        assert!(open(&policy, &group, "").is_ok());
        assert!(policy.definition().guards.len() == definition.guards.len());
    }
    assert!(open(&preset("one-way"), &alone, "").is_ok());
    // As soon as the company is known, the person is opened.
    let policy = compile(None);
    let none = Position::none();
    assert!(
        common::facts_changed(&policy, &none, &alone)
            .transitions
            .is_empty()
    );
    let opened = common::facts_changed(&policy, &none, &ready());
    assert_eq!(common::path(&opened), ["lead"]);
}
