//! `google.protobuf.Struct` and JSON.

use prost::Message as _;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value as WireValue};
use serde_json::{Map, Number, Value};

use crate::domain::checks::ATTRIBUTES_BYTES_MAX;

/// The JSON object of a Struct; `None` where a number in it is none.
pub fn from_struct(fields: &Struct) -> Option<Map<String, Value>> {
    fields
        .fields
        .iter()
        .map(|(key, value)| Some((key.clone(), from_value(value)?)))
        .collect()
}

fn from_value(value: &WireValue) -> Option<Value> {
    Some(match &value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(value)) => Value::Bool(*value),
        Some(Kind::NumberValue(value)) => Value::Number(Number::from_f64(*value)?),
        Some(Kind::StringValue(value)) => Value::String(value.clone()),
        Some(Kind::ListValue(list)) => {
            Value::Array(list.values.iter().map(from_value).collect::<Option<_>>()?)
        }
        Some(Kind::StructValue(fields)) => Value::Object(from_struct(fields)?),
    })
}

/// How many times as long as a Struct's encoding its JSON is at most: a control character of one byte
/// is escaped with six, and whatever JSON puts around a value, the encoding has as much.
const GROWTH_MAX: usize = 6;

/// A number of bytes that the JSON of a Struct does not exceed: its own where that is near the limit
/// of [`ATTRIBUTES_BYTES_MAX`], else one that is found without writing it.
pub fn bytes_at_most(fields: &Struct) -> usize {
    let bound = fields.encoded_len().saturating_mul(GROWTH_MAX);
    if bound <= ATTRIBUTES_BYTES_MAX {
        return bound;
    }
    from_struct(fields)
        .and_then(|json| serde_json::to_vec(&json).ok())
        .map_or(0, |json| json.len())
}

/// The Struct of a JSON object.
pub fn to_struct(fields: &Map<String, Value>) -> Struct {
    Struct {
        fields: fields
            .iter()
            .map(|(key, value)| (key.clone(), to_value(value)))
            .collect(),
    }
}

fn to_value(value: &Value) -> WireValue {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(value) => Kind::BoolValue(*value),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(items) => Kind::ListValue(ListValue {
            values: items.iter().map(to_value).collect(),
        }),
        Value::Object(fields) => Kind::StructValue(to_struct(fields)),
    };
    WireValue { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_json_is_never_told_too_small() {
        let objects = [
            serde_json::json!({}),
            serde_json::json!({"a": null}),
            serde_json::json!({"": [null, null, {}, [], false, -1.234_567_890_123_45e-300]}),
            serde_json::json!({"k": "\u{1}".repeat(5_000)}),
            serde_json::json!({"k": "\u{1}".repeat(6_000), "l": [0.1, "\""]}),
        ];
        for object in objects {
            let fields = object.as_object().expect("an object");
            let (bytes, found) = (object.to_string().len(), bytes_at_most(&to_struct(fields)));
            // The braces of an empty object are all that the bound may miss.
            assert!(found + 2 >= bytes, "{bytes} > {found}");
            assert_eq!(
                found > ATTRIBUTES_BYTES_MAX,
                bytes > ATTRIBUTES_BYTES_MAX,
                "{bytes} {found}"
            );
        }
    }

    #[test]
    fn numbers_come_back_to_the_last_bit() {
        let numbers = [
            0.1,
            -0.0,
            1e300,
            1.0,
            9_007_199_254_740_993.0,
            5e-324,
            0.1 + 0.2,
        ];
        for number in numbers {
            let value = WireValue {
                kind: Some(Kind::NumberValue(number)),
            };
            let text = from_value(&value).expect("a finite number").to_string();
            let back = to_value(&serde_json::from_str(&text).expect("JSON"));
            let Some(Kind::NumberValue(found)) = back.kind else {
                panic!("a number stays one");
            };
            assert_eq!(found.to_bits(), number.to_bits(), "{text}");
        }
        let nothing = WireValue {
            kind: Some(Kind::NumberValue(f64::NAN)),
        };
        assert_eq!(from_value(&nothing), None);
    }
}
