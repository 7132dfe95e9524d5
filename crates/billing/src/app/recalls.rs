//! Following pipeline's recalls and fences: narrow first, acknowledge then.
//!
//! Orders are state at pipeline, told over and over until they are acknowledged. So nothing is
//! remembered here: after a crash, a lost message or a lost answer the same order comes again, and
//! carrying it out twice changes nothing. One replica follows at a time, only to save work.
//!
//! Invariant: an acknowledgement leaves only after the transaction that narrowed the grant has
//! committed.

use std::pin::pin;
use std::time::Duration;

use ::store::Error as StoreError;
use futures::{FutureExt as _, StreamExt as _};
use serve::peer::Backoff;
use serve::telemetry::metrics::TARGET;
use tokio_util::sync::CancellationToken;
use types::Deadline;

use super::App;
use crate::domain::grants::{Attachment, Fence, Recall};
use crate::error::Error;
use crate::peers::pipeline::Orders;
use crate::store::gate::Scope;
use crate::store::{gate, grants};

/// The lease of the one who follows.
const LEASE: &str = "billing.recalls";

/// How long the lease holds without being renewed: as long a recall waits at most when the replica
/// that followed has died.
const LEASE_TIME: Duration = Duration::from_secs(3);

/// How long carrying out one order may take; it comes again if it fails.
const ORDER_TIME: Duration = Duration::from_secs(5);

/// After this long without any message the stream counts as dead. Pipeline says that it is there
/// more often.
const SILENCE_MAX: Duration = Duration::from_secs(35);

/// Orders of one message that are carried out at once; their transactions share commits.
const AT_ONCE: usize = 16;

impl App {
    /// Follows until `shutdown`.
    pub async fn recalls_follow(self, shutdown: CancellationToken) {
        let stop = shutdown.cancelled();
        let process = self.process.clone();
        self.store
            .lead(LEASE, &process, LEASE_TIME, stop, |_| {
                self.recalls_follow_while_leading()
            })
            .await;
    }

    async fn recalls_follow_while_leading(&self) {
        let mut backoff = Backoff::new();
        loop {
            if let Err(error) = self.recalls_follow_once(&mut backoff).await {
                tracing::debug!(?error, "the stream of recalls ended");
            }
            tokio::time::sleep(backoff.pause()).await;
        }
    }

    /// Carries out what the stream tells until it ends or the epochs change. Its first word tells the
    /// epoch to attach in.
    async fn recalls_follow_once(&self, backoff: &mut Backoff) -> Result<(), Error> {
        // Whoever announced something and did not live to withdraw it may have been another replica. Its
        // announcement counts for some seconds only; here the rows of all such go.
        let time = Deadline::after(ORDER_TIME);
        let cleared: Result<(), StoreError> = self
            .store
            .across()
            .write("gate.clear", time, gate::intents_clear)
            .await;
        cleared?;
        let holder_epoch = self.store.epoch();
        let opening = self.pipeline.recalls_watch(&self.holder, holder_epoch);
        let Ok(opened) = tokio::time::timeout(ORDER_TIME, opening).await else {
            return Ok(());
        };
        let mut stream = pin!(opened?);
        let mut attached: Option<Attachment> = None;
        loop {
            let mut orders = match tokio::time::timeout(SILENCE_MAX, stream.next()).await {
                Ok(Some(orders)) => orders?,
                Ok(None) | Err(_) => return Ok(()),
            };
            // Orders are state: what has come meanwhile says it better.
            while let Some(Some(newer)) = stream.next().now_or_never() {
                orders = newer?;
            }
            let now = match attached {
                Some(attached) => attached,
                None => {
                    self.attach_in(orders.epoch, Deadline::after(ORDER_TIME))
                        .await?
                }
            };
            attached = Some(now);
            // What is told in another epoch, or to another one, is not for this replica; and a stream
            // that tells nothing else must not be opened again without a growing pause.
            let told_in = Attachment {
                holder_epoch,
                pipeline_epoch: orders.epoch,
            };
            if told_in != now || self.store.epoch() != holder_epoch {
                return Ok(());
            }
            backoff.reset();
            self.orders_carry_out(orders, now).await;
            // Orders tell everything that waits, so that nothing older is left.
            tracing::trace!(
                target: TARGET,
                metric = "clientele.follower.lag",
                value = 0,
                clientele.follower = "recalls",
            );
        }
    }

