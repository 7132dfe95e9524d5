//! Rules: values in, a decision or a refusal out.
//!
//! Invariant: no database, no network, no clock. Amounts are whole minor units of the document's
//! currency; sums that don't fit are refusals, never panics.

pub mod chain;
pub mod decimals;
pub mod faults;
pub mod grants;
pub mod identities;
pub mod invoices;
pub mod numbers;
pub mod projects;
pub mod tax;
pub mod totals;
