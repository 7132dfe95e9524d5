//! The rules around the engine: what a position, a move, a grant and an activation are.
//!
//! Invariant: values in, values out; no database, no network, no clock. Who may move where is
//! decided by the `policy` crate alone.

pub mod activations;
pub mod contacts;
pub mod grants;
pub mod holders;
pub mod policies;
pub mod positions;
pub mod transitions;
