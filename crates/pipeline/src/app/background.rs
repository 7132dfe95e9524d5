//! What runs besides calls: each task on one replica at a time, but for measuring.

use std::time::{Duration, Instant};

use store::leases::{self, Lease};
use store::{change_log, idempotency};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use types::Deadline;

use super::App;

/// How long a lease is held without being renewed. A replica that takes over waits for as long.
const LEASE: Duration = Duration::from_secs(6);
/// How long the change log is kept.
const LOG_KEPT: Duration = Duration::from_hours(7 * 24);
/// How often what is over is cleared away.
const CLEAR: Duration = Duration::from_mins(1);
/// Rows that are cleared away in one transaction.
const SLICE: i64 = 500;
const STEP_TIME: Duration = Duration::from_secs(10);

/// Starts `$method` as a task that runs while this process holds the lease `$name`.
macro_rules! leased {
    ($tasks:ident, $app:expr, $stop:expr, $name:literal, $method:ident) => {{
        let (app, stop) = ($app.clone(), $stop.clone());
        $tasks.spawn(async move {
            let run = |lease: Lease| {
                let app = app.clone();
                async move { app.$method(lease).await }
            };
            app.store
                .lead($name, &app.process, LEASE, stop.cancelled(), run)
                .await;
        });
    }};
}

/// Does a piece of work that no call waits for, and rests for as long as it took: however slow the
/// machine is, those who call get the larger part of it.
pub(super) async fn unhurried<T>(work: impl Future<Output = T>) -> T {
    let started = Instant::now();
    let done = work.await;
    tokio::time::sleep(started.elapsed()).await;
    done
}

impl App {
    /// Starts everything that runs besides calls; it ends when `stop` is cancelled.
    pub fn spawn(&self, stop: &CancellationToken) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        leased!(tasks, self, stop, "pipeline.follow", follow_contacts);
        leased!(tasks, self, stop, "pipeline.evaluate", evaluate_contacts);
        leased!(tasks, self, stop, "pipeline.project", project_positions);
        leased!(tasks, self, stop, "pipeline.map", map_positions);
        leased!(tasks, self, stop, "pipeline.seal", seal_histories);
        leased!(tasks, self, stop, "pipeline.sweep", sweep_up);
        leased!(tasks, self, stop, "pipeline.clear", clear_away);
        tasks.spawn(self.clone().measure(stop.clone()));
        tasks
    }

    /// Clears away what is over.
    async fn clear_away(&self, lease: Lease) {
        loop {
            if let Err(error) = self.clear_once(&lease).await {
                tracing::warn!(%error, "what is over is not cleared away now");
            }
            tokio::time::sleep(CLEAR).await;
        }
    }

    async fn clear_once(&self, lease: &Lease) -> Result<(), store::Error> {
        let now = self.clock.now();
        loop {
            let (lease, store) = (lease.clone(), self.store.clone());
            let deadline = Deadline::after(STEP_TIME);
            let gone = self
                .store
                .across()
                .write("pipeline.clear", deadline, move |conn| {
                    leases::hold(conn, &lease, now)?;
                    let certain = store.certain_time(conn)?;
                    let log = change_log::prune(conn, certain.minus(LOG_KEPT), SLICE)?;
                    Ok::<_, store::Error>(log + idempotency::prune(conn, certain, SLICE)?)
                })
                .await?;
            if gone == 0 {
                return Ok(());
            }
        }
    }
}
