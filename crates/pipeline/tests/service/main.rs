//! The service over real ports, on both engines, with a directory made of memory beside it.

mod activating;
mod activations;
mod attaching;
mod batches;
mod companies;
mod conversions;
mod demotions;
mod directory;
mod earlier;
mod following;
mod gate;
mod histories;
mod holding;
mod lists;
mod openings;
mod policies;
mod policy_lists;
mod races;
mod reading;
mod recalls;
mod recoveries;
mod refusals;
mod restored;
mod suite;
mod turns;
mod waits;
