//! The guard language: what it admits, what it refuses and what it says.

use std::collections::BTreeMap;

use types::Micros;

use super::{FieldType, Fields, Scope, compile};
use crate::facts::{Activity, Attribute, Engagement, Facts};

fn fields() -> Fields {
    [
        ("tier", FieldType::String),
        ("budget", FieldType::Double),
        ("seats", FieldType::Int),
        ("vip", FieldType::Bool),
        ("renewal", FieldType::Timestamp),
        ("trial", FieldType::Duration),
        ("tags", FieldType::StringList),
    ]
    .into_iter()
    .collect()
}

fn facts() -> Facts {
    let mut facts = Facts::default();
    let contact = &mut facts.contact;
    contact.kind = "PERSON".into();
    contact.has_email = true;
    contact.owner = "ada@example.com".into();
    contact.source.channel = "FORM".into();
    contact.relationship_kinds = vec!["CUSTOMER".to_owned(), "PARTNER".to_owned()];
    contact.labels = BTreeMap::from([("region".to_owned(), "north".to_owned())]);
    contact.qualification.checklist = BTreeMap::from([("budget".to_owned(), true)]);
    contact.interest.expressed_time = Some(Micros(1_500_000));
    contact.attributes = BTreeMap::from([
        ("tier".to_owned(), Attribute::Text("gold".to_owned())),
        ("budget".to_owned(), Attribute::Number(1000.5)),
        ("seats".to_owned(), Attribute::Number(12.0)),
        ("vip".to_owned(), Attribute::Bool(true)),
        (
            "renewal".to_owned(),
            Attribute::Text("2026-01-01T00:00:00Z".to_owned()),
        ),
        ("trial".to_owned(), Attribute::Text("1.5s".to_owned())),
        ("tags".to_owned(), Attribute::List(vec!["a".to_owned()])),
    ]);
    facts.opportunity.amount = 12_345;
    facts
}

fn holds(source: &str, facts: &Facts) -> Result<bool, String> {
    let expression =
        compile(source, &fields()).unwrap_or_else(|error| panic!("{source}: {error:?}"));
    let activity = Activity {
        kind: "CALL".to_owned(),
        duration_micros: 30_000_000,
        ..Activity::default()
    };
    expression.holds(&Scope {
        facts,
        engagement: &Engagement::default(),
        stage: "lead",
        role: "LEAD",
        entered: Some(Micros(0)),
        activity: Some(&activity),
        reason: "",
        actor: "",
        now: Micros(86_400_000_000),
    })
}

#[test]
fn every_fact_can_be_read() {
    for source in [
        "contact.has_email && !contact.email_verified && !contact.has_phone && !contact.has_company",
        "contact.kind == 'PERSON' && contact.owner.endsWith('@example.com')",
        "contact.source.channel in ['FORM', 'EVENT'] && contact.source.referral_kind == ''",
        "contact.interest.expressed && contact.interest.expressed_time == timestamp('1970-01-01T00:00:01.5Z')",
        "!contact.identity.verified && !contact.identity.?verified_time.hasValue()",
        "contact.qualification.checklist['budget'] && !('need' in contact.qualification.checklist)",
        "contact.qualification.checklist.?need.orValue(false) == false",
        "!contact.ready_to_buy && contact.?next_step_due.orValue(now) == now",
        "'PARTNER' in contact.relationship_kinds && size(contact.relationship_kinds) == 2",
        "contact.relationship_kinds[0] == 'CUSTOMER'",
        "contact.labels['region'] == 'north' && contact.labels.region.startsWith('n')",
        "contact.labels[?'none'].orValue('') == '' && 'region' in contact.labels",
        "contact.attributes.tier == 'gold' && contact.attributes['tier'].matches('^g')",
        "contact.attributes.budget > 1000 && contact.attributes.seats == 12",
        "contact.attributes.vip && 'a' in contact.attributes.tags && 'vip' in contact.attributes",
        "contact.attributes.renewal > timestamp('2025-12-31T00:00:00Z')",
        "contact.attributes.trial == duration('1500ms')",
        "position.stage == 'lead' && position.role == 'LEAD' && now - position.entered == duration('24h')",
        "engagement.calls == 0 && !engagement.?last_activity.hasValue()",
        "opportunity.amount == 12345 && opportunity.state == ''",
        "activity.kind == 'CALL' && activity.duration <= duration('30s') && !activity.helpful",
        "request.reason == '' && request.actor.size() == 0",
        "now.getFullYear() == 1970 && now.getHours('Europe/Berlin') == 1",
        "now.getMinutes('+01:30') == 30",
        "now.getDate('UTC') == 2",
        "contact.owner == '' || now.getHours(contact.owner) == 1 || true",
        "(contact.has_email ? 2 : 3) * 2 - 1 == 3 && 7 % 4 == 3 && -1 < 0 && 1 == 1.0",
        "[1] + [2] == [1, 2] && {'a': 1}.a == 1 && {'a': 1}['a'] == 1 && string(1) + 'b' == '1b'",
        "int('3') == 3 && double(1) == 1.0 && bool('true') && size('été') == 3",
        "1 / 0 == 1 || true",
    ] {
        assert_eq!(holds(source, &facts()), Ok(true), "{source}");
    }
}

