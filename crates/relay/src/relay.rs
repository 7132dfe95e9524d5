//! The relay of one service: follows its change log and publishes it.
//!
//! Invariant: the relay's place in the log moves only behind changes that are acknowledged or parked, in
//! one transaction with the parking, and only while its lease is held.

use std::collections::HashSet;
use std::convert::Infallible;
use std::time::Duration;

use store::change_log::{self, LogPosition};
use store::feed::Feed;
use store::leases::{self, Lease};
use store::{Error, Store};
use tokio::sync::watch;
use types::{Clock, Deadline, Micros, Service};

use crate::bus::Bus;
use crate::kinds::word;
use crate::lanes::Item;
use crate::measures;
use crate::parked::{self, Row};
use crate::progress::Progress;
use crate::publisher::{Kept, Publisher, Settled};

/// The lease of the one process that relays, and the consumer that holds back the pruning of the log.
pub(crate) const NAME: &str = "relay";

/// How long the lease lasts when its holder is gone.
const LEASE: Duration = Duration::from_secs(10);

/// How long there is a wait for something to publish, before parked changes are looked at.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long one transaction may take.
const STEP_TIME: Duration = Duration::from_secs(10);

/// The pause after a failure of the database.
const PAUSE: Duration = Duration::from_secs(1);

/// Parked changes that are tried at once.
const TRIED_MAX: i64 = 64;

/// Publishes the change log of one service. Clones share everything.
#[derive(Clone)]
pub struct Relay {
    store: Store,
    service: Service,
    bus: Bus,
    clock: Clock,
    progress: watch::Sender<Progress>,
}

impl Relay {
    /// The relay of the service whose database `store` is.
    pub fn new(store: Store, service: Service, bus: Bus, clock: Clock) -> Self {
        Self {
            store,
            service,
            bus,
            clock,
            progress: watch::Sender::default(),
        }
    }

    /// How far it is.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Publishes while this process holds the lease, until `stop` is done. `holder` is unique to the
    /// process.
    pub async fn run(&self, holder: &str, stop: impl Future<Output = ()>) {
        let term = |lease| Box::pin(self.clone().term(lease));
        tokio::select! {
            () = self.store.lead(NAME, holder, LEASE, stop, term) => {}
            never = measures::tell(self.service, self.progress(), self.clock.clone()) => match never {},
        }
    }

