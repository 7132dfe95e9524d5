//! Every rule refuses what it should and nothing else, under the id that protovalidate uses.

use std::collections::BTreeMap;

use prost_types::{Duration, Timestamp};

use super::*;
use crate::fixture::fixture::v1::nested::{ChoiceOneOf, Part};
use crate::fixture::fixture::v1::{Colour, Nested, Numbers, Texts, Values};
use crate::google::r#type::{Date, Money};

/// The violations of `message` as `field: rule`.
fn found(message: &impl Validate) -> Vec<String> {
    let violations = message.check().err().unwrap_or_default();
    violations
        .kept()
        .iter()
        .map(|violation| format!("{}: {}", violation.field, violation.rule))
        .collect()
}

fn texts() -> Texts {
    Texts {
        constant: "a".into(),
        exact: "üü".into(),
        least: "üü".into(),
        most: "üüü".into(),
        small: "üü".into(),
        pattern: "abc".into(),
        prefix: "x/y".into(),
        suffix: "y.csv".into(),
        among: "b".into(),
        outside: "admin".into(),
        uuid: String::new(),
        set: "s".into(),
        maybe: None,
        given: Some("g".into()),
        unchecked: String::new(),
        output: "as long as it likes".into(),
        r#type: String::new(),
    }
}

#[test]
fn good_texts_pass() {
    assert_eq!(found(&texts()), Vec::<String>::new());
    let uuid = "0190163d-8694-739b-aea5-966c26f8ad90".to_owned();
    assert_eq!(found(&Texts { uuid, ..texts() }), Vec::<String>::new());
}

#[test]
fn bad_texts_name_field_and_rule() {
    let bad = Texts {
        constant: "b".into(),
        exact: "ü".into(),
        least: "ü".into(),
        most: "üüüü".into(),
        small: "üüü".into(),
        pattern: "aB".into(),
        prefix: "y".into(),
        suffix: "y.txt".into(),
        among: "c".into(),
        outside: "root".into(),
        uuid: "0190163d8694739baea5966c26f8ad90".into(),
        set: String::new(),
        maybe: Some(String::new()),
        given: None,
        unchecked: String::new(),
        output: String::new(),
        r#type: "xy".into(),
    };
    let expected = [
        "constant: string.const",
        "exact: string.len",
        "least: string.min_len",
        "most: string.max_len",
        "small: string.max_bytes",
        "pattern: string.pattern",
        "prefix: string.prefix",
        "suffix: string.suffix",
        "among: string.in",
        "outside: string.not_in",
        "uuid: string.uuid",
        "set: required",
        "maybe: string.min_len",
        "given: required",
        "type: string.max_len",
    ];
    assert_eq!(found(&bad), expected);
}

#[test]
fn no_text_has_a_nul_wherever_it_stands() {
    let bad = Texts {
        small: "\0".into(),
        maybe: Some("\0".into()),
        output: "\0".into(),
        ..texts()
    };
    assert_eq!(found(&bad), ["small: string.nul", "maybe: string.nul"]);
    let bad = Nested {
        words: vec!["\0".into()],
        labels: BTreeMap::from([("\0".into(), "\0".into())]),
        ..nested()
    };
    let expected = [
        "words[0]: string.nul",
        "labels[\"\\0\"]: string.pattern",
        "labels[\"\\0\"]: string.nul",
        "labels[\"\\0\"]: string.nul",
    ];
    assert_eq!(found(&bad), expected);
}

#[test]
fn structs_hold_what_json_and_the_databases_can() {
    use prost_types::value::Kind;
    use prost_types::{ListValue, Struct, Value};

    use crate::contacts::v1::Contact;

    let of = |kind| Value { kind: Some(kind) };
    let within = |key: &str, kind| {
        let inner = Struct {
            fields: BTreeMap::from([(key.to_owned(), of(kind))]),
        };
        let list = ListValue {
            values: vec![of(Kind::StructValue(inner)), of(Kind::NullValue(0))],
        };
        Contact {
            attributes: Some(Struct {
                fields: BTreeMap::from([("list".to_owned(), of(Kind::ListValue(list)))]),
            }),
            ..Contact::default()
        }
    };
    let fine = within("a", Kind::StringValue("x".into()));
    assert_eq!(found(&fine), Vec::<String>::new());
    for nul in [
        within("a", Kind::StringValue("\0".into())),
        within("\0", Kind::BoolValue(true)),
    ] {
        assert_eq!(found(&nul), ["attributes: string.nul"]);
    }
    let infinite = within("a", Kind::NumberValue(f64::INFINITY));
    assert_eq!(found(&infinite), ["attributes: double.finite"]);
}

fn numbers() -> Numbers {
    Numbers {
        chosen: Colour::Blue as i32,
        data: vec![0],
        ..Numbers::default()
    }
}

