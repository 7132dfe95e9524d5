//! What the plumbing remembers about the transaction that runs on this thread.
//!
//! Operations get nothing but a connection; the few facts that `change_log` has to pass to the
//! engine around it (was anything appended), what a wait for a key means, and what to keep for the length of one write (its number on
//! SQLite) lie here. An operation runs on one thread from its begin to its commit.

use std::cell::Cell;

use crate::change_log::LogPosition;

#[derive(Clone, Copy, Default)]
struct Context {
    active: bool,
    appended: Option<LogPosition>,
    key_taken: bool,
}

thread_local! {
    static CONTEXT: Cell<Context> = const {
        Cell::new(Context { active: false, appended: None, key_taken: false })
    };
}

/// A transaction begins on this thread.
pub(crate) fn begin() {
    CONTEXT.set(Context {
        active: true,
        appended: None,
        key_taken: false,
    });
}

/// The transaction is over; what it appended last, if anything.
pub(crate) fn end() -> Option<LogPosition> {
    CONTEXT.take().appended
}

/// The log position that the running transaction appended last. None outside a store's transaction.
pub(crate) fn appended() -> Option<LogPosition> {
    CONTEXT.get().appended
}

/// The running transaction appended up to `position`.
pub(crate) fn set_appended(position: LogPosition) {
    let context = CONTEXT.get();
    if context.active {
        CONTEXT.set(Context {
            appended: Some(position),
            ..context
        });
    }
}

/// The lock that was not free is an idempotency key's: that is an answer, so the transaction is not
/// run again.
pub(crate) fn set_key_taken() {
    CONTEXT.set(Context {
        key_taken: true,
        ..CONTEXT.get()
    });
}

/// Whether the running transaction ended at a key that somebody else holds.
pub(crate) fn key_taken() -> bool {
    CONTEXT.get().key_taken
}
