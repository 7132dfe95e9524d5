//! Masks, path by path.

use types::Micros;

use super::super::facts::Email;
use super::*;

fn mask(paths: &[&str]) -> Vec<String> {
    paths.iter().map(|path| (*path).to_owned()).collect()
}

fn old() -> Facts {
    Facts {
        kind: Kind::Company,
        display_name: "Example Ltd".into(),
        given_name: "Ada".into(),
        emails: vec![Email {
            address: "ada@example.com".into(),
            verified: true,
            ..Email::default()
        }],
        labels: [("tier", "gold"), ("area", "north")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        requested_stage: "lead".into(),
        ..Facts::default()
    }
}

#[test]
fn only_what_the_mask_names_changes() {
    let new = Facts {
        given_name: "Al".into(),
        family_name: "L".into(),
        labels: [("tier".to_owned(), "silver".to_owned())].into(),
        ..Facts::default()
    };
    let facts = applied(
        &old(),
        &new,
        None,
        &mask(&["given_name", "labels.tier", "labels.area"]),
    )
    .expect("a good mask");
    assert_eq!(
        (facts.given_name.as_str(), facts.family_name.as_str()),
        ("Al", "")
    );
    assert_eq!(facts.labels, new.labels);
    assert_eq!(facts.display_name, "Example Ltd");
    let paths = changed_paths(&old(), &facts);
    assert_eq!(paths, ["given_name", "labels.area", "labels.tier"]);
}

#[test]
fn a_star_replaces_everything_but_what_never_changes() {
    let new = Facts {
        emails: old()
            .emails
            .iter()
            .map(|e| Email {
                verified: false,
                ..e.clone()
            })
            .collect(),
        ..Facts::default()
    };
    let facts = applied(&old(), &new, None, &mask(&["*"])).expect("a good mask");
    assert_eq!(facts.kind, Kind::Company);
    assert_eq!(facts.requested_stage, "lead");
    assert!(facts.display_name.is_empty() && facts.labels.is_empty());
    assert!(
        facts.emails[0].verified,
        "an address that stays keeps its proof"
    );
}

#[test]
fn parts_of_messages_are_addressed() {
    let new = Facts {
        interest: Some(Interest {
            expressed_time: Micros(7),
            evidence: "asked".into(),
        }),
        ..Facts::default()
    };
    let paths = mask(&["interest.evidence", "qualification.checklist.budget"]);
    let facts = applied(&old(), &new, None, &paths).expect("a good mask");
    assert_eq!(facts.interest, new.interest);
    assert_eq!(facts.qualification, None);
}

#[test]
fn a_part_of_a_message_that_is_not_given_claims_nothing() {
    let parts = [
        "interest.evidence",
        "interest.expressed_time",
        "identity.method",
        "identity.verified_time",
        "qualification.verdict",
        "qualification.checklist",
        "qualification.checklist.budget",
    ];
    for part in parts {
        let facts = applied(&old(), &Facts::default(), None, &mask(&[part]));
        assert_eq!(facts, Ok(old()), "{part}");
    }
}

#[test]
fn a_time_that_must_be_there_takes_its_message_with_it_when_it_is_cleared() {
    let known = Facts {
        interest: Some(Interest {
            expressed_time: Micros(7),
            evidence: "asked".into(),
        }),
        identity: Some(Identity {
            verified_time: Micros(8),
            method: "called back".into(),
        }),
        ..old()
    };
    let cleared = |path: &str| applied(&known, &Facts::default(), None, &mask(&[path]));
    let facts = cleared("interest.expressed_time").expect("a good mask");
    assert_eq!(
        (facts.interest, facts.identity),
        (None, known.identity.clone())
    );
    let facts = cleared("identity.verified_time").expect("a good mask");
    assert_eq!(
        (facts.interest, facts.identity),
        (known.interest.clone(), None)
    );
    let facts = cleared("interest.evidence").expect("a good mask");
    assert_eq!(
        facts
            .interest
            .map(|interest| (interest.expressed_time, interest.evidence)),
        Some((Micros(7), String::new()))
    );
    let facts = cleared("identity.method").expect("a good mask");
    assert_eq!(
        facts
            .identity
            .map(|identity| (identity.verified_time, identity.method)),
        Some((Micros(8), String::new()))
    );
}

#[test]
fn a_mask_is_known_by_itself_and_names_fields() {
    let fine = mask(&["name", "kind", "labels.tier", "stage", "source.channel"]);
    assert_eq!(check(&fine), Ok(()));
    assert_eq!(check(&mask(&["*"])), Ok(()));
    for path in ["colour", "", "emails.address", "labels.Tier", "*"] {
        let found = check(&mask(&["note", path])).map_err(|fault| fault.path);
        assert_eq!(found, Err(path.to_owned()));
    }
    let named = mask(&["emails", "source.referrer"]);
    for path in ["emails[0].address", "source.campaign", "source"] {
        assert!(names(&named, path), "{path}");
    }
    assert!(!names(&named, "email") && !names(&named, "phones[0].number"));
    assert!(names(&mask(&["*"]), "phones[0].number"));
}

#[test]
fn what_can_not_change_is_refused_and_what_the_service_writes_is_passed_over() {
    let same = Facts {
        requested_stage: "lead".into(),
        ..Facts::default()
    };
    let fine = mask(&[
        "name",
        "kind",
        "requested_stage",
        "stage",
        "create_time",
        "etag",
    ]);
    assert_eq!(
        applied(&old(), &same, Some(Kind::Company), &fine),
        Ok(old())
    );
    for (path, kind) in [
        ("kind", Some(Kind::Person)),
        ("kind", None),
        ("requested_stage", None),
        ("colour", None),
        ("", None),
        ("emails.address", None),
        ("labels.", None),
        ("labels.Tier", None),
        ("source.colour", None),
    ] {
        let found = applied(&old(), &Facts::default(), kind, &mask(&[path]));
        assert_eq!(found.map_err(|fault| fault.path), Err(path.to_owned()));
    }
    let both = applied(&old(), &same, None, &mask(&["*", "note"]));
    assert!(both.is_err());
}