    async fn orders_carry_out(&self, orders: Orders, attached: Attachment) {
        let Orders {
            recalls, fences, ..
        } = orders;
        futures::stream::iter(fences)
            .for_each_concurrent(AT_ONCE, |fence| async move {
                let outcome = self.fence_carry_out(&fence, attached).await;
                told_again("fence", &fence.workspace, outcome);
            })
            .await;
        futures::stream::iter(recalls)
            .for_each_concurrent(AT_ONCE, |recall| async move {
                let contact = recall.contact.to_string();
                told_again(
                    "recall",
                    &contact,
                    self.recall_carry_out(recall, attached).await,
                );
            })
            .await;
    }

    /// Narrows the grant and, once that is on disk, says so.
    async fn recall_carry_out(&self, recall: Recall, attached: Attachment) -> Result<(), Error> {
        let deadline = Deadline::after(ORDER_TIME);
        let Some(documents_exist) = self.grant_narrow(&recall, attached, deadline).await? else {
            return Ok(());
        };
        self.pipeline
            .recall_acknowledge(&recall, &self.holder, documents_exist, attached, deadline)
            .await
    }

    /// Narrows the grant, where that was not done before; answers whether documents exist, or nothing
    /// where billing is attached in other epochs by now.
    async fn grant_narrow(
        &self,
        recall: &Recall,
        attached: Attachment,
        deadline: Deadline,
    ) -> Result<Option<bool>, Error> {
        let order = recall.clone();
        let done: Option<bool> = self
            .store
            .within(&recall.contact.workspace)
            .read("grant.recalled", deadline, move |conn| {
                let slot = grants::slot_get(conn, &order.contact)?;
                let covered = slot.is_some_and(|slot| {
                    slot.grant.epoch == attached.pipeline_epoch && order.revision <= slot.tombstone
                });
                if !covered {
                    return Ok(None);
                }
                grants::documents_exist(conn, &order.contact).map(Some)
            })
            .await
            .map_err(|error: StoreError| Error::from(error))?;
        if done.is_some() {
            return Ok(done);
        }
        let (order, clock) = (recall.clone(), self.clock.clone());
        let scope = Scope::Contact(recall.contact.clone());
        self.take_away("grant.recall", scope, deadline, move |conn| {
            if !grants::grant_recall(conn, &order, attached, clock.now())? {
                return Ok(None);
            }
            // Asked after the grant is narrowed: what was written under it is there by now, and
            // nothing comes after.
            grants::documents_exist(conn, &order.contact).map(Some)
        })
        .await
    }

    /// Raises the fence and, once that is on disk, says so.
    async fn fence_carry_out(&self, fence: &Fence, attached: Attachment) -> Result<(), Error> {
        let deadline = Deadline::after(ORDER_TIME);
        let order = fence.clone();
        let scope = Scope::Workspace(fence.workspace.clone());
        let raised = self
            .take_away("gate.fence", scope, deadline, move |conn| {
                gate::fence_raise(conn, &order, attached)
            })
            .await?;
        if !raised {
            return Ok(());
        }
        self.pipeline
            .fence_acknowledge(fence, &self.holder, attached, deadline)
            .await
    }
}

/// An order that could not be carried out comes again; it is only noted.
fn told_again(order: &'static str, about: &str, outcome: Result<(), Error>) {
    if let Err(error) = outcome {
        tracing::warn!(order, about, ?error, "an order waits to be told again");
    }
}
