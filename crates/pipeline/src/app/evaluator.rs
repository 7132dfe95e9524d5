//! Looking at the contacts that changed, some at once, and completing removals in the directory.

use std::collections::HashMap;
use std::time::Duration;

use policy::definition::Mode;
use store::leases::Lease;
use types::{ContactName, Deadline};

use super::background::unhurried;
use super::evaluation::{Verdict, evaluate_together};
use super::{Abort, App, gate};
use crate::domain::contacts::{Contact, Presence};
use crate::error::Error;
use crate::store as tables;
use crate::store::evaluations::Evaluation;

/// Contacts that are taken up at once.
const TAKE: i64 = 256;
/// Contacts whose looks share a transaction.
pub(super) const TOGETHER: usize = 32;
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
            .across()
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
            let mut looks: Vec<(Evaluation, Option<Contact>)> =
                due.into_iter().map(|one| (one, read.next())).collect();
            // Rows are locked in one order everywhere.
            looks.sort_by(|left, right| gate::by_name(&left.0.contact, &right.0.contact));
            for share in looks.chunks(TOGETHER) {
                let deadline = Deadline::after(STEP_TIME);
                unhurried(Box::pin(self.look_at_all(share, deadline))).await?;
            }
        }
        Ok(any)
    }

    /// Looks at contacts of one workspace, in one transaction where nothing is special about any of
    /// them, and else at one after the other.
    async fn look_at_all(
        &self,
        looks: &[(Evaluation, Option<Contact>)],
        deadline: Deadline,
    ) -> Result<(), Error> {
        if looks.len() > 1 && self.look_together(looks, deadline).await? {
            return Ok(());
        }
        for (one, contact) in looks {
            self.look(one.clone(), contact.clone(), deadline).await?;
        }
        Ok(())
    }

    /// Whether all could be looked at in one transaction; if not, nothing was done.
    async fn look_together(
        &self,
        looks: &[(Evaluation, Option<Contact>)],
        deadline: Deadline,
    ) -> Result<bool, Error> {
        let first_try = |one: &Evaluation| one.attempts == 0;
        let plain: Option<(Vec<Evaluation>, Vec<Contact>)> = looks
            .iter()
            .map(|(one, contact)| Some((one.clone(), contact.clone()?)))
            .collect();
        match plain {
            Some((done, contacts)) if done.iter().all(first_try) => {
                self.evaluate_all(contacts, done, deadline).await
            }
            Some(_) | None => Ok(false),
        }
    }

    /// Looks at contacts of one workspace that were just read, in the order of their ids, in one
    /// transaction, and notes what was done with it. False where they have to be looked at one by
    /// one: nothing was done then.
    pub async fn evaluate_all(
        &self,
        contacts: Vec<Contact>,
        done: Vec<Evaluation>,
        deadline: Deadline,
    ) -> Result<bool, Error> {
        let active = |contact: &Contact| contact.presence == Presence::Active;
        let Some(first) = contacts.first().filter(|_| contacts.iter().all(active)) else {
            return Ok(false);
        };
        let workspace = first.name.workspace.clone();
        let lineage = self.lineage(&workspace, deadline).await?;
        if lineage.active().policy.mode() == Mode::CompanyFirst {
            return Ok(false);
        }
        let scene = self.scene(lineage, &workspace, policy::POLICY_ACTOR, "");
        let done = self
            .store
            .within(&workspace)
            .write("contacts.evaluate", deadline, move |conn| {
                evaluate_together(conn, &scene, &contacts, &done)
            })
            .await;
        match done {
            Ok(()) => Ok(true),
            // What is wrong with one of them is found out with each for itself.
            Err(Abort::Stale(_) | Abort::Error(_) | Abort::Preview(_)) => Ok(false),
        }
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
            .within(&one.contact.workspace)
            .write_single("evaluation.done", Deadline::after(STEP_TIME), move |conn| {
                if ok {
                    tables::evaluations::evaluations_done(conn, std::slice::from_ref(&one))
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
