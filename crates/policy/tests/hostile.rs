//! Sources written to hurt: each is refused, or compiled and evaluated, well within 50 ms; none
//! brings the process down.

mod common;

use std::time::{Duration, Instant};

use common::{COMPILER, convert, guard, ready};
use policy::{CompileError, Compiler, Definition, FaultCode, Fields, Position};
use proptest::prelude::*;
use types::Micros;

const BOUND: Duration = Duration::from_millis(50);

/// Compiles, and evaluates where that went well; says how long both took and whether it compiled.
/// Other work on the machine may interrupt: what is slow is tried again and the best time counts.
fn try_source(source: &str) -> (Duration, bool) {
    let mut best = (Duration::MAX, false);
    for _ in 0..5 {
        let begin = Instant::now();
        let compiled = guard(source);
        if let Ok(policy) = &compiled {
            let lead = Position::at("a", 1, Micros(0));
            let _ = convert(policy, &lead, &ready(), "b");
        }
        best = best.min((begin.elapsed(), compiled.is_ok()));
        if best.0 < BOUND {
            break;
        }
    }
    best
}

/// Sources that are long or deep, and sources that are wrong in other ways.
fn hostile() -> Vec<(&'static str, String)> {
    let mut all = long_or_deep();
    all.extend(otherwise_wrong());
    all
}

fn long_or_deep() -> Vec<(&'static str, String)> {
    let nested = |open: &str, close: &str, depth: usize| {
        format!("{}true{}", open.repeat(depth), close.repeat(depth))
    };
    vec![
        ("a long sum", format!("1{} == 1", "+1".repeat(2000))),
        (
            "a sum of 100,000 terms",
            format!("1{} == 1", "+1".repeat(100_000)),
        ),
        (
            "a sum at the limit of bytes",
            format!("1{}==1", "+1".repeat(2045)),
        ),
        (
            "a sum at the limit of words",
            format!("1{}==1", "+1".repeat(500)),
        ),
        ("parentheses", nested("(", ")", 2000)),
        ("parentheses at the limit", nested("(", ")", 32)),
        ("parentheses above the limit", nested("(", ")", 95)),
        ("lists", nested("[", "]", 1000)),
        ("unbalanced brackets", "[".repeat(4000)),
        ("a map pattern", "{".repeat(125)),
        ("brackets and maps", "[{".repeat(62)),
        ("negations", format!("{}true", "!".repeat(4000))),
        ("few negations", format!("{}true", "!".repeat(31))),
        ("minus signs", format!("{}1 == 1", "-".repeat(4000))),
        (
            "an index chain",
            format!("contact.labels{}", "['a']".repeat(800)),
        ),
        ("a field chain", format!("contact{}", ".a".repeat(2000))),
        ("a method chain", format!("'a'{}", ".size()".repeat(550))),
        (
            "an optional chain",
            format!("contact{}", ".?a".repeat(1000)),
        ),
        (
            "conditionals",
            format!("{}true", "true ? true : ".repeat(290)),
        ),
        ("ors", format!("true{}", " || true".repeat(500))),
        ("ors of comparisons", format!("true{}", "||1<2".repeat(200))),
    ]
}

fn otherwise_wrong() -> Vec<(&'static str, String)> {
    let macros = (0..9).fold("true".to_owned(), |inner, depth| {
        format!("contact.relationship_kinds.all(x{depth}, {inner})")
    });
    vec![
        ("nested macros", macros),
        (
            "doubled lists",
            "[1].map(x, [x,x]).map(x, [x,x]).map(x, [x,x]) == []".to_owned(),
        ),
        (
            "an unclosed string of 1 MB",
            format!("'{}", "a".repeat(1 << 20)),
        ),
        (
            "a closed string of 1 MB",
            format!("'{}' == ''", "a".repeat(1 << 20)),
        ),
        ("a long line of junk", "@#$%^&".repeat(600)),
        ("backticks", "`a`.`b`".repeat(400)),
        ("escapes", format!("'{}' == ''", r"\u0041".repeat(600))),
        ("a bad escape", r"'\u00'".to_owned()),
        ("nothing but quotes", "'".repeat(4095)),
        ("triple quotes", "'''".repeat(1365)),
        (
            "a regex bomb",
            "contact.owner.matches('(a{1000}){1000}')".to_owned(),
        ),
        (
            "a nested regex bomb",
            "contact.owner.matches('((((a{50}){50}){50}){50})')".to_owned(),
        ),
        (
            "a backtracking regex",
            "contact.owner.matches('^(a+)+$')".to_owned(),
        ),
        (
            "a regex of classes",
            format!("contact.owner.matches('{}')", r"\\pL{99}".repeat(20)),
        ),
        (
            "a regex of groups",
            format!(
                "contact.owner.matches('{}a{}')",
                "(".repeat(100),
                ")".repeat(100)
            ),
        ),
        (
            "many regexes",
            format!(
                "contact.owner.matches('{0}'){1}",
                r"\\w{200}",
                "|| contact.owner.matches('[a-z]{400}')".repeat(7)
            ),
        ),
        (
            "a pattern from a fact",
            "contact.owner.matches(contact.kind)".to_owned(),
        ),
        ("a huge number", format!("{} == 1", "9".repeat(3000))),
        (
            "a message",
            "google.protobuf.Duration{seconds: 1} == duration('1s')".to_owned(),
        ),
        ("a NUL", "true\0".to_owned()),
        (
            "a bidirectional override",
            "true \u{202e} == eslaf".to_owned(),
        ),
        ("comments", "//\n".repeat(1300)),
        (
            "an overflowing duration",
            "duration('9999999999999h') > duration('1s')".to_owned(),
        ),
        (
            "an overflowing date",
            "timestamp('9999-12-31T23:59:59Z') + duration('2540400h') > now".to_owned(),
        ),
        ("commas", format!("size([{}]) == 0", "1,".repeat(1900))),
        (
            "a list at the limit",
            format!("size([{}1]) == 0", "1,".repeat(240)),
        ),
        (
            "concatenation",
            format!("contact.owner{} == ''", "+contact.owner".repeat(50)),
        ),
        ("errors everywhere", ") ( ] [ } { ".repeat(300)),
        ("keywords", "in in in in ".repeat(300)),
        ("questions", "?".repeat(1000)),
        ("reserved words", "break && const || for".to_owned()),
    ]
}

