//! Reads the options that the claims are about.

use prost_reflect::{
    DynamicMessage, FieldDescriptor, FileDescriptor, MessageDescriptor, MethodDescriptor, Value,
};
use proto::options::v1::{Idempotency, MethodPolicy};

pub const OUTPUT_ONLY: i32 = 3;
pub const REQUIRED: i32 = 2;
pub const IDENTIFIER: i32 = 8;

fn option(options: &DynamicMessage, name: &str) -> Option<Value> {
    let extension = proto::pool()
        .get_extension_by_name(name)
        .expect("a declared option");
    options
        .has_extension(&extension)
        .then(|| options.get_extension(&extension).into_owned())
}

fn message_option(options: &DynamicMessage, name: &str) -> Option<DynamicMessage> {
    option(options, name)?.as_message().cloned()
}

/// The value of a set field.
pub fn set(message: &DynamicMessage, field: &str) -> Option<Value> {
    message
        .has_field_by_name(field)
        .then(|| message.get_field_by_name(field))?
        .map(std::borrow::Cow::into_owned)
}

/// The text of a field, empty where it is not set.
pub fn text(message: &DynamicMessage, field: &str) -> String {
    set(message, field)
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}

pub fn policy(rpc: &MethodDescriptor) -> MethodPolicy {
    message_option(&rpc.options(), "clientele.options.v1.method_policy")
        .expect("the build refuses a method without it")
        .transcode_to()
        .expect("a MethodPolicy")
}

pub fn repeats_by_request_id(rpc: &MethodDescriptor) -> bool {
    policy(rpc).idempotency() == Idempotency::RequestId
}

pub fn http(rpc: &MethodDescriptor) -> Option<DynamicMessage> {
    message_option(&rpc.options(), "google.api.http")
}

pub fn behaviours(field: &FieldDescriptor) -> Vec<i32> {
    let value = option(&field.options(), "google.api.field_behavior");
    let list = value
        .and_then(|value| value.as_list().map(<[Value]>::to_vec))
        .unwrap_or_default();
    list.iter().filter_map(Value::as_enum_number).collect()
}

pub fn output_only(field: &FieldDescriptor) -> bool {
    behaviours(field).contains(&OUTPUT_ONLY)
}

pub fn resource(message: &MessageDescriptor) -> Option<DynamicMessage> {
    message_option(&message.options(), "google.api.resource")
}

pub fn reference(field: &FieldDescriptor) -> Option<DynamicMessage> {
    message_option(&field.options(), "google.api.resource_reference")
}

pub fn rules(field: &FieldDescriptor) -> Option<DynamicMessage> {
    message_option(&field.options(), "buf.validate.field")
}

pub fn personal_data(field: &FieldDescriptor) -> Option<bool> {
    option(&field.options(), "clientele.options.v1.personal_data")?.as_bool()
}

/// The resources that a file declares without a message.
pub fn resource_definitions(file: &FileDescriptor) -> Vec<DynamicMessage> {
    let list = option(&file.options(), "google.api.resource_definition");
    let list = list
        .and_then(|value| value.as_list().map(<[Value]>::to_vec))
        .unwrap_or_default();
    list.into_iter()
        .filter_map(|value| value.as_message().cloned())
        .collect()
}
