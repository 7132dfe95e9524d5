//! What travels: requests are read, handed to the use cases, and answers rendered.
//!
//! Invariant: no rule and no database in this room.

mod activations;
mod calls;
mod entitlements;
mod policies;
mod policy_requests;
mod positions;
mod primaries;
mod rules;
mod status;
mod transitions;
mod verdicts;

use crate::app::App;

/// The rpc services over the use cases.
#[derive(Clone)]
pub struct Api {
    pub(crate) app: App,
}
