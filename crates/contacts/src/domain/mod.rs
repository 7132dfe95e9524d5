//! What a contact is and which rules hold for one: values in, values or faults out.
//!
//! Invariant: no I/O, no clock, no protobuf, no database in this room.

pub mod checks;
pub mod contacts;
pub mod emails;
pub mod facts;
pub mod imports;
pub mod masks;
pub mod phones;
mod words;

pub use checks::{Fault, Faults};
