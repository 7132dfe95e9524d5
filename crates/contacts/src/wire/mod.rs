//! Between the service's values and the messages that travel: answers, change log entries, files.
//!
//! Invariant: nothing is decided here; what can't be taken over is a fault with its path.

pub mod contacts;
pub mod enums;
pub mod imports;
mod json;
pub mod ndjson;
pub mod records;

use prost_reflect::{DynamicMessage, MapKey, ReflectMessage, Value};

/// The word of an enum's value: its name without the prefix, such as `PERSON` of `KIND_PERSON`.
fn word<'a>(name: &'a str, prefix: &str) -> &'a str {
    name.strip_prefix(prefix).unwrap_or(name)
}

/// Whether any text of a message has the character U+0000, which PostgreSQL can't store.
pub fn has_nul<M: ReflectMessage>(message: &M) -> bool {
    // Without a zero byte in its encoding, a message has none in a text. Most have none.
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

#[cfg(test)]
mod tests {
    use proto::contacts::v1;

    use super::*;

    #[test]
    fn a_nul_is_found_wherever_it_stands() {
        let clean = v1::CreateContactRequest {
            contact: Some(v1::Contact {
                note: "x".repeat(256),
                interest: Some(v1::Interest {
                    expressed_time: Some(prost_types::Timestamp {
                        seconds: 0,
                        nanos: 256,
                    }),
                    ..v1::Interest::default()
                }),
                ..v1::Contact::default()
            }),
            ..v1::CreateContactRequest::default()
        };
        assert!(!has_nul(&clean));
        let spoilt = |change: fn(&mut v1::Contact)| {
            let mut request = clean.clone();
            change(request.contact.get_or_insert_default());
            request
        };
        assert!(has_nul(&spoilt(|contact| contact.note.push('\0'))));
        assert!(has_nul(&spoilt(|contact| contact.urls.push("\0".into()))));
        assert!(has_nul(&spoilt(|contact| {
            contact.labels.insert("a".into(), "\0".into());
        })));
    }
}