#[test]
fn hostile_sources_are_refused_or_bounded() {
    // The first use of the parser builds its tables.
    assert!(guard("true").is_ok());
    let mut slowest = (Duration::ZERO, "");
    for (what, source) in hostile() {
        let (took, compiled) = try_source(&source);
        println!(
            "{what}: {took:?}, {}",
            if compiled { "compiled" } else { "refused" }
        );
        assert!(took < BOUND, "{what} took {took:?}");
        slowest = slowest.max((took, what));
    }
    println!("the slowest: {slowest:?}");
}

#[test]
fn what_upstream_says_is_never_shown() {
    for (what, source) in hostile() {
        for fault in guard(&source).err().unwrap_or_default() {
            assert_eq!(fault.code, FaultCode::PolicyExpressionInvalid, "{what}");
            assert!(fault.message.len() < 400, "{what}: {}", fault.message);
            assert!(
                !fault.message.contains("ERROR"),
                "{what}: {}",
                fault.message
            );
            assert!(!fault.message.contains('\n'), "{what}: {}", fault.message);
        }
    }
}

#[test]
fn a_policy_at_every_limit_compiles_in_bounded_time() {
    let stages: Vec<String> = (0..64)
        .map(|at| format!("{{id: s{at}, role: LEAD}}"))
        .collect();
    let mut transitions = Vec::new();
    for from in 0..64 {
        for to in (0..64).filter(|to| *to != from) {
            transitions.push(format!(
                "{{from: s{from}, to: s{to}, guards: [g{}]}}",
                from * 4
            ));
        }
    }
    let guards: Vec<String> = (0..256)
        .map(|at| {
            format!(
                "{{id: g{at}, expression: \"{}true\"}}",
                "contact.has_email && ".repeat(10)
            )
        })
        .collect();
    let definition = Definition::from_yaml(&format!(
        "{{initial: s0, stages: [{}], transitions: [{}], guards: [{}]}}",
        stages.join(", "),
        transitions.join(", "),
        guards.join(", ")
    ))
    .expect("the definition reads");
    let begin = Instant::now();
    let compiled = COMPILER.compile(&definition, &Fields::none());
    println!(
        "64 stages, 4032 transitions, 256 guards: {:?}",
        begin.elapsed()
    );
    assert!(compiled.is_ok(), "{:?}", compiled.err());
    assert!(begin.elapsed() < Duration::from_secs(5));
}

#[test]
fn more_definitions_than_the_queue_holds_are_told_so_and_none_waits_for_ever() {
    let definition = Definition::from_yaml(
        "{initial: a, stages: [{id: a, role: LEAD, enter: [g]}], guards: [{id: g, expression: 'true'}]}",
    )
    .expect("the definition reads");
    let compiler = Compiler::start().expect("a thread can be started");
    let begin = Instant::now();
    let answers: Vec<Result<(), CompileError>> = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..100)
            .map(|_| scope.spawn(|| compiler.compile(&definition, &Fields::none()).map(|_| ())))
            .collect();
        asked
            .into_iter()
            .map(|thread| thread.join().expect("no caller panics"))
            .collect()
    });
    assert!(begin.elapsed() < Duration::from_secs(10));
    assert!(answers.iter().any(Result::is_ok));
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer, Ok(()) | Err(CompileError::Busy)))
    );
}

#[test]
fn hostile_documents_are_refused_too() {
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (name, of) in ('b'..='i').zip('a'..) {
        let list = vec![format!("*{of}"); 9].join(", ");
        bomb = format!("{bomb}{name}: &{name} [{list}]\n");
    }
    for text in [
        bomb,
        "[".repeat(100_000),
        "{a: ".repeat(100_000),
        "- ".repeat(100_000),
        "? ".repeat(100_000),
        "!!binary ".repeat(1_000),
        "&a *a".to_owned(),
        "initial: &x [*x]".to_owned(),
        "'".repeat(1 << 20),
        "\u{feff}\0".to_owned(),
    ] {
        let begin = Instant::now();
        assert!(Definition::from_yaml(&text).is_err());
        assert!(Definition::from_json(&text).is_err());
        assert!(
            begin.elapsed() < Duration::from_secs(2),
            "{:?}",
            begin.elapsed()
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_answered(source in "\\PC{0,200}") {
        let (took, _) = try_source(&source);
        prop_assert!(took < BOUND, "{took:?}");
    }

    #[test]
    fn any_heap_of_words_is_answered(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "contact", ".", "has_email", "labels", "attributes", "[", "]", "(", ")", "{", "}",
                "'a'", "1", "1.5", "1u", "b'x'", "null", "true", "&&", "||", "!", "-", "+", "*",
                "/", "%", "==", "!=", "<", ">=", "in", "?", ":", ",", ".?", "[?", "size",
                "matches", "duration", "timestamp", "now", "all", "x", "=>", "r'\\'", "\"", "//",
            ]),
            0..120,
        ),
    ) {
        let (took, _) = try_source(&words.join(" "));
        prop_assert!(took < BOUND, "{took:?}");
        let (took, _) = try_source(&words.concat());
        prop_assert!(took < BOUND, "{took:?}");
    }
}
