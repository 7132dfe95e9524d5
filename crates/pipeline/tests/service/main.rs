//! The service over real ports, on both engines, with a directory made of memory beside it.

mod conversions;
mod directory;
mod gate;
mod histories;
mod lists;
mod openings;
mod policies;
mod races;
mod recoveries;
mod suite;
