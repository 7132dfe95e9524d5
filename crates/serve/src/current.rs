//! The call that a thread works on at this moment, for log lines.
//!
//! The trace layer enters a call around each poll of its handler, so every line that is written
//! inside names the call. Log lines could get this from the rpc span too, but then its fields would
//! be formatted for every call; so they are for every line, of which there are few.

use std::cell::RefCell;
use std::sync::Arc;

use opentelemetry::trace::TraceId;

use crate::rpcs::Rpc;

thread_local! {
    static CURRENT: RefCell<Option<Call>> = const { RefCell::new(None) };
}

/// A call, as log lines name it.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub rpc: Arc<Rpc>,
    pub trace_id: TraceId,
}

impl Call {
    /// Makes this the thread's call until the guard is dropped.
    pub(crate) fn enter(&self) -> Entered {
        Entered {
            outer: CURRENT.replace(Some(self.clone())),
        }
    }

    /// The thread's call.
    pub(crate) fn current() -> Option<Self> {
        CURRENT.with_borrow(Clone::clone)
    }
}

/// Puts back what was current before. Lives within one poll and is never held across an await.
#[must_use = "the call is left as soon as this is dropped"]
pub(crate) struct Entered {
    outer: Option<Call>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.outer.take());
    }
}
