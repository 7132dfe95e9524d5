//! The harness of the end-to-end tests: real processes, real ports, real databases.
//!
//! Invariant: nothing here knows a service's Rust types; everything goes through gRPC, as other
//! teams do it.

#![expect(
    clippy::print_stdout,
    reason = "what a test skips or measures is said in one line"
)]

pub mod backup;
pub mod certificates;
pub mod client;
pub mod collector;
pub mod engine;
pub mod eventually;
pub mod flood;
pub mod overload;
pub mod realm;
pub mod scenario;
pub mod suite;
pub mod truth;
