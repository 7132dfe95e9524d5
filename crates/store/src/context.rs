//! What the plumbing remembers about the transaction that runs on this thread.
//!
//! Operations get nothing but a connection; the few facts that `change_log` and `idempotency` have to
//! pass to the engine around them (was anything appended, what became of a request key), and what to
//! keep for the length of one write (its number on SQLite) lie here. An operation runs on one thread
//! from its begin to its commit.

use std::cell::Cell;

use crate::change_log::LogPosition;

/// What became of the request key that a transaction writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum KeyFate {
    /// There is none.
    #[default]
    None,
    /// It is written with the rest, which therefore cannot be done twice. Of several requests in one
    /// transaction all must have a key: what a second run says is taken for true of each.
    Written,
    /// It was there, and with it what an earlier run left.
    Found,
    /// Somebody else is writing it: that is an answer, so the transaction is not run again.
    Taken,
}

#[derive(Clone, Copy, Default)]
struct Context {
    active: bool,
    appended: Option<LogPosition>,
    key: KeyFate,
}

thread_local! {
    static CONTEXT: Cell<Context> = const {
        Cell::new(Context { active: false, appended: None, key: KeyFate::None })
    };
}

/// A transaction begins on this thread.
pub(crate) fn begin() {
    CONTEXT.set(Context {
        active: true,
        ..Context::default()
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

/// Something became of the running transaction's request key.
pub(crate) fn set_key(key: KeyFate) {
    CONTEXT.set(Context {
        key,
        ..CONTEXT.get()
    });
}

/// What became last of the running transaction's request key.
pub(crate) fn key() -> KeyFate {
    CONTEXT.get().key
}
