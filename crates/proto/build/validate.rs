//! Writes `Validate` for every message: walks its fields, lists, maps and oneofs and applies the
//! rules of `checks`. What callers cannot set (OUTPUT_ONLY) is passed over.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use prost_reflect::{
    DescriptorPool, FieldDescriptor, Kind, MessageDescriptor, OneofDescriptor, Value,
};

use crate::checks::{self, Check, Patterns};
use crate::fault::Fault;
use crate::names::{self, Names};
use crate::options::{Ignore, Rules, message_option, output_only, reference_pattern};

/// The messages that get Rust code, map entries left out.
pub fn generated_messages<'a>(
    pool: &'a DescriptorPool,
    names: &'a Names,
) -> impl Iterator<Item = MessageDescriptor> + 'a {
    pool.all_messages()
        .filter(|message| !message.is_map_entry() && names.owns(message.package_name()))
}

/// The `impl`s of all messages, with the patterns that they use.
pub fn generate(pool: &DescriptorPool, names: &Names) -> Result<String, Fault> {
    let mut writer = Writer {
        pool,
        names,
        patterns: Patterns::default(),
        checked: BTreeSet::new(),
    };
    // Whether a message has anything to check depends on the messages in it, which may contain
    // each other: go round until nothing is added.
    loop {
        let before = writer.checked.len();
        for message in own_messages(pool, names) {
            if !writer.message(&message)?.is_empty() {
                writer.checked.insert(message.full_name().to_owned());
            }
        }
        if writer.checked.len() == before {
            break;
        }
    }
    let mut out = String::from("use crate::Validate as _;\nuse crate::validate::rules;\n\n");
    for message in own_messages(pool, names) {
        let _ = writeln!(
            out,
            "impl crate::Validate for {} {{\n    fn validate(&self, path: &crate::Path<'_>, out: &mut crate::Violations) {{\n{}    }}\n}}",
            names.message(&message),
            writer.message(&message)?
        );
    }
    for (index, pattern) in writer.patterns.0.iter().enumerate() {
        let _ = writeln!(
            out,
            "static PATTERN_{index}: ::std::sync::LazyLock<::regex::Regex> =\n    ::std::sync::LazyLock::new(|| rules::pattern({pattern:?}));"
        );
    }
    Ok(out)
}

/// The messages whose checks are generated; those of google.type are written by hand.
fn own_messages<'a>(
    pool: &'a DescriptorPool,
    names: &'a Names,
) -> impl Iterator<Item = MessageDescriptor> + 'a {
    generated_messages(pool, names).filter(|message| message.package_name() != "google.type")
}

struct Writer<'a> {
    pool: &'a DescriptorPool,
    names: &'a Names,
    patterns: Patterns,
    /// Full names of the messages that have anything to check.
    checked: BTreeSet<String>,
}

