//! Issuing invoices: number, hash and freeze, many in one transaction.
//!
//! Numbers of a series are given one after the other, so issues that came one by one would each wait
//! for the commit of the one before. Therefore issues of a workspace that wait together share a
//! transaction: one lock of the counter, one commit.
//!
//! A member that is refused writes nothing and does not disturb the others. An error of the database
//! spoils the transaction for all. Where it may be the fault of one, each is then issued by itself, by
//! whoever asked for it, so that nobody's answer waits for another's.

use std::collections::HashMap;
use std::sync::Arc;

use ::store::idempotency::{Keep, Stored};
use ::store::together::{self, Lost};
use ::store::{Conn, Store};
use prost::Message as _;
use proto::billing::v1;
use types::{Deadline, InvoiceName};

use super::calls::{Call, Done, Sent, Write};
use super::{Abort, App, Stop, subjects};
use crate::domain::grants::{Entitlement as _, Invoice as InvoiceEntitlement};
use crate::domain::invoices::{self, Invoice, Ready, Refused};
use crate::error::{Error, Kind};
use crate::store::{grants, invoices as rows};
use crate::wire::{Resource as _, invoices::invoice_to_wire};

/// Issues that wait to share a transaction, by [`Job::lane`].
pub type Queue = together::Queue<Job>;

/// What is asked for: one invoice to be issued.
#[derive(Clone, Debug)]
pub struct Job {
    name: InvoiceName,
    etag: String,
    write: Write,
    /// Whether to freeze who the contact is even where that was told long ago.
    any_age: bool,
}

impl together::Job for Job {
    type Outcome = Fate;

    fn subject(&self) -> Option<&str> {
        Some(&self.name.invoice)
    }
}

impl Job {
    /// Those of one workspace go together, but those with a request id apart from those without. Where
    /// a commit is in doubt, a transaction with keys is run again and finds by them what it did before;
    /// whoever had none would be told that the invoice is issued already, by that very commit.
    fn lane(&self) -> String {
        let suffix = if self.write.has_key() { "/keyed" } else { "" };
        format!("{}{suffix}", self.name.workspace)
    }
}

/// An issued invoice and the token of the write.
#[derive(Clone, Debug)]
pub struct Issued {
    invoice: Invoice,
    token: String,
}

type Outcome = Result<Issued, Stop>;

/// What became of an issue that was to go with others; `None` where it is to be done by itself.
type Fate = Option<Outcome>;

/// What becomes of each job, in their order.
async fn issue_together(store: Store, jobs: Vec<(Job, Deadline)>) -> Vec<Fate> {
    let Some(latest) = jobs.iter().map(|(_, deadline)| *deadline).max() else {
        return Vec::new();
    };
    let jobs: Arc<[Job]> = jobs.into_iter().map(|(job, _)| job).collect();
    if jobs.len() == 1 {
        return vec![issue_one(&store, jobs, latest).await];
    }
    match issue_batch(&store, Arc::clone(&jobs), latest).await {
        Ok(outcomes) => outcomes.into_iter().map(Some).collect(),
        // After a commit in doubt too: running those that are issued again would tell them that they
        // can't be. A repetition with the same request id is answered rightly.
        Err(Stop::Error(Error::Store(failed))) if failed.is_everybodys() => jobs
            .iter()
            .map(|_| Some(Err(failed.clone().into())))
            .collect(),
        Err(_) => jobs.iter().map(|_| None).collect(),
    }
}

/// The fate of one that nobody waits with. What is refused is not written, and seen not to be.
async fn issue_one(store: &Store, jobs: Arc<[Job]>, deadline: Deadline) -> Fate {
    let in_store = store.clone();
    let issued = store
        .within(&jobs[0].name.workspace)
        .hasty()
        .write("invoices.issue", deadline, move |conn| {
            issue(conn, &in_store, &jobs)?
                .pop()
                .unwrap_or_else(without_outcome)
        })
        .await;
    match issued {
        Err(Stop::Error(Error::Store(failed))) if !failed.is_everybodys() => None,
        outcome => Some(outcome),
    }
}

async fn issue_alone(store: &Store, job: Job, deadline: Deadline) -> Result<Issued, Abort<Issued>> {
    let jobs: Arc<[Job]> = Arc::new([job]);
    let in_store = store.clone();
    store
        .within(&jobs[0].name.workspace)
        .write("invoices.issue", deadline, move |conn| {
            let issued = issue(conn, &in_store, &jobs)?
                .pop()
                .unwrap_or_else(without_outcome)?;
            jobs[0].write.end(issued)
        })
        .await
}

fn without_outcome() -> Outcome {
    Err(Error::Defect("an issue without an outcome").into())
}

