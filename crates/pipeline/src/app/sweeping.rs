//! The sweeper: completes what waits for nobody any more after a holder has attached or was forgotten,
//! and whatever was left behind between a holder's word and its effect.
//!
//! Invariant: one that fails keeps no other from going on.

use std::time::Duration;

use store::epoch;
use store::leases::Lease;
use types::Deadline;

use super::gate;
use super::{Abort, App, completions};
use crate::error::Error;
use crate::store as tables;

/// How often there is a look, where nothing wakes.
const PAUSE: Duration = Duration::from_secs(2);
/// How many batches are looked up at once.
const SCAN: i64 = 100;
/// How long one look, and one batch, may take.
const STEP_TIME: Duration = Duration::from_secs(10);

impl App {
    /// Sweeps for as long as it holds the lease. Whoever has lost it does no harm: what is completed
    /// is locked and looked at again.
    pub async fn sweep_up(&self, _lease: Lease) {
        loop {
            if let Err(error) = self.sweep_moves().await {
                tracing::warn!(%error, "waiting moves are not looked at now");
            }
            if let Err(error) = self.sweep_activations().await {
                tracing::warn!(%error, "waiting activations are not looked at now");
            }
            let _ = tokio::time::timeout(PAUSE, self.wakes.sweeper.notified()).await;
        }
    }

    /// Completes every batch of moves that waits for nobody any more. Those that somebody still holds
    /// are not even looked at.
    async fn sweep_moves(&self) -> Result<(), Error> {
        let mut after = (String::new(), String::new());
        loop {
            let from = after.clone();
            let batches = self
                .store
                .across()
                .read("pending.scan", Deadline::after(STEP_TIME), move |conn| {
                    let epoch = epoch::current(conn)?.number;
                    if tables::holders::holders_missing(conn, epoch)? {
                        return Ok::<_, store::Error>(Vec::new());
                    }
                    tables::pending::batches_released(conn, (&from.0, &from.1), SCAN)
                })
                .await?;
            let Some(last) = batches.last().cloned() else {
                return Ok(());
            };
            after = last;
            for (workspace, batch) in batches {
                if let Err(error) = self.complete_batch(&workspace, batch).await {
                    tracing::warn!(%error, workspace, "a waiting move is not completed now");
                }
            }
        }
    }

    async fn complete_batch(&self, workspace: &str, batch: String) -> Result<bool, Error> {
        let deadline = Deadline::after(STEP_TIME);
        let completed = self
            .in_scene(
                workspace,
                deadline,
                "pending.complete",
                move |conn, scene| {
                    gate::enter::<Abort<bool>>(conn, scene, true)?;
                    Ok(completions::complete(conn, scene, &batch)?.is_some())
                },
            )
            .await?;
        if completed {
            self.wake_evaluator();
        }
        Ok(completed)
    }
}
