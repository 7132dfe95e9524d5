//! What is measured of a store besides its operations: its connections, how long they are waited for,
//! and what holds the change log up.
//!
//! Values are told as events of the target `clientele::metric`, which whoever runs the process turns into
//! metrics; while nobody does, nothing is looked at.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel::sql_types::Double;
use tracing::Level;
use types::Deadline;

use crate::store::Inner;
use crate::{Conn, Error, Store};

/// The target of events that are metrics.
pub(crate) const TARGET: &str = "clientele::metric";

/// How often there is a look.
const PERIOD: Duration = Duration::from_secs(5);

/// How long one look may take.
const LOOK_TIME: Duration = Duration::from_secs(5);

/// The age in seconds of the oldest transaction that has written something, prepared ones included: what
/// was logged since becomes visible only when it has ended.
const HELD_UP: &str = "SELECT COALESCE(EXTRACT(EPOCH FROM clock_timestamp() - MIN(since)), 0)::float8 AS age \
     FROM (SELECT xact_start AS since FROM pg_stat_activity WHERE backend_xid IS NOT NULL \
           UNION ALL SELECT prepared FROM pg_prepared_xacts) AS open";

fn is_measured() -> bool {
    tracing::event_enabled!(target: TARGET, Level::TRACE)
}

/// A wait for a turn at a connection.
pub(crate) struct Wait {
    service: &'static str,
    /// None while nobody measures.
    begun: Option<Instant>,
}

impl Wait {
    pub(crate) fn begin(service: &'static str) -> Self {
        let begun = is_measured().then(Instant::now);
        Self { service, begun }
    }

    pub(crate) fn end(self) {
        if let Some(begun) = self.begun {
            tracing::trace!(
                target: TARGET,
                metric = "db.client.connection.wait_time",
                value = begun.elapsed().as_secs_f64(),
                db.client.connection.pool.name = self.service,
            );
        }
    }
}

/// Writes of this service have shared a commit.
pub(crate) fn group(service: &'static str, members: usize) {
    tracing::trace!(
        target: TARGET,
        metric = "clientele.commit.group.size",
        value = members,
        db.namespace = service,
    );
}

#[derive(QueryableByName)]
struct HeldUp {
    #[diesel(sql_type = Double)]
    age: f64,
}

/// Looks every [`PERIOD`] until the store is gone.
pub(crate) fn keep(inner: &Arc<Inner>) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(look_again_and_again(Arc::downgrade(inner)));
    }
}

async fn look_again_and_again(inner: Weak<Inner>) {
    loop {
        let Some(inner) = inner.upgrade() else {
            return;
        };
        if is_measured() {
            look(Store::over(inner)).await;
        }
        tokio::time::sleep(PERIOD).await;
    }
}

async fn look(store: Store) {
    let service = store.inner.service;
    let state = store.inner.pool.state();
    for (name, connections) in [
        ("used", state.connections - state.idle_connections),
        ("idle", state.idle_connections),
    ] {
        tracing::trace!(
            target: TARGET,
            metric = "db.client.connection.count",
            value = connections,
            db.client.connection.pool.name = service,
            db.client.connection.state = name,
        );
    }
    tracing::trace!(
        target: TARGET,
        metric = "db.client.connection.max",
        value = store.inner.pool.max_size(),
        db.client.connection.pool.name = service,
    );
    // Whoever needs the database says louder that it is not there.
    let deadline = Deadline::after(LOOK_TIME);
    if let Ok(age) = store.read("measure.horizon", deadline, held_up).await {
        tracing::trace!(
            target: TARGET,
            metric = "clientele.change_log.horizon.age",
            value = age,
            db.namespace = service,
        );
    }
}

fn held_up(conn: &mut Conn) -> Result<f64, Error> {
    let Conn::Postgres(conn) = conn else {
        return Ok(0.0);
    };
    let found: HeldUp = diesel::sql_query(HELD_UP).get_result(conn)?;
    Ok(found.age)
}
