//! Reads the options that the protos carry: behaviours, references, resources, rules.

use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, MessageDescriptor, Value};

use crate::fault::Fault;

/// `google.api.FieldBehavior.OUTPUT_ONLY`.
const OUTPUT_ONLY: i32 = 3;

/// The value of an option, where it is set.
pub fn option(pool: &DescriptorPool, options: &DynamicMessage, name: &str) -> Option<Value> {
    let extension = pool.get_extension_by_name(name)?;
    options
        .has_extension(&extension)
        .then(|| options.get_extension(&extension).into_owned())
}

/// An option that is a message.
pub fn message_option(
    pool: &DescriptorPool,
    options: &DynamicMessage,
    name: &str,
) -> Option<DynamicMessage> {
    option(pool, options, name)?.as_message().cloned()
}

/// Whether callers cannot set the field: what they send in it is ignored, so it is never checked.
pub fn output_only(pool: &DescriptorPool, field: &FieldDescriptor) -> bool {
    let behaviours = option(pool, &field.options(), "google.api.field_behavior");
    behaviours.is_some_and(|value| {
        value
            .as_list()
            .is_some_and(|list| list.contains(&Value::EnumNumber(OUTPUT_ONLY)))
    })
}

/// The text of a string field of an option, empty where it is not set.
pub fn text(message: &DynamicMessage, field: &str) -> String {
    message
        .get_field_by_name(field)
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}

/// Whether the message is a resource.
pub fn is_resource(pool: &DescriptorPool, message: &MessageDescriptor) -> bool {
    option(pool, &message.options(), "google.api.resource").is_some()
}

/// The form that the names in `field` have, where it refers to a resource of the protos: the
/// resource's own pattern, or that of the parent for a field which names the parent of children.
pub fn reference_pattern(pool: &DescriptorPool, field: &FieldDescriptor) -> Option<String> {
    let reference = message_option(pool, &field.options(), "google.api.resource_reference")?;
    let of = |kind: &str| {
        resources(pool)
            .into_iter()
            .find(|resource| text(resource, "type") == kind)
            .and_then(|resource| {
                let pattern = resource.get_field_by_name("pattern")?;
                pattern.as_list()?.first()?.as_str().map(str::to_owned)
            })
    };
    let (own, child) = (text(&reference, "type"), text(&reference, "child_type"));
    if own.is_empty() {
        let pattern = of(&child)?;
        let mut parts: Vec<&str> = pattern.split('/').collect();
        // The parent's pattern ends before the collection of the children.
        parts.truncate(parts.len().saturating_sub(2));
        Some(parts.join("/"))
    } else {
        of(&own)
    }
}

/// Every resource: those that messages are, and those that files declare without a message.
fn resources(pool: &DescriptorPool) -> Vec<DynamicMessage> {
    let of_messages = pool
        .all_messages()
        .filter_map(|message| message_option(pool, &message.options(), "google.api.resource"));
    let of_files = pool.files().flat_map(|file| {
        let declared = option(pool, &file.options(), "google.api.resource_definition");
        let list = declared.and_then(|value| value.as_list().map(<[Value]>::to_vec));
        list.unwrap_or_default()
            .into_iter()
            .filter_map(|value| value.as_message().cloned())
    });
    of_messages.chain(of_files).collect()
}

/// When the rules of a field do not count.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Ignore {
    Unset,
    ZeroValue,
    Always,
}

/// One rule of a type, such as `max_len`, and its value.
pub type Rule = (String, Value);

/// The `buf.validate` rules of a field, of a list's elements, or of a map's keys or values.
pub struct Rules {
    pub required: bool,
    pub ignore: Ignore,
    /// The name of the type that they are for, and its rules.
    pub typed: Option<(String, Vec<Rule>)>,
}

impl Rules {
    pub fn none() -> Self {
        Self {
            required: false,
            ignore: Ignore::Unset,
            typed: None,
        }
    }

    pub fn of_field(pool: &DescriptorPool, field: &FieldDescriptor) -> Result<Self, Fault> {
        match message_option(pool, &field.options(), "buf.validate.field") {
            Some(message) => Self::parse(&message, field),
            None => Ok(Self::none()),
        }
    }

    /// The rules in a `buf.validate.FieldRules`; what is not understood is a fault of `field`.
    pub fn parse(message: &DynamicMessage, field: &FieldDescriptor) -> Result<Self, Fault> {
        let mut rules = Self::none();
        for (rule, value) in message.fields() {
            match (rule.name(), value) {
                ("required", Value::Bool(required)) => rules.required = *required,
                ("ignore", Value::EnumNumber(0)) => rules.ignore = Ignore::Unset,
                ("ignore", Value::EnumNumber(1)) => rules.ignore = Ignore::ZeroValue,
                ("ignore", Value::EnumNumber(3)) => rules.ignore = Ignore::Always,
                (name, Value::Message(typed)) => {
                    let list = typed
                        .fields()
                        .map(|(rule, value)| (rule.name().to_owned(), value.clone()))
                        .collect();
                    rules.typed = Some((name.to_owned(), list));
                }
                (name, _) => return Err(Fault::field(field, &format!("unknown rule `{name}`"))),
            }
        }
        if message.unknown_fields().next().is_some() {
            return Err(Fault::field(
                field,
                "a rule that validate.proto does not declare",
            ));
        }
        Ok(rules)
    }

    /// The rules of a list's elements or a map's keys or values, which can't be missing.
    pub fn of_element(message: &DynamicMessage, field: &FieldDescriptor) -> Result<Self, Fault> {
        let rules = Self::parse(message, field)?;
        if rules.required {
            return Err(Fault::field(
                field,
                "`required` is for fields, not for elements",
            ));
        }
        Ok(rules)
    }

    /// The rules of `kind`, none where the field has none; those of another type are a fault.
    pub fn of_type(&self, kind: &str, field: &FieldDescriptor) -> Result<&[Rule], Fault> {
        match &self.typed {
            None => Ok(&[]),
            Some((found, rules)) if found == kind => Ok(rules),
            Some((found, _)) => Err(Fault::field(
                field,
                &format!("rules of {found} on a field of {kind}"),
            )),
        }
    }
}
