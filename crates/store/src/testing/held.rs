//! What somebody else has not ended: request keys that are being written, older transactions, leases.

use std::sync::mpsc;
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use tokio::task::JoinHandle;

use super::soon;
use crate::idempotency::{Claim, Keep, Key, RequestHash, claim};
use crate::schema::leases;
use crate::{Error, Store};

/// A transaction that has claimed a request key and goes no further; it is rolled back when this is
/// let go.
pub struct HeldKey {
    go_on: Option<mpsc::Sender<()>>,
    transaction: JoinHandle<Result<Claim, Error>>,
}

/// Claims the key in a transaction that stays open. On SQLite that keeps all other writers out.
///
/// Panics when the key cannot be claimed, as tests like it.
#[expect(clippy::expect_used, reason = "a test cannot go on without the key")]
pub async fn hold_key(store: Store, key: Key) -> HeldKey {
    let (claimed, is_claimed) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let may_go_on = std::sync::Mutex::new(may_go_on);
    let transaction = tokio::spawn(async move {
        let now = store.clock().now();
        store
            .within(&key.workspace)
            .write("testing.hold_key", soon(), move |conn| {
                let hash = RequestHash::of(b"held");
                claim(conn, &key, &hash, now, Keep::WEEK)?;
                // Whoever waited may be gone, and so may whoever was to let this go on.
                let _ = claimed.send(());
                if let Ok(may_go_on) = may_go_on.lock() {
                    let _ = may_go_on.recv();
                }
                Err(Error::RequestInProgress)
            })
            .await
    });
    tokio::task::spawn_blocking(move || is_claimed.recv())
        .await
        .expect("nothing panics")
        .expect("the key is claimed");
    HeldKey {
        go_on: Some(go_on),
        transaction,
    }
}

impl HeldKey {
    /// Rolls the transaction back: nobody has written the key.
    pub async fn release(mut self) {
        self.go_on.take();
        let ended = self.transaction.await;
        debug_assert!(matches!(ended, Ok(Err(Error::RequestInProgress))));
    }
}

/// A transaction that is older than all that is written from now on. It is open until this is dropped,
/// and as long the horizon of PostgreSQL's log stays below. `None` on SQLite, which has no such thing.
///
/// Panics when there is no connection, as tests like it.
#[expect(clippy::expect_used, reason = "a test cannot go on without it")]
pub fn older_transaction(url: &str) -> Option<PgConnection> {
    url.starts_with("postgres").then(|| {
        let mut conn = PgConnection::establish(url).expect("the PostgreSQL server answers");
        conn.batch_execute("BEGIN; SELECT pg_current_xact_id()")
            .expect("a transaction with a number");
        conn
    })
}

/// Brings the ends of all leases nearer by so much, as if that time had passed, whoever's clock counts.
///
/// Panics when the database does not do it, as tests like it.
#[expect(clippy::expect_used, reason = "a test cannot go on without it")]
pub async fn age_leases(store: &Store, span: Duration) {
    let span = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
    store
        .across()
        .write("testing.age_leases", soon(), move |conn| {
            let aged = leases::expire_time.eq(leases::expire_time - span);
            Ok::<_, Error>(diesel::update(leases::table).set(aged).execute(conn)?)
        })
        .await
        .expect("the leases are aged");
}
