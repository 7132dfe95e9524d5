//! Claims about fields: who sets them, how large they may be, whether they are personal.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, Value};

use crate::options::{
    IDENTIFIER, REQUIRED, behaviours, output_only, personal_data, reference, resource, rules, set,
};
use crate::{assert_none, messages, rpcs, sent_fields, sent_messages};

fn names(fields: impl IntoIterator<Item = FieldDescriptor>) -> Vec<String> {
    fields
        .into_iter()
        .map(|field| field.full_name().to_owned())
        .collect()
}

/// The rules of one type within field rules.
fn typed(rules: Option<&DynamicMessage>, kind: &str) -> Option<DynamicMessage> {
    set(rules?, kind)?.as_message().cloned()
}

#[test]
fn every_field_of_requests_and_resources_says_who_sets_it() {
    let mut wrong = Vec::new();
    for message in sent_messages()
        .into_values()
        .chain(messages().filter(|m| resource(m).is_some()))
    {
        wrong.extend(
            message
                .fields()
                .filter(|field| behaviours(field).is_empty()),
        );
    }
    assert_none("fields without google.api.field_behavior", names(wrong));
}

/// Whether the rules keep a string from being of any length.
fn bounded_text(rules: Option<&DynamicMessage>) -> bool {
    typed(rules, "string").is_some_and(|rules| {
        let pattern = set(&rules, "pattern");
        let anchored = pattern
            .as_ref()
            .and_then(Value::as_str)
            .is_some_and(|pattern| {
                let repeats = ["*", "+", ",}"]
                    .iter()
                    .any(|repeat| pattern.contains(repeat));
                pattern.starts_with('^') && pattern.ends_with('$') && !repeats
            });
        anchored
            || ["max_len", "max_bytes", "len", "in", "const", "uuid"]
                .iter()
                .any(|rule| rules.has_field_by_name(rule))
    })
}

/// Whether one value of this kind can't be of any size.
fn bounded(kind: &Kind, rules: Option<&DynamicMessage>) -> bool {
    match kind {
        Kind::String => bounded_text(rules),
        Kind::Bytes => {
            typed(rules, "bytes").is_some_and(|rules| rules.has_field_by_name("max_len"))
        }
        _ => true,
    }
}

#[test]
fn every_field_that_callers_send_has_a_limit() {
    let mut wrong = Vec::new();
    for field in sent_fields() {
        let rules = rules(&field);
        let within = |container: &str, part: &str| {
            typed(rules.as_ref(), container)
                .and_then(|rules| set(&rules, part)?.as_message().cloned())
        };
        let limited = |container: &str, limit: &str| {
            typed(rules.as_ref(), container).is_some_and(|rules| rules.has_field_by_name(limit))
        };
        let good = if field.is_map() {
            let Kind::Message(entry) = field.kind() else {
                unreachable!("a map has entries")
            };
            limited("map", "max_pairs")
                && bounded(
                    &entry.map_entry_key_field().kind(),
                    within("map", "keys").as_ref(),
                )
                && bounded(
                    &entry.map_entry_value_field().kind(),
                    within("map", "values").as_ref(),
                )
        } else if field.is_list() {
            limited("repeated", "max_items")
                && bounded(&field.kind(), within("repeated", "items").as_ref())
        } else {
            bounded(&field.kind(), rules.as_ref())
        };
        if !good {
            wrong.push(field);
        }
    }
    assert_none("fields of any size", names(wrong));
}

#[test]
fn enums_that_callers_send_are_checked() {
    let wrong = sent_fields().into_iter().filter(|field| {
        let rules = rules(field);
        let of_items = typed(rules.as_ref(), "repeated")
            .and_then(|rules| set(&rules, "items")?.as_message().cloned());
        let rules = if field.is_list() { of_items } else { rules };
        let defined_only = typed(rules.as_ref(), "enum")
            .is_some_and(|rules| rules.has_field_by_name("defined_only"));
        matches!(field.kind(), Kind::Enum(_)) && !defined_only
    });
    assert_none("enums without defined_only", names(wrong));
}

