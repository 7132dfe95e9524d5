//! Sealing histories: a leased job hashes the heads of all histories that grew.

use policy::history::{Checkpoint as Seal, GENESIS};
use store::leases::{self, Lease};
use store::{Conn, Error as StoreError};
use types::{Deadline, Micros};

use super::App;
use crate::store as tables;
use crate::store::checkpoints::{Checkpoint, Head};

/// Heads of one seal.
const HEADS_MAX: i64 = 200;
const STEP_TIME: std::time::Duration = std::time::Duration::from_secs(10);

impl App {
    /// Seals again and again for as long as it holds the lease.
    pub async fn seal_histories(&self, lease: Lease) {
        loop {
            match self.seal_once(&lease).await {
                // There is more to be sealed.
                Ok(true) => {}
                Ok(false) => tokio::time::sleep(self.seal_interval).await,
                Err(error) => {
                    tracing::warn!(%error, "histories are not sealed now");
                    tokio::time::sleep(self.seal_interval).await;
                }
            }
        }
    }

    /// One seal for every workspace whose histories grew; whether one of them had no room for all
    /// that grew. What fails in one workspace is left for the next time.
    pub async fn seal_once(&self, lease: &Lease) -> Result<bool, StoreError> {
        let mut more = false;
        let mut after = String::new();
        loop {
            let from = after.clone();
            let unsealed = self
                .store
                .across()
                .read("histories.scan", Deadline::after(STEP_TIME), move |conn| {
                    tables::positions::workspace_unsealed(conn, &from)
                })
                .await?;
            let Some(workspace) = unsealed else {
                return Ok(more);
            };
            let (lease, clock, sealed) = (lease.clone(), self.clock.clone(), workspace.clone());
            let full = self
                .store
                .within(&workspace)
                .write("histories.seal", Deadline::after(STEP_TIME), move |conn| {
                    leases::hold(conn, &lease, clock.now())?;
                    seal(conn, &sealed, clock.now())
                })
                .await;
            match full {
                Ok(full) => more |= full,
                Err(error) => tracing::warn!(%error, workspace, "it is not sealed now"),
            }
            after = workspace;
        }
    }
}

/// Whether the seal is full.
fn seal(conn: &mut Conn, workspace: &str, now: Micros) -> Result<bool, StoreError> {
    let contacts = tables::positions::positions_unsealed(conn, workspace, HEADS_MAX)?;
    let mut positions = tables::positions::positions_of(conn, workspace, &contacts)?;
    positions.sort_by(|a, b| a.name.contact.cmp(&b.name.contact));
    if positions.is_empty() {
        return Ok(false);
    }
    let last = tables::checkpoints::checkpoint_last(conn, workspace)?;
    let number = last.as_ref().map_or(1, |last| last.number + 1);
    let previous_hash = last.map_or(GENESIS, |last| last.hash);
    let mut hasher = Seal::begin(&previous_hash, workspace, number);
    let mut heads = Vec::with_capacity(positions.len());
    for position in positions {
        let head = Head {
            contact: position.name.contact,
            revision: position.revision,
            hash: position.head,
        };
        hasher
            .add(&head.contact, &head.hash, head.revision)
            .map_err(|_| StoreError::Corrupt {
                table: "positions",
                id: workspace.to_owned(),
            })?;
        heads.push(head);
    }
    let checkpoint = Checkpoint {
        number,
        heads: i64::try_from(heads.len()).unwrap_or(i64::MAX),
        previous_hash,
        hash: hasher.finish(),
    };
    tables::checkpoints::checkpoint_insert(conn, workspace, &checkpoint, &heads, now)?;
    Ok(checkpoint.heads >= HEADS_MAX)
}
