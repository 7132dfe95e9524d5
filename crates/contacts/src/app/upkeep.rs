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

    /// Removes all that is certainly over by now, in short transactions.
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
        let (lease, ids, store) = (lease.clone(), self.ids.clone(), self.store.clone());
        let deadline = Deadline::after(STEP_TIME);
        self.store
            .across()
            .write("contacts.purge", deadline, move |conn| {
                leases::hold(conn, &lease, now)?;
                let certain = store.certain_time(conn)?;
                let mut overdue = rows::contacts_overdue(conn, certain, SLICE)?;
                // Everybody takes contacts in the order of their names.
                overdue.sort_unstable();
                let call = Call::internal(ACTOR, deadline);
                for name in &overdue {
                    let Some(revision) = rows::contact_purge(conn, name, certain)? else {
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
        let (lease, store) = (lease.clone(), self.store.clone());
        self.store
            .across()
            .write("imports.prune", Deadline::after(STEP_TIME), move |conn| {
                leases::hold(conn, &lease, now)?;
                // One at a time and bit by bit: an import has many rows.
                let before = store.certain_time(conn)?.minus(IMPORTS_KEPT);
                let old = imports::imports_old(conn, before, 1)?;
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
        let (lease, store) = (lease.clone(), self.store.clone());
        self.store
            .across()
            .write("keys.prune", Deadline::after(STEP_TIME), move |conn| {
                leases::hold(conn, &lease, now)?;
                let certain = store.certain_time(conn)?;
                idempotency::prune(conn, certain, SLICE)
            })
            .await
    }

    async fn log_slice(&self, lease: &Lease, now: Micros) -> Result<usize, StoreError> {
        let (lease, store) = (lease.clone(), self.store.clone());
        self.store
            .across()
            .write("log.prune", Deadline::after(STEP_TIME), move |conn| {
                leases::hold(conn, &lease, now)?;
                let before = store.certain_time(conn)?.minus(LOG_KEPT);
                change_log::prune(conn, before, SLICE)
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

#[cfg(test)]
mod tests {
    use ::store::testing::{engines, soon};
    use ::store::{Options, Store};
    use diesel::RunQueryDsl as _;
    use types::{Clock, Ids};

    use super::*;
    use crate::app::contacts::CreateInput;
    use crate::wire::contacts::Draft;

    const HOLDER: &str = "test";

    /// Clears away under a lease taken for it.
    async fn clear_away(app: &App) {
        let now = app.clock.now();
        let lease = app.store.across().write("test", soon(), move |conn| {
            leases::acquire(conn, "contacts.upkeep", HOLDER, LOOK, now)
        });
        let lease = lease.await.expect("an answer").expect("it is free");
        app.clear_away(&lease).await.expect("cleared away");
    }

    /// How many rows a query finds.
    async fn rows_of(app: &App, query: &'static str) -> usize {
        let rows = app.store.across().write("test", soon(), move |conn| {
            Ok::<_, StoreError>(diesel::sql_query(query).execute(conn)?)
        });
        rows.await.expect("rows")
    }

    /// What is left: contacts, changes but the newest, request keys. Nothing is changed by asking.
    async fn left(app: &App) -> [usize; 3] {
        [
            rows_of(app, "UPDATE contacts SET revision = revision").await,
            rows_of(app, "UPDATE change_log SET revision = revision").await,
            rows_of(app, "UPDATE idempotency_keys SET revision = revision").await,
        ]
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_clock_that_jumps_ahead_deletes_nothing() {
        for engine in engines() {
            let url = engine.fresh_url().await;
            let clock = Clock::fixed(Micros(1_700_000_000_000_000));
            let options = Options {
                clock: clock.clone(),
                ..Options::new("contacts", &*url, &crate::MIGRATIONS).migrating()
            };
            let store = Store::open(options).expect("a store");
            let app = App::new(store, clock.clone(), Ids::system());
            for (id, request) in [("ada", "1"), ("bob", "2")] {
                let call = Call {
                    once: Some(super::super::calls::Once {
                        key: idempotency::Key {
                            workspace: "w".to_owned(),
                            principal: "local".to_owned(),
                            method: "create".to_owned(),
                            request_id: request.to_owned(),
                        },
                        hash: idempotency::RequestHash::of(b"content"),
                    }),
                    ..Call::internal("local", soon())
                };
                let input = CreateInput {
                    workspace: "w".to_owned(),
                    id: id.to_owned(),
                    draft: Draft::default(),
                };
                app.create_contact(call, input).await.expect("created");
            }
            let deleted = "UPDATE contacts SET state = 'DELETED', delete_time = create_time, \
                           purge_time = create_time + 2592000000000 WHERE contact = 'ada'";
            assert_eq!(rows_of(&app, deleted).await, 1);
            clock.jump(Duration::from_hours(31 * 24));
            clear_away(&app).await;
            assert_eq!(left(&app).await, [2, 2, 2], "on {}", engine.name());
            clock.advance(Duration::from_hours(31 * 24));
            clear_away(&app).await;
            // The newest change tells of the purge.
            assert_eq!(left(&app).await, [1, 1, 0], "on {}", engine.name());
        }
    }
}
