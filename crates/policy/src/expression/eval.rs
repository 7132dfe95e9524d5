//! Evaluation: a checked tree, the facts it reads, and what can still go wrong.

use std::any::Any;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};

use cel::common::types::{
    CelBool, CelDouble, CelDuration, CelInt, CelList, CelMap, CelMapKey, CelOptional, CelString,
    CelTimestamp, DYN_TYPE, STRING_TYPE, Type as CelType,
};
use cel::common::value::{CowVal, StaticVal, Val};
use cel::context::VariableResolver;
use cel::parser::Expression as Ast;
use cel::{Context, Env, ExecutionError, Value};
use chrono::{DateTime, TimeDelta};
use regex::Regex;
use types::Micros;

use super::functions::MATCHES;
use super::reads::{Fact, Read, Scope};
use super::tree::{PATTERN, READ};

/// The environment of all expressions: the standard library without its macros.
pub(super) static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::default().with_stdlib();
    let declared = env.add_overload(MATCHES, MATCHES, vec![STRING_TYPE, DYN_TYPE], matches);
    debug_assert!(declared.is_ok(), "no other function has this name");
    Arc::new(env)
});

/// The value of a whole expression.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    Bool(bool),
    Other(Value),
}

/// Evaluates `tree`; the message says in our own words what failed.
pub(super) fn evaluate(
    tree: &Ast,
    reads: &[Read],
    patterns: &[Pattern],
    scope: &Scope,
) -> Result<Outcome, String> {
    // The library is not ours: a panic in it must cost one guard, not the process.
    catch_unwind(AssertUnwindSafe(|| {
        let resolver = Resolver {
            reads,
            patterns,
            scope,
        };
        let mut context = Context::with_env(Arc::clone(&ENV));
        context.set_variable_resolver(&resolver);
        let value = Value::resolve_val(tree, &context).map_err(|error| explain(&error, reads))?;
        match value.downcast_ref::<CelBool>() {
            Some(answer) => Ok(Outcome::Bool(*answer.inner())),
            None => Value::try_from(value.as_ref())
                .map(Outcome::Other)
                .map_err(|_| "gives a value that cannot be used".to_owned()),
        }
    }))
    .unwrap_or_else(|_| Err("cannot be evaluated".to_owned()))
}

/// Whether a tree that reads nothing evaluates without an error.
pub(super) fn is_constant(tree: &Ast) -> bool {
    catch_unwind(AssertUnwindSafe(|| {
        let context = Context::with_env(Arc::clone(&ENV));
        Value::resolve_val(tree, &context).is_ok()
    }))
    .unwrap_or(false)
}

/// What failed, without the library's words: they may carry values.
fn explain(error: &ExecutionError, reads: &[Read]) -> String {
    match error {
        ExecutionError::UndeclaredReference(name) => name
            .strip_prefix(READ)
            .and_then(|index| reads.get(index.parse::<usize>().ok()?))
            .map_or_else(
                || "names what is not there".to_owned(),
                |read| format!("{} is not set", read.path),
            ),
        ExecutionError::NoSuchKey(_) => "a map has no such key".to_owned(),
        ExecutionError::IndexOutOfBounds(_) => "a list is not that long".to_owned(),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "divides by zero".to_owned()
        }
        ExecutionError::Overflow(..) => "a number grows too large".to_owned(),
        ExecutionError::FunctionError { function, .. } => {
            format!("`{function}` cannot take that value")
        }
        _ => "cannot be evaluated".to_owned(),
    }
}

/// Answers the names that the checker put into a tree.
struct Resolver<'a> {
    reads: &'a [Read],
    patterns: &'a [Pattern],
    scope: &'a Scope<'a>,
}

