//! The tables of the pipeline service, a file per resource. Diesel lives here and nowhere else.
//!
//! Functions take a connection inside a transaction that the caller holds; each row becomes a value
//! of the domain or [`store::Error::Corrupt`].

pub mod activations;
pub mod checkpoints;
pub mod companies;
mod conditions;
pub mod effects;
pub mod evaluations;
pub mod grants;
pub mod holders;
pub mod pending;
pub mod policies;
pub mod positions;
pub mod positions_list;
pub mod schema;
pub mod transitions;
pub mod transitions_list;
pub mod workspaces;

use store::{Error, Migrations};

/// The service's tables on both engines.
pub static MIGRATIONS: Migrations = Migrations {
    sqlite: diesel_migrations::embed_migrations!("../../migrations/pipeline/sqlite"),
    postgres: diesel_migrations::embed_migrations!("../../migrations/pipeline/postgres"),
    tables: &[
        "checkpoint_heads",
        "checkpoints",
        "companies",
        "effects",
        "evaluations",
        "fences",
        "grant_holders",
        "holders",
        "pending_transitions",
        "policies",
        "policy_activations",
        "policy_revisions",
        "positions",
        "transitions",
        "workspace_holders",
        "workspace_intents",
        "workspaces",
    ],
};

/// A row that does not make sense.
fn corrupt(table: &'static str, workspace: &str, id: &str) -> Error {
    Error::Corrupt {
        table,
        id: format!("{workspace}/{id}"),
    }
}

fn hash_of(bytes: Vec<u8>) -> Option<policy::history::Hash> {
    bytes.try_into().ok()
}