impl Writer<'_> {
    /// The statements that check a message, empty where there is nothing to check.
    fn message(&mut self, message: &MessageDescriptor) -> Result<String, Fault> {
        let mut code = String::new();
        for field in message.fields() {
            let in_oneof = field
                .containing_oneof()
                .is_some_and(|oneof| !oneof.is_synthetic());
            if !in_oneof && !output_only(self.pool, &field) {
                code.push_str(&self.field(&field)?);
            }
        }
        for oneof in message.oneofs().filter(|oneof| !oneof.is_synthetic()) {
            code.push_str(&self.oneof(&oneof)?);
        }
        Ok(code)
    }

    /// The statements that check a field which is in no oneof.
    fn field(&mut self, field: &FieldDescriptor) -> Result<String, Fault> {
        let rules = Rules::of_field(self.pool, field)?;
        if rules.ignore == Ignore::Always {
            return Ok(String::new());
        }
        let checks = if field.is_map() {
            self.map(field, &rules)?
        } else if field.is_list() {
            self.list(field, &rules)?
        } else {
            self.value(field, &field.kind(), &rules)?
        };
        if checks.is_empty() && !rules.required {
            return Ok(String::new());
        }
        let (name, place) = (field.name(), names::field(field));
        let missing = if rules.required {
            "out.add(&p, \"required\", \"must be set\");"
        } else {
            ""
        };
        let optional = !field.is_list() && !field.is_map() && field.supports_presence();
        let body = if optional {
            format!("match &self.{place} {{ Some(v) => {{ {checks} }} None => {{ {missing} }} }}")
        } else if rules.required {
            let zero = zero_test(field);
            format!("let v = &self.{place};\nif {zero} {{ {missing} }} else {{ {checks} }}")
        } else {
            format!("let v = &self.{place};\n{checks}")
        };
        Ok(format!("{{ let p = path.field({name:?});\n{body}\n}}\n"))
    }

    /// The statements that check a list; `v` is the list and `p` its path.
    fn list(&mut self, field: &FieldDescriptor, rules: &Rules) -> Result<String, Fault> {
        let (mut least, mut most, mut unique, mut items) = (None, None, false, Rules::none());
        for (rule, value) in rules.of_type("repeated", field)? {
            match (rule.as_str(), value) {
                ("min_items", Value::U64(n)) => least = Some(*n),
                ("max_items", Value::U64(n)) => most = Some(*n),
                ("unique", Value::Bool(yes)) => unique = *yes,
                ("items", Value::Message(message)) => items = Rules::of_element(message, field)?,
                _ => {
                    return Err(Fault::field(
                        field,
                        &format!("unknown rule `repeated.{rule}`"),
                    ));
                }
            }
        }
        let counts = statements(&checks::count("repeated", "items", least, most));
        let item = self.value(field, &field.kind(), &items)?;
        let mut each = String::new();
        if unique {
            each.push_str(
                "if rules::has_duplicates(v) { out.add(&p, \"repeated.unique\", \"must not hold the same value twice\"); }\n",
            );
        }
        if !item.is_empty() {
            let _ = write!(
                each,
                "for (i, v) in v.iter().enumerate() {{ let p = p.index(i);\n{item} }}\n"
            );
        }
        Ok(after_counts(&counts, &each, most))
    }

    /// The statements that check a map; `v` is the map and `p` its path.
    fn map(&mut self, field: &FieldDescriptor, rules: &Rules) -> Result<String, Fault> {
        let (mut least, mut most) = (None, None);
        let (mut keys, mut values) = (Rules::none(), Rules::none());
        for (rule, value) in rules.of_type("map", field)? {
            match (rule.as_str(), value) {
                ("min_pairs", Value::U64(n)) => least = Some(*n),
                ("max_pairs", Value::U64(n)) => most = Some(*n),
                ("keys", Value::Message(message)) => keys = Rules::of_element(message, field)?,
                ("values", Value::Message(message)) => values = Rules::of_element(message, field)?,
                _ => return Err(Fault::field(field, &format!("unknown rule `map.{rule}`"))),
            }
        }
        let entry = field.kind();
        let Some(entry) = entry.as_message() else {
            return Err(Fault::field(field, "a map without entries"));
        };
        let key_kind = entry.map_entry_key_field().kind();
        let counts = statements(&checks::count("map", "pairs", least, most));
        let key = self.value(field, &key_kind, &keys)?;
        let value = self.value(field, &entry.map_entry_value_field().kind(), &values)?;
        let mut each = String::new();
        if !key.is_empty() || !value.is_empty() {
            if key_kind != Kind::String {
                return Err(Fault::field(
                    field,
                    "only maps with string keys can be checked",
                ));
            }
            let _ = write!(
                each,
                "for (k, value) in v {{ let p = p.key(k);\n{{ let v = k; {key} }}\n{{ let v = value; {value} }} }}\n"
            );
        }
        Ok(after_counts(&counts, &each, most))
    }

    /// The statements that check one value; `v` is a reference to it and `p` its path.
    fn value(
        &mut self,
        field: &FieldDescriptor,
        kind: &Kind,
        rules: &Rules,
    ) -> Result<String, Fault> {
        let code = match kind {
            Kind::String => {
                let form = reference_pattern(self.pool, field);
                let rules = rules.of_type("string", field)?;
                let mut list = checks::string(rules, field, form.as_deref(), &mut self.patterns)?;
                list.push(checks::no_nul());
                prefixed("let v: &str = v;", &list)
            }
            Kind::Bytes => prefixed("", &checks::bytes(rules.of_type("bytes", field)?, field)?),
            Kind::Int32 | Kind::Int64 => {
                let name = if *kind == Kind::Int32 {
                    "int32"
                } else {
                    "int64"
                };
                let list = checks::integer(rules.of_type(name, field)?, field, name)?;
                prefixed("let v = *v;", &list)
            }
            Kind::Enum(declared) => {
                let rules = rules.of_type("enum", field)?;
                prefixed("let v = *v;", &checks::enumeration(rules, field, declared)?)
            }
            Kind::Message(message) => match message.full_name() {
                "google.protobuf.Timestamp" => {
                    rules.of_type("timestamp", field)?;
                    "rules::timestamp(v, &p, out);".to_owned()
                }
                "google.protobuf.Duration" => {
                    let list = checks::duration(rules.of_type("duration", field)?, field)?;
                    format!("rules::duration(v, &p, out);\n{}", statements(&list))
                }
                "google.protobuf.Struct" => {
                    rules.of_type("message", field)?;
                    "rules::structure(v, &p, out);".to_owned()
                }
                name => {
                    rules.of_type("message", field)?;
                    let by_hand = message.package_name() == "google.type";
                    if by_hand || self.checked.contains(name) {
                        "v.validate(&p, out);".to_owned()
                    } else {
                        String::new()
                    }
                }
            },
            other => {
                rules.of_type(&format!("{other:?}"), field)?;
                String::new()
            }
        };
        Ok(match (rules.ignore, kind) {
            (Ignore::Always, _) => String::new(),
            (Ignore::ZeroValue, kind) if !code.is_empty() && kind.as_message().is_none() => {
                format!("if !rules::is_zero(v) {{ {code} }}")
            }
            _ => code,
        })
    }

    /// The statements that check the fields of a oneof, and whether one is set.
    fn oneof(&mut self, oneof: &OneofDescriptor) -> Result<String, Fault> {
        let options = message_option(self.pool, &oneof.options(), "buf.validate.oneof");
        let required = options.is_some_and(|rules| {
            rules
                .get_field_by_name("required")
                .is_some_and(|value| value.as_bool() == Some(true))
        });
        let path = self.names.oneof(oneof);
        let mut arms = String::new();
        for field in oneof
            .fields()
            .filter(|field| !output_only(self.pool, field))
        {
            let rules = Rules::of_field(self.pool, &field)?;
            if rules.required {
                return Err(Fault::field(
                    &field,
                    "`required` is for the oneof, not for its fields",
                ));
            }
            let checks = self.value(&field, &field.kind(), &rules)?;
            if !checks.is_empty() {
                let _ = writeln!(
                    arms,
                    "Some({path}::{}(v)) => {{ let p = path.field({:?});\n{checks} }}",
                    names::camel(field.name()),
                    field.name()
                );
            }
        }
        let place = names::snake(oneof.name());
        if required {
            let _ = writeln!(
                arms,
                "None => {{ out.add(&path.field({:?}), \"required\", \"one of its fields must be set\"); }}",
                oneof.name()
            );
        }
        Ok(if arms.is_empty() {
            arms
        } else {
            format!("match &self.{place} {{\n{arms}_ => {{}}\n}}\n")
        })
    }
}

/// Elements are looked at only where there are not too many of them, so that a request which is
/// refused anyway costs little.
fn after_counts(counts: &str, each: &str, most: Option<u64>) -> String {
    match most {
        Some(most) if !each.is_empty() => format!("{counts}if v.len() <= {most} {{\n{each}}}\n"),
        _ => format!("{counts}{each}"),
    }
}

fn statements(checks: &[Check]) -> String {
    checks.iter().fold(String::new(), |mut code, check| {
        let Check {
            violated,
            rule,
            description,
        } = check;
        let _ = writeln!(
            code,
            "if {violated} {{ out.add(&p, {rule:?}, {description:?}); }}"
        );
        code
    })
}

/// The statements behind `binding`, nothing where there are none.
fn prefixed(binding: &str, checks: &[Check]) -> String {
    if checks.is_empty() {
        String::new()
    } else {
        format!("{binding}\n{}", statements(checks))
    }
}

/// An expression that is true where the field has its zero value.
fn zero_test(field: &FieldDescriptor) -> &'static str {
    let kind = field.kind();
    if field.is_list() || field.is_map() || matches!(kind, Kind::String | Kind::Bytes) {
        "v.is_empty()"
    } else {
        "rules::is_zero(v)"
    }
}