    /// As long as the lease is held.
    async fn term(self, lease: Lease) {
        // However the term ends: what waits then is another process's to tell.
        let _over = TermOver(self.progress.clone());
        loop {
            let Err(error) = self.relay(&lease).await;
            tracing::warn!(
                service = word(self.service),
                ?error,
                "the change log can't be relayed now"
            );
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn relay(&self, lease: &Lease) -> Result<Infallible, Error> {
        let mut publisher = Publisher::new(&self.bus, self.service, &self.clock, &self.progress);
        let start = self.begin(lease).await?;
        if let Err(problem) = publisher.prepare().await {
            tracing::warn!(
                service = word(self.service),
                problem,
                "events can't be published yet"
            );
        }
        let mut feed = Feed::all(&self.store, start);
        loop {
            let (parked, more) = self.retry(lease, &mut publisher).await?;
            let bulk = feed
                .page(if more { Duration::ZERO } else { PATIENCE })
                .await?;
            let items: Vec<Item> = bulk
                .changes
                .into_iter()
                .map(|change| Item::of(self.service, change))
                .collect();
            let oldest = items.iter().map(|item| item.change.record_time).min();
            self.progress.send_modify(|progress| {
                progress.oldest_unpublished = oldest;
                progress.parked = parked;
            });
            // A change's own place outlives a restore of the database, unlike one between changes.
            let Some(through) = items.last().map(|item| item.change.position) else {
                continue;
            };
            let blocked = if parked > 0 {
                self.blocked(&items).await?
            } else {
                HashSet::new()
            };
            let settled = publisher.publish(items, &blocked, Micros(0)).await;
            self.note(lease, settled.kept, through).await?;
        }
    }

    /// Where to go on. At the first start that is the oldest change that is kept, and from then on the
    /// log is kept for the relay.
    async fn begin(&self, lease: &Lease) -> Result<LogPosition, Error> {
        let (lease, now) = (lease.clone(), self.clock.now());
        let begun = self
            .store
            .across()
            .write("relay.begin", deadline(), move |conn| {
                leases::hold(conn, &lease, now)?;
                let oldest = change_log::oldest(conn)?;
                let place = change_log::consumer(conn, NAME)?;
                match place {
                    Some(at) if !change_log::is_expired(conn, at)? => Ok::<_, Error>((at, false)),
                    lost => {
                        // A place never goes back, and this one may have been in a life of the database
                        // that is over.
                        change_log::forget_consumer(conn, NAME)?;
                        change_log::register_consumer(conn, NAME, oldest, now)?;
                        Ok((oldest, lost.is_some()))
                    }
                }
            });
        let (at, lost) = begun.await?;
        if lost {
            tracing::error!(
                service = word(self.service),
                "changes were removed from the log before they were published: events are missing"
            );
        }
        Ok(at)
    }

    /// Tries parked changes that are due. How many are parked, and whether more are due.
    async fn retry(
        &self,
        lease: &Lease,
        publisher: &mut Publisher<'_>,
    ) -> Result<(i64, bool), Error> {
        let now = self.clock.now();
        let parked = self
            .store
            .across()
            .read("relay.parked", deadline(), parked::count);
        let parked = parked.await?;
        if parked == 0 {
            return Ok((0, false));
        }
        let held = lease.clone();
        let taken = self
            .store
            .across()
            .write("relay.due", deadline(), move |conn| {
                leases::hold(conn, &held, now)?;
                parked::take_due(conn, now, TRIED_MAX)
            });
        let rows = taken.await?;
        if rows.is_empty() {
            return Ok((parked, false));
        }
        let items = rows.iter().map(|row| row.item.clone()).collect();
        let settled = publisher.publish(items, &HashSet::new(), now).await;
        let gone = self.note_retried(lease, rows, settled).await?;
        Ok((parked - gone, gone > 0))
    }

    /// Those of the changes' lanes in which something is parked.
    async fn blocked(&self, items: &[Item]) -> Result<HashSet<String>, Error> {
        let lanes: HashSet<String> = items
            .iter()
            .flat_map(Item::lanes)
            .map(str::to_owned)
            .collect();
        let lanes: Vec<String> = lanes.into_iter().collect();
        self.store
            .across()
            .read("relay.blocked", deadline(), move |conn| {
                parked::blocked(conn, &lanes)
            })
            .await
    }

    /// Notes that everything up to here is published, or parked with this.
    async fn note(
        &self,
        lease: &Lease,
        kept: Vec<Kept>,
        through: LogPosition,
    ) -> Result<(), Error> {
        let (lease, now) = (lease.clone(), self.clock.now());
        self.warn_of(&kept);
        self.store
            .across()
            .write("relay.note", deadline(), move |conn| {
                leases::hold(conn, &lease, now)?;
                for Kept { item, reason } in &kept {
                    parked::park(conn, item, reason.as_deref(), now)?;
                }
                change_log::register_consumer(conn, NAME, through, now)
            })
            .await
    }

    /// Notes what became of parked changes; how many were published.
    async fn note_retried(
        &self,
        lease: &Lease,
        rows: Vec<Row>,
        settled: Settled,
    ) -> Result<i64, Error> {
        let (lease, now) = (lease.clone(), self.clock.now());
        self.warn_of(&settled.kept);
        self.store
            .across()
            .write("relay.retried", deadline(), move |conn| {
                leases::hold(conn, &lease, now)?;
                for item in &settled.published {
                    parked::remove(conn, item, now)?;
                }
                for Kept { item, reason } in &settled.kept {
                    let row = rows
                        .iter()
                        .find(|row| row.item.change.position == item.change.position);
                    if let (Some(row), Some(reason)) = (row, reason) {
                        parked::refused_again(conn, row, reason, now)?;
                    }
                }
                Ok(i64::try_from(settled.published.len()).unwrap_or(i64::MAX))
            })
            .await
    }

    /// What is refused is for the operator: `clientele events parked` shows it.
    fn warn_of(&self, kept: &[Kept]) {
        for Kept { item, reason } in kept {
            if let Some(reason) = reason {
                tracing::error!(
                    service = word(self.service),
                    event = item.change.event_id,
                    kind = item.change.kind,
                    resource = item.change.resource,
                    reason,
                    "an event is parked, and so is what happens to its contact from now on"
                );
            }
        }
    }
}

/// Ends a term: from then on nothing waits here.
struct TermOver(watch::Sender<Progress>);

impl Drop for TermOver {
    fn drop(&mut self) {
        self.0.send_modify(|progress| {
            *progress = Progress {
                published: progress.published,
                ..Progress::default()
            };
        });
    }
}

fn deadline() -> Deadline {
    Deadline::after(STEP_TIME)
}

#[cfg(test)]
mod tests;
