//! What has to be cleared away: contacts whose time to be undeleted is over, old imports, old keys,
//! and the log behind its readers.

use std::time::Duration;

use store::leases::{self, Lease};
use store::{Error as StoreError, change_log, idempotency};
use types::{ContactName, Deadline, Micros};

use super::log::Entry;
use super::{App, Call};
use crate::domain::contacts::{Change, Contact};
use crate::domain::facts::Facts;
use crate::domain::imports::State;
use crate::store::{contacts as rows, import_files, imports};

/// How long the change log is kept.
pub const LOG_KEPT: Duration = Duration::from_hours(7 * 24);

/// How long an import is kept with its file and rows.
pub const IMPORTS_KEPT: Duration = Duration::from_hours(30 * 24);

/// Rows removed in one transaction.
const SLICE: i64 = 200;

/// How often there is a look at what is over.
const LOOK: Duration = Duration::from_mins(1);

/// How long one transaction may take.
const STEP_TIME: Duration = Duration::from_secs(20);

/// The principal of what the service does by itself.
const ACTOR: &str = "contacts";

impl App {
    /// Clears away once a minute, for as long as the lease is held. Never ends by itself.
    pub(crate) async fn keep_up(self, lease: Lease) {
        loop {
            if let Err(error) = self.clear_away(&lease).await {
                tracing::warn!(?error, "what is over can't be cleared away now");
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Removes all that is over by now, in short transactions.
    pub async fn clear_away(&self, lease: &Lease) -> Result<(), StoreError> {
        let now = self.clock.now();
        while self.purge_slice(lease, now).await? > 0 {}
        while self.imports_slice(lease, now).await? > 0 {}
        while self.files_slice(lease, now).await? > 0 {}
        while self.keys_slice(lease, now).await? > 0 {}
        while self.log_slice(lease, now).await? > 0 {}
        Ok(())
    }

    async fn purge_slice(&self, lease: &Lease, now: Micros) -> Result<usize, StoreError> {
        let (lease, ids) = (lease.clone(), self.ids.clone());
        let deadline = Deadline::after(STEP_TIME);
        self.store
            .across()
            .write("contacts.purge", deadline, move |conn| {
                leases::hold(conn, &lease, now)?;
                let overdue = rows::contacts_overdue(conn, now, SLICE)?;
                let call = Call::internal(ACTOR, deadline);
                for name in &overdue {
                    let Some(revision) = rows::contact_purge(conn, name, now)? else {
                        continue;
                    };
                    let gone = purged(name, revision, now);
                    let shown = proto::contacts::v1::Contact {
                        name: name.to_string(),
                        ..Default::default()
                    };
                    let entry = Entry::of(Change::Purged, &shown, &ids.next());
                    change_log::append(conn, &entry.change(&gone, &call, now))?;
                }
                Ok(overdue.len())
            })
            .await
    }

    async fn imports_slice(&self, lease: &Lease, now: Micros) -> Result<usize, StoreError> {
        let lease = lease.clone();
        self.store
            .across()
            .write("imports.prune", Deadline::after(STEP_TIME), move |conn| {
                leases::hold(conn, &lease, now)?;
                // One at a time and bit by bit: an import has many rows.
                let old = imports::imports_old(conn, now.minus(IMPORTS_KEPT), 1)?;
                for name in &old {
                    // It may have been started since it was found: then it stays.
                    let import = imports::import_lock(conn, name)?;
                    if import.is_none_or(|import| import.state == State::Running) {
                        continue;
                    }
                    let is_full = import_files::rows_before_delete(conn, name, i64::MAX)?
                        || import_files::chunks_delete(conn, name)?;
                    if !is_full {
                        imports::import_delete(conn, name)?;
                    }
                }
                Ok(old.len())
            })
            .await
    }

    /// Ended runs remove what they have no more use for by themselves, but for those that were
    /// cancelled, failed, or ended with their process.
    async fn files_slice(&self, lease: &Lease, now: Micros) -> Result<usize, StoreError> {
        let lease = lease.clone();
        self.store
            .across()
            .write("imports.tidy", Deadline::after(STEP_TIME), move |conn| {
                leases::hold(conn, &lease, now)?;
                let left = imports::imports_with_useless_file(conn, 1)?;
                for name in &left {
                    let Some(import) = imports::import_lock(conn, name)? else {
                        continue;
                    };
                    let _is_more = import.has_ended()
                        && (import_files::rows_before_delete(conn, name, import.run)?
                            || import_files::chunks_delete(conn, name)?);
                }
                Ok(left.len())
            })
            .await
    }

    async fn keys_slice(&self, lease: &Lease, now: Micros) -> Result<usize, StoreError> {
        let lease = lease.clone();
        self.store
            .across()
            .write("keys.prune", Deadline::after(STEP_TIME), move |conn| {
                leases::hold(conn, &lease, now)?;
                idempotency::prune(conn, now, SLICE)
            })
            .await
    }

    async fn log_slice(&self, lease: &Lease, now: Micros) -> Result<usize, StoreError> {
        let lease = lease.clone();
        self.store
            .across()
            .write("log.prune", Deadline::after(STEP_TIME), move |conn| {
                leases::hold(conn, &lease, now)?;
                change_log::prune(conn, now.minus(LOG_KEPT), SLICE)
            })
            .await
    }
}

/// What is left of a purged contact for the log: its name and last revision.
fn purged(name: &ContactName, revision: i64, now: Micros) -> Contact {
    Contact {
        revision,
        ..Contact::created(name.clone(), Facts::default(), ACTOR, now)
    }
}
