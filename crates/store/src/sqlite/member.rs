//! One write that waits to be done in a group.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::sync::oneshot;
use types::Deadline;

use crate::change_log::LogPosition;
use crate::options::Held;
use crate::{Conn, Error, context};

/// How a member's closure ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It wants its changes kept.
    Done,
    /// It answered an error: its changes must go.
    Refused,
    /// It panicked: its changes must go, and it is not run again.
    Panicked,
}

/// A queued write whose types only its caller knows.
pub(super) trait Member: Send {
    fn op(&self) -> &'static str;

    fn deadline(&self) -> Deadline;

    /// Runs the closure and keeps what it answered.
    fn run(&mut self, conn: &mut Conn) -> Outcome;

    /// Keeps `error` as the answer instead.
    fn refuse(&mut self, error: Error);

    /// Whether the closure panicked.
    fn panicked(&self) -> bool;

    /// The log position that the closure appended last.
    fn appended(&self) -> Option<LogPosition>;

    /// Sends the answer. Whoever asked may be gone; then it falls.
    fn answer(self: Box<Self>);
}

/// A write as [`Store::write`](crate::Store::write) queues it.
pub(super) struct Job<T, E, F> {
    op: &'static str,
    deadline: Deadline,
    held: Held,
    f: F,
    answer: Option<Result<T, E>>,
    panicked: bool,
    appended: Option<LogPosition>,
    reply: oneshot::Sender<Result<T, E>>,
}

impl<T, E, F> Job<T, E, F> {
    pub(super) fn new(
        op: &'static str,
        deadline: Deadline,
        held: Held,
        f: F,
        reply: oneshot::Sender<Result<T, E>>,
    ) -> Self {
        Self {
            op,
            deadline,
            held,
            f,
            answer: None,
            panicked: false,
            appended: None,
            reply,
        }
    }
}

impl<T, E, F> Member for Job<T, E, F>
where
    T: Send,
    E: From<Error> + Send,
    F: Fn(&mut Conn) -> Result<T, E> + Send,
{
    fn op(&self) -> &'static str {
        self.op
    }

    fn deadline(&self) -> Deadline {
        self.deadline
    }

    fn run(&mut self, conn: &mut Conn) -> Outcome {
        context::begin();
        let result = catch_unwind(AssertUnwindSafe(|| (self.f)(conn)));
        self.appended = context::end();
        let Ok(result) = result else {
            self.panicked = true;
            self.appended = None;
            self.answer = Some(Err(Error::Panicked { op: self.op }.into()));
            return Outcome::Panicked;
        };
        let outcome = if result.is_ok() {
            Outcome::Done
        } else {
            self.appended = None;
            Outcome::Refused
        };
        self.answer = Some(result);
        outcome
    }

    fn refuse(&mut self, error: Error) {
        self.appended = None;
        self.answer = Some(Err(error.into()));
    }

    fn panicked(&self) -> bool {
        self.panicked
    }

    fn appended(&self) -> Option<LogPosition> {
        self.appended
    }

    fn answer(self: Box<Self>) {
        let answer = self
            .answer
            .unwrap_or_else(|| Err(Error::unavailable("the write was never run").into()));
        drop(self.held);
        drop(self.reply.send(answer));
    }
}
