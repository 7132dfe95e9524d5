//! The commands, a file each; what services need to run, then what clients do.

pub mod config;
pub mod demo;
pub mod epoch;
pub mod events;
pub mod holders;
pub mod import;
pub mod migrate;
pub mod policy;
pub mod serve;
pub mod token;
pub mod up;

mod announce;
mod bus;
mod connect;
mod files;
mod identity;
mod running;
mod tls;