async fn issue_batch(
    store: &Store,
    jobs: Arc<[Job]>,
    deadline: Deadline,
) -> Result<Vec<Outcome>, Stop> {
    let in_store = store.clone();
    store
        .within(&jobs[0].name.workspace)
        .hasty()
        .write("invoices.issue_batch", deadline, move |conn| {
            issue(conn, &in_store, &jobs)
        })
        .await
}

/// Issues what can be issued. A job's refusal leaves nothing behind; the transaction's own failure is
/// the error.
fn issue(conn: &mut Conn, store: &Store, jobs: &[Job]) -> Result<Vec<Outcome>, Stop> {
    let Some(workspace) = jobs.first().map(|job| job.name.workspace.clone()) else {
        return Ok(Vec::new());
    };
    let ids: Vec<String> = jobs.iter().map(|job| job.name.invoice.clone()).collect();
    let mut found: HashMap<String, Invoice> =
        rows::invoice_list_for_change(conn, &workspace, &ids)?
            .into_iter()
            .map(|invoice| (invoice.name.invoice.clone(), invoice))
            .collect();
    let mut outcomes: Vec<Option<Outcome>> = Vec::with_capacity(jobs.len());
    let (mut ready, mut places) = (Vec::new(), Vec::new());
    for (place, job) in jobs.iter().enumerate() {
        match make_ready(conn, store, job, found.remove(&job.name.invoice)) {
            Ok(made) => {
                ready.push(made);
                places.push(place);
                outcomes.push(None);
            }
            Err(Stop::Error(Error::Store(error))) => return Err(error.into()),
            Err(refused) => outcomes.push(Some(Err(refused))),
        }
    }
    let issued = rows::invoice_issue(conn, ready)?;
    let token = finish(conn, jobs, &places, &issued)?;
    for (place, invoice) in places.into_iter().zip(issued) {
        outcomes[place] = Some(Ok(Issued {
            invoice,
            token: token.clone(),
        }));
    }
    Ok(outcomes
        .into_iter()
        .map(|outcome| outcome.unwrap_or_else(without_outcome))
        .collect())
}

/// Everything that may refuse an issue; writes nothing.
fn make_ready(
    conn: &mut Conn,
    store: &Store,
    job: &Job,
    found: Option<Invoice>,
) -> Result<Ready, Stop> {
    let Some(invoice) = found else {
        let resource = job.name.to_string();
        return Err(Error::NotFound {
            kind: Kind::Invoice,
            resource,
        }
        .into());
    };
    if invoice.seal.is_some() {
        // It may have been this very request that issued it, while this repetition waited.
        if let Some(stored) = job.write.look_up_here(conn)? {
            return Err(Stop::Replay(stored));
        }
        return Err(Error::InvoiceIssued {
            invoice: job.name.to_string(),
        }
        .into());
    }
    if !job.etag.is_empty() && job.etag != invoice.etag() {
        return Err(Error::EtagMismatch {
            resource: job.name.to_string(),
        }
        .into());
    }
    let contact = invoice.content.contact.clone();
    let held =
        grants::grant_hold::<InvoiceEntitlement>(conn, &contact, store.epoch(), job.write.now)?;
    let Some(held) = held else {
        return Err(Stop::NoGrant(contact));
    };
    let told_since = job.write.now.minus(subjects::AGE_MAX);
    if !job.any_age && invoice.content.buyer_is_contact() && held.told_time() < told_since {
        return Err(Stop::SubjectOld(contact));
    }
    invoices::issue(invoice, job.write.actor.clone(), job.write.now, &held)
        .map_err(|refused| refusal(refused, &job.name).into())
}

/// Logs the issued invoices and completes their keys; answers the token of them all.
fn finish(
    conn: &mut Conn,
    jobs: &[Job],
    places: &[usize],
    issued: &[Invoice],
) -> Result<String, Stop> {
    let payloads: Vec<Vec<u8>> = issued
        .iter()
        .map(|invoice| invoice_to_wire(invoice).encode_to_vec())
        .collect();
    let names: Vec<String> = issued
        .iter()
        .map(|invoice| invoice.name.to_string())
        .collect();
    let writes: Vec<&Write> = places.iter().map(|place| &jobs[*place].write).collect();
    let changes: Vec<_> = writes
        .iter()
        .zip(issued)
        .zip(names.iter().zip(&payloads))
        .map(|((write, invoice), (name, payload))| {
            write.change("invoice.issued", name, invoice.revision, payload, "")
        })
        .collect();
    let token = super::calls::log_all(conn, &changes)?;
    for ((write, invoice), name) in writes.iter().zip(issued).zip(&names) {
        // Kept for ever, so without personal data: a repetition renders the stored invoice.
        write.claim_complete(conn, name, invoice.revision, token.as_bytes())?;
    }
    Ok(token)
}

