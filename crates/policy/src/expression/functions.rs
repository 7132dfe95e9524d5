//! The operators and functions of the guard language, and the types they take and give.
//!
//! Invariant: a function that is not listed here is refused, whatever the `cel` crate knows.

use cel::common::ast::{CallExpr, Expr, LiteralValue, operators};
use regex::RegexBuilder;

use super::check::{Checked, Checker, Refused};
use super::eval;
use super::tree::{PATTERN, call_of, member_call, node, shown, text};
use super::types::Type;

/// The longest pattern of `matches`, in bytes.
const PATTERN_BYTES_MAX: usize = 256;
/// How many patterns one expression may have.
const PATTERNS_MAX: usize = 8;
/// The largest program a pattern may become, in bytes.
const PATTERN_PROGRAM_BYTES_MAX: usize = 64 << 10;

/// The name under which our own `matches` stands in the environment; no source can contain it.
pub(super) const MATCHES: &str = "~matches";

const OPERATORS: [(&str, &str); 17] = [
    (operators::CONDITIONAL, "?:"),
    (operators::LOGICAL_AND, "&&"),
    (operators::LOGICAL_OR, "||"),
    (operators::LOGICAL_NOT, "!"),
    (operators::SUBSTRACT, "-"),
    (operators::ADD, "+"),
    (operators::MULTIPLY, "*"),
    (operators::DIVIDE, "/"),
    (operators::MODULO, "%"),
    (operators::EQUALS, "=="),
    (operators::NOT_EQUALS, "!="),
    (operators::GREATER_EQUALS, ">="),
    (operators::LESS_EQUALS, "<="),
    (operators::GREATER, ">"),
    (operators::LESS, "<"),
    (operators::NEGATE, "-"),
    (operators::IN, "in"),
];

pub(super) fn is_operator(name: &str) -> bool {
    OPERATORS.iter().any(|(operator, _)| *operator == name)
}

pub(super) fn operator_sign(name: &str) -> &str {
    OPERATORS
        .iter()
        .find(|(operator, _)| *operator == name)
        .map_or(name, |(_, sign)| *sign)
}

/// The type that an operator gives for arguments of these types; `None` where it takes no such.
pub(super) fn operator_type(name: &str, types: &[Type]) -> Option<Type> {
    match (name, types) {
        (operators::CONDITIONAL, [Type::Bool, yes, no]) if yes.fits(no) => {
            Some(if *yes == Type::Any { no } else { yes }.clone())
        }
        (operators::LOGICAL_AND | operators::LOGICAL_OR, [Type::Bool, Type::Bool])
        | (operators::LOGICAL_NOT, [Type::Bool]) => Some(Type::Bool),
        (operators::NEGATE, [number @ (Type::Int | Type::Double)]) => Some(number.clone()),
        (operators::EQUALS | operators::NOT_EQUALS, [a, b])
            if a.comparable(b) && !matches!(a, Type::Optional(_)) =>
        {
            Some(Type::Bool)
        }
        (
            operators::GREATER_EQUALS
            | operators::LESS_EQUALS
            | operators::GREATER
            | operators::LESS,
            [a, b],
        ) if a.comparable(b) && a.is_ordered() => Some(Type::Bool),
        (operators::IN, [key, Type::List(element)]) if key.comparable(element) => Some(Type::Bool),
        (operators::IN, [key, Type::Map(keys, _)]) if keys.fits(key) => Some(Type::Bool),
        (operators::ADD, [a, b]) => sum_type(a, b),
        (operators::SUBSTRACT, [a, b]) => difference_type(a, b),
        (operators::MULTIPLY | operators::DIVIDE, [a @ (Type::Int | Type::Double), b])
        | (operators::MODULO, [a @ Type::Int, b])
            if a == b =>
        {
            Some(a.clone())
        }
        _ => None,
    }
}