impl VariableResolver for Resolver<'_> {
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        if let Some(index) = name.strip_prefix(READ) {
            let read = self.reads.get(index.parse::<usize>().ok()?)?;
            let value = read.value(self.scope).and_then(to_cel);
            return if read.optional {
                Some(CowVal::owned(CelOptional::from(value)))
            } else {
                value.map(CowVal::Owned)
            };
        }
        let index = name.strip_prefix(PATTERN)?;
        let pattern = self.patterns.get(index.parse::<usize>().ok()?)?;
        Some(CowVal::Borrowed(pattern))
    }
}

fn to_cel<'v>(fact: Fact<'v>) -> Option<Box<dyn Val + 'v>> {
    Some(match fact {
        Fact::Bool(value) => Box::new(CelBool::from(value)),
        Fact::Int(value) => Box::new(CelInt::from(value)),
        Fact::Double(value) => Box::new(CelDouble::from(value)),
        Fact::Text(text) => Box::new(CelString::from(text)),
        Fact::Time(time) => Box::new(timestamp(time)?),
        Fact::SpanMicros(micros) => Box::new(CelDuration::from(span(micros)?)),
        Fact::Texts(texts) => {
            let elements: Vec<Box<dyn Val + 'v>> = texts
                .iter()
                .map(|text| Box::new(CelString::from(text.as_str())) as Box<dyn Val + 'v>)
                .collect();
            Box::new(CelList::from(elements))
        }
        Fact::Labels(labels) => {
            let entries: HashMap<CelMapKey<'v>, Box<dyn Val + 'v>> = labels
                .iter()
                .map(|(key, label)| {
                    let label: Box<dyn Val + 'v> = Box::new(CelString::from(label.as_str()));
                    (CelMapKey::from(key.as_str()), label)
                })
                .collect();
            Box::new(CelMap::from(entries))
        }
        Fact::Checks(checks) => {
            let entries: HashMap<CelMapKey<'v>, Box<dyn Val + 'v>> = checks
                .iter()
                .map(|(key, check)| {
                    let check: Box<dyn Val + 'v> = Box::new(CelBool::from(*check));
                    (CelMapKey::from(key.as_str()), check)
                })
                .collect();
            Box::new(CelMap::from(entries))
        }
    })
}

/// The instants that CEL knows: the years 1 to 9999.
const TIME_MIN: Micros = Micros(-62_135_596_800_000_000);
const TIME_MAX: Micros = Micros(253_402_300_799_999_999);

fn timestamp(time: Micros) -> Option<CelTimestamp> {
    if time < TIME_MIN || time > TIME_MAX {
        return None;
    }
    let time = DateTime::from_timestamp_micros(time.0)?;
    Some(CelTimestamp::from(time.fixed_offset()))
}

/// The spans that CEL knows: what nanoseconds in an i64 can count.
fn span(micros: i64) -> Option<TimeDelta> {
    let span = TimeDelta::microseconds(micros);
    span.num_nanoseconds().map(|_| span)
}

/// A pattern that was compiled when the policy was.
#[derive(Clone, Debug)]
pub(crate) struct Pattern(pub Regex);

static PATTERN_TYPE: CelType = CelType::new_unspecified_type("pattern");

impl Val for Pattern {
    fn get_type(&self) -> &CelType {
        &PATTERN_TYPE
    }

    fn cel_type() -> &'static CelType {
        &PATTERN_TYPE
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(self.clone())
    }

    fn equals(&self, _other: &dyn Val) -> bool {
        false
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Pattern {}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the library hands the arguments of a function over"
)]
fn matches<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let [subject, pattern] = args.as_slice() else {
        return Err(ExecutionError::missing_argument_or_target());
    };
    let subject = subject.downcast_ref::<CelString>();
    let pattern = pattern.downcast_ref::<Pattern>();
    match (subject, pattern) {
        (Some(subject), Some(pattern)) => {
            let found = pattern.0.is_match(subject.inner());
            Ok(CowVal::owned(CelBool::from(found)))
        }
        _ => Err(ExecutionError::missing_argument_or_target()),
    }
}
