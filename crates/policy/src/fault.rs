//! What is wrong with a definition.

use std::fmt;

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Where, such as `stages[2].entitlements[0]`.
    pub path: String,
    /// Which refusal it belongs to.
    pub code: FaultCode,
    /// What is wrong, a sentence for whoever wrote the policy.
    pub message: String,
}

/// The refusal that a fault belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultCode {
    /// The definition contradicts itself or the rules that hold for every policy.
    PolicyInvalid,
    /// An expression does not parse, names what does not exist, has the wrong type or is too large.
    PolicyExpressionInvalid,
}

impl FaultCode {
    /// The reason as it is sent: `POLICY_INVALID` or `POLICY_EXPRESSION_INVALID`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PolicyInvalid => "POLICY_INVALID",
            Self::PolicyExpressionInvalid => "POLICY_EXPRESSION_INVALID",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// Why a definition became no policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// The definition is faulty; every fault is listed, in the order of the definition.
    #[error("the policy has {} fault(s), the first: {}", .0.len(), first(.0))]
    Invalid(Vec<Fault>),
    /// Too many definitions wait to be compiled; ask again later.
    #[error("the compiler is busy")]
    Busy,
}

impl CompileError {
    /// The faults; none when the compiler was busy.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        match self {
            Self::Invalid(faults) => faults,
            Self::Busy => &[],
        }
    }
}

fn first(faults: &[Fault]) -> String {
    faults.first().map(ToString::to_string).unwrap_or_default()
}
