//! What is wrong with a request, field by field, gathered so that one answer lists everything.

use std::fmt;

/// One field that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The path from the request, such as `invoice.lines[2].unit_price`.
    pub field: String,
    /// The rule, as a sentence that begins with "must".
    pub description: String,
}

/// Every fault found so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// Notes that `field` breaks a rule.
    pub fn note(&mut self, field: impl Into<String>, description: impl fmt::Display) {
        self.0.push(Fault {
            field: field.into(),
            description: description.to_string(),
        });
    }

    /// The value of `outcome`, or `None` after its error was noted for `field`.
    pub fn keep<T, E: fmt::Display>(
        &mut self,
        field: impl Into<String>,
        outcome: Result<T, E>,
    ) -> Option<T> {
        match outcome {
            Ok(value) => Some(value),
            Err(error) => {
                self.note(field, error);
                None
            }
        }
    }

    /// Nothing where no fault was noted, else all of them.
    pub fn into_result(self) -> Result<(), Self> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }

    /// Whether nothing was noted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The faults in the order they were noted.
    #[must_use]
    pub fn list(&self) -> &[Fault] {
        &self.0
    }

    /// The one fault of `field`.
    #[must_use]
    pub fn of(field: impl Into<String>, description: impl fmt::Display) -> Self {
        let mut faults = Self::default();
        faults.note(field, description);
        faults
    }
}
