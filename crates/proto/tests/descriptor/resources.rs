//! Claims about resources, references and packages.

use std::collections::BTreeSet;

use crate::options::{
    IDENTIFIER, behaviours, reference, resource, resource_definitions, set, text,
};
use crate::{api_files, assert_none, messages};

#[test]
fn resources_have_names_below_their_workspace() {
    let mut faults = Vec::new();
    for message in messages() {
        let Some(descriptor) = resource(&message) else {
            continue;
        };
        let mut fault = |problem: &str| faults.push(format!("{}: {problem}", message.full_name()));
        let first = message
            .get_field_by_name("name")
            .filter(|field| field.number() == 1);
        if !first.is_some_and(|field| behaviours(&field).contains(&IDENTIFIER)) {
            fault("field 1 is not `name` with IDENTIFIER");
        }
        let pattern = set(&descriptor, "pattern").unwrap_or_else(|| panic!("{descriptor:?}"));
        let patterns = pattern.as_list().map(<[_]>::to_vec).unwrap_or_default();
        if patterns.is_empty() {
            fault("no pattern");
        }
        for pattern in patterns {
            let pattern = pattern.as_str().unwrap_or_default().to_owned();
            if !pattern.starts_with("workspaces/{workspace}/") {
                fault("the pattern does not begin with the workspace");
            }
        }
        if text(&descriptor, "singular").is_empty() || text(&descriptor, "plural").is_empty() {
            fault("no singular or plural");
        }
        if !text(&descriptor, "type").starts_with("clientele.dev/") {
            fault("the type is not of clientele.dev");
        }
    }
    assert_none("resources", faults);
}

#[test]
fn resources_that_change_have_an_etag_and_times() {
    let updated: BTreeSet<String> = proto::methods()
        .iter()
        .filter_map(|method| method.name.strip_prefix("Update").map(str::to_owned))
        .collect();
    let mut faults = Vec::new();
    for message in messages().filter(|message| updated.contains(message.name())) {
        // A resource with revisions is updated by making one.
        let revised = message.get_field_by_name("revision_create_time").is_some();
        for field in ["etag", "create_time", "update_time"] {
            let replaced = revised && field == "update_time";
            if message.get_field_by_name(field).is_none() && !replaced {
                faults.push(format!("{}: no {field}", message.full_name()));
            }
        }
    }
    assert_none("resources that can be updated", faults);
}

#[test]
fn references_are_to_resources_that_exist() {
    let of_files = api_files().flat_map(|file| resource_definitions(&file));
    let known: BTreeSet<String> = messages()
        .filter_map(|message| resource(&message))
        .chain(of_files)
        .map(|resource| text(&resource, "type"))
        .collect();
    let mut faults = Vec::new();
    for field in messages().flat_map(|message| message.fields().collect::<Vec<_>>()) {
        let Some(reference) = reference(&field) else {
            continue;
        };
        let (own, child) = (text(&reference, "type"), text(&reference, "child_type"));
        let target = if own.is_empty() { child } else { own };
        if target != "*" && target != "clientele.dev/Workspace" && !known.contains(&target) {
            faults.push(format!("{}: {target}", field.full_name()));
        }
    }
    assert_none("references to what is no resource", faults);
}

#[test]
fn packages_import_along_the_arrows_only() {
    let layer = |package: &str| match package {
        "clientele.options.v1" | "clientele.errors.v1" => 0,
        "clientele.contacts.v1" => 1,
        "clientele.pipeline.v1" => 2,
        "clientele.billing.v1" => 3,
        // Public packages.
        _ => -1,
    };
    let mut faults = Vec::new();
    for file in api_files() {
        for import in file.dependencies() {
            if layer(import.package_name()) > layer(file.package_name()) {
                faults.push(format!("{} imports {}", file.name(), import.name()));
            }
        }
    }
    assert_none("imports against the arrows", faults);
}
