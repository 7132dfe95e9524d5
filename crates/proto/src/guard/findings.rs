//! What a service's own rules find in a request, told together with what its proto states.

use std::borrow::Cow;

use tonic::Status;
use tonic_types::StatusExt as _;

use crate::validate::Violations;

/// Everything that is wrong with one request. Services add what no rule of the proto can state; what
/// depends on stored data is refused later, by the use case.
#[derive(Debug, Default)]
pub struct Findings {
    violations: Violations,
    /// The refusal that says it better than FIELD_INVALID, as long as it is all that was found.
    only: Option<Box<Status>>,
}

impl Findings {
    /// Findings beside those of the proto.
    pub(crate) fn beside(violations: Violations) -> Self {
        Self {
            violations,
            only: None,
        }
    }

    /// Adds a field that breaks a rule. A field that is named already is not named again: mending it
    /// starts with what was said first.
    pub fn field(
        &mut self,
        path: impl Into<String>,
        rule: &'static str,
        description: impl Into<Cow<'static, str>>,
    ) {
        let path = path.into();
        if !self.violations.names(&path) {
            self.violations.push(path, rule, description);
            self.only = None;
        }
    }

    /// Adds the fields of a refusal, whatever its reason. Where nothing else is found the refusal is
    /// answered as it is: with FILTER_INVALID and its metadata, for instance.
    pub fn refusal(&mut self, refusal: impl Into<Status>) {
        let refusal = refusal.into();
        let first = self.violations.is_empty();
        match refusal.get_details_bad_request() {
            Some(found) => {
                for violation in found.field_violations {
                    self.field(violation.field, "refusal", violation.description);
                }
            }
            None => self.field("request", "refusal", refusal.message().to_owned()),
        }
        if first {
            self.only = Some(Box::new(refusal));
        }
    }

    /// The value of `outcome`, or none after its refusal was added.
    pub fn keep<T>(&mut self, outcome: Result<T, impl Into<Status>>) -> Option<T> {
        match outcome {
            Ok(value) => Some(value),
            Err(refusal) => {
                self.refusal(refusal);
                None
            }
        }
    }

    /// Whether nothing is wrong so far.
    pub fn is_empty(&self) -> bool {
        self.violations.is_empty() && self.only.is_none()
    }

    /// One refusal for everything that was found.
    pub(crate) fn into_result(self) -> Result<(), Status> {
        match self.only {
            Some(only) => Err(*only),
            None if self.violations.is_empty() => Ok(()),
            None => Err(self.violations.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::errors::v1::Reason;
    use crate::status::{Refusal, metadata, reason};

    fn fields(status: &Status) -> Vec<String> {
        let found = status.get_details_bad_request().expect("BadRequest");
        let fields = found.field_violations.into_iter();
        fields.map(|violation| violation.field).collect()
    }

    fn filter() -> Refusal {
        Refusal::new(Reason::FilterInvalid, "no such field")
            .metadata("offset", "3")
            .field_violation("filter", "no such field")
    }

    #[test]
    fn nothing_found_is_no_refusal() {
        let found = Findings::default();
        assert!(found.is_empty() && found.into_result().is_ok());
    }

    #[test]
    fn a_refusal_alone_keeps_its_reason() {
        let mut found = Findings::default();
        assert_eq!(found.keep::<u8>(Err(filter())), None);
        assert!(!found.is_empty());
        let status = found.into_result().expect_err("refused");
        assert_eq!(reason(&status), Some(Reason::FilterInvalid));
        assert_eq!(metadata(&status)["offset"], "3");
    }

    #[test]
    fn refusals_with_others_become_fields_of_one() {
        let stated = Violations::one("page_size", "int32.gte", "must be at least 0");
        for before in [true, false] {
            let mut found = Findings::beside(stated.clone());
            if before {
                found.field("email", "email.syntax", "has no @");
            }
            found.refusal(filter());
            if !before {
                found.field("email", "email.syntax", "has no @");
            }
            let status = found.into_result().expect_err("refused");
            assert_eq!(reason(&status), Some(Reason::FieldInvalid));
            let mut named = fields(&status);
            named.sort();
            assert_eq!(named, ["email", "filter", "page_size"]);
            assert_eq!(metadata(&status)["violations"], "3");
        }
        let mut found = Findings::default();
        found.refusal(filter());
        found.field("email", "email.syntax", "has no @");
        let status = found.into_result().expect_err("refused");
        assert_eq!(reason(&status), Some(Reason::FieldInvalid));
        assert_eq!(fields(&status), ["filter", "email"]);
    }

    #[test]
    fn a_field_is_named_once() {
        let stated = Violations::one("email", "string.min_len", "must not be empty");
        let mut found = Findings::beside(stated);
        found.field("email", "email.syntax", "has no @");
        found.refusal(Refusal::new(Reason::FieldInvalid, "x").field_violation("email", "x"));
        let status = found.into_result().expect_err("refused");
        assert_eq!(status.message(), "email must not be empty");
        assert_eq!(fields(&status), ["email"]);
    }
}