fn sum_type(a: &Type, b: &Type) -> Option<Type> {
    match (a, b) {
        (Type::Int | Type::Double | Type::String | Type::Duration, _) if a == b => Some(a.clone()),
        (Type::Timestamp, Type::Duration) | (Type::Duration, Type::Timestamp) => {
            Some(Type::Timestamp)
        }
        (Type::List(first), Type::List(second)) if first.fits(second) => {
            Some(if **first == Type::Any { b } else { a }.clone())
        }
        _ => None,
    }
}

fn difference_type(a: &Type, b: &Type) -> Option<Type> {
    match (a, b) {
        (Type::Int | Type::Double | Type::Duration, _) if a == b => Some(a.clone()),
        (Type::Timestamp, Type::Timestamp) => Some(Type::Duration),
        (Type::Timestamp, Type::Duration) => Some(Type::Timestamp),
        _ => None,
    }
}

/// A call of a function by name, `f(x)` or `x.f(y)`.
pub(super) fn check(checker: &mut Checker, call: &CallExpr) -> Checked {
    let name = call.func_name.as_str();
    if name == "matches" {
        return matches(checker, call);
    }
    if !is_known(name) {
        return checker.refuse(format!("there is no function `{}`", shown(name)));
    }
    let mut types = Vec::new();
    let mut trees = Vec::new();
    for ast in call.target.as_deref().into_iter().chain(&call.args) {
        let (found, tree) = checker.check(ast)?;
        types.push(found);
        trees.push(tree);
    }
    let found = match &call.target {
        Some(_) => member_type(name, &types),
        None => global_type(name, &types),
    };
    let Some(found) = found else {
        let shown: Vec<String> = types.iter().map(ToString::to_string).collect();
        return checker.refuse(format!("`{name}` does not take ({})", shown.join(", ")));
    };
    let tree = if call.target.is_some() {
        let target = trees.remove(0);
        member_call(name, target, trees)
    } else {
        call_of(name, trees)
    };
    constant(checker, call, &tree)?;
    Ok((found, tree))
}

const GLOBAL: [&str; 7] = [
    "size",
    "string",
    "int",
    "double",
    "bool",
    "timestamp",
    "duration",
];
const MEMBER: [&str; 18] = [
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "hasValue",
    "value",
    "orValue",
    "or",
    "getFullYear",
    "getMonth",
    "getDayOfYear",
    "getDayOfMonth",
    "getDate",
    "getDayOfWeek",
    "getHours",
    "getMinutes",
    "getSeconds",
    "getMilliseconds",
];

fn is_known(name: &str) -> bool {
    GLOBAL.contains(&name) || MEMBER.contains(&name)
}

fn global_type(name: &str, types: &[Type]) -> Option<Type> {
    match (name, types) {
        (
            "string",
            [
                Type::Bool
                | Type::Int
                | Type::Double
                | Type::String
                | Type::Timestamp
                | Type::Duration,
            ],
        ) => Some(Type::String),
        ("size", [Type::String | Type::List(_) | Type::Map(..)])
        | ("int", [Type::Int | Type::Double | Type::String | Type::Timestamp]) => Some(Type::Int),
        ("double", [Type::Int | Type::Double | Type::String]) => Some(Type::Double),
        ("bool", [Type::Bool | Type::String]) => Some(Type::Bool),
        ("timestamp", [Type::String | Type::Int | Type::Timestamp]) => Some(Type::Timestamp),
        ("duration", [Type::String | Type::Duration]) => Some(Type::Duration),
        _ => None,
    }
}

