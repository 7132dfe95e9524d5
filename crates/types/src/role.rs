//! The canonical meaning of a stage.

use std::fmt;
use std::str::FromStr;

/// What a stage means to the other services, whatever a workspace calls it.
///
/// The order is the funnel's: a higher role is further along. A contact without a position has no
/// role at all (`Option<Role>`; on the wire `ROLE_UNSPECIFIED`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Known, and no more than that.
    Contact,
    /// Being worked on.
    Lead,
    /// Interested; may be shown estimates and proposals where the policy says so.
    Prospect,
    /// Does business with us; the only role that may be invoiced and assigned to projects.
    Client,
}

impl Role {
    /// All roles, in the funnel's order.
    pub const ALL: [Self; 4] = [Self::Contact, Self::Lead, Self::Prospect, Self::Client];

    /// The name that policies, rows and messages use: `CONTACT`, `LEAD`, `PROSPECT`, `CLIENT`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Contact => "CONTACT",
            Self::Lead => "LEAD",
            Self::Prospect => "PROSPECT",
            Self::Client => "CLIENT",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is none of the four roles.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a role is CONTACT, LEAD, PROSPECT or CLIENT")]
pub struct RoleUnknown;

impl FromStr for Role {
    type Err = RoleUnknown;

    fn from_str(text: &str) -> Result<Self, RoleUnknown> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or(RoleUnknown)
    }
}
