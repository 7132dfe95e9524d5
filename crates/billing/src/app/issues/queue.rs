//! Jobs that wait to be done together: in one lane, one batch after the other.
//!
//! Invariant: whoever waits is answered, whatever becomes of those who wait with him. A caller that
//! gives up takes nobody with him, since each lane is worked on in a task of its own. A batch that
//! panics answers its members with nothing, and the lane goes on with the next. And nobody waits for
//! longer than until his deadline.

use std::collections::{HashMap, HashSet, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt as _;
use tokio::sync::oneshot;
use tracing::{Instrument as _, Span};
use types::Deadline;

/// Jobs done together at most.
const BATCH_MAX: usize = 32;

/// What can be done together with others.
pub trait Job: Send + 'static {
    /// What comes of it.
    type Outcome: Send + 'static;

    /// What it changes. Two jobs for the same are never done together: the second must see what
    /// became of the first.
    fn subject(&self) -> &str;
}

/// Why there is no outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The deadline passed; if the job was begun, it may still be done.
    Late,
    /// The batch panicked; the job may be done or not.
    Panicked,
}

/// A job that waits for its turn.
struct Waiting<J: Job> {
    job: J,
    deadline: Deadline,
    answer: oneshot::Sender<J::Outcome>,
    /// Whose call it is part of.
    span: Span,
}

/// The lanes in which somebody works; what waits there.
type Lanes<J> = HashMap<String, VecDeque<Waiting<J>>>;

/// Jobs that wait, by lane. Clones share them.
pub struct Queue<J: Job> {
    lanes: Arc<Mutex<Lanes<J>>>,
}

impl<J: Job> Clone for Queue<J> {
    fn clone(&self) -> Self {
        Self {
            lanes: Arc::clone(&self.lanes),
        }
    }
}

impl<J: Job> Default for Queue<J> {
    fn default() -> Self {
        Self {
            lanes: Arc::default(),
        }
    }
}

impl<J: Job> Queue<J> {
    /// Has the job done with those that wait in the lane too. `together` answers the outcome of each
    /// job in their order; that of the caller who finds nobody at work does whatever comes meanwhile.
    pub async fn run<F, Fut>(
        &self,
        lane: &str,
        job: J,
        deadline: Deadline,
        together: F,
    ) -> Result<J::Outcome, Lost>
    where
        F: Fn(Vec<(J, Deadline)>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Vec<J::Outcome>> + Send + 'static,
    {
        let (answer, outcome) = oneshot::channel();
        let waiting = Waiting {
            job,
            deadline,
            answer,
            span: Span::current(),
        };
        if self.push(lane, waiting) {
            // Its own task, since the caller may give up before the others are answered.
            tokio::spawn(self.clone().work(lane.to_owned(), together));
        }
        match tokio::time::timeout_at(deadline.instant().into(), outcome).await {
            Ok(answered) => answered.map_err(|_| Lost::Panicked),
            Err(_) => Err(Lost::Late),
        }
    }

    fn lanes(&self) -> MutexGuard<'_, Lanes<J>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a job; true where nobody works on the lane yet.
    fn push(&self, lane: &str, waiting: Waiting<J>) -> bool {
        let mut lanes = self.lanes();
        if let Some(lane) = lanes.get_mut(lane) {
            lane.push_back(waiting);
            return false;
        }
        lanes.insert(lane.to_owned(), VecDeque::from([waiting]));
        true
    }

    /// The next jobs; none, and the lane forgotten, where none waits.
    fn take(&self, lane: &str) -> Vec<Waiting<J>> {
        let mut lanes = self.lanes();
        let Some(waiting) = lanes.get_mut(lane) else {
            return Vec::new();
        };
        // Nobody waits any more for those whose caller gave up or is about to; they are not begun.
        waiting.retain(|waiting| !waiting.answer.is_closed() && !waiting.deadline.expired());
        if waiting.is_empty() {
            lanes.remove(lane);
            return Vec::new();
        }
        let mut subjects = HashSet::new();
        let (mut batch, mut rest) = (Vec::new(), VecDeque::new());
        for waiting in waiting.drain(..) {
            if batch.len() < BATCH_MAX && subjects.insert(waiting.job.subject().to_owned()) {
                batch.push(waiting);
            } else {
                rest.push_back(waiting);
            }
        }
        *waiting = rest;
        batch
    }

    async fn work<F, Fut>(self, lane: String, together: F)
    where
        F: Fn(Vec<(J, Deadline)>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Vec<J::Outcome>> + Send + 'static,
    {
        loop {
            let batch = self.take(&lane);
            if batch.is_empty() {
                return;
            }
            let span = span_of(&batch);
            let (jobs, answers): (Vec<_>, Vec<_>) = batch
                .into_iter()
                .map(|waiting| ((waiting.job, waiting.deadline), waiting.answer))
                .unzip();
            // A panic ends the batch and not the lane, where others wait and more would come.
            let done =
                AssertUnwindSafe(async { together(jobs).await }.instrument(span)).catch_unwind();
            let Ok(outcomes) = done.await else {
                tracing::error!(lane, "jobs that were done together panicked");
                continue;
            };
            for (answer, outcome) in answers.into_iter().zip(outcomes) {
                // A caller that gave up meanwhile learns by its request id what became of it.
                let _ = answer.send(outcome);
            }
        }
    }
}

/// The work of a batch is shown in the trace of its first job's call, which is linked to the others'.
fn span_of<J: Job>(batch: &[Waiting<J>]) -> Span {
    let Some((first, others)) = batch.split_first() else {
        return Span::none();
    };
    for other in others {
        first.span.follows_from(&other.span);
    }
    first.span.clone()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::Semaphore;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    #[derive(Debug)]
    struct Named(&'static str);

    impl Job for Named {
        type Outcome = &'static str;

        fn subject(&self) -> &str {
            self.0
        }
    }

    /// Does jobs as permits allow, one permit a batch; panics over the job `bad`.
    async fn at_the_gate(gate: Arc<Semaphore>, jobs: Vec<(Named, Deadline)>) -> Vec<&'static str> {
        gate.acquire().await.expect("it stays open").forget();
        jobs.into_iter()
            .map(|(Named(name), _)| {
                assert_ne!(name, "bad");
                name
            })
            .collect()
    }

    struct Lane {
        queue: Queue<Named>,
        gate: Arc<Semaphore>,
    }

    impl Lane {
        fn new() -> Self {
            Self {
                queue: Queue::default(),
                gate: Arc::new(Semaphore::new(0)),
            }
        }

        /// A caller in a task of its own, once it waits.
        async fn caller(
            &self,
            name: &'static str,
            patience: Duration,
        ) -> tokio::task::JoinHandle<Result<&'static str, Lost>> {
            let (queue, gate) = (self.queue.clone(), Arc::clone(&self.gate));
            let deadline = Deadline::after(patience);
            let call = tokio::spawn(async move {
                let together = move |jobs| at_the_gate(Arc::clone(&gate), jobs);
                queue.run("lane", Named(name), deadline, together).await
            });
            // On this one thread it runs until it waits.
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
            call
        }

        fn is_idle(&self) -> bool {
            self.queue.lanes().is_empty()
        }
    }

    async fn answer(
        call: tokio::task::JoinHandle<Result<&'static str, Lost>>,
    ) -> Result<&'static str, Lost> {
        let answered = tokio::time::timeout(LONG, call).await;
        answered.expect("nobody hangs").expect("no caller panics")
    }

