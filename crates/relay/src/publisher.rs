//! Publishing a slice of changes: in order in each lane, several lanes at once, until every change is
//! either acknowledged or known to be refused for itself.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use tokio::sync::watch;
use types::{Clock, Micros, Service};

use crate::bus::{Bus, Refused};
use crate::event::event;
use crate::kinds::word;
use crate::lanes::{Item, chains};
use crate::progress::Progress;

/// Events on their way at once.
const IN_FLIGHT: usize = 64;

/// The first and the longest pause while the bus takes nothing.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// How often the log says that events wait.
const SAID: Duration = Duration::from_secs(30);

/// Publishes for one relay.
pub(crate) struct Publisher<'a> {
    pub(crate) bus: &'a Bus,
    pub(crate) service: Service,
    pub(crate) clock: &'a Clock,
    pub(crate) progress: &'a watch::Sender<Progress>,
    /// Whether the stream is known to be there and to fit.
    prepared: bool,
}

/// What became of a change that was not published.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) item: Item,
    /// Why it was refused; none where it waits behind another one.
    pub(crate) reason: Option<String>,
}

/// What became of a slice.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    pub(crate) published: Vec<Item>,
    pub(crate) kept: Vec<Kept>,
}

/// Changes that are published one after the other.
struct Chain {
    waiting: std::vec::IntoIter<Item>,
    /// Published or not, but not to be tried again.
    settled: Settled,
    /// Lanes in which something is parked.
    blocked: HashSet<String>,
}

impl<'a> Publisher<'a> {
    pub(crate) fn new(
        bus: &'a Bus,
        service: Service,
        clock: &'a Clock,
        progress: &'a watch::Sender<Progress>,
    ) -> Self {
        Self {
            bus,
            service,
            clock,
            progress,
            prepared: false,
        }
    }

    /// Looks for the stream, or makes it, so that the operator hears of it before the first event.
    pub(crate) async fn prepare(&mut self) -> Result<(), String> {
        if !self.prepared {
            self.bus.prepare(word(self.service)).await?;
            self.prepared = true;
        }
        Ok(())
    }

    /// Publishes changes, however long the bus is away. What is in a blocked lane is kept back, and so
    /// is what follows a refused change in one of its lanes. None counts as waiting for the bus since
    /// before `since`.
    pub(crate) async fn publish(
        &mut self,
        items: Vec<Item>,
        blocked: &HashSet<String>,
        since: Micros,
    ) -> Settled {
        let mut chains: Vec<Chain> = chains(items)
            .into_iter()
            .map(|items| Chain {
                waiting: items.into_iter(),
                settled: Settled::default(),
                blocked: blocked.clone(),
            })
            .collect();
        let (mut pause, mut said) = (PAUSE.0, None);
        while let Err(problem) = self.attempt(&mut chains).await {
            self.note_waiting(&chains, since);
            self.say(&problem, &mut said);
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE.1);
        }
        let mut all = Settled::default();
        for chain in chains {
            all.published.extend(chain.settled.published);
            all.kept.extend(chain.settled.kept);
        }
        all.kept.sort_by_key(|kept| kept.item.change.position);
        all
    }

    /// One attempt at everything that is not settled.
    async fn attempt(&mut self, chains: &mut [Chain]) -> Result<(), String> {
        self.prepare().await?;
        let this = &*self;
        let advances: Vec<_> = chains.iter_mut().map(|chain| this.advance(chain)).collect();
        let mut advancing = futures::stream::iter(advances).buffer_unordered(IN_FLIGHT);
        let mut outcome = Ok(());
        while let Some(advanced) = advancing.next().await {
            if advanced.is_err() {
                outcome = advanced;
            }
        }
        drop(advancing);
        // The stream may have been changed or lost.
        self.prepared = outcome.is_ok();
        outcome
    }

    /// Publishes the rest of a chain. The error is the bus's: nothing could be published now.
    async fn advance(&self, chain: &mut Chain) -> Result<(), String> {
        while let Some(item) = chain.waiting.as_slice().first() {
            let outcome = if item.lanes().any(|lane| chain.blocked.contains(lane)) {
                Err(None)
            } else {
                match self.publish_one(item).await {
                    Ok(()) => Ok(()),
                    Err(Refused::Event(reason)) => Err(Some(reason)),
                    Err(Refused::Bus(problem)) => return Err(problem),
                }
            };
            let Some(item) = chain.waiting.next() else {
                return Ok(());
            };
            match outcome {
                Ok(()) => chain.settled.published.push(item),
                Err(reason) => {
                    chain.blocked.extend(item.lanes().map(str::to_owned));
                    chain.settled.kept.push(Kept { item, reason });
                }
            }
        }
        Ok(())
    }

    async fn publish_one(&self, item: &Item) -> Result<(), Refused> {
        let event =
            event(self.service, &item.change, &self.bus.settings).map_err(Refused::Event)?;
        self.bus.publish(event).await?;
        self.progress
            .send_modify(|progress| progress.published += 1);
        Ok(())
    }

    /// Notes since when the oldest of these changes has been waiting.
    fn note_waiting(&self, chains: &[Chain], since: Micros) {
        let waiting = chains.iter().flat_map(|chain| chain.waiting.as_slice());
        let oldest = waiting.map(|item| item.change.record_time.max(since)).min();
        self.progress
            .send_modify(|progress| progress.oldest_unpublished = oldest);
    }

    /// Says at once and then from time to time that events wait.
    fn say(&self, problem: &str, said: &mut Option<Instant>) {
        if said.is_none_or(|said: Instant| said.elapsed() >= SAID) {
            *said = Some(Instant::now());
            let lag = self.progress.borrow().lag(self.clock.now());
            tracing::warn!(
                service = word(self.service),
                problem,
                lag_seconds = lag.as_secs(),
                "events wait for the bus, and the change log is kept for them"
            );
        }
    }
}
