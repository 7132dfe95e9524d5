//! Writes `References` for every message: visits each field that callers set with the name of a
//! resource, wherever in the message it stands. The guard compares their workspaces with the
//! request's.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use prost_reflect::{DescriptorPool, FieldDescriptor, Kind, MessageDescriptor};

use crate::names::{self, Names};
use crate::options::{option, output_only};
use crate::validate::generated_messages;

pub fn generate(pool: &DescriptorPool, names: &Names) -> String {
    let mut writer = Writer {
        pool,
        names,
        referring: BTreeSet::new(),
    };
    // Whether a message refers to anything depends on the messages in it, which may contain each
    // other: go round until nothing is added.
    loop {
        let before = writer.referring.len();
        for message in generated_messages(pool, names) {
            if !writer.message(&message).is_empty() {
                writer.referring.insert(message.full_name().to_owned());
            }
        }
        if writer.referring.len() == before {
            break;
        }
    }
    let mut out = String::from("use crate::References as _;\n\n");
    for message in generated_messages(pool, names) {
        let _ = writeln!(
            out,
            "impl crate::References for {} {{\n    fn references(&self, path: &crate::Path<'_>, visit: &mut dyn FnMut(&crate::Path<'_>, &str)) {{\n{}    }}\n}}",
            names.message(&message),
            writer.message(&message)
        );
    }
    out
}

struct Writer<'a> {
    pool: &'a DescriptorPool,
    names: &'a Names,
    /// Full names of the messages that refer to anything.
    referring: BTreeSet<String>,
}

impl Writer<'_> {
    /// The statements that visit the references in a message, empty where there are none.
    fn message(&self, message: &MessageDescriptor) -> String {
        let mut code = String::new();
        for field in message.fields() {
            if output_only(self.pool, &field) {
                continue;
            }
            let Some(visit) = self.value(&field) else {
                continue;
            };
            let (name, place) = (field.name(), names::field(&field));
            let oneof = field
                .containing_oneof()
                .filter(|oneof| !oneof.is_synthetic());
            let walk = if let Some(oneof) = oneof {
                let (set, variant) = (self.names.oneof(&oneof), names::camel(name));
                let place = names::snake(oneof.name());
                format!("if let Some({set}::{variant}(v)) = &self.{place} {{ {visit} }}")
            } else if field.is_map() {
                format!("for (k, v) in &self.{place} {{ let p = p.key(k); {visit} }}")
            } else if field.is_list() {
                format!(
                    "for (i, v) in self.{place}.iter().enumerate() {{ let p = p.index(i); {visit} }}"
                )
            } else if field.supports_presence() {
                format!("if let Some(v) = &self.{place} {{ {visit} }}")
            } else {
                format!("let v = &self.{place}; {visit}")
            };
            let _ = writeln!(code, "{{ let p = path.field({name:?});\n{walk} }}");
        }
        code
    }

    /// What visits one value, which is called `v` and has the path `p`; none where it refers to
    /// nothing.
    fn value(&self, field: &FieldDescriptor) -> Option<&'static str> {
        let refers = option(self.pool, &field.options(), "google.api.resource_reference").is_some();
        let mut kind = field.kind();
        if field.is_map() {
            kind = kind.as_message()?.map_entry_value_field().kind();
        }
        match kind {
            Kind::String if refers => Some("visit(&p, v);"),
            Kind::Message(message) if self.referring.contains(message.full_name()) => {
                Some("v.references(&p, visit);")
            }
            _ => None,
        }
    }
}
