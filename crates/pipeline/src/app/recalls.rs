//! Telling holders what to give back.
//!
//! Recalls are state, not log: each message tells what waits as it stands, so that a holder may drop
//! all but the newest one, and whatever was lost on the way is told again. A message is due where
//! something waits that the stream has not told yet. That something was acknowledged is no news, or
//! each of thousands of acknowledgements would tell hundreds of recalls once more.

use std::collections::HashMap;
use std::time::Duration;

use store::{Conn, epoch};
use tokio::time::Instant;
use types::{ContactName, Deadline};

use super::App;
use crate::domain::grants::{Orders, Pending};
use crate::error::Error;
use crate::store as tables;

/// How many recalls are told at once, the first by contact; the others when these are acknowledged.
const RECALLS_MAX: i64 = 500;
/// How many recalls may be told again for the sake of a new one. Where more were told and still wait,
/// the holder has enough to do: news is gathered for a while.
const REPEATED_MAX: usize = 64;
/// How long that while is.
const PACE: Duration = Duration::from_millis(100);
/// What is not acknowledged is told again after this.
const AGAIN: Duration = Duration::from_secs(2);
/// How long a stream of recalls may be silent.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long one look at what waits may take.
const LOOK: Duration = Duration::from_secs(10);

/// A holder that is told what to give back.
pub struct Watched {
    app: App,
    holder: String,
    told: Option<Told>,
    /// Before this there is no need to look again.
    rests: Option<Instant>,
}

/// What a stream told last.
struct Told {
    recalls: HashMap<ContactName, i64>,
    fences: Vec<(String, i64)>,
    epoch: i64,
    at: Instant,
}

impl App {
    /// Opens a stream of what a holder has to give back.
    pub fn watch_recalls(&self, holder: String) -> Watched {
        Watched {
            app: self.clone(),
            holder,
            told: None,
            rests: None,
        }
    }

    /// What a holder has to give back, in full or the first part of it.
    async fn orders(&self, holder: &str, deadline: Deadline) -> Result<Orders, Error> {
        let holder = holder.to_owned();
        Ok(self
            .store
            .reserved()
            .across()
            .read("recalls.read", deadline, move |conn| orders(conn, &holder))
            .await?)
    }
}

impl Watched {
    /// What waits: at once where there is news, again where it was not acknowledged, and nothing as a
    /// sign of life.
    pub async fn next(&mut self) -> Result<Orders, Error> {
        loop {
            if let Some(rests) = self.rests.take() {
                tokio::time::sleep_until(rests).await;
            }
            let mut seen = self.app.store.seen();
            let orders = self.app.orders(&self.holder, Deadline::after(LOOK)).await?;
            let now = Instant::now();
            let repeated = self.told.as_ref().map_or(0, |told| told.waiting(&orders));
            self.rests = (repeated > REPEATED_MAX).then(|| now + PACE);
            let due = self
                .told
                .as_ref()
                .filter(|told| told.covers(&orders))
                .map(|told| told.due(&orders).saturating_duration_since(now))
                .filter(|left| !left.is_zero());
            let Some(left) = due else {
                self.told = Some(Told::of(&orders, now));
                return Ok(orders);
            };
            self.app.store.wait_for_change(&mut seen, left).await;
        }
    }
}

impl Told {
    fn of(orders: &Orders, at: Instant) -> Self {
        let recalls = orders.recalls.iter();
        Self {
            recalls: recalls
                .map(|recall| (recall.contact.clone(), recall.recall_revision))
                .collect(),
            fences: orders.fences.clone(),
            epoch: orders.epoch,
            at,
        }
    }

    /// How many of the recalls in the orders were told.
    fn waiting(&self, orders: &Orders) -> usize {
        let told =
            |recall: &&Pending| self.recalls.get(&recall.contact) == Some(&recall.recall_revision);
        orders.recalls.iter().filter(told).count()
    }

    /// Whether there is nothing in the orders that was not told.
    fn covers(&self, orders: &Orders) -> bool {
        let fenced = orders.fences.iter().all(|one| self.fences.contains(one));
        fenced && self.waiting(orders) == orders.recalls.len() && self.epoch == orders.epoch
    }

    /// When the orders are due without being news.
    fn due(&self, orders: &Orders) -> Instant {
        let waits = !(orders.recalls.is_empty() && orders.fences.is_empty());
        self.at + if waits { AGAIN } else { HEARTBEAT }
    }
}

fn orders(conn: &mut Conn, holder: &str) -> Result<Orders, store::Error> {
    Ok(Orders {
        recalls: tables::pending::pendings_of_holder(conn, holder, RECALLS_MAX)?,
        fences: tables::activations::fences_of_holder(conn, holder)?,
        epoch: epoch::current(conn)?.number,
    })
}
