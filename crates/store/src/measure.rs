//! What is measured of a store besides its operations: its connections, how long they are waited for,
//! and what holds the change log up.
//!
//! Values are told as events of the target `clientele::metric`, which whoever runs the process turns into
//! metrics; while nobody does, nothing is looked at.

use std::sync::{Arc, Once, Weak};
use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel::sql_types::{Double, Nullable};
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
/// was logged since becomes visible only when it has ended. NULL where other roles have such transactions
/// and this one may not see since when.
const HELD_UP: &str = "SELECT CASE WHEN bool_or(since IS NULL) THEN NULL \
     ELSE COALESCE(EXTRACT(EPOCH FROM clock_timestamp() - MIN(since)), 0)::float8 END AS age \
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
    #[diesel(sql_type = Nullable<Double>)]
    age: Option<f64>,
}

/// Looks every [`PERIOD`] until the store is gone.
pub(crate) fn keep(inner: &Arc<Inner>) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(look_again_and_again(Arc::downgrade(inner)));
    }
}

async fn look_again_and_again(inner: Weak<Inner>) {
    let unseen = Once::new();
    loop {
        // Nothing is kept over the pause, or the store would outlive the last who has it.
        match inner.upgrade() {
            None => return,
            Some(inner) if is_measured() => look(Store::over(inner), &unseen).await,
            Some(_) => {}
        }
        tokio::time::sleep(PERIOD).await;
    }
}

async fn look(store: Store, unseen: &Once) {
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
    // Whoever needs the database says louder that it is not there. A crowd is when the age is wanted
    // most. One that is not known is not told: 0 would say that all is well.
    let deadline = Deadline::after(LOOK_TIME);
    let store = store.reserved();
    let looking = store.across();
    let age = looking
        .read_point("measure.horizon", deadline, held_up)
        .await;
    if let Ok(None) = age {
        unseen.call_once(|| {
            tracing::warn!(
                service,
                "others hold the change log up, and since when can't be seen: grant pg_read_all_stats"
            );
        });
    }
    if let Ok(Some(age)) = age {
        tracing::trace!(
            target: TARGET,
            metric = "clientele.change_log.horizon.age",
            value = age,
            db.namespace = service,
        );
    }
}

fn held_up(conn: &mut Conn) -> Result<Option<f64>, Error> {
    let Conn::Postgres(conn) = conn else {
        return Ok(Some(0.0));
    };
    let found: HeldUp = diesel::sql_query(HELD_UP).get_result(conn)?;
    Ok(found.age)
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use super::*;
    use crate::Migrations;
    use crate::testing::{engines, open};

    static NONE: Migrations = Migrations {
        sqlite: diesel_migrations::EmbeddedMigrations::new(&[]),
        postgres: diesel_migrations::EmbeddedMigrations::new(&[]),
        tables: &[],
    };

    #[tokio::test]
    async fn a_store_is_gone_with_the_last_who_has_it() {
        for engine in engines() {
            let url = engine.fresh_url().await;
            let store = open(&url, &NONE);
            // What looks at it has begun.
            tokio::task::yield_now().await;
            let inner: Weak<Inner> = Arc::downgrade(&store.inner);
            drop(store);
            let given_up = Instant::now() + PERIOD / 2;
            while inner.upgrade().is_some() {
                assert!(Instant::now() < given_up, "somebody keeps the store");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
}
