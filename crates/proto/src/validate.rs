//! Validation of requests: the rules that the protos state as `buf.validate` options.
//!
//! The build writes an implementation of [`Validate`] for every message. Rule ids are those of the
//! public protovalidate libraries, so a client that checks before it sends finds the same.

mod google;
mod path;
#[allow(
    dead_code,
    reason = "which of them are called depends on the rules in the protos"
)]
pub(crate) mod rules;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

pub use path::Path;

/// How many violations are kept; the rest is counted.
const KEPT_MAX: usize = 20;

/// A message that can say which of its fields break a rule.
pub trait Validate {
    /// Adds every violation in the message to `out`. `path` is where the message stands in the
    /// request; [`Path::root`] for the request itself.
    fn validate(&self, path: &Path<'_>, out: &mut Violations);

    /// All violations of the message, as an error where there are any.
    ///
    /// ```
    /// use proto::Validate as _;
    /// use proto::contacts::v1::GetContactRequest;
    ///
    /// let request = GetContactRequest { name: "ada".into(), ..Default::default() };
    /// let violations = request.check().unwrap_err();
    /// assert_eq!(violations.kept()[0].field, "name");
    /// assert_eq!(violations.kept()[0].rule, "string.pattern");
    /// ```
    fn check(&self) -> Result<(), Violations> {
        let mut violations = Violations::default();
        self.validate(&Path::root(), &mut violations);
        if violations.is_empty() {
            Ok(())
        } else {
            Err(violations)
        }
    }
}

/// One field that breaks one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The field's path from the request: `contact.emails[0].address`, `labels["tier"]`.
    pub field: String,
    /// The rule's id, such as `string.max_len`.
    pub rule: &'static str,
    /// What the value must be, to be read after the field: `must have at most 160 characters`. It
    /// never repeats the value.
    pub description: Cow<'static, str>,
}

/// The violations found in one request: the first twenty, and how many more there were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Violations {
    kept: Vec<Violation>,
    omitted: usize,
}

impl Violations {
    /// Adds what the generated checks find.
    pub fn add(&mut self, path: &Path<'_>, rule: &'static str, description: &'static str) {
        if self.kept.len() < KEPT_MAX {
            self.push(path.to_string(), rule, description);
        } else {
            self.omitted += 1;
        }
    }

    /// Adds what a service finds that no rule of the proto can state.
    pub fn push(
        &mut self,
        field: impl Into<String>,
        rule: &'static str,
        description: impl Into<Cow<'static, str>>,
    ) {
        if self.kept.len() < KEPT_MAX {
            self.kept.push(Violation {
                field: field.into(),
                rule,
                description: description.into(),
            });
        } else {
            self.omitted += 1;
        }
    }

    /// One violation, for use cases that find the first and stop.
    pub fn one(
        field: impl Into<String>,
        rule: &'static str,
        description: impl Into<Cow<'static, str>>,
    ) -> Self {
        let mut violations = Self::default();
        violations.push(field, rule, description);
        violations
    }

    /// Whether a violation of this very field is kept.
    pub(crate) fn names(&self, field: &str) -> bool {
        self.kept.iter().any(|violation| violation.field == field)
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// The violations that are kept, at most twenty, in the order of the fields.
    pub fn kept(&self) -> &[Violation] {
        &self.kept
    }

    /// How many more there were.
    pub fn omitted(&self) -> usize {
        self.omitted
    }
}
