//! The API's conventions as claims about the descriptors: what no reviewer should have to look for.

mod comments;
mod fields;
mod options;
mod resources;
mod rpcs;

use std::collections::BTreeMap;

use prost_reflect::{FieldDescriptor, FileDescriptor, Kind, MessageDescriptor, MethodDescriptor};

/// The files of the API itself, without options, reasons and public packages.
fn api_files() -> impl Iterator<Item = FileDescriptor> {
    proto::pool().files().filter(|file| {
        let package = file.package_name();
        package.starts_with("clientele.")
            && !["clientele.options.v1", "clientele.errors.v1"].contains(&package)
    })
}

/// Every rpc.
fn rpcs() -> Vec<MethodDescriptor> {
    api_files()
        .flat_map(|file| file.services().collect::<Vec<_>>())
        .flat_map(|service| service.methods().collect::<Vec<_>>())
        .collect()
}

/// Every message of the API, nested ones included.
fn messages() -> impl Iterator<Item = MessageDescriptor> {
    proto::pool().all_messages().filter(|message| {
        message.package_name().starts_with("clientele.") && !message.is_map_entry()
    })
}

/// Every message that callers send, by its full name: the requests and all that is reached from them
/// through fields that callers can set.
fn sent_messages() -> BTreeMap<String, MessageDescriptor> {
    let mut found = BTreeMap::new();
    let mut open: Vec<MessageDescriptor> = rpcs().iter().map(MethodDescriptor::input).collect();
    while let Some(message) = open.pop() {
        let known = found
            .insert(message.full_name().to_owned(), message.clone())
            .is_some();
        if known {
            continue;
        }
        for field in message
            .fields()
            .filter(|field| !options::output_only(field))
        {
            let kind = match field.kind() {
                Kind::Message(entry) if field.is_map() => entry.map_entry_value_field().kind(),
                kind => kind,
            };
            if let Kind::Message(inner) = kind
                && inner.package_name().starts_with("clientele.")
            {
                open.push(inner);
            }
        }
    }
    found
}

/// Every field that callers set.
fn sent_fields() -> Vec<FieldDescriptor> {
    sent_messages()
        .values()
        .flat_map(|message| message.fields().collect::<Vec<_>>())
        .filter(|field| !options::output_only(field))
        .collect()
}

/// Fails with every fault of a claim, one a line.
#[track_caller]
fn assert_none(claim: &str, faults: impl IntoIterator<Item = String>) {
    let faults: Vec<String> = faults.into_iter().collect();
    assert!(faults.is_empty(), "{claim}:\n  {}\n", faults.join("\n  "));
}