#[test]
fn what_requests_require_is_enforced() {
    // Only of requests themselves: a resource in an update may leave out what the mask does not
    // name, and a policy's faults are told all at once by the engine. Zero is a number like others.
    let wrong = rpcs()
        .into_iter()
        .flat_map(|rpc| rpc.input().fields().collect::<Vec<_>>())
        .filter(|field| {
            let counts = field.is_list() || !matches!(field.kind(), Kind::Int32 | Kind::Int64);
            // An empty mask has a reason of its own, which the service gives.
            let demanded = behaviours(field).contains(&REQUIRED) && field.name() != "update_mask";
            counts && demanded && !enforced(field)
        });
    assert_none("REQUIRED without a rule that demands it", names(wrong));
}

/// Whether the field's rules refuse what a field has that was never set.
fn enforced(field: &FieldDescriptor) -> bool {
    let rules = rules(field);
    let has = |kind: &str, test: &dyn Fn(&DynamicMessage) -> bool| {
        typed(rules.as_ref(), kind).is_some_and(|rules| test(&rules))
    };
    let number = |rules: &DynamicMessage, rule: &str| match set(rules, rule) {
        Some(Value::U64(number)) => number,
        _ => 0,
    };
    let demanded = rules
        .as_ref()
        .and_then(|rules| set(rules, "required")?.as_bool())
        .unwrap_or_default();
    demanded
        || has("string", &|rules| {
            let pattern = set(rules, "pattern");
            let demands = pattern
                .as_ref()
                .and_then(Value::as_str)
                .is_some_and(|pattern| {
                    regex::Regex::new(pattern).is_ok_and(|pattern| !pattern.is_match(""))
                });
            demands || number(rules, "min_len") > 0 || number(rules, "len") > 0
        })
        || has("bytes", &|rules| number(rules, "min_len") > 0)
        || has("repeated", &|rules| number(rules, "min_items") > 0)
        || has("map", &|rules| number(rules, "min_pairs") > 0)
        || has("enum", &|rules| {
            set(rules, "not_in").is_some_and(|list| {
                list.as_list()
                    .is_some_and(|list| list.contains(&Value::I32(0)))
            })
        })
}

#[test]
fn what_callers_cannot_set_has_no_rules() {
    let wrong = messages()
        .flat_map(|message| message.fields().collect::<Vec<_>>())
        .filter(|field| output_only(field) && rules(field).is_some());
    assert_none(
        "OUTPUT_ONLY fields with rules, which would never be checked",
        names(wrong),
    );
}

#[test]
fn enums_begin_with_unspecified() {
    let wrong = proto::pool().all_enums().filter(|declared| {
        declared.package_name().starts_with("clientele.")
            && !declared
                .get_value(0)
                .is_some_and(|zero| zero.name().ends_with("_UNSPECIFIED"))
    });
    assert_none(
        "enums",
        wrong.map(|declared| declared.full_name().to_owned()),
    );
}

#[test]
fn fields_that_sound_personal_say_whether_they_are() {
    const PERSONAL: [&str; 8] = [
        "email",
        "emails",
        "phone",
        "phones",
        "name",
        "address",
        "addresses",
        "note",
    ];
    let wrong = messages()
        .flat_map(|message| message.fields().collect::<Vec<_>>())
        .filter(|field| {
            let sounds_personal = field.name().split('_').any(|word| PERSONAL.contains(&word));
            let holds_text = matches!(field.kind(), Kind::String | Kind::Message(_));
            // A resource's name is made of ids.
            let of_resource = field.name() == "name"
                && (behaviours(field).contains(&IDENTIFIER) || reference(field).is_some());
            sounds_personal && holds_text && !of_resource && personal_data(field).is_none()
        });
    assert_none(
        "no clientele.options.v1.personal_data, neither true nor false",
        names(wrong),
    );
}

#[test]
fn numbers_are_exact() {
    let wrong = messages()
        .flat_map(|message| message.fields().collect::<Vec<_>>())
        .filter(|field| matches!(field.kind(), Kind::Float | Kind::Double));
    assert_none("floating point", names(wrong));
}

#[test]
fn tokens_etags_and_request_ids_are_alike_everywhere() {
    let mut faults = Vec::new();
    for field in sent_fields() {
        let kind = match field.name() {
            "page_size" => Some(Kind::Int32),
            "page_token" | "filter" | "order_by" | "etag" | "request_id" => Some(Kind::String),
            "validate_only" | "allow_missing" | "show_deleted" => Some(Kind::Bool),
            _ => None,
        };
        if kind.is_some_and(|kind| kind != field.kind() || field.is_list()) {
            faults.push(field.full_name().to_owned());
        }
    }
    assert_none("well-known fields of another type", faults);
}
