use proptest::prelude::*;
use types::Micros;

use super::*;

const FIELDS: &[Field] = &[
    Field::one("display_name", Kind::Text),
    Field::one("role", Kind::Word(&["LEAD", "CLIENT"])),
    Field::one("source.channel", Kind::Word(&["FORM", "AD"])),
    Field::one("ready", Kind::Bool),
    Field::one("score", Kind::Int),
    Field::one("create_time", Kind::Time),
    Field::one("due_date", Kind::Day),
    Field::many("kinds", Kind::Word(&["VENDOR", "PARTNER"])),
    Field::map("labels"),
];

/// The tree as text, to compare it with.
fn shown(text: &str) -> String {
    let Some(expr) = parse(text, FIELDS).expect(text) else {
        return "everything".to_owned();
    };
    expr.fold(
        &mut |found| {
            let key = found.key.as_ref().map(|key| format!("[{key}]"));
            format!(
                "{}{} {:?}",
                found.field,
                key.unwrap_or_default(),
                found.test
            )
        },
        |one| format!("!({one})"),
        |left, right| format!("({left} & {right})"),
        |left, right| format!("({left} | {right})"),
    )
}

fn refusal(text: &str) -> FilterError {
    parse(text, FIELDS).expect_err(text)
}

#[test]
fn what_is_right_is_read() {
    for (text, expected) in [
        ("  ", "everything"),
        ("role = CLIENT", r#"role Word("CLIENT")"#),
        ("role = \"CLIENT\"", r#"role Word("CLIENT")"#),
        ("role != CLIENT", r#"!(role Word("CLIENT"))"#),
        ("source.channel = AD", r#"source.channel Word("AD")"#),
        ("-ready = true", "!(ready Bool(true))"),
        ("score >= -3", "score Int(Ge, -3)"),
        (
            "due_date < \"2026-01-31\"",
            r#"due_date Day(Lt, "2026-01-31")"#,
        ),
        ("labels.tier = gold", r#"labels[tier] Text(Exact("gold"))"#),
        ("labels.\"a b\" = \"x\"", r#"labels[a b] Text(Exact("x"))"#),
        ("labels:tier", "labels[tier] Present"),
        ("labels.tier:*", "labels[tier] Present"),
        ("kinds:VENDOR", r#"kinds Word("VENDOR")"#),
        ("kinds:*", "kinds Present"),
        ("display_name = \"A*\"", r#"display_name Text(Prefix("A"))"#),
        ("display_name = \"*a\"", r#"display_name Text(Suffix("a"))"#),
        ("display_name = \"*\"", r#"display_name Text(Contains(""))"#),
        (
            "display_name = example.com",
            r#"display_name Text(Exact("example.com"))"#,
        ),
        (
            "ready = true AND score = 1 OR score = 2",
            "(ready Bool(true) & (score Int(Eq, 1) | score Int(Eq, 2)))",
        ),
    ] {
        assert_eq!(shown(text), expected, "{text}");
    }
}

#[test]
fn moments_are_read_to_the_microsecond() {
    let found = parse("create_time > \"1970-01-01T01:00:01.000001+01:00\"", FIELDS);
    let test = Test::Time(Relation::Gt, Micros(1_000_001));
    assert!(matches!(found, Ok(Some(Expr::Is(is))) if is.test == test));
}

#[test]
fn what_is_wrong_is_refused_where_it_stands() {
    for (text, offset, field) in [
        ("ready = true AND colour = 1", 17, "colour"),
        ("labels = x", 0, "labels"),
        ("labels.a.b = x", 0, "labels.a.b"),
        ("display_name:x", 0, "display_name"),
        ("kinds = VENDOR", 0, "kinds"),
        ("role = client", 7, "role"),
        ("role < CLIENT", 7, "role"),
        ("  score = \"x\"", 10, "score"),
        ("create_time > 3", 14, "create_time"),
        ("display_name = \"a*b\"", 15, "display_name"),
        ("ready = (true OR false)", 8, "ready"),
        ("gold", 0, "gold"),
        ("ready = true and score = 1", 13, ""),
        ("ready = true score = 1", 13, ""),
        ("regex(display_name, \"x\")", 0, ""),
        ("ready = true AND", 13, ""),
        ("display_name = \"open", 15, ""),
        ("ready = true AND (score = 1 OR \"x.y\" = 2)", 31, "\"x.y\""),
    ] {
        let found = refusal(text);
        assert_eq!(
            (found.offset, found.field.as_str()),
            (offset, field),
            "{text}: {found}"
        );
    }
}

#[test]
fn limits_hold() {
    let long = format!("display_name = \"{}\"", "a".repeat(BYTES_MAX));
    assert_eq!(refusal(&long).offset, BYTES_MAX);
    let many = vec!["ready=true"; TERMS_MAX + 1].join(" AND ");
    assert_eq!(refusal(&many).offset, 20 * "ready=true AND ".len());
    let deep = format!("{}ready=true{}", "(".repeat(9), ")".repeat(9));
    assert_eq!(refusal(&deep).offset, 8);
    let enough = format!("{}ready=true{}", "(".repeat(8), ")".repeat(8));
    assert!(parse(&enough, FIELDS).is_ok());
}

#[test]
fn patterns_are_escaped_for_like() {
    let pattern = Pattern::Prefix("50%_\\A".to_owned());
    assert_eq!(pattern.folded().like().as_deref(), Some("50\\%\\_\\\\a%"));
    assert_eq!(Pattern::Exact("a".to_owned()).like(), None);
}

proptest! {
    /// No text makes the parser panic, and an error always points into the text.
    #[test]
    fn any_text_is_read_or_refused(text in "([a-z.:=<>!()\"' *-]|AND |OR |NOT |labels|role|é|\\\\){0,40}") {
        if let Err(error) = parse(&text, FIELDS) {
            prop_assert!(error.offset <= text.len());
        }
    }
}
