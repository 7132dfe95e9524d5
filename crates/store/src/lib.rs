//! All Diesel plumbing: one set of queries over SQLite and PostgreSQL, transactions, migrations, the
//! change log, idempotency, leases, pages.
//!
//! Start at [`Store`]. Inside an operation there is a [`Conn`]; [`each!`] and [`locked!`] reach the
//! engine behind it where Diesel's derived connection cannot.
//!
//! Invariant: no domain noun and nothing of the network lives here; no code outside names an engine.

mod attempt;
mod beyond;
mod clocks;
mod columns;
mod conn;
mod context;
mod error;
mod failure;
mod lead;
mod measure;
mod migrate;
mod notice;
mod operation;
mod options;
mod permits;
mod pool;
mod postgres;
mod retry;
mod roles;
mod schema;
mod scope;
mod sqlite;
mod statistics;
mod steady;
mod store;
#[cfg(feature = "testing")]
pub mod testing;
mod text;
mod url;
mod wake;

pub mod change_log;
pub mod cursors;
pub mod epoch;
pub mod feed;
pub mod filter;
pub mod idempotency;
pub mod leases;
pub mod order;
pub mod pages;
pub mod points;
pub mod single;
pub mod together;

pub use beyond::Beyond;
pub use columns::{Columns, Update};
pub use conn::Conn;
pub use error::{Driver, Error};
pub use migrate::{migrate, pending};
pub use options::{Held, Migrations, OpenError, Options};
pub use roles::grant;
pub use scope::Scoped;
pub use steady::{KeptIf, ROWS_MAX, Steady, kept_if};
pub use store::Store;
pub use text::prefix_end;
pub use url::{DatabaseUrl, UrlError};
pub use wake::Seen;

#[doc(hidden)]
pub use diesel;
