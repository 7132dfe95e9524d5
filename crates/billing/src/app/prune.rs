//! Removing what is no longer kept: changes and request keys of more than a week ago.

use std::time::Duration;

use ::store::{Error as StoreError, change_log, idempotency};
use tokio_util::sync::CancellationToken;
use types::Deadline;

use super::App;

/// The lease of the one who prunes.
const LEASE: &str = "billing.prune";
/// How long the lease holds; also three times the pause between rounds.
const LEASE_TIME: Duration = Duration::from_mins(5);
/// How long changes are kept.
const KEPT: Duration = Duration::from_hours(7 * 24);
/// Rows removed in one transaction, so that none of them is long.
const SLICE: usize = 1000;
/// How long one slice may take.
const SLICE_TIME: Duration = Duration::from_secs(10);

impl App {
    /// Prunes from time to time until `shutdown`.
    pub async fn prune(self, shutdown: CancellationToken) {
        let stop = shutdown.cancelled();
        let process = self.process.clone();
        self.store
            .lead(LEASE, &process, LEASE_TIME, stop, |_| async {
                if let Err(error) = self.prune_round().await {
                    tracing::warn!(?error, "old changes could not be pruned");
                }
            })
            .await;
    }

    async fn prune_round(&self) -> Result<(), StoreError> {
        let limit = i64::try_from(SLICE).unwrap_or(i64::MAX);
        loop {
            let store = self.store.clone();
            let gone = self
                .store
                .across()
                .write("billing.prune", Deadline::after(SLICE_TIME), move |conn| {
                    let certain = store.certain_time(conn)?;
                    let changes = change_log::prune(conn, certain.minus(KEPT), limit)?;
                    let keys = idempotency::prune(conn, certain, limit)?;
                    Ok::<_, StoreError>(changes.max(keys))
                })
                .await?;
            if gone < SLICE {
                return Ok(());
            }
        }
    }
}
