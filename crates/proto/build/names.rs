//! The Rust names that prost and tonic give to what the protos declare.

use heck::{ToSnakeCase, ToUpperCamelCase};
use prost_reflect::{FieldDescriptor, MessageDescriptor, OneofDescriptor, ServiceDescriptor};

/// The suite's own protos. Packages that are not listed (options of google.api and buf.validate) are
/// only read from descriptors; google.protobuf is prost-types and google.rpc is tonic-types.
pub const SUITE: Names = Names {
    root: "crate::generated",
    packages: &["clientele.", "google.type"],
};

/// The protos that only tests of this crate use.
pub const FIXTURE: Names = Names {
    root: "crate::fixture",
    packages: &["fixture."],
};

/// The packages that one run generates code for, and the root module that the code goes to.
pub struct Names {
    pub root: &'static str,
    pub packages: &'static [&'static str],
}

impl Names {
    /// Whether this run generates code for the package.
    pub fn owns(&self, package: &str) -> bool {
        self.packages.iter().any(|own| package.starts_with(own))
    }

    /// The path of a message's struct.
    pub fn message(&self, message: &MessageDescriptor) -> String {
        if message.package_name() == "google.protobuf" {
            return format!("::prost_types::{}", message.name());
        }
        format!("{}::{}", self.scope(message), camel(message.name()))
    }

    /// The path of a oneof's enum.
    pub fn oneof(&self, oneof: &OneofDescriptor) -> String {
        let message = oneof.parent_message();
        let mut name = camel(oneof.name());
        // Where a nested type has the name already, prost appends to the oneof's.
        let nested_messages = message.child_messages().map(|nested| camel(nested.name()));
        let nested_enums = message.child_enums().map(|nested| camel(nested.name()));
        if nested_messages
            .chain(nested_enums)
            .any(|nested| nested == name)
        {
            name.push_str("OneOf");
        }
        format!("{}::{}::{name}", self.scope(message), snake(message.name()))
    }

    /// The path of the module with a service's server.
    pub fn server(&self, service: &ServiceDescriptor) -> String {
        let package = self.package(service.package_name());
        format!("{package}::{}_server", snake(service.name()))
    }

    /// The module that a message's struct is in: its package's, or its parent message's.
    fn scope(&self, message: &MessageDescriptor) -> String {
        match message.parent_message() {
            Some(parent) => format!("{}::{}", self.scope(&parent), snake(parent.name())),
            None => self.package(message.package_name()),
        }
    }

    /// The path of a package's module. What this run does not generate is in the suite's own tree.
    fn package(&self, package: &str) -> String {
        let root = if self.owns(package) {
            self.root
        } else {
            SUITE.root
        };
        package.split('.').fold(root.to_owned(), |path, part| {
            format!("{path}::{}", snake(part))
        })
    }
}

/// The identifier of a field in its struct.
pub fn field(field: &FieldDescriptor) -> String {
    snake(field.name())
}

/// A type's name, or a oneof variant's.
pub fn camel(name: &str) -> String {
    escaped(name.to_upper_camel_case())
}

/// A field's, module's or method's name.
pub fn snake(name: &str) -> String {
    escaped(name.to_snake_case())
}

/// The same name, marked where it is a keyword of Rust.
fn escaped(name: String) -> String {
    const RAW: [&str; 47] = [
        "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do",
        "dyn", "else", "enum", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let",
        "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return",
        "static", "struct", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use",
        "virtual", "where", "while", "yield",
    ];
    match name.as_str() {
        "self" | "super" | "extern" | "crate" | "Self" => format!("{name}_"),
        word if RAW.contains(&word) => format!("r#{name}"),
        _ => name,
    }
}
