//! Jobs that wait to be done together, in lanes: who comes while as many batches of a lane are under
//! way as may be goes with the next, and nobody waits for company.
//!
//! Invariant: whoever waits is answered, whatever becomes of those who wait with him. A caller that
//! gives up takes nobody with him, since each batch is done in a task of its own. A batch that
//! panics answers its members with nothing, and the lane goes on with the next. And nobody waits for
//! longer than until his deadline.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use tracing::{Instrument as _, Span};
use types::Deadline;

/// Jobs done together at most.
const BATCH_MAX: usize = 32;

/// What can be done together with others.
pub trait Job: Send + 'static {
    /// What comes of it.
    type Outcome: Send + 'static;

    /// What it changes. Two jobs for the same are never done in one batch: the second must see what
    /// became of the first. (In a lane with several batches both may be under way, and the database keeps
    /// them apart.) `None` for one that gets in nobody's way.
    fn subject(&self) -> Option<&str>;
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

/// A lane in which somebody works.
struct Lane<J: Job> {
    waiting: VecDeque<Waiting<J>>,
    /// Batches under way, never none.
    batches: usize,
}

type Lanes<J> = HashMap<String, Lane<J>>;

/// Jobs that wait, by lane. Clones share them.
pub struct Queue<J: Job> {
    lanes: Arc<Mutex<Lanes<J>>>,
    batches_max: usize,
}

impl<J: Job> Clone for Queue<J> {
    fn clone(&self) -> Self {
        Self {
            lanes: Arc::clone(&self.lanes),
            batches_max: self.batches_max,
        }
    }
}

impl<J: Job> Queue<J> {
    /// A queue with at most `batches_max` batches of a lane under way at once: one where batches would
    /// wait for each other anyway, else enough to keep the database busy.
    pub fn new(batches_max: usize) -> Self {
        Self {
            lanes: Arc::default(),
            batches_max: batches_max.max(1),
        }
    }

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
            Ok(Ok(outcome)) => Ok(outcome),
            // The lane may notice sooner than we that the time is over.
            Ok(Err(_)) if deadline.expired() => Err(Lost::Late),
            Ok(Err(_)) => Err(Lost::Panicked),
            Err(_) => Err(Lost::Late),
        }
    }

    fn lanes(&self) -> MutexGuard<'_, Lanes<J>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a job; true where one more may begin to work on the lane.
    fn push(&self, lane: &str, waiting: Waiting<J>) -> bool {
        let mut lanes = self.lanes();
        let Some(known) = lanes.get_mut(lane) else {
            let new = Lane {
                waiting: VecDeque::from([waiting]),
                batches: 1,
            };
            lanes.insert(lane.to_owned(), new);
            return true;
        };
        known.waiting.push_back(waiting);
        let begins = known.batches < self.batches_max;
        known.batches += usize::from(begins);
        begins
    }

    /// The next jobs; none where none waits, and the lane forgotten where nobody else works on it.
    fn take(&self, name: &str) -> Vec<Waiting<J>> {
        let mut lanes = self.lanes();
        let Some(lane) = lanes.get_mut(name) else {
            return Vec::new();
        };
        let waiting = &mut lane.waiting;
        // Nobody waits any more for those whose caller gave up or is about to; they are not begun.
        waiting.retain(|waiting| !waiting.answer.is_closed() && !waiting.deadline.expired());
        if waiting.is_empty() {
            lane.batches -= 1;
            if lane.batches == 0 {
                lanes.remove(name);
            }
            return Vec::new();
        }
        let mut subjects = HashSet::new();
        let (mut batch, mut rest) = (Vec::new(), VecDeque::new());
        for waiting in waiting.drain(..) {
            let subject = waiting.job.subject();
            let is_alone = subject.is_none_or(|subject| !subjects.contains(subject));
            if batch.len() < BATCH_MAX && is_alone {
                subjects.extend(subject.map(str::to_owned));
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
        let together = Arc::new(together);
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
            let together = Arc::clone(&together);
            let done = tokio::spawn(async move { together(jobs).await }.instrument(span));
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

        fn subject(&self) -> Option<&str> {
            Some(self.0)
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

    struct Gated {
        queue: Queue<Named>,
        gate: Arc<Semaphore>,
    }

    impl Gated {
        fn new(batches_max: usize) -> Self {
            Self {
                queue: Queue::new(batches_max),
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
            // On this one thread the caller, the lane and its batch run until they wait.
            for _ in 0..4 {
                tokio::task::yield_now().await;
            }
            call
        }

        async fn comes_to_rest(&self) {
            let rest = async {
                while !self.queue.lanes().is_empty() {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(LONG, rest)
                .await
                .expect("nothing is left to do");
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
        let lane = Gated::new(1);
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
        let lane = Gated::new(1);
        let first = lane.caller("bad", LONG).await;
        let second = lane.caller("b", LONG).await;
        lane.gate.add_permits(2);
        assert_eq!(answer(first).await, Err(Lost::Panicked));
        assert_eq!(answer(second).await, Ok("b"));
        lane.comes_to_rest().await;
    }

    #[tokio::test]
    async fn nobody_waits_for_longer_than_his_deadline_nor_is_begun_after_it() {
        let lane = Gated::new(1);
        let first = lane.caller("a", LONG).await;
        let second = lane.caller("b", Duration::from_millis(10)).await;
        assert_eq!(answer(second).await, Err(Lost::Late));
        lane.gate.add_permits(1);
        assert_eq!(answer(first).await, Ok("a"));
        lane.comes_to_rest().await;
    }

    #[tokio::test]
    async fn whose_time_is_over_before_his_turn_is_late_whoever_notices_first() {
        let lane = Gated::new(1);
        let first = lane.caller("a", LONG).await;
        let patience = Duration::from_millis(10);
        let second = lane.caller("b", patience).await;
        // The one thread is kept from its timers until the lane has seen to it.
        let over = Deadline::after(patience);
        while !over.expired() {
            std::hint::spin_loop();
        }
        lane.gate.add_permits(1);
        assert_eq!(answer(first).await, Ok("a"));
        assert_eq!(answer(second).await, Err(Lost::Late));
    }

    #[tokio::test]
    async fn two_jobs_for_the_same_are_done_one_after_the_other() {
        let lane = Gated::new(1);
        let first = lane.caller("a", LONG).await;
        let (twice, again) = (lane.caller("b", LONG).await, lane.caller("b", LONG).await);
        lane.gate.add_permits(2);
        assert_eq!(answer(first).await, Ok("a"));
        assert_eq!(answer(twice).await, Ok("b"));
        assert!(!again.is_finished());
        lane.gate.add_permits(1);
        assert_eq!(answer(again).await, Ok("b"));
    }
    #[tokio::test]
    async fn as_many_batches_are_under_way_as_may_be() {
        let lane = Gated::new(2);
        let (first, second) = (lane.caller("a", LONG).await, lane.caller("b", LONG).await);
        let (third, fourth) = (lane.caller("c", LONG).await, lane.caller("d", LONG).await);
        lane.gate.add_permits(2);
        assert_eq!(answer(first).await, Ok("a"));
        assert_eq!(answer(second).await, Ok("b"));
        assert!(!third.is_finished() && !fourth.is_finished());
        lane.gate.add_permits(1);
        assert_eq!(answer(third).await, Ok("c"));
        assert_eq!(answer(fourth).await, Ok("d"));
        lane.comes_to_rest().await;
    }
}