fn member_type(name: &str, types: &[Type]) -> Option<Type> {
    match (name, types) {
        ("contains" | "startsWith" | "endsWith", [Type::String, Type::String])
        | ("hasValue", [Type::Optional(_)]) => Some(Type::Bool),
        ("value", [Type::Optional(value)]) if **value != Type::Any => Some((**value).clone()),
        ("orValue", [Type::Optional(value), other]) if value.fits(other) => Some((**value).clone()),
        ("or", [optional @ Type::Optional(_), other]) if optional.fits(other) => {
            Some(optional.clone())
        }
        ("size", [Type::String | Type::List(_) | Type::Map(..)])
        | (
            "getHours" | "getMinutes" | "getSeconds" | "getMilliseconds",
            [Type::Duration | Type::Timestamp] | [Type::Timestamp, Type::String],
        )
        | (
            "getFullYear" | "getMonth" | "getDayOfYear" | "getDayOfMonth" | "getDate"
            | "getDayOfWeek",
            [Type::Timestamp] | [Type::Timestamp, Type::String],
        ) => Some(Type::Int),
        _ => None,
    }
}

/// What depends on a constant alone is tried at once: `duration('30x')` and `now.getHours('Mars')` would
/// fail at each use.
fn constant(checker: &mut Checker, call: &CallExpr, tree: &cel::IdedExpr) -> Result<(), Refused> {
    if call.target.is_some() {
        return zone(checker, call);
    }
    let converts = matches!(
        call.func_name.as_str(),
        "timestamp" | "duration" | "int" | "double" | "bool"
    );
    let [argument] = call.args.as_slice() else {
        return Ok(());
    };
    if !converts || !matches!(argument.expr, Expr::Literal(_)) {
        return Ok(());
    }
    if eval::is_constant(tree) {
        Ok(())
    } else {
        checker.refuse(format!(
            "`{}` cannot take {}",
            call.func_name,
            text(argument).map_or_else(
                || "this number".to_owned(),
                |text| format!("'{}'", shown(text))
            )
        ))
    }
}

/// The zone of `x.getHours('Europe/Berlin')` and its kin.
fn zone(checker: &mut Checker, call: &CallExpr) -> Result<(), Refused> {
    let [argument] = call.args.as_slice() else {
        return Ok(());
    };
    let Some(name) = text(argument).filter(|_| call.func_name.starts_with("get")) else {
        return Ok(());
    };
    let any_moment = node(Expr::Literal(LiteralValue::Int(0.into())));
    let any_moment = call_of("timestamp", vec![any_moment]);
    if eval::is_constant(&member_call("getHours", any_moment, call.args.clone())) {
        Ok(())
    } else {
        checker.refuse(format!("there is no time zone '{}'", shown(name)))
    }
}

/// `x.matches('...')` or `matches(x, '...')`: the pattern is a constant, compiled here and once.
fn matches(checker: &mut Checker, call: &CallExpr) -> Checked {
    let ((Some(subject), [pattern]) | (None, [subject, pattern])) =
        (call.target.as_deref(), call.args.as_slice())
    else {
        return checker.refuse("`matches` takes a text and a pattern");
    };
    let subject = checker.check_as(subject, &Type::String, "what `matches` looks at")?;
    let Some(pattern) = text(pattern) else {
        return checker.refuse("the pattern of `matches` must be a constant text");
    };
    if pattern.len() > PATTERN_BYTES_MAX {
        return checker.refuse(format!("a pattern has at most {PATTERN_BYTES_MAX} bytes"));
    }
    if checker.patterns.len() == PATTERNS_MAX {
        return checker.refuse(format!("an expression has at most {PATTERNS_MAX} patterns"));
    }
    let compiled = RegexBuilder::new(pattern)
        .size_limit(PATTERN_PROGRAM_BYTES_MAX)
        .dfa_size_limit(PATTERN_PROGRAM_BYTES_MAX)
        .nest_limit(16)
        .build();
    let Ok(compiled) = compiled else {
        return checker.refuse(format!(
            "'{}' is not a pattern, or one that grows too large",
            shown(pattern)
        ));
    };
    checker.patterns.push(compiled);
    let name = node(Expr::Ident(format!(
        "{PATTERN}{}",
        checker.patterns.len() - 1
    )));
    Ok((Type::Bool, call_of(MATCHES, vec![subject, name])))
}
