//! Finds the field of a request that says which workspace it is about.

use prost_reflect::{DescriptorPool, Kind, MessageDescriptor};

use crate::names;
use crate::options::{is_resource, option};

/// The field that names the workspace, as the path of proto field names to it and as a Rust
/// expression of type `Option<&str>`.
pub struct WorkspaceField {
    pub path: String,
    pub expression: String,
}

/// `parent`, else `name`, else `workspace`, else the first field that refers to a resource, else the name of the
/// resource that the request carries. None for a request that is about no workspace at all, or
/// about several, such as a batch of what another service tells.
pub fn workspace_field(
    pool: &DescriptorPool,
    request: &MessageDescriptor,
) -> Option<WorkspaceField> {
    let text_field = |name: &str| {
        request
            .get_field_by_name(name)
            .filter(|field| field.kind() == Kind::String && !field.is_list())
    };
    let reference = || {
        request.fields().find(|field| {
            field.kind() == Kind::String
                && !field.is_list()
                && field.containing_oneof().is_none()
                && option(pool, &field.options(), "google.api.resource_reference").is_some()
        })
    };
    if let Some(field) = ["parent", "name", "workspace"]
        .into_iter()
        .find_map(text_field)
        .or_else(reference)
    {
        return Some(WorkspaceField {
            path: field.name().to_owned(),
            expression: format!("Some(self.{}.as_str())", names::field(&field)),
        });
    }
    let resource = request.fields().find(|field| {
        let kind = field.kind();
        let message = kind.as_message();
        !field.is_list()
            && field.containing_oneof().is_none()
            && message.is_some_and(|message| is_resource(pool, message))
    })?;
    Some(WorkspaceField {
        path: format!("{}.name", resource.name()),
        expression: format!(
            "self.{}.as_ref().map(|resource| resource.name.as_str())",
            names::field(&resource)
        ),
    })
}
