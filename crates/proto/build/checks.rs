//! The closed list of rules: what each means in Rust, its id and its sentence.
//!
//! Ids are those of the public protovalidate libraries, so that a client which checks before it
//! sends and the server which refuses say the same. A rule that is not in these functions fails the
//! build.

use prost_reflect::{EnumDescriptor, FieldDescriptor, Value};

use crate::fault::Fault;
use crate::options::Rule;

/// One rule on one value, which the generated code calls `v`.
pub struct Check {
    /// A Rust expression that is true where the rule is broken.
    pub violated: String,
    /// The rule's id.
    pub rule: String,
    /// What the value must be, without naming the field.
    pub description: String,
}

fn check(rule: &str, violated: String, description: String) -> Check {
    Check {
        violated,
        rule: rule.to_owned(),
        description,
    }
}

/// The patterns that the generated code compiles, each once however many fields have it.
#[derive(Default)]
pub struct Patterns(pub Vec<String>);

impl Patterns {
    /// The name of the static that holds the compiled pattern.
    fn place(&mut self, pattern: &str) -> String {
        let known = self.0.iter().position(|other| other == pattern);
        let index = known.unwrap_or_else(|| {
            self.0.push(pattern.to_owned());
            self.0.len() - 1
        });
        format!("PATTERN_{index}")
    }
}

/// Rules of string; `form` is how names in the field look, where it holds resource names.
pub fn string(
    rules: &[Rule],
    field: &FieldDescriptor,
    form: Option<&str>,
    patterns: &mut Patterns,
) -> Result<Vec<Check>, Fault> {
    let mut checks = Vec::new();
    for (rule, value) in rules {
        if let (name, Value::U64(n)) = (rule, value) {
            let length = text_length(name, *n);
            checks.push(length.ok_or_else(|| unknown(field, "string", name))?);
            continue;
        }
        checks.push(match (rule.as_str(), value) {
            ("const", Value::String(only)) => check(
                "string.const",
                format!("v != {only:?}"),
                format!("must be `{only}`"),
            ),
            ("pattern", Value::String(pattern)) => {
                regex::Regex::new(pattern)
                    .map_err(|error| Fault::field(field, &format!("bad pattern: {error}")))?;
                check(
                    "string.pattern",
                    format!("!{}.is_match(v)", patterns.place(pattern)),
                    form.map_or_else(
                        || format!("must match `{pattern}`"),
                        |form| format!("must have the form `{form}`"),
                    ),
                )
            }
            ("prefix", Value::String(prefix)) => check(
                "string.prefix",
                format!("!v.starts_with({prefix:?})"),
                format!("must begin with `{prefix}`"),
            ),
            ("suffix", Value::String(suffix)) => check(
                "string.suffix",
                format!("!v.ends_with({suffix:?})"),
                format!("must end with `{suffix}`"),
            ),
            ("in", Value::List(list)) => check(
                "string.in",
                format!("![{}].contains(&v)", joined(list, quoted)),
                format!("must be one of {}", joined(list, bare)),
            ),
            ("not_in", Value::List(list)) => check(
                "string.not_in",
                format!("[{}].contains(&v)", joined(list, quoted)),
                format!("must not be one of {}", joined(list, bare)),
            ),
            ("uuid", Value::Bool(true)) => check(
                "string.uuid",
                "!rules::is_uuid(v)".to_owned(),
                "must be a UUID".to_owned(),
            ),
            (name, _) => return Err(unknown(field, "string", name)),
        });
    }
    Ok(checks)
}

/// The rule that no proto states and every text keeps: one of the two databases can't store U+0000.
pub fn no_nul() -> Check {
    check(
        "string.nul",
        "rules::has_nul(v)".to_owned(),
        "must not have the character U+0000".to_owned(),
    )
}

