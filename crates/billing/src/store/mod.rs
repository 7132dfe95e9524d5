//! Tables and rows: a file per resource. Diesel lives here and nowhere else in the crate.
//!
//! Functions are called for what they handle first, `invoice_insert`, and run inside a transaction
//! that the caller holds. Rows hold plain values; what makes no sense to the domain when it is read
//! is `Corrupt`, never a panic.

use ::store::{Error, Migrations};
use diesel_migrations::embed_migrations;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub mod gate;
pub mod grants;
pub mod invoices;
pub(crate) mod lists;
pub mod projects;
mod schema;
pub mod series;

/// The service's tables for both engines.
pub static MIGRATIONS: Migrations = Migrations {
    sqlite: embed_migrations!("../../migrations/billing/sqlite"),
    postgres: embed_migrations!("../../migrations/billing/postgres"),
    tables: &[
        "assignments",
        "fences",
        "gate",
        "gate_intents",
        "grants",
        "invoice_series",
        "invoices",
        "projects",
        "subjects",
    ],
};

/// A value as JSON text. Nothing of ours fails to be written: keys are texts, numbers are whole.
fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// A value from JSON text that we wrote.
fn from_json<T: DeserializeOwned>(
    text: &str,
    table: &'static str,
    id: impl FnOnce() -> String,
) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|_| Error::Corrupt { table, id: id() })
}
