//! Between the protos and the domain. What may fail on the way in says which field is wrong.

pub mod contacts;
pub mod definitions;
pub mod grants;
pub mod policies;
pub mod positions;
pub mod transitions;

use prost_types::Timestamp;
use proto::convert::timestamp_to_wire;
use types::Micros;

/// The Timestamp of an instant that may be absent.
pub fn moment(instant: Option<Micros>) -> Option<Timestamp> {
    instant.map(timestamp_to_wire)
}
