//! Between the protos and the domain. What may fail on the way in says which field is wrong.

pub mod contacts;
pub mod definitions;
pub mod grants;
pub mod policies;
pub mod positions;
pub mod transitions;

use prost_reflect::{DynamicMessage, MapKey, ReflectMessage, Value};
use prost_types::Timestamp;
use proto::convert::timestamp_to_wire;
use types::Micros;

/// The Timestamp of an instant that may be absent.
pub fn moment(instant: Option<Micros>) -> Option<Timestamp> {
    instant.map(timestamp_to_wire)
}

/// Whether any text of a message has the character U+0000, which PostgreSQL can't store.
pub fn has_nul<M: ReflectMessage>(message: &M) -> bool {
    // Without a zero byte in its encoding a message has none in a text. Most have none.
    message.encode_to_vec().contains(&0) && dynamic_has_nul(&message.transcode_to_dynamic())
}

fn dynamic_has_nul(message: &DynamicMessage) -> bool {
    message.fields().any(|(_, value)| value_has_nul(value))
}

fn value_has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Message(message) => dynamic_has_nul(message),
        Value::List(items) => items.iter().any(value_has_nul),
        Value::Map(entries) => entries.iter().any(|(key, value)| {
            matches!(key, MapKey::String(key) if key.contains('\0')) || value_has_nul(value)
        }),
        _ => false,
    }
}
