//! How much each service does at once, and what is refused when there is more to do.
//!
//! Every call takes a place at its service before anything of it is read, and gives it back with the
//! answer; streams have places of their own, for as long as they are open. Where all are taken a call
//! waits in a short queue, and where that is full, or it has waited long enough, it is refused with
//! UNAVAILABLE `OVERLOADED`: lists first, critical calls last. Once a call's workspace is known, it
//! needs a share among the workspaces too.
//!
//! A call whose caller has gone keeps its place for as long as a thread works for it ([`at_work`]).
//!
//! Invariant: whoever waits for somebody else holds no place: for a body that has not come, and for
//! whatever is waited for inside of [`aside`]. Coming back needs no free place, so that nothing waits
//! in a circle.

mod admission;
mod budget;
mod lanes;
mod place;
mod queue;
mod shares;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::oneshot;
use tonic::Status;

use crate::complaint::Complaint;
use crate::config::Concurrency;
use crate::refusals;
use crate::rpcs::{Kind, Rpc};
use budget::Budget;
use lanes::Lanes;
use queue::Queue;
use shares::Shares;

pub(crate) use admission::{Proof, ShareAdmission};
pub(crate) use budget::Taken;
pub(crate) use lanes::Class;
pub(crate) use place::{Aside, Handle, Place, in_scope};
pub use place::{aside, at_work};

/// How many calls of a service may have stepped aside. Each is memory, and little else.
const ASIDE_MAX: usize = 1024;

/// So many critical calls may do so beyond that: whoever crowds aside keeps no peer out.
const ASIDE_CRITICAL_MAX: usize = 256;

/// The places of all services of one server.
#[derive(Debug)]
pub(crate) struct Loads {
    by_service: HashMap<Box<str>, Pair>,
}

/// The places of one service.
#[derive(Debug)]
struct Pair {
    calls: Arc<Load>,
    streams: Arc<Load>,
}

impl Loads {
    /// Places for the services of these rpcs, each as the settings say.
    pub(crate) fn new<'a>(rpcs: impl Iterator<Item = &'a Rpc>, settings: &Concurrency) -> Self {
        let mut by_service = HashMap::new();
        for rpc in rpcs {
            let name = rpc.suite_service();
            if !by_service.contains_key(name) {
                by_service.insert(name.into(), Pair::new(name, settings));
            }
        }
        Self { by_service }
    }

    /// Where calls of this rpc take their places; `None` where they need none: a health check, and what
    /// is not served at all.
    pub(crate) fn of(&self, rpc: &Rpc) -> Option<&Arc<Load>> {
        let pair = self.by_service.get(rpc.suite_service())?;
        match rpc.kind() {
            Kind::Unary if rpc.is_health() => None,
            Kind::Unary => Some(&pair.calls),
            Kind::Watch | Kind::Finite => Some(&pair.streams),
        }
    }
}

impl Pair {
    fn new(service: &str, settings: &Concurrency) -> Self {
        let now = Instant::now();
        let answers = Budget::new(settings.answer_bytes_max);
        let bodies = Budget::new(settings.body_bytes_max);
        let load = |lanes, queue_max, expected| {
            Arc::new(Load {
                service: service.into(),
                answers: Arc::clone(&answers),
                bodies: Arc::clone(&bodies),
                state: Mutex::new(State {
                    lanes,
                    queue: Queue::new(queue_max),
                    shares: Shares::new(expected, now),
                    aside: 0,
                    complaint: Complaint::default(),
                }),
            })
        };
        let calls = Lanes::new(settings.calls_max, settings.critical_max);
        let streams = Lanes::new(settings.streams_max, settings.critical_max);
        Self {
            calls: load(calls, settings.queue_max, 0),
            // A stream that is open gives its place to nobody for long: so one workspace must not
            // take all, and nobody waits for one.
            streams: load(streams, 0, 1),
        }
    }
}

/// The places of one service, for calls or for streams.
#[derive(Debug)]
pub(crate) struct Load {
    service: Box<str>,
    /// The memory of answers that have not been read yet.
    answers: Arc<Budget>,
    /// The memory of bodies that have not come to their end.
    bodies: Arc<Budget>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    lanes: Lanes,
    queue: Queue,
    shares: Shares,
    aside: usize,
    complaint: Complaint,
}

/// What a call gets that asks for a place.
pub(crate) enum Answer {
    /// A place.
    Place(Place),
    /// A place in the queue. Its sender is dropped when the call is refused after all.
    Waits(oneshot::Receiver<Place>),
    /// The refusal.
    Refused(Status),
}

impl Load {
    /// Asks for a place.
    pub(crate) fn enter(self: &Arc<Self>, class: Class) -> Answer {
        let mut state = self.state();
        if let Some(lane) = state.lanes.take(class) {
            drop(state);
            return Answer::Place(Place::new(Arc::clone(self), class, lane));
        }
        if let Some(waits) = state.queue.join(class) {
            return Answer::Waits(waits);
        }
        drop(state);
        Answer::Refused(self.refuse(class))
    }

    /// The refusal of a call, which the log tells of now and then.
    pub(crate) fn refuse(&self, class: Class) -> Status {
        let due = self.state().complaint.due();
        if let Some(hidden) = due {
            let (service, class) = (&*self.service, class.name());
            tracing::warn!(service, class, hidden, "overloaded: calls are refused");
        }
        refusals::overloaded(class)
    }

    /// Gives free places to those that wait.
    fn call_in(self: &Arc<Self>) {
        loop {
            let next = {
                let state = &mut *self.state();
                state.queue.next(&mut state.lanes)
            };
            let Some((waits, class, lane)) = next else {
                return;
            };
            // Who has gone meanwhile drops the place, and so gives it back.
            let _ = waits.send(Place::new(Arc::clone(self), class, lane));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