/// What keeps a document from being accepted, as this use case's error.
pub(super) fn refusal(refused: Refused, name: &InvoiceName) -> Error {
    match refused {
        Refused::Invalid(faults) => Error::Invalid(faults),
        Refused::NotDraft => Error::InvoiceIssued {
            invoice: name.to_string(),
        },
        Refused::Incomplete(lacking) => Error::InvoiceIncomplete {
            invoice: name.to_string(),
            lacking,
        },
        Refused::OtherContact => Error::Defect("the grant is another contact's"),
        Refused::Broken(rules) => Error::FiguresBroken {
            invoice: name.to_string(),
            rules,
        },
    }
}

impl App {
    /// Issues a draft: it gets its number and never changes again.
    pub async fn invoice_issue(
        &self,
        call: &Call,
        request: v1::IssueInvoiceRequest,
    ) -> Result<Done<v1::IssueInvoiceResponse>, Error> {
        let name: InvoiceName = super::invoices::name("name", &request.name)?;
        let sent = Sent {
            method: "InvoiceService/IssueInvoice",
            workspace: &name.workspace,
            request_id: &request.request_id,
            validate_only: request.validate_only,
            keep: Keep::Forever,
        };
        let bare = v1::IssueInvoiceRequest {
            request_id: String::new(),
            ..request.clone()
        };
        let write = Write::new(call, sent, &bare, self.clock.now(), &self.ids);
        if let Some(stored) = write.look_up(&self.store, call).await? {
            return self.issue_replayed(call, &name, stored).await;
        }
        let job = Job {
            name: name.clone(),
            etag: request.etag,
            write,
            any_age: false,
        };
        let outcome = self
            .gated(InvoiceEntitlement::KEY, call.deadline, || {
                self.issue_attempt(job.clone(), call.deadline)
            })
            .await;
        match outcome {
            Ok(issued) => Ok(Done::fresh(v1::IssueInvoiceResponse {
                invoice: Some(invoice_to_wire(&issued.invoice)),
                consistency_token: issued.token,
            })),
            Err(Abort::Rehearsed(issued)) => Ok(Done::fresh(rehearsed(&issued.invoice))),
            Err(Abort::Stop(Stop::Replay(stored))) => {
                self.issue_replayed(call, &name, stored).await
            }
            Err(Abort::Stop(Stop::NoGrant(_) | Stop::SubjectOld(_))) => {
                Err(Error::Defect("an attempt without a grant"))
            }
            Err(Abort::Stop(Stop::Error(error))) => Err(error),
        }
    }

    /// Issues under the grant that is held, having asked who the contact is where that was told long
    /// ago.
    async fn issue_attempt(&self, job: Job, deadline: Deadline) -> Result<Issued, Abort<Issued>> {
        match self.issue_with_others(job.clone(), deadline).await {
            Err(Abort::Stop(Stop::SubjectOld(contact))) => {
                self.subject_refresh(&contact, deadline).await;
                let job = Job {
                    any_age: true,
                    ..job
                };
                self.issue_with_others(job, deadline).await
            }
            ended => ended,
        }
    }

    async fn issue_with_others(
        &self,
        job: Job,
        deadline: Deadline,
    ) -> Result<Issued, Abort<Issued>> {
        if job.write.validate_only {
            return issue_alone(&self.store, job, deadline).await;
        }
        let (store, lane) = (self.store.clone(), job.lane());
        let alone = job.clone();
        let together = move |jobs| issue_together(store.clone(), jobs);
        match self.issues.run(&lane, job, deadline, together).await {
            Ok(Some(outcome)) => outcome.map_err(Abort::from),
            Ok(None) => issue_alone(&self.store, alone, deadline).await,
            Err(Lost::Late) => Err(Error::DeadlineExceeded.into()),
            Err(Lost::Panicked) => Err(Error::Defect("a batch of issues panicked").into()),
        }
    }

    /// The answer that was given before: the invoice as it was issued, which it still is.
    async fn issue_replayed(
        &self,
        call: &Call,
        name: &InvoiceName,
        stored: Stored,
    ) -> Result<Done<v1::IssueInvoiceResponse>, Error> {
        let invoice = self.invoice_read(call, name).await?;
        let value = v1::IssueInvoiceResponse {
            invoice: Some(invoice_to_wire(&invoice)),
            consistency_token: String::from_utf8(stored.response).unwrap_or_default(),
        };
        Ok(Done {
            value,
            replayed: true,
        })
    }
}

/// What issuing would give; the number and hash are not given out, since others may come before.
fn rehearsed(invoice: &Invoice) -> v1::IssueInvoiceResponse {
    let mut invoice = v1::Invoice {
        number: String::new(),
        hash: String::new(),
        ..invoice_to_wire(invoice)
    };
    invoice.unstore();
    v1::IssueInvoiceResponse {
        invoice: Some(invoice),
        consistency_token: String::new(),
    }
}
