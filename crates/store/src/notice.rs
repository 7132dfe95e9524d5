//! Noticing that another epoch has begun while the service runs.
//!
//! A failover cuts the connections, and the first new one finds the new epoch. What another process
//! does, `clientele epoch bump` or a replica that was first after the failover, cuts none: the epoch
//! row is therefore looked at every second.

use std::sync::{Arc, Weak};
use std::time::Duration;

use types::Deadline;

use crate::store::Inner;
use crate::{Error, Store, epoch};

/// How often the epoch row is looked at.
const PERIOD: Duration = Duration::from_secs(1);

/// How long one look may take.
const LOOK_TIME: Duration = Duration::from_secs(5);

impl Store {
    /// The number of the epoch as it is now: read from the database, and noticed by
    /// [`Store::epoch`].
    pub async fn epoch_look(&self, deadline: Deadline) -> Result<i64, Error> {
        let found = self
            .across()
            .read_point("epoch.look", deadline, epoch::current)
            .await?;
        Ok(self.inner.notice(found.number))
    }
}

/// Looks every [`PERIOD`] until the store is gone. Without a tokio runtime nobody could wait for a
/// store either, so then there is nothing to do.
pub(crate) fn watch(inner: &Arc<Inner>) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(look_again_and_again(Arc::downgrade(inner)));
    }
}

async fn look_again_and_again(inner: Weak<Inner>) {
    loop {
        tokio::time::sleep(PERIOD).await;
        let Some(inner) = inner.upgrade() else {
            return;
        };
        let store = Store::over(inner).reserved();
        let before = store.epoch();
        match store.epoch_look(Deadline::after(LOOK_TIME)).await {
            Ok(now) if now != before => {
                tracing::warn!(before, now, "another epoch of the database has begun");
            }
            Ok(_) => {}
            // Whoever needs the database says so louder.
            Err(error) => tracing::debug!(?error, "the epoch row could not be read"),
        }
    }
}
