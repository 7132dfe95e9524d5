//! The service over a real port, on each engine that is there.

mod contacts;
mod imports;
mod lists;
mod positions;
mod removals;
mod support;
mod updates;
mod watch;
