//! Where in a request a field stands.

use std::fmt;

/// Characters of a map's key that are shown at most; a caller's key may be of any length.
const KEY_CHARS_MAX: usize = 64;

/// The path to a message or field. It is a chain of borrowed steps on the stack, so walking a
/// request without faults allocates nothing.
#[derive(Clone, Copy, Debug)]
pub struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    Root,
    Field(&'static str),
    Index(usize),
    Key(&'a str),
}

impl<'a> Path<'a> {
    /// The path of the request itself.
    pub const fn root() -> Self {
        Self {
            parent: None,
            step: Step::Root,
        }
    }

    /// The path of one of its fields.
    #[must_use]
    pub fn field(&'a self, name: &'static str) -> Self {
        Self {
            parent: Some(self),
            step: Step::Field(name),
        }
    }

    /// The path of one of its elements.
    #[must_use]
    pub fn index(&'a self, index: usize) -> Self {
        Self {
            parent: Some(self),
            step: Step::Index(index),
        }
    }

    /// The path of one of its entries.
    #[must_use]
    pub fn key(&'a self, key: &'a str) -> Self {
        Self {
            parent: Some(self),
            step: Step::Key(key),
        }
    }
}

/// As in `google.rpc.BadRequest`: `contact.emails[0].address`, `labels["tier"]`.
impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(parent) = self.parent else {
            return Ok(());
        };
        parent.fmt(f)?;
        match self.step {
            Step::Root => Ok(()),
            Step::Field(name) if parent.parent.is_none() => f.write_str(name),
            Step::Field(name) => write!(f, ".{name}"),
            Step::Index(index) => write!(f, "[{index}]"),
            Step::Key(key) => {
                let shown: String = key.chars().take(KEY_CHARS_MAX).collect();
                write!(f, "[{shown:?}]")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_as_in_bad_request() {
        let root = Path::root();
        let contact = root.field("contact");
        let emails = contact.field("emails");
        let first = emails.index(0);
        assert_eq!(
            first.field("address").to_string(),
            "contact.emails[0].address"
        );
        assert_eq!(
            root.field("labels").key("a\"b").to_string(),
            r#"labels["a\"b"]"#
        );
        assert_eq!(root.to_string(), "");
    }

    #[test]
    fn long_keys_are_cut() {
        let (root, key) = (Path::root(), "k".repeat(5000));
        assert_eq!(
            root.field("labels").key(&key).to_string().len(),
            "labels[\"\"]".len() + 64
        );
    }
}
