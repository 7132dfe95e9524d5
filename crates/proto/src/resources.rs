//! Which resource a name stands for, by the patterns that the protos declare.

use std::sync::LazyLock;

use prost_reflect::{DynamicMessage, Value};

use crate::pool;

/// The types and patterns of all resources, of workspaces too.
static PATTERNS: LazyLock<Vec<(&'static str, &'static str)>> = LazyLock::new(|| {
    let mut patterns: Vec<_> = declared()
        .iter()
        .filter_map(|resource| {
            let kind = resource.get_field_by_name("type")?;
            let patterns = resource.get_field_by_name("pattern")?;
            let pattern = patterns.as_list()?.first()?.as_str()?.to_owned();
            Some((leaked(kind.as_str()?), leaked(&pattern)))
        })
        .collect();
    patterns.push(("clientele.dev/Workspace", "workspaces/{workspace}"));
    patterns
});

/// The type of the resource that a name of this form stands for, such as `clientele.dev/Contact`;
/// `None` where no resource has names of this form.
pub fn resource_type(name: &str) -> Option<&'static str> {
    let fits = |pattern: &str| {
        let (mut parts, mut expected) = (name.split('/'), pattern.split('/'));
        loop {
            match (parts.next(), expected.next()) {
                (None, None) => return true,
                (Some(part), Some(form)) if form == part || form.starts_with('{') => {}
                _ => return false,
            }
        }
    };
    PATTERNS
        .iter()
        .find(|(_, pattern)| fits(pattern))
        .map(|(kind, _)| *kind)
}

/// The resources that messages are, and those that files declare without a message.
fn declared() -> Vec<DynamicMessage> {
    let option = |name: &str| {
        pool()
            .get_extension_by_name(name)
            .expect("the protos use it")
    };
    let (of_message, of_file) = (
        option("google.api.resource"),
        option("google.api.resource_definition"),
    );
    let messages = pool().all_messages().filter_map(|message| {
        let options = message.options();
        let value = options
            .has_extension(&of_message)
            .then(|| options.get_extension(&of_message).into_owned());
        value?.as_message().cloned()
    });
    let files = pool().files().flat_map(|file| {
        let value = file.options().get_extension(&of_file).into_owned();
        let list = value.as_list().map(<[Value]>::to_vec).unwrap_or_default();
        list.into_iter()
            .filter_map(|value| value.as_message().cloned())
    });
    messages.chain(files).collect()
}

/// The handful of texts of the protos, kept as long as the process.
fn leaked(text: &str) -> &'static str {
    Box::leak(text.to_owned().into_boxed_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_its_resource() {
        for (name, kind) in [
            ("workspaces/a", Some("clientele.dev/Workspace")),
            ("workspaces/a/contacts/b", Some("clientele.dev/Contact")),
            (
                "workspaces/a/contacts/b/position",
                Some("clientele.dev/Position"),
            ),
            (
                "workspaces/a/policies/b/revisions/1",
                Some("clientele.dev/PolicyRevision"),
            ),
            ("workspaces/a/contacts", None),
            ("workspaces/a/contacts/b/c", None),
            ("", None),
        ] {
            assert_eq!(resource_type(name), kind, "{name}");
        }
    }
}
