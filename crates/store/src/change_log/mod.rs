//! The change log: what happened, in one order, in the transaction in which it happened.
//!
//! It is outbox, watch stream and projection source at once. [`append`] writes it, [`read_after`]
//! follows it, [`prune`] shortens it, never below what a registered [consumer](register_consumer)
//! has confirmed.
//!
//! Order is (epoch, tx, id). On PostgreSQL `tx` is the number of the transaction, and a reader sees
//! only what lies below the oldest transaction that is still open: ids are given out before commits
//! and commits happen out of their order, so a cursor over ids would lose rows. On SQLite one writer
//! numbers its writes one after the other.

mod append;
mod position;
mod prune;
mod query;
mod read;

pub use append::{NewChange, append, append_all};
pub use position::LogPosition;
pub use prune::{consumer, forget_consumer, prune, register_consumer};
pub use read::{Change, Page, Scope, horizon, is_expired, newest, oldest, read_after};
pub(crate) use read::{Life, page_after, require_kept};

pub(crate) use read::newest_visible;
