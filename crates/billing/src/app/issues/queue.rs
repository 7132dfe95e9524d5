//! Issues that wait to share a transaction, by workspace.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use ::store::Store;
use tokio::sync::oneshot;
use types::Deadline;

use super::{Job, Outcome, issue_together};

/// Issues in one transaction at most.
const BATCH_MAX: usize = 32;

/// A job that waits for its turn.
struct Waiting {
    job: Job,
    deadline: Deadline,
    answer: oneshot::Sender<Outcome>,
}

/// Issues that wait, by workspace. A workspace is in the map while somebody works on its issues.
#[derive(Clone, Default)]
pub struct Queue {
    lanes: Arc<Mutex<HashMap<String, VecDeque<Waiting>>>>,
}

impl Queue {
    /// Has the job done with those that wait too; `None` where the one who worked vanished.
    pub(super) async fn run(&self, store: &Store, job: Job, deadline: Deadline) -> Option<Outcome> {
        let (answer, outcome) = oneshot::channel();
        let workspace = job.name.workspace.clone();
        if self.push(
            &workspace,
            Waiting {
                job,
                deadline,
                answer,
            },
        ) {
            // Its own task, since the caller may give up before the others are answered.
            tokio::spawn(self.clone().work(store.clone(), workspace));
        }
        outcome.await.ok()
    }

    /// Adds a job; true where nobody works on the workspace yet.
    fn push(&self, workspace: &str, waiting: Waiting) -> bool {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lane) = lanes.get_mut(workspace) {
            lane.push_back(waiting);
            return false;
        }
        lanes.insert(workspace.to_owned(), VecDeque::from([waiting]));
        true
    }

    /// The next jobs; none, and the workspace forgotten, where none waits.
    fn take(&self, workspace: &str) -> Vec<Waiting> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(lane) = lanes.get_mut(workspace) else {
            return Vec::new();
        };
        if lane.is_empty() {
            lanes.remove(workspace);
            return Vec::new();
        }
        // One job per invoice: the next one for the same invoice must see what became of the first.
        let mut names = HashSet::new();
        let (mut batch, mut rest) = (Vec::new(), VecDeque::new());
        for waiting in lane.drain(..) {
            if batch.len() < BATCH_MAX && names.insert(waiting.job.name.invoice.clone()) {
                batch.push(waiting);
            } else {
                rest.push_back(waiting);
            }
        }
        *lane = rest;
        batch
    }

    async fn work(self, store: Store, workspace: String) {
        loop {
            let batch = self.take(&workspace);
            if batch.is_empty() {
                return;
            }
            let (jobs, answers): (Vec<_>, Vec<_>) = batch
                .into_iter()
                // Nobody waits any more for those whose caller gave up; they are not begun.
                .filter(|waiting| !waiting.answer.is_closed())
                .map(|waiting| ((waiting.job, waiting.deadline), waiting.answer))
                .unzip();
            let outcomes = issue_together(&store, jobs).await;
            for (answer, outcome) in answers.into_iter().zip(outcomes) {
                // A caller that gave up meanwhile learns by its request id what became of it.
                let _ = answer.send(outcome);
            }
        }
    }
}