#[test]
fn what_is_absent_or_of_another_type_fails_and_says_what() {
    let mut facts = facts();
    facts
        .contact
        .attributes
        .insert("seats".to_owned(), Attribute::Number(1.5));
    facts.contact.attributes.remove("tier");
    for (source, why) in [
        (
            "contact.next_step_due > now",
            "contact.next_step_due is not set",
        ),
        (
            "contact.attributes.tier == 'gold'",
            "contact.attributes.tier is not set",
        ),
        (
            "contact.attributes.seats > 1",
            "contact.attributes.seats is not set",
        ),
        ("contact.labels.none == ''", "a map has no such key"),
        (
            "contact.relationship_kinds[9] == ''",
            "a list is not that long",
        ),
        ("1 / engagement.calls == 1", "divides by zero"),
        (
            "9223372036854775807 + opportunity.amount > 0",
            "a number grows too large",
        ),
        ("int(contact.owner) == 1", "`int` cannot take that value"),
        (
            "contact.?next_step_due.value() == now",
            "`value` cannot take that value",
        ),
    ] {
        assert_eq!(holds(source, &facts), Err(why.to_owned()), "{source}");
    }
}

#[test]
fn facts_beyond_their_limits_are_not_read() {
    let mut facts = facts();
    facts.contact.owner = "a".repeat(20_000);
    facts.contact.relationship_kinds = vec!["VENDOR".to_owned(); 1_001];
    facts.contact.interest.expressed_time = Some(Micros(i64::MAX));
    for source in [
        "contact.owner != ''",
        "'VENDOR' in contact.relationship_kinds",
        "contact.interest.expressed_time > now",
    ] {
        assert!(holds(source, &facts).is_err(), "{source}");
    }
}

/// Sources, and what the refusal of each says.
const REFUSED: &[(&str, &str)] = &[
    (
        "contact.has_emial",
        "there is no `contact.has_emial`; known are kind, has_email",
    ),
    (
        "contcat.has_email",
        "there is no `contcat`; known are contact, position",
    ),
    ("contact.source", "`contact.source` is a group of facts"),
    ("contact", "`contact` is a group of facts"),
    (
        "contact.attributes",
        "`contact.attributes` is a group of facts",
    ),
    (
        "contact.attributes.colour == ''",
        "declares no field `colour`",
    ),
    (
        "'colour' in contact.attributes",
        "declares no field `colour`",
    ),
    ("contact.owner", "gives string; a condition must give bool"),
    (
        "contact.owner && true",
        "`&&` does not take string and bool",
    ),
    ("contact.owner == 1", "`==` does not take string and int"),
    (
        "contact.owner > now",
        "`>` does not take string and timestamp",
    ),
    (
        "contact.owner in 'abc'",
        "`in` does not take string and string",
    ),
    (
        "contact.attributes.seats + contact.attributes.budget > 1.0",
        "`+` does not take int and double",
    ),
    ("!1", "`!` does not take int"),
    (
        "contact.?next_step_due == now",
        "`==` does not take optional(timestamp) and timestamp",
    ),
    (
        "contact.labels[1] == ''",
        "a map(string, string) has no entries under a int",
    ),
    ("now.year == 1", "a timestamp has no entries under a string"),
    (
        "contact.has_email ? 1 : 'a'",
        "`?:` does not take bool and int and string",
    ),
    (
        "[1, 'a'] == []",
        "the elements of a list must be of one type",
    ),
    (
        "{1: 1, 'a': 1} == {}",
        "the entries of a map must be of one type",
    ),
    (
        "{1.5: 1} == {}",
        "the keys of a map are bool, int or string",
    ),
    (
        "has(contact.owner)",
        "the macro `has` is not part of the guard language",
    ),
    (
        "contact.relationship_kinds.exists(k, k == '')",
        "the macro `exists`",
    ),
    (
        "contact.owner.lowerAscii() == ''",
        "there is no function `lowerAscii`",
    ),
    ("type(1) == int", "there is no function `type`"),
    ("dyn(1) == 1", "there is no function `dyn`"),
    ("size(1) == 1", "`size` does not take (int)"),
    (
        "contact.owner.contains(1)",
        "`contains` does not take (string, int)",
    ),
    (
        "duration('30 seconds') > duration('1s')",
        "`duration` cannot take '30 seconds'",
    ),
    (
        "timestamp('yesterday') < now",
        "`timestamp` cannot take 'yesterday'",
    ),
    (
        "now.getHours('Europ/Berlin') == 1",
        "there is no time zone 'Europ/Berlin'",
    ),
    ("[][0]", "what is empty has no entries"),
    ("{}['a'] == 1", "what is empty has no entries"),
    (
        "[][?0].value() == 1",
        "`value` does not take (optional(any))",
    ),
    ("[][?0].orValue([][?0].orValue(true))", "gives any"),
    (
        "contact.owner.matches(contact.kind)",
        "the pattern of `matches` must be a constant",
    ),
    ("contact.owner.matches('(')", "'(' is not a pattern"),
    ("1u == 1u", "unsigned numbers"),
    ("b'a' == b'a'", "bytes"),
    (
        "contact.owner == null",
        "null is not part of the guard language",
    ),
    ("1 +", "does not parse: look at line 1"),
    ("contact.owner == \"a", "has a string without an end"),
    ("[?contact.?next_step_due] == []", "optional elements"),
    ("{?'a': contact.?next_step_due} == {}", "optional entries"),
    ("optional.of(1).hasValue()", "there is no function `of`"),
    ("$0", "does not parse"),
    ("`$0` == 1", "does not parse"),
];

