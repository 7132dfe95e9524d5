//! Requests of any method, made from its descriptor alone: every field that holds the name of a
//! resource has one.

use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor, Value,
};

const OUTPUT_ONLY: i32 = 3;

/// How deep messages in messages are filled.
const DEPTH_MAX: usize = 4;

/// Every method of the suite.
pub fn methods() -> Vec<MethodDescriptor> {
    let services = proto::pool().services();
    services
        .filter(|service| service.package_name().starts_with("clientele."))
        .flat_map(|service| service.methods().collect::<Vec<_>>())
        .collect()
}

/// What the options say of a method.
pub fn policy(method: &MethodDescriptor) -> &'static proto::Method {
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
    proto::method(&path).expect("a method of the table")
}

/// A request in which every name is of the workspace that `workspace` says for the field's path.
pub fn filled(
    method: &MethodDescriptor,
    workspace: &mut dyn FnMut(&str) -> String,
) -> DynamicMessage {
    fill(&method.input(), "", 0, workspace)
}

/// The paths of all names in a request of the method.
pub fn paths(method: &MethodDescriptor) -> Vec<String> {
    let mut found = Vec::new();
    filled(method, &mut |path| {
        found.push(path.to_owned());
        "any".to_owned()
    });
    found
}

fn fill(
    descriptor: &MessageDescriptor,
    path: &str,
    depth: usize,
    workspace: &mut dyn FnMut(&str) -> String,
) -> DynamicMessage {
    let mut message = DynamicMessage::new(descriptor.clone());
    for field in descriptor.fields().filter(|field| !is_output_only(field)) {
        let at = match path {
            "" => field.name().to_owned(),
            _ => format!("{path}.{}", field.name()),
        };
        if let Some(value) = value(descriptor, &field, &at, depth, workspace) {
            message.set_field(&field, value);
        }
    }
    message
}

/// The field's value, if there is a name in it.
fn value(
    descriptor: &MessageDescriptor,
    field: &FieldDescriptor,
    path: &str,
    depth: usize,
    workspace: &mut dyn FnMut(&str) -> String,
) -> Option<Value> {
    let mut one = |path: &str, number: usize| match field.kind() {
        Kind::String => {
            let pattern = pattern(descriptor, field)?;
            Some(Value::String(name(&pattern, &workspace(path), number)))
        }
        Kind::Message(inner)
            if depth < DEPTH_MAX && inner.package_name().starts_with("clientele.") =>
        {
            Some(Value::Message(fill(&inner, path, depth + 1, workspace)))
        }
        _ => None,
    };
    if field.is_map() {
        return None;
    }
    if !field.is_list() {
        return one(path, 0);
    }
    let both: Option<Vec<Value>> = (0..2)
        .map(|number| one(&format!("{path}[{number}]"), number))
        .collect();
    both.map(Value::List)
}

/// A name of this pattern.
fn name(pattern: &str, workspace: &str, number: usize) -> String {
    let parts = pattern.split('/').map(|part| match part {
        "{workspace}" => workspace.to_owned(),
        "{revision}" => (number + 1).to_string(),
        "{policy_activation}" => (number + 7).to_string(),
        _ if part.starts_with('{') => format!("x{number}"),
        _ => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("/")
}

/// The pattern of the names in a field: of the resource that it refers to, of the parent of its
/// children, or of the resource whose own name it is.
fn pattern(descriptor: &MessageDescriptor, field: &FieldDescriptor) -> Option<String> {
    if let Some(reference) = option(&field.options(), "google.api.resource_reference") {
        let text = |name: &str| {
            let value = reference.get_field_by_name(name);
            value
                .and_then(|value| value.as_str().map(str::to_owned))
                .unwrap_or_default()
        };
        if let Some(pattern) = pattern_of(&text("type")) {
            return Some(pattern);
        }
        if text("type") == "clientele.dev/Workspace" {
            return Some("workspaces/{workspace}".to_owned());
        }
        let child = pattern_of(&text("child_type"))?;
        let parts: Vec<&str> = child.split('/').collect();
        return Some(parts[..parts.len() - 2].join("/"));
    }
    if ["parent", "workspace"].contains(&field.name()) {
        return Some("workspaces/{workspace}".to_owned());
    }
    let own = option(&descriptor.options(), "google.api.resource")?;
    (field.name() == "name")
        .then(|| first_pattern(&own))
        .flatten()
}

fn pattern_of(kind: &str) -> Option<String> {
    let of_messages = proto::pool()
        .all_messages()
        .filter_map(|message| option(&message.options(), "google.api.resource"));
    let definitions = proto::pool()
        .get_extension_by_name("google.api.resource_definition")
        .expect("declared");
    let of_files = proto::pool().files().flat_map(|file| {
        let value = file.options().get_extension(&definitions).into_owned();
        let list = value.as_list().map(<[Value]>::to_vec).unwrap_or_default();
        list.into_iter()
            .filter_map(|value| value.as_message().cloned())
    });
    let mut all = of_messages.chain(of_files);
    let found = all.find(|resource| {
        let named = resource.get_field_by_name("type");
        named.is_some_and(|named| named.as_str() == Some(kind))
    })?;
    first_pattern(&found)
}

fn first_pattern(resource: &DynamicMessage) -> Option<String> {
    let patterns = resource.get_field_by_name("pattern")?;
    Some(patterns.as_list()?.first()?.as_str()?.to_owned())
}

fn option(options: &DynamicMessage, name: &str) -> Option<DynamicMessage> {
    let extension = proto::pool().get_extension_by_name(name).expect("declared");
    let value = options
        .has_extension(&extension)
        .then(|| options.get_extension(&extension))?;
    value.as_message().cloned()
}

fn is_output_only(field: &FieldDescriptor) -> bool {
    let extension = proto::pool()
        .get_extension_by_name("google.api.field_behavior")
        .expect("declared");
    let behaviours = field.options().get_extension(&extension).into_owned();
    behaviours
        .as_list()
        .is_some_and(|list| list.contains(&Value::EnumNumber(OUTPUT_ONLY)))
}
