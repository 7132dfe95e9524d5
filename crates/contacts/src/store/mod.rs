//! The service's rows: a file per resource, over the tables of `schema`.
//!
//! Functions are named noun first and take the connection of the operation they are part of; none
//! opens a transaction. Keys begin with the workspace, and so does every query.
//!
//! Invariant: Diesel lives here and nowhere else in the service.

pub mod contacts;
pub mod import_files;
pub mod imports;
pub mod positions;
mod relations;
mod schema;

use ::store::Migrations;
use diesel_migrations::embed_migrations;

/// The migrations of the contacts database.
pub static MIGRATIONS: Migrations = Migrations {
    sqlite: embed_migrations!("../../migrations/contacts/sqlite"),
    postgres: embed_migrations!("../../migrations/contacts/postgres"),
    tables: &[
        "contact_external_ids",
        "contact_positions",
        "contact_terms",
        "contacts",
        "import_chunks",
        "import_keys",
        "import_rows",
        "imports",
        "projections",
        "purged_contacts",
    ],
};
