//! Outgoing calls: what billing asks of pipeline.
//!
//! Invariant: called by `app` only, and never inside a transaction.

pub mod pipeline;
