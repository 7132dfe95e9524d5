//! Invoices and projects, accepted for clients only.
//!
//! A request reads straight through the rooms: `api` parses and renders, `app` has the use cases,
//! `domain` the rules, `store` the rows, `peers` what is asked of pipeline. [`Billing`] is all of it,
//! ready to be served.

mod api;
mod app;
mod config;
pub mod domain;
mod error;
mod peers;
mod service;
pub mod store;
mod wire;

pub use config::Config;
pub use service::Billing;
pub use store::MIGRATIONS;
