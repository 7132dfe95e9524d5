//! A call's place at its service, from the moment it gets one to its answer.

use std::any::Any;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::task::futures::TaskLocalFuture;
use tonic::Status;

use super::budget::{FREE_BYTES, Taken};
use super::lanes::{Class, Lane};
use super::{ASIDE_CRITICAL_MAX, ASIDE_MAX, Load};

tokio::task_local! {
    static PLACE: Handle;
}

/// A place. Dropping it gives it to the next.
#[derive(Debug)]
pub(crate) struct Place(Handle);

/// What is done with a place by those who do not own it: an extension of the request.
#[derive(Clone, Debug)]
pub(crate) struct Handle(Arc<Held>);

#[derive(Debug)]
struct Held {
    load: Arc<Load>,
    standing: Mutex<Standing>,
}

/// What is counted for a place.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is true or not whatever the others are"
)]
struct Standing {
    class: Class,
    lane: Lane,
    workspace: Option<Box<str>>,
    is_aside: bool,
    /// Its answer is a stream that has begun.
    is_open: bool,
    is_refused: bool,
    is_over: bool,
    /// Threads that work for it, whether or not its caller still waits.
    works: usize,
}

impl Place {
    /// The place that was taken in `lane`.
    pub(super) fn new(load: Arc<Load>, class: Class, lane: Lane) -> Self {
        Self(Handle(Arc::new(Held {
            load,
            standing: Mutex::new(Standing {
                class,
                lane,
                workspace: None,
                is_aside: false,
                is_open: false,
                is_refused: false,
                is_over: false,
                works: 0,
            }),
        })))
    }

    /// A handle to it.
    pub(crate) fn handle(&self) -> Handle {
        self.0.clone()
    }

    /// The answer is a stream, which has this place for as long as it is open, whatever it waits for.
    pub(crate) fn open(&self) {
        self.0.come_back();
        self.0.standing().is_open = true;
    }

    /// Whether the call was refused although it had a place.
    pub(crate) fn is_refused(&self) -> bool {
        self.0.standing().is_refused
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut standing = self.0.standing();
        standing.is_over = true;
        self.0.give_back(standing);
    }
}

impl Handle {
    /// The call is about this workspace: refused where that has its part of the places already, and
    /// others need theirs. Critical calls, which are those of peers, are for everybody.
    pub(crate) fn share(&self, workspace: &str) -> Result<(), Status> {
        let mut standing = self.standing();
        if standing.is_over || standing.class == Class::Critical {
            return Ok(());
        }
        let shared = {
            let state = &mut *self.0.load.state();
            let (taken, max) = (state.lanes.common(), state.lanes.common_max());
            let now = Instant::now();
            state.shares.enter(workspace, 1, taken, max, now)
        };
        if !shared {
            standing.is_refused = true;
            return Err(self.0.load.refuse(standing.class));
        }
        standing.workspace = Some(workspace.into());
        Ok(())
    }

    /// The call is not what gave it the rank of a critical one: it goes on as `class`, if there is a
    /// place for that.
    pub(crate) fn demote(&self, class: Class) -> Result<(), Status> {
        let mut standing = self.standing();
        if standing.is_over || standing.class <= class {
            return Ok(());
        }
        let was_critical = (standing.class, standing.lane);
        let lane = {
            let mut state = self.0.load.state();
            let lane = state.lanes.take(class);
            if lane.is_some() {
                state.lanes.give(was_critical.0, was_critical.1);
            }
            lane
        };
        let Some(lane) = lane else {
            standing.is_refused = true;
            return Err(self.0.load.refuse(class));
        };
        (standing.class, standing.lane) = (class, lane);
        drop(standing);
        self.0.load.call_in();
        Ok(())
    }

    /// Gives the place back until what comes of it is dropped; `None` where too many have done so.
    pub(crate) fn step_aside(&self) -> Option<Aside> {
        let mut standing = self.standing();
        if standing.is_over || standing.is_aside || standing.is_open {
            return Some(Aside(None));
        }
        let aside_max = match standing.class {
            Class::Critical => ASIDE_MAX + ASIDE_CRITICAL_MAX,
            Class::Default | Class::Sheddable => ASIDE_MAX,
        };
        {
            let mut state = self.0.load.state();
            if state.aside >= aside_max {
                return None;
            }
            state.aside += 1;
            state.lanes.give(standing.class, standing.lane);
            if let Some(workspace) = &standing.workspace {
                state.shares.leave(workspace, 1);
            }
        }
        standing.is_aside = true;
        drop(standing);
        self.0.load.call_in();
        Some(Aside(Some(self.clone())))
    }