#[test]
fn what_does_not_exist_or_has_the_wrong_type_is_refused_by_name() {
    for (source, why) in REFUSED {
        let problems = compile(source, &fields())
            .err()
            .unwrap_or_else(|| panic!("{source}"));
        assert!(
            problems.iter().any(|problem| problem.contains(why)),
            "{source}: {problems:?}"
        );
    }
}

#[test]
fn one_pass_lists_the_problems_of_both_sides() {
    let problems = compile("contact.has_emial && contact.owner.foo()", &Fields::none())
        .expect_err("two problems");
    assert_eq!(problems.len(), 2, "{problems:?}");
}

#[test]
fn readings_name_each_fact_once_in_the_order_of_the_source() {
    let expression = compile(
        "contact.owner != '' && contact.interest.expressed_time < now && contact.owner != 'x'",
        &Fields::none(),
    )
    .expect("it compiles");
    let facts = Facts::default();
    let readings = expression.readings(&Scope {
        facts: &facts,
        engagement: &Engagement::default(),
        stage: "",
        role: "",
        entered: None,
        activity: None,
        reason: "",
        actor: "",
        now: Micros(1_500_000),
    });
    let shown: Vec<(&str, &str)> = readings
        .iter()
        .map(|reading| (reading.path.as_str(), reading.value.as_str()))
        .collect();
    assert_eq!(
        shown,
        [
            ("contact.owner", "\"\""),
            ("contact.interest.expressed_time", "not set"),
            ("now", "1970-01-01T00:00:01.500Z"),
        ]
    );
}

#[test]
fn what_compiles_evaluates_on_a_small_stack() {
    let sources = [
        format!("{}true{}", "(".repeat(30), ")".repeat(30)),
        format!("{}true", "!".repeat(30)),
        format!("true{}", " && contact.has_email".repeat(80)),
        format!("size([{}1]) > 0", "1,".repeat(200)),
    ];
    let compiled: Vec<_> = sources
        .iter()
        .map(|source| compile(source, &Fields::none()).expect("it compiles"))
        .collect();
    let thread = std::thread::Builder::new()
        .stack_size(512 << 10)
        .spawn(move || {
            let facts = facts();
            compiled.iter().all(|expression| {
                expression
                    .holds(&Scope {
                        facts: &facts,
                        engagement: &Engagement::default(),
                        stage: "",
                        role: "",
                        entered: None,
                        activity: None,
                        reason: "",
                        actor: "",
                        now: Micros(0),
                    })
                    .is_ok()
            })
        });
    assert!(thread.expect("a thread").join().expect("no overflow"));
}