    #[tokio::test]
    async fn others_are_answered_when_the_first_caller_gives_up() {
        let lane = Lane::new();
        let first = lane.caller("a", LONG).await;
        let (second, third) = (lane.caller("b", LONG).await, lane.caller("c", LONG).await);
        first.abort();
        assert!(first.await.expect_err("it gave up").is_cancelled());
        lane.gate.add_permits(2);
        assert_eq!(answer(second).await, Ok("b"));
        assert_eq!(answer(third).await, Ok("c"));
        assert!(lane.gate.try_acquire().is_err(), "b and c went together");
        let later = lane.caller("d", LONG).await;
        lane.gate.add_permits(1);
        assert_eq!(answer(later).await, Ok("d"));
    }

    #[tokio::test]
    async fn a_panic_is_the_end_of_its_batch_only() {
        let lane = Lane::new();
        let first = lane.caller("bad", LONG).await;
        let second = lane.caller("b", LONG).await;
        lane.gate.add_permits(2);
        assert_eq!(answer(first).await, Err(Lost::Panicked));
        assert_eq!(answer(second).await, Ok("b"));
        assert!(lane.is_idle());
    }

    #[tokio::test]
    async fn nobody_waits_for_longer_than_his_deadline_nor_is_begun_after_it() {
        let lane = Lane::new();
        let first = lane.caller("a", LONG).await;
        let second = lane.caller("b", Duration::from_millis(10)).await;
        assert_eq!(answer(second).await, Err(Lost::Late));
        lane.gate.add_permits(1);
        assert_eq!(answer(first).await, Ok("a"));
        tokio::task::yield_now().await;
        assert!(lane.is_idle(), "nothing is left to do");
    }

    #[tokio::test]
    async fn two_jobs_for_the_same_are_done_one_after_the_other() {
        let lane = Lane::new();
        let first = lane.caller("a", LONG).await;
        let (twice, again) = (lane.caller("b", LONG).await, lane.caller("b", LONG).await);
        lane.gate.add_permits(2);
        assert_eq!(answer(first).await, Ok("a"));
        assert_eq!(answer(twice).await, Ok("b"));
        assert!(!again.is_finished());
        lane.gate.add_permits(1);
        assert_eq!(answer(again).await, Ok("b"));
    }
}