#[test]
fn numbers_enums_and_spans_are_checked() {
    assert_eq!(found(&numbers()), Vec::<String>::new());
    let bad = Numbers {
        above: -1,
        page: -1,
        below: 10,
        range: 101,
        among: 1,
        outside: 7,
        maybe: Some(0),
        constant: 1,
        colour: 2,
        chosen: 0,
        data: vec![0; 5],
        interval: Some(Duration {
            seconds: 60,
            nanos: 1,
        }),
        moment: Some(Timestamp {
            seconds: 0,
            nanos: -1,
        }),
    };
    let expected = [
        "above: int32.gt",
        "page: int32.gte",
        "below: int32.lt",
        "range: int64.gte_lte",
        "among: int32.in",
        "outside: int64.not_in",
        "maybe: int64.gte",
        "constant: int32.const",
        "colour: enum.defined_only",
        "chosen: enum.not_in",
        "data: bytes.max_len",
        "interval: duration.gte_lte",
        "moment: timestamp.range",
    ];
    assert_eq!(found(&bad), expected);
    let mixed = Some(Duration {
        seconds: 6,
        nanos: -1,
    });
    let mixed = Numbers {
        interval: mixed,
        ..numbers()
    };
    assert_eq!(found(&mixed), ["interval: duration.range"]);
    let endless = Numbers {
        interval: Some(Duration {
            seconds: i64::MIN,
            nanos: 0,
        }),
        ..numbers()
    };
    assert!(found(&endless).contains(&"interval: duration.range".to_owned()));
}

fn part(text: &str) -> Part {
    Part {
        text: text.into(),
        ..Part::default()
    }
}

fn nested() -> Nested {
    Nested {
        part: Some(part("abc")),
        parts: vec![part("a")],
        choice: Some(ChoiceOneOf::None(true)),
        ..Nested::default()
    }
}

#[test]
fn nesting_lists_maps_and_oneofs_are_walked() {
    assert_eq!(found(&nested()), Vec::<String>::new());
    let deep = Part {
        parts: vec![part("ok"), part("long")],
        ..Part::default()
    };
    let bad = Nested {
        part: Some(Part {
            part: Some(Box::new(deep)),
            ..Part::default()
        }),
        parts: vec![part("a"), part("long")],
        words: vec!["a".into(), String::new(), "a".into()],
        colours: vec![0, 2, 2],
        labels: BTreeMap::from([("A".into(), "long".into())]),
        named: BTreeMap::from([("n".into(), part("long"))]),
        choice: Some(ChoiceOneOf::One(part("long"))),
        output: Some(part("long")),
    };
    let expected = [
        "part.part.parts[1].text: string.max_len",
        "parts[1].text: string.max_len",
        "words: repeated.unique",
        "words[1]: string.min_len",
        "colours: repeated.unique",
        "colours[0]: enum.not_in",
        "colours[1]: enum.defined_only",
        "colours[2]: enum.defined_only",
        "labels[\"A\"]: string.pattern",
        "labels[\"A\"]: string.max_len",
        "named[\"n\"].text: string.max_len",
        "one.text: string.max_len",
    ];
    assert_eq!(found(&bad), expected);
    let other = Nested {
        choice: Some(ChoiceOneOf::Other("long".into())),
        ..nested()
    };
    assert_eq!(found(&other), ["other: string.max_len"]);
}

#[test]
fn what_is_missing_is_named() {
    let expected = [
        "part: required",
        "parts: repeated.min_items",
        "choice: required",
    ];
    assert_eq!(found(&Nested::default()), expected);
}

#[test]
fn elements_beyond_the_limit_are_not_looked_at() {
    let many = Nested {
        parts: vec![part("long"); 3],
        ..nested()
    };
    assert_eq!(found(&many), ["parts: repeated.max_items"]);
}

#[test]
fn twenty_violations_are_kept_and_the_rest_is_counted() {
    let words = vec![String::new(); 50];
    let violations = Nested { words, ..nested() }
        .check()
        .expect_err("fifty are empty");
    assert_eq!(violations.kept().len(), 20);
    assert_eq!(violations.omitted(), 31);
}

#[test]
fn google_types_are_checked_wherever_they_stand() {
    let bad = Values {
        money: Some(Money {
            currency_code: "EUR".into(),
            units: 1,
            nanos: -5,
        }),
        date: Some(Date {
            year: 2023,
            month: 2,
            day: 29,
        }),
        ..Values::default()
    };
    assert_eq!(found(&bad), ["money: money.sign", "date: date.calendar"]);
}

#[test]
fn descriptions_tell_what_would_be_right() {
    let violations = Numbers {
        range: -1,
        ..numbers()
    }
    .check()
    .expect_err("out of range");
    assert_eq!(
        violations.kept()[0].description,
        "must be at least 0 and at most 100"
    );
    let interval = Some(Duration {
        seconds: 1,
        nanos: 0,
    });
    let violations = Numbers {
        interval,
        ..numbers()
    }
    .check()
    .expect_err("too short");
    assert_eq!(
        violations.kept()[0].description,
        "must be at least 5 s and at most 60 s"
    );
}
