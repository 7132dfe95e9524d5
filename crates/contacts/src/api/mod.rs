//! What travels: requests are read, handed to the use cases, and answers rendered.
//!
//! Invariant: no rule and no database in this room.

mod calls;
mod contacts;
mod imports;
mod rules;
mod status;

use crate::app::App;

/// The rpc services over the use cases.
#[derive(Clone)]
pub struct Api {
    pub(crate) app: App,
}
