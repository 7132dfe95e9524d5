//! What stops the build: a sentence that names the file and the field or method at fault.

use std::fmt;

use prost_reflect::{FieldDescriptor, FileDescriptor};

/// A fault in the protos.
pub struct Fault(String);

impl Fault {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn from_display(error: impl fmt::Display) -> Self {
        Self(error.to_string())
    }

    /// `problem` with `field`.
    pub fn field(field: &FieldDescriptor, problem: &str) -> Self {
        Self::at(&field.parent_file(), field.full_name(), problem)
    }

    /// `problem` with what is called `name` in `file`.
    pub fn at(file: &FileDescriptor, name: &str, problem: &str) -> Self {
        Self(format!("{}: {name}: {problem}", file.name()))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Cargo prints the `Debug` form of what `main` returns.
impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Fault {}
