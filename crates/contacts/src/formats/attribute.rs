//! The keys under which facts that a Contact has no field for stand in its `attributes`.
//!
//! All of them hold a text, or a list of texts where a file gives several.

use std::collections::BTreeMap;

use serde_json::Value;

/// Attributes by key, as in `Contact.attributes`.
pub type Attributes = BTreeMap<String, Value>;

/// Further given names.
pub const MIDDLE_NAME: &str = "middle_name";
/// What stands before the name, such as "Dr.".
pub const NAME_PREFIX: &str = "name_prefix";
/// What stands after the name, such as "Jr.".
pub const NAME_SUFFIX: &str = "name_suffix";
/// A nickname.
pub const NICKNAME: &str = "nickname";
/// The part of the company, from the larger to the smaller where there are several.
pub const DEPARTMENT: &str = "department";
/// The occupation, apart from the title.
pub const ROLE: &str = "role";
/// Further titles.
pub const FURTHER_TITLES: &str = "further_titles";
/// The birthday: `1980-03-21`, `--03-21` where the year is not known, else as written.
pub const BIRTHDAY: &str = "birthday";
/// The anniversary, written like the birthday.
pub const ANNIVERSARY: &str = "anniversary";
/// The gender, as written.
pub const GENDER: &str = "gender";
/// When a newsletter program had the address confirmed.
pub const CONFIRMED: &str = "confirmed";
/// What each postal address is used for, in the order of the addresses.
pub const POSTAL_ADDRESS_LABELS: &str = "postal_address_labels";
/// What each web page is, in the order of the pages.
pub const URL_LABELS: &str = "url_labels";
/// Lines of a vCard that have no place elsewhere, kept as they are.
pub const VCARD: &str = "vcard";

/// The texts of a value that [`put_texts`] wrote; None for any other value.
pub(crate) fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(items) => items
            .iter()
            .map(|item| item.as_str().map(str::to_owned))
            .collect::<Option<_>>(),
        _ => None,
    }
}

/// The text under `key`, where it is one text.
pub(crate) fn text<'a>(attributes: &'a Attributes, key: &str) -> Option<&'a str> {
    attributes.get(key).and_then(Value::as_str)
}

/// Adds texts under a key: one stands as a text, several as a list; empty ones are passed over.
pub(crate) fn put_texts(attributes: &mut Attributes, key: &str, found: Vec<String>) {
    for text in found.into_iter().filter(|text| !text.is_empty()) {
        match attributes.get_mut(key) {
            Some(Value::Array(all)) => all.push(Value::String(text)),
            Some(one @ Value::String(_)) => {
                *one = Value::Array(vec![one.take(), Value::String(text)]);
            }
            _ => {
                attributes.insert(key.to_owned(), Value::String(text));
            }
        }
    }
}

/// The most characters of a label. Several addresses share one, so that a file could make a few long
/// labels take up any amount of memory; those of a contact's addresses have at most 100.
const LABEL_CHARS_MAX: usize = 300;

/// A label as far as it is kept.
pub(crate) fn shortened_label(mut label: String) -> String {
    if let Some((end, _)) = label.char_indices().nth(LABEL_CHARS_MAX) {
        label.truncate(end);
    }
    label
}

/// Keeps labels beside a list of the same length, where there are any.
pub(crate) fn put_labels(attributes: &mut Attributes, key: &str, labels: Vec<String>) {
    if labels.iter().any(|label| !label.is_empty()) {
        let list = labels.into_iter().map(Value::String).collect();
        attributes.insert(key.to_owned(), Value::Array(list));
    }
}

/// The label of the list's item at `index`, as [`put_labels`] wrote it.
pub(crate) fn label_at(attributes: &Attributes, key: &str, index: usize) -> String {
    attributes
        .get(key)
        .and_then(|list| list.get(index))
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}
