//! What an operator does to a relay, on the service's database: no service need run.

use std::time::Duration;

use store::{Error, Store, change_log, leases};
use types::Deadline;

use crate::parked::{self, Parked};
use crate::relay::NAME;

/// Parked changes that are listed at most.
const LISTED_MAX: i64 = 1000;

/// Who holds the lease while a relay is taken off.
const OPERATOR: &str = "operator";

/// What came of taking a relay off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// It is off: the log is no longer kept for it, and this many parked changes are forgotten.
    Off {
        /// How many changes were parked.
        parked: usize,
    },
    /// Nothing was done: a process relays at this moment.
    Running,
    /// There is none.
    Absent,
}

/// The changes that are parked, in the log's order; at most a thousand.
pub async fn parked(store: &Store, deadline: Deadline) -> Result<Vec<Parked>, Error> {
    let listed = store.across().read("relay.list", deadline, |conn| {
        parked::list(conn, LISTED_MAX)
    });
    listed.await
}

/// Has every refused change tried again at once; how many there are.
pub async fn retry(store: &Store, deadline: Deadline) -> Result<usize, Error> {
    let now = store.clock().now();
    let retried = store.across().write("relay.retry", deadline, move |conn| {
        parked::retry_all(conn, now)
    });
    retried.await
}

/// Forgets a parked change for good: nobody is told of it, and what waits behind it goes on. Whether
/// there was one with this event id.
pub async fn drop_parked(store: &Store, event_id: &str, deadline: Deadline) -> Result<bool, Error> {
    let (event_id, now) = (event_id.to_owned(), store.clock().now());
    let dropped = store.across().write("relay.drop", deadline, move |conn| {
        let Some(item) = parked::find(conn, &event_id)? else {
            return Ok(false);
        };
        parked::remove(conn, &item, now)?;
        Ok(true)
    });
    dropped.await
}

/// Takes the relay off for good: the log is pruned without regard to it, and parked changes are
/// forgotten. One that is switched on again later begins with the oldest change that is kept then.
pub async fn stop(store: &Store, deadline: Deadline) -> Result<Stopped, Error> {
    let now = store.clock().now();
    let stopped = store.across().write("relay.stop", deadline, move |conn| {
        if change_log::consumer(conn, NAME)?.is_none() {
            return Ok(Stopped::Absent);
        }
        let ttl = Duration::from_secs(1);
        let Some(lease) = leases::acquire(conn, NAME, OPERATOR, ttl, now)? else {
            return Ok(Stopped::Running);
        };
        change_log::forget_consumer(conn, NAME)?;
        let parked = parked::clear(conn)?;
        leases::release(conn, &lease)?;
        Ok(Stopped::Off { parked })
    });
    stopped.await
}
