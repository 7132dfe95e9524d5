//! Contact files: CSV and vCard in both directions, as pure functions over bytes.
//!
//! Everything here turns bytes into [`record::ContactRecord`]s or back. A record holds what a
//! Contact holds as input and nothing else, so a service maps it one to one; what a format says
//! beyond that stands in the record's `attributes`, in the fixed form that [`attribute`] lists, and
//! is written back from there.
//!
//! Readers are fed with chunks and asked for the next row or card, so that a file of any length
//! needs the memory of one chunk and one row. They report what they cannot take, per row, and never
//! guess: no region for a phone number, no header where there is none, no name out of an e-mail
//! address.
//!
//! Invariant: no I/O, no clock, no protobuf, no database in this room.

pub mod attribute;
pub mod csv;
mod encoding;
mod labels;
mod patch;
mod postal;
pub mod record;
mod regions;
pub mod vcard;

pub use encoding::Encoding;