/// The rules of string that are about its length.
fn text_length(rule: &str, n: u64) -> Option<Check> {
    let (violated, description) = match (rule, n) {
        ("len", _) => (
            format!("v.chars().count() != {n}"),
            format!("must have exactly {n} characters"),
        ),
        ("min_len", 1) => ("v.is_empty()".to_owned(), "must not be empty".to_owned()),
        ("min_len", _) => (
            format!("rules::shorter_than(v, {n})"),
            format!("must have at least {n} characters"),
        ),
        ("max_len", _) => (
            format!("rules::longer_than(v, {n})"),
            format!("must have at most {n} characters"),
        ),
        ("max_bytes", _) => (
            format!("v.len() > {n}"),
            format!("must have at most {n} bytes"),
        ),
        _ => return None,
    };
    Some(check(&format!("string.{rule}"), violated, description))
}

/// Rules of int32 and int64, called `kind` in rule ids.
pub fn integer(rules: &[Rule], field: &FieldDescriptor, kind: &str) -> Result<Vec<Check>, Fault> {
    let mut checks = Vec::new();
    let (mut lower, mut upper) = (None, None);
    for (rule, value) in rules {
        let bound = Bound {
            rule,
            number: bare(value),
            spoken: bare(value),
        };
        match (rule.as_str(), value) {
            ("gt" | "gte", _) => lower = Some(bound),
            ("lt" | "lte", _) => upper = Some(bound),
            ("const", only) => checks.push(check(
                &format!("{kind}.const"),
                format!("v != {}", bare(only)),
                format!("must be {}", bare(only)),
            )),
            ("in", Value::List(list)) => checks.push(check(
                &format!("{kind}.in"),
                format!("![{}].contains(&v)", joined(list, bare)),
                format!("must be one of {}", joined(list, bare)),
            )),
            ("not_in", Value::List(list)) => checks.push(check(
                &format!("{kind}.not_in"),
                format!("[{}].contains(&v)", joined(list, bare)),
                format!("must not be one of {}", joined(list, bare)),
            )),
            (other, _) => return Err(unknown(field, kind, other)),
        }
    }
    checks.extend(bounds(kind, "v", lower, upper));
    Ok(checks)
}

/// Rules of google.protobuf.Duration.
pub fn duration(rules: &[Rule], field: &FieldDescriptor) -> Result<Vec<Check>, Fault> {
    let (mut lower, mut upper) = (None, None);
    for (rule, value) in rules {
        let part = |name: &str| value.as_message()?.get_field_by_name(name);
        let seconds = part("seconds")
            .and_then(|part| part.as_i64())
            .unwrap_or_default();
        let nanos = part("nanos")
            .and_then(|part| part.as_i32())
            .unwrap_or_default();
        let fraction = format!("{:.9}", f64::from(nanos) / 1e9);
        let fraction = fraction
            .trim_start_matches('0')
            .trim_end_matches(['0', '.']);
        let bound = Some(Bound {
            rule,
            number: format!("({seconds}, {nanos})"),
            spoken: format!("{seconds}{fraction} s"),
        });
        match rule.as_str() {
            "gt" | "gte" => lower = bound,
            "lt" | "lte" => upper = bound,
            other => return Err(unknown(field, "duration", other)),
        }
    }
    Ok(bounds("duration", "(v.seconds, v.nanos)", lower, upper)
        .into_iter()
        .collect())
}

/// One end of a range: the rule that sets it, the number in Rust and in words.
struct Bound<'a> {
    rule: &'a str,
    number: String,
    spoken: String,
}

impl Bound<'_> {
    /// The expression that is true beyond the bound, and what the value must be.
    fn parts(&self, value: &str) -> (String, String) {
        let (operator, words) = match self.rule {
            "gt" => ("<=", "above"),
            "gte" => ("<", "at least"),
            "lt" => (">=", "below"),
            _ => (">", "at most"),
        };
        (
            format!("{value} {operator} {}", self.number),
            format!("{words} {}", self.spoken),
        )
    }
}

/// The check of a lower bound, an upper bound, or both in one, as protovalidate names them.
fn bounds(
    kind: &str,
    value: &str,
    lower: Option<Bound<'_>>,
    upper: Option<Bound<'_>>,
) -> Option<Check> {
    let (rule, violated, words) = match (lower, upper) {
        (None, None) => return None,
        (Some(only), None) | (None, Some(only)) => {
            let (violated, words) = only.parts(value);
            (only.rule.to_owned(), violated, words)
        }
        (Some(low), Some(high)) => {
            let ((too_low, least), (too_high, most)) = (low.parts(value), high.parts(value));
            (
                format!("{}_{}", low.rule, high.rule),
                format!("{too_low} || {too_high}"),
                format!("{least} and {most}"),
            )
        }
    };
    Some(check(
        &format!("{kind}.{rule}"),
        violated,
        format!("must be {words}"),
    ))
}

