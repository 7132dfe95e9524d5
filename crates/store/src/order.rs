//! `order_by`: a comma list of fields, each with ` desc` where wanted (AIP-132).
//!
//! A service names the fields its list can be sorted by; the name is always the last key, so that
//! the order is total and a page can begin after any row:
//!
//! ```
//! use store::order;
//!
//! let keys = order::parse("stage desc, display_name", &["stage", "display_name"])?;
//! assert_eq!(keys[0], order::Key { field: "stage", descending: true });
//! assert!(order::parse("note", &["stage"]).is_err());
//! # Ok::<(), order::OrderError>(())
//! ```

/// How many fields a list can be sorted by at once.
pub const KEYS_MAX: usize = 3;

/// One field to sort by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// The declared name of the field.
    pub field: &'static str,
    /// Whether the largest comes first.
    pub descending: bool,
}

/// Why an `order_by` was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("order_by, at `{field}`: {problem}")]
pub struct OrderError {
    /// The part that is wrong.
    pub field: String,
    /// What is wrong and what would be right.
    pub problem: String,
}

/// Reads an `order_by`; empty where the text is blank and so the list's own order holds.
pub fn parse(text: &str, allowed: &[&'static str]) -> Result<Vec<Key>, OrderError> {
    let mut keys: Vec<Key> = Vec::new();
    if text.trim().is_empty() {
        return Ok(keys);
    }
    for part in text.split(',') {
        let wrong = |problem: String| OrderError {
            field: part.trim().to_owned(),
            problem,
        };
        let mut words = part.split_whitespace();
        let name = words.next().unwrap_or_default();
        let descending = match words.next() {
            None | Some("asc") => false,
            Some("desc") => true,
            Some(_) => return Err(wrong("only `desc` may follow a field".to_owned())),
        };
        if words.next().is_some() {
            return Err(wrong("fields are separated by commas".to_owned()));
        }
        let Some(field) = allowed.iter().find(|field| **field == name) else {
            let problem = format!("the list can be sorted by {}", allowed.join(", "));
            return Err(wrong(problem));
        };
        if keys.iter().any(|key| key.field == *field) {
            return Err(wrong("each field may be named once".to_owned()));
        }
        if keys.len() == KEYS_MAX {
            return Err(wrong(format!("at most {KEYS_MAX} fields may be named")));
        }
        keys.push(Key { field, descending });
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWED: &[&str] = &["a", "b", "c", "d"];

    fn key(field: &'static str, descending: bool) -> Key {
        Key { field, descending }
    }

    #[test]
    fn fields_come_in_their_order() {
        let keys = parse(" a desc,b , c asc", ALLOWED).expect("it is right");
        assert_eq!(keys, [key("a", true), key("b", false), key("c", false)]);
        assert_eq!(parse("  ", ALLOWED), Ok(Vec::new()));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, field) in [
            ("a,", ""),
            ("e", "e"),
            ("a down", "a down"),
            ("a desc desc", "a desc desc"),
            ("a b", "a b"),
            ("a, a desc", "a desc"),
            ("A", "A"),
            ("a,b,c,d", "d"),
        ] {
            let error = parse(text, ALLOWED).expect_err(text);
            assert_eq!(error.field, field, "{text}");
        }
    }
}
