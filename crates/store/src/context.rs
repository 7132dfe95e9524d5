//! What the plumbing remembers about the transaction that runs on this thread.
//!
//! Operations get nothing but a connection; the few facts that `change_log` has to pass to the
//! engine around it (was anything appended) and keep for the length of one write (its number on
//! SQLite) lie here. An operation runs on one thread from its begin to its commit.

use std::cell::Cell;

use crate::change_log::LogPosition;

#[derive(Clone, Copy, Default)]
struct Context {
    active: bool,
    appended: Option<LogPosition>,
}

thread_local! {
    static CONTEXT: Cell<Context> = const { Cell::new(Context { active: false, appended: None }) };
}

/// A transaction begins on this thread.
pub(crate) fn begin() {
    CONTEXT.set(Context {
        active: true,
        appended: None,
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
