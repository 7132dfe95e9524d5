//! Looking at the contacts that changed, some at once, and completing removals in the directory.

use std::collections::HashMap;
use std::time::Duration;

use futures::StreamExt as _;
use store::leases::Lease;
use types::{ContactName, Deadline};

use super::App;
use super::evaluation::Verdict;
use crate::domain::contacts::{Contact, Presence};
use crate::error::Error;
use crate::store as tables;
use crate::store::evaluations::Evaluation;

/// Contacts that are taken up at once.
const TAKE: i64 = 256;
/// Contacts that are looked at at the same time.
const AT_ONCE: usize = 16;
/// How often there is a look at what is due, where nothing wakes.
const PAUSE: Duration = Duration::from_millis(100);
const STEP_TIME: Duration = Duration::from_secs(10);

impl App {
    /// Looks at contacts for as long as it holds the lease.
    pub async fn evaluate_contacts(&self, _lease: Lease) {
        loop {
            match self.evaluate_due().await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, "contacts are not looked at now"),
            }
            let _ = tokio::time::timeout(PAUSE, self.wakes.evaluator.notified()).await;
        }
    }

    /// Says that there are contacts to be looked at.
    pub fn wake_evaluator(&self) {
        self.wakes.evaluator.notify_one();
    }

    /// Looks at what is due; whether there was anything.
    pub async fn evaluate_due(&self) -> Result<bool, Error> {
        let now = self.clock.now();
        let due = self
            .store
            .read("evaluations.due", Deadline::after(STEP_TIME), move |conn| {
                tables::evaluations::evaluations_due(conn, now, TAKE)
            })
            .await?;
        let any = !due.is_empty();
        let mut by_workspace: HashMap<String, Vec<Evaluation>> = HashMap::new();
        for one in due {
            let workspace = one.contact.workspace.clone();
            by_workspace.entry(workspace).or_default().push(one);
        }
        for (workspace, due) in by_workspace {
            let deadline = Deadline::after(STEP_TIME);
            let ids: Vec<String> = due.iter().map(|one| one.contact.contact.clone()).collect();
            let read = match self.contacts.batch_get(&workspace, &ids, deadline).await {
                Ok(read) => read.unwrap_or_default(),
                Err(error) => {
                    tracing::debug!(%error, "the directory does not answer");
                    Vec::new()
                }
            };
            let mut read = read.into_iter();
            let looks: Vec<_> = due
                .into_iter()
                .map(|one| {
                    let contact = read.next();
                    async move { self.look(one, contact, deadline).await }
                })
                .collect();
            let done: Vec<_> = futures::stream::iter(looks)
                .buffer_unordered(AT_ONCE)
                .collect()
                .await;
            done.into_iter().collect::<Result<(), Error>>()?;
        }
        Ok(any)
    }

    /// Looks at one contact and notes that it was done, or that it has to be done later. Whoever lost
    /// the lease does no harm: the generation says what was done, and doing it twice changes nothing.
    async fn look(
        &self,
        one: Evaluation,
        contact: Option<Contact>,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let done = self.attempt(&one.contact, contact, deadline).await;
        if let Err(error) = &done {
            let contact = one.contact.to_string();
            tracing::debug!(%error, contact, attempts = one.attempts, "looked at again later");
        }
        let (now, ok) = (self.clock.now(), done.is_ok());
        self.store
            .write_single("evaluation.done", Deadline::after(STEP_TIME), move |conn| {
                if ok {
                    tables::evaluations::evaluation_done(conn, &one)
                } else {
                    tables::evaluations::evaluation_postpone(conn, &one, now)
                }
            })
            .await?;
        Ok(())
    }

    async fn attempt(
        &self,
        name: &ContactName,
        contact: Option<Contact>,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let contact = match contact {
            Some(contact) => contact,
            None => self.look_up(name, deadline).await?,
        };
        let (presence, etag) = (contact.presence, contact.etag.clone());
        let verdict = self.evaluate_read(contact, deadline).await?;
        let to_confirm = matches!(presence, Presence::Deleting | Presence::Merging);
        if matches!(verdict, Verdict::Gone) && to_confirm {
            match self.contacts.confirm_removal(name, &etag, deadline).await {
                Ok(()) | Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
