//! Who a contact is, asked again before it is frozen on an invoice.
//!
//! A grant may be held for months, and what pipeline told with it about the contact (the legal name,
//! the address, the tax id) grows old with it. Nothing recalls it: it is no part of the gate. So an
//! issue that would freeze what was told more than [`AGE_MAX`] ago asks once more, and goes on with
//! what it has where no answer comes in time: an issue never depends on pipeline's being there.
//!
//! Asking is done at issue, not at drafting: a draft may lie for weeks, and an issued buyer stays for
//! ever. Who finds a fresh one pays nothing; the age comes with the grant's row.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use tracing::Instrument as _;
use types::{ContactName, Deadline};

use super::App;
use crate::error::Error;
use crate::store::grants;

/// What was told about a contact longer ago than this is asked again before it is frozen.
pub const AGE_MAX: Duration = Duration::from_mins(1);

/// How long an issue waits for the answer at most, and never for more than half of its time.
const PATIENCE: Duration = Duration::from_millis(500);

/// How long nobody asks after pipeline did not answer, so that its outage makes few issues wait.
const PAUSE: Duration = Duration::from_secs(5);

/// Contacts that are asked about at once.
const AT_ONCE: usize = 16;

/// What is being asked. Clones share it.
#[derive(Clone)]
pub struct Subjects {
    asking: Arc<Mutex<Asking>>,
    permits: Arc<Semaphore>,
}

#[derive(Default)]
struct Asking {
    /// By contact; a channel closes when its question is over.
    under_way: HashMap<ContactName, watch::Receiver<()>>,
    /// Until when nobody asks.
    paused: Option<Instant>,
}

impl Default for Subjects {
    fn default() -> Self {
        Self {
            asking: Arc::default(),
            permits: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }
}

/// One question: over when it is dropped, however that comes about.
struct Question {
    subjects: Subjects,
    contact: ContactName,
    _over: watch::Sender<()>,
}

impl Drop for Question {
    fn drop(&mut self) {
        self.subjects.asking().under_way.remove(&self.contact);
    }
}

impl Subjects {
    fn asking(&self) -> MutexGuard<'_, Asking> {
        self.asking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The question about a contact that is under way, with the duty to ask it where none was; nothing
    /// while nobody asks.
    fn begin(&self, contact: &ContactName) -> Option<(watch::Receiver<()>, Option<Question>)> {
        let mut asking = self.asking();
        if asking.paused.is_some_and(|until| Instant::now() < until) {
            return None;
        }
        if let Some(over) = asking.under_way.get(contact) {
            return Some((over.clone(), None));
        }
        let (sender, over) = watch::channel(());
        asking.under_way.insert(contact.clone(), over.clone());
        let question = Question {
            subjects: self.clone(),
            contact: contact.clone(),
            _over: sender,
        };
        Some((over, Some(question)))
    }

    fn pause(&self) {
        self.asking().paused = Some(Instant::now() + PAUSE);
    }
}

impl App {
    /// Asks pipeline who the contact is and notes it; one question per contact at a time, which all
    /// wait for who need it. Whatever comes of it, the caller goes on.
    pub(super) async fn subject_refresh(&self, contact: &ContactName, deadline: Deadline) {
        let Some((mut over, question)) = self.subjects.begin(contact) else {
            return;
        };
        let until = deadline.within(PATIENCE.min(deadline.remaining() / 2));
        if let Some(question) = question {
            // Its own task: the others wait for the answer too, and the next issue can use a late one.
            let asking = self
                .clone()
                .subject_ask(question, Deadline::after(PATIENCE));
            tokio::spawn(asking.in_current_span());
        }
        let answered = tokio::time::timeout_at(until.instant().into(), over.changed());
        let _ = serve::aside(answered).await;
    }

    async fn subject_ask(self, question: Question, deadline: Deadline) {
        let permit = self.subjects.permits.acquire();
        let Ok(Ok(_permit)) = tokio::time::timeout_at(deadline.instant().into(), permit).await
        else {
            return;
        };
        let contact = question.contact.to_string();
        match self.subject_ask_in_time(&question.contact, deadline).await {
            Ok(()) => {}
            Err(error @ (Error::UpstreamUnavailable { .. } | Error::DeadlineExceeded)) => {
                tracing::warn!(contact, ?error, "buyers may be older than they should");
                self.subjects.pause();
            }
            // What is wrong with the grant is told to whoever needs a new one.
            Err(error) => tracing::debug!(contact, ?error, "the contact was not told anew"),
        }
    }

    async fn subject_ask_in_time(
        &self,
        contact: &ContactName,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let asked = self.clock.now();
        let grant = self
            .pipeline
            .grant_acquire(contact, &self.holder, self.store.epoch(), deadline)
            .await?;
        // The grant itself stays as it is: it is held, and locked by those who use it.
        let contact = contact.clone();
        self.store
            .within(&contact.workspace)
            .write("subject.renew", deadline, move |conn| {
                Ok(grants::subject_renew(
                    conn,
                    &contact,
                    &grant.subject,
                    asked,
                )?)
            })
            .await
    }
}
