//! What a format's own fields do not carry of a record, as a JSON object beside them.
//!
//! An exporter writes what the format can say, reads that back with its own importer, and adds the
//! difference. So an export loses nothing by construction, whatever a record holds. A key ending in
//! `+` extends a list or a map, any other key replaces the field; that way somebody can edit the
//! readable fields of an exported file and still import it.

use serde_json::{Map, Value};

use super::record::ContactRecord;

/// The difference from what was read back to what was meant, as JSON; None where there is none. A
/// record that says nothing of who it is gets an empty difference, which tells that it is ours: of
/// others such a record is refused.
pub fn difference(read_back: &ContactRecord, meant: &ContactRecord) -> Option<String> {
    if read_back == meant {
        return (!meant.is_identified()).then(|| "{}".to_owned());
    }
    let (read_back, meant) = (object(read_back), object(meant));
    let mut patch = Map::new();
    for (key, want) in meant {
        match (read_back.get(&key).unwrap_or(&Value::Null), want) {
            (have, want) if *have == want => {}
            (Value::Array(have), Value::Array(want)) if want.starts_with(have) => {
                patch.insert(format!("{key}+"), Value::Array(want[have.len()..].to_vec()));
            }
            (Value::Object(have), Value::Object(want))
                if have.iter().all(|(k, v)| want.get(k) == Some(v)) =>
            {
                let rest = want
                    .into_iter()
                    .filter(|(k, _)| !have.contains_key(k))
                    .collect();
                patch.insert(format!("{key}+"), Value::Object(rest));
            }
            (_, want) => {
                patch.insert(key, want);
            }
        }
    }
    // JSON allows this one control character as it is, content lines do not.
    Some(
        Value::Object(patch)
            .to_string()
            .replace('\u{7f}', "\\u007f"),
    )
}

/// Lays a difference over a record that was read from a format's own fields.
///
/// # Errors
/// Why the text is not a difference that [`difference`] could have written.
pub fn apply(record: &ContactRecord, patch: &str) -> Result<ContactRecord, serde_json::Error> {
    let patch: Map<String, Value> = serde_json::from_str(patch)?;
    let mut fields = object(record);
    for (key, value) in patch {
        let Some(extended) = key.strip_suffix('+') else {
            fields.insert(key, value);
            continue;
        };
        match (fields.get_mut(extended), value) {
            (Some(Value::Array(list)), Value::Array(more)) => list.extend(more),
            (Some(Value::Object(map)), Value::Object(more)) => map.extend(more),
            (_, value) => {
                fields.insert(extended.to_owned(), value);
            }
        }
    }
    serde_json::from_value(Value::Object(fields))
}

/// A record is a struct of texts, lists and string-keyed maps, which JSON always can express.
fn object(record: &ContactRecord) -> Map<String, Value> {
    match serde_json::to_value(record) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_maps_are_extended_and_texts_replaced() {
        let read_back = ContactRecord {
            given_name: "Ada".into(),
            urls: vec!["https://a.example".into()],
            ..ContactRecord::default()
        };
        let mut meant = read_back.clone();
        meant.given_name = "Ada\r".into();
        meant.urls.push("https://b.example".into());
        meant.labels.insert("tier".into(), "gold".into());
        let patch = difference(&read_back, &meant).unwrap();
        assert_eq!(
            patch,
            r#"{"given_name":"Ada\r","labels+":{"tier":"gold"},"urls+":["https://b.example"]}"#
        );
        assert_eq!(apply(&read_back, &patch).unwrap(), meant);
        assert_eq!(difference(&meant, &meant), None);
        let nobody = ContactRecord::default();
        assert_eq!(difference(&nobody, &nobody).as_deref(), Some("{}"));
        assert!(apply(&read_back, "{\"no_such_field\":1}").is_err());
    }
}