    /// Takes memory for a piece of the call's body, which has brought `before` bytes until now and is
    /// sent by `whose` address. Refused where too much has come of bodies that do not end.
    pub(crate) fn body(
        &self,
        taken: &mut Option<Taken>,
        whose: Option<IpAddr>,
        before: usize,
        bytes: usize,
    ) -> Result<(), Status> {
        let counted = (before + bytes).saturating_sub(before.max(FREE_BYTES));
        if counted == 0 {
            return Ok(());
        }
        let mut standing = self.standing();
        if standing.is_open {
            return Ok(());
        }
        let taken = taken.get_or_insert_with(|| {
            let whose = whose.map(|address| address.to_string());
            let bodies = &self.0.load.bodies;
            bodies.open(&whose.unwrap_or_default(), standing.class)
        });
        if taken.grow(counted) {
            return Ok(());
        }
        standing.is_refused = true;
        Err(self.0.load.refuse(standing.class))
    }

    /// Takes memory for a part of the answer, until its client has read it; `None` as long as little is
    /// `unread` by the client. Refused where others have left too much unread already, unless the call
    /// has done something that can't be taken back.
    pub(crate) fn answer(
        &self,
        bytes: usize,
        unread: usize,
        is_read_only: bool,
    ) -> Result<Option<Taken>, Status> {
        if unread + bytes <= FREE_BYTES {
            return Ok(None);
        }
        let mut standing = self.standing();
        let whose = standing.workspace.as_deref().unwrap_or_default();
        let mut taken = self.0.load.answers.open(whose, standing.class);
        if !is_read_only {
            taken.overdraw(bytes);
        } else if !taken.grow(bytes) {
            standing.is_refused = true;
            return Err(self.0.load.refuse(standing.class));
        }
        Ok(Some(taken))
    }

    /// The refusal of a call that would have to step aside, and for which there is no room there.
    pub(crate) fn refuse(&self) -> Status {
        let mut standing = self.standing();
        standing.is_refused = true;
        self.0.load.refuse(standing.class)
    }

    /// Gives the place to the next, unless it is still worked in.
    fn give_back(&self, standing: MutexGuard<'_, Standing>) {
        if standing.works > 0 {
            return;
        }
        {
            let mut state = self.0.load.state();
            if standing.is_aside {
                state.aside -= 1;
            } else {
                state.lanes.give(standing.class, standing.lane);
                if let Some(workspace) = &standing.workspace {
                    state.shares.leave(workspace, 1);
                }
            }
        }
        drop(standing);
        self.0.load.call_in();
    }

    /// Somebody works for the call until this is dropped; `None` where it is over already.
    pub(crate) fn work(&self) -> Option<Work> {
        let mut standing = self.standing();
        if standing.is_over {
            return None;
        }
        standing.works += 1;
        drop(standing);
        Some(Work(self.clone()))
    }

    fn come_back(&self) {
        let mut standing = self.standing();
        if standing.is_over || !standing.is_aside {
            return;
        }
        standing.is_aside = false;
        let mut state = self.0.load.state();
        state.aside -= 1;
        state.lanes.retake(standing.class, standing.lane);
        if let Some(workspace) = &standing.workspace {
            state.shares.reenter(workspace, 1, Instant::now());
        }
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        let standing = self.0.standing.lock();
        standing.unwrap_or_else(PoisonError::into_inner)
    }
}

/// Work for a call. Its place is taken for as long, even where the caller has gone meanwhile.
#[derive(Debug)]
pub(crate) struct Work(Handle);

impl Drop for Work {
    fn drop(&mut self) {
        let mut standing = self.0.standing();
        standing.works -= 1;
        if standing.is_over {
            self.0.give_back(standing);
        }
    }
}

/// A call that has stepped aside. Dropping it comes back.
#[derive(Debug)]
pub(crate) struct Aside(Option<Handle>);

impl Drop for Aside {
    fn drop(&mut self) {
        if let Some(handle) = &self.0 {
            handle.come_back();
        }
    }
}

/// Runs a call's future so that [`aside`] finds its place.
pub(crate) fn in_scope<F: Future>(handle: Handle, call: F) -> TaskLocalFuture<Handle, F> {
    PLACE.scope(handle, call)
}

/// Waits for what somebody else must do first: another call, a follower, a peer that works at it. For
/// that time the call that waits does not count among those that its service works on.
///
/// What is waited for must hold no connection and no lock either. Outside of a call, or in another
/// task than its own, this is no more than `waiting.await`.
pub async fn aside<F: Future>(waiting: F) -> F::Output {
    // Where too many are waiting already, this one waits in its place.
    let _aside = PLACE.try_with(Handle::step_aside).ok().flatten();
    waiting.await
}

/// What is to be kept by a thread that works for the call which runs here, and can't be stopped: for as
/// long its place is given to nobody, even where the caller has gone. `None` outside of a call.
pub fn at_work() -> Option<Box<dyn Any + Send>> {
    let work = PLACE.try_with(Handle::work).ok()??;
    Some(Box::new(work))
}
