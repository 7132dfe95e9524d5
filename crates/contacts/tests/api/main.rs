//! The service over a real port, on each engine that is there.

mod contacts;
mod creates;
mod doubts;
mod epochs;
mod import_files;
mod import_matches;
mod import_runs;
mod imports;
mod list_limits;
mod lists;
mod positions;
mod purged;
mod refusals;
mod removals;
mod repetitions;
mod round_trips;
mod support;
mod transfer_support;
mod transfers;
mod updates;
mod watch;
