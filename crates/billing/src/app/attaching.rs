//! Attaching to pipeline once for all who need it.
//!
//! After an epoch has changed every call finds itself detached, at the same moment. One of them
//! attaches, in a task of its own, so that nobody's giving up takes it away from the others; all wait
//! for what comes of it, each no longer than it has time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use tokio::time::Instant;
use types::Deadline;

use super::App;
use crate::domain::grants::Attachment;
use crate::error::Error;

/// How long attaching may take, whoever waits for it.
const ATTACH_TIME: Duration = Duration::from_secs(5);

type Outcome = Result<Attachment, Error>;

/// What comes of an attaching, and when.
type Ending = Shared<BoxFuture<'static, (Instant, Outcome)>>;

/// The attaching that is under way, or was last. Clones share it.
#[derive(Clone, Default)]
pub struct Attaching(Arc<Mutex<Option<Ending>>>);

impl Attaching {
    /// What is under way, or has succeeded since `detached`, or else what `begin` begins.
    fn join(
        &self,
        detached: Instant,
        begin: impl FnOnce() -> BoxFuture<'static, (Instant, Outcome)>,
    ) -> Ending {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let serves = |ending: &&Ending| match ending.peek() {
            None => true,
            Some((at, outcome)) => outcome.is_ok() && *at >= detached,
        };
        if let Some(ending) = last.as_ref().filter(serves) {
            return ending.clone();
        }
        let ending = begin().shared();
        // Polled to its end whoever waits: it is known that it is over, and since when.
        tokio::spawn(ending.clone());
        last.insert(ending).clone()
    }
}

impl App {
    /// Attaches in the present epochs, or waits for whoever is about to. Nothing is left to do where
    /// somebody has attached since `detached`, when the caller last knew that it was not.
    pub async fn attach(&self, detached: Instant, deadline: Deadline) -> Outcome {
        let ending = self.attaching.join(detached, || {
            let app = self.clone();
            let task = tokio::spawn(async move {
                let deadline = Deadline::after(ATTACH_TIME);
                app.attach_now(deadline).await
            });
            let panicked = Error::Defect("attaching panicked");
            task.map(|ended| (Instant::now(), ended.unwrap_or(Err(panicked))))
                .boxed()
        });
        serve::aside(tokio::time::timeout_at(deadline.instant().into(), ending))
            .await
            .map_or(Err(Error::DeadlineExceeded), |(_, outcome)| outcome)
    }

    async fn attach_now(&self, deadline: Deadline) -> Outcome {
        let holder_epoch = self.store.epoch_look(deadline).await?;
        let pipeline_epoch = self
            .pipeline
            .epoch_learn(&self.holder, holder_epoch, deadline)
            .await?;
        self.attach_in(pipeline_epoch, deadline).await
    }
}
