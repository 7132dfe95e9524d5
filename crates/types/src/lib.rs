//! Nouns without I/O that two crates need: ids, resource names, money, time, roles.
//!
//! Invariant: nothing here reads a clock, a random source or the network, except [`Clock`] and
//! [`Ids`], the two edges through which time and randomness enter the suite.

mod clock;
mod deadline;
mod etag;
mod failure;
mod ids;
mod money;
mod names;
mod resume;
mod role;
mod token;

pub use clock::{Clock, Micros};
pub use deadline::Deadline;
pub use etag::etag;
pub use failure::Failure;
pub use ids::Ids;
pub use money::{Currency, CurrencyUnknown, Money, MoneyError};
pub use names::{
    AssignmentName, ContactName, ImportName, InvoiceName, NameError, PolicyName,
    PolicyRevisionName, PositionName, ProjectName, TransitionName, WorkspaceName, is_resource_id,
};
pub use resume::{ResumeFault, ResumeScope, ResumeToken};
pub use role::{Role, RoleUnknown};
pub use token::{Service, Token, TokenKind, TokenMalformed};