/// Rules of bytes.
pub fn bytes(rules: &[Rule], field: &FieldDescriptor) -> Result<Vec<Check>, Fault> {
    let mut checks = Vec::new();
    for (rule, value) in rules {
        checks.push(match (rule.as_str(), value) {
            ("min_len", Value::U64(n)) => check(
                "bytes.min_len",
                format!("v.len() < {n}"),
                format!("must have at least {n} bytes"),
            ),
            ("max_len", Value::U64(n)) => check(
                "bytes.max_len",
                format!("v.len() > {n}"),
                format!("must have at most {n} bytes"),
            ),
            (name, _) => return Err(unknown(field, "bytes", name)),
        });
    }
    Ok(checks)
}

/// Rules of an enum.
pub fn enumeration(
    rules: &[Rule],
    field: &FieldDescriptor,
    declared: &EnumDescriptor,
) -> Result<Vec<Check>, Fault> {
    let name_of = |value: &Value| {
        let number = value.as_i32().unwrap_or_default();
        let value = declared.get_value(number);
        value.map_or_else(|| number.to_string(), |value| value.name().to_owned())
    };
    let mut checks = Vec::new();
    for (rule, value) in rules {
        checks.push(match (rule.as_str(), value) {
            ("defined_only", Value::Bool(true)) => {
                let numbers: Vec<String> = declared
                    .values()
                    .map(|value| value.number().to_string())
                    .collect();
                check(
                    "enum.defined_only",
                    format!("!matches!(v, {})", numbers.join(" | ")),
                    format!("must be a value that {} declares", declared.name()),
                )
            }
            ("const", only) => check(
                "enum.const",
                format!("v != {}", bare(only)),
                format!("must be {}", name_of(only)),
            ),
            ("in", Value::List(list)) => check(
                "enum.in",
                format!("![{}].contains(&v)", joined(list, bare)),
                format!("must be one of {}", joined(list, name_of)),
            ),
            ("not_in", Value::List(list)) => check(
                "enum.not_in",
                format!("[{}].contains(&v)", joined(list, bare)),
                format!("must not be {}", joined(list, name_of)),
            ),
            (name, _) => return Err(unknown(field, "enum", name)),
        });
    }
    Ok(checks)
}

/// The limits on how many elements or pairs there are; `v` is the list or map.
pub fn count(kind: &str, unit: &str, least: Option<u64>, most: Option<u64>) -> Vec<Check> {
    let mut checks = Vec::new();
    if let Some(n) = least {
        let description = format!("must have at least {n} {unit}");
        checks.push(check(
            &format!("{kind}.min_{unit}"),
            format!("v.len() < {n}"),
            description,
        ));
    }
    if let Some(n) = most {
        let description = format!("must have at most {n} {unit}");
        checks.push(check(
            &format!("{kind}.max_{unit}"),
            format!("v.len() > {n}"),
            description,
        ));
    }
    checks
}

/// The value as it stands in Rust source or a sentence: numbers and texts plain.
fn bare(value: &Value) -> String {
    match value {
        Value::I32(number) | Value::EnumNumber(number) => number.to_string(),
        Value::I64(number) => number.to_string(),
        Value::String(text) => text.clone(),
        other => format!("{other:?}"),
    }
}

fn quoted(value: &Value) -> String {
    format!("{:?}", value.as_str().unwrap_or_default())
}

fn joined(list: &[Value], write: impl Fn(&Value) -> String) -> String {
    list.iter().map(write).collect::<Vec<_>>().join(", ")
}

fn unknown(field: &FieldDescriptor, kind: &str, rule: &str) -> Fault {
    Fault::field(
        field,
        &format!("the generator does not know the rule `{kind}.{rule}`"),
    )
}
