//! What the relay promises, with real databases of both engines and a real NATS server.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod order;
mod outages;
mod parking;
mod replicas;
mod stopping;
mod streams;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::jetstream;
use diesel_migrations::embed_migrations;
use prost::Message as _;
use proto::contacts::v1::{Contact, ContactChange};
use relay::testing::{NatsServer, Received};
use relay::{Bus, Progress, Relay, Settings};
use store::change_log::{self, NewChange};
use store::testing::{Engine, FreshUrl, engines, soon};
use store::{Error, Migrations, Store};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use types::{Clock, Ids, Micros, Service};

/// The tables of a service; the relay needs none of them.
static MIGRATIONS: Migrations = Migrations {
    sqlite: embed_migrations!("../../migrations/contacts/sqlite"),
    postgres: embed_migrations!("../../migrations/contacts/postgres"),
    tables: &[],
};

/// How long a condition may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A database of contacts with its log.
struct Directory {
    store: Store,
    ids: Ids,
    clock: Clock,
    url: FreshUrl,
}

impl Directory {
    async fn fresh(engine: &Engine) -> Self {
        let clock = Clock::system();
        let url = engine.fresh_url().await;
        Self {
            store: store::testing::open(&url, &MIGRATIONS),
            ids: Ids::system(),
            clock,
            url,
        }
    }

    /// The same database as another process opens it.
    fn opened_again(&self) -> Store {
        store::testing::open(&self.url, &MIGRATIONS)
    }

    /// Logs a change of a contact, as the service does; answers the event's id.
    async fn log(&self, contact: &str, revision: i64) -> String {
        let message = Contact {
            name: name(contact),
            ..Contact::default()
        };
        self.log_raw(contact, revision, message.encode_to_vec())
            .await
    }

    /// Logs a change with any payload.
    async fn log_raw(&self, contact: &str, revision: i64, payload: Vec<u8>) -> String {
        let (event_id, now) = (self.ids.next(), self.clock.now());
        let (resource, id) = (name(contact), event_id.clone());
        let logged = self
            .store
            .within("acme")
            .write("test.log", soon(), move |conn| {
                let change = NewChange {
                    workspace: "acme",
                    kind: if revision == 1 {
                        "contact.created"
                    } else {
                        "contact.updated"
                    },
                    resource: &resource,
                    revision,
                    payload: &payload,
                    paths: "",
                    actor: "local",
                    request_id: "",
                    event_id: &id,
                    record_time: now,
                };
                change_log::append(conn, &change)
            });
        let _position = logged
            .await
            .map_err(|error: Error| error)
            .expect("a change");
        event_id
    }

    /// Starts a relay over `store`, which is this database's.
    async fn relay_over(&self, store: Store, settings: Settings) -> Running {
        let bus = Bus::connect(settings).await.expect("a bus");
        let relay = Arc::new(Relay::new(
            store,
            Service::Contacts,
            bus,
            self.clock.clone(),
        ));
        let (progress, holder) = (relay.progress(), self.ids.next());
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let stop = async {
                let _ = stopped.await;
            };
            relay.run(&holder, stop).await;
        });
        Running {
            progress,
            stop,
            task,
        }
    }

    async fn relay(&self, server: &NatsServer) -> Running {
        self.relay_over(self.store.clone(), settings(server)).await
    }
}

/// A relay that runs.
struct Running {
    progress: watch::Receiver<Progress>,
    stop: tokio::sync::oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    /// Ends it in order: the lease is given back.
    async fn stop(self) {
        drop(self.stop);
        self.task.await.expect("a relay that ends");
    }

    /// Waits until it has published so many, ends it, and checks that there were no more.
    async fn stop_after(self, published: u64) {
        let progress = self.progress.clone();
        eventually("enough are published", async || {
            let found = progress.borrow().published;
            if found >= published {
                Ok(())
            } else {
                Err(format!("{found}"))
            }
        })
        .await;
        self.stop().await;
        assert_eq!(progress.borrow().published, published);
    }

    /// Ends it as a process that is killed ends: the lease runs out.
    fn kill(self) {
        self.task.abort();
    }
}

/// Checks that these events were told once each, with each contact's revisions in their order.
fn check(told: &[Received], ids: &[String]) -> Result<(), String> {
    let found: BTreeSet<&str> = told.iter().map(|told| told.id.as_str()).collect();
    let wanted: BTreeSet<&str> = ids.iter().map(String::as_str).collect();
    if found != wanted {
        return Err(format!("{} of {} events", found.len(), wanted.len()));
    }
    assert_eq!(found.len(), told.len(), "each event once");
    let mut revisions: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for event in told {
        revisions
            .entry(&event.resource)
            .or_default()
            .push(event.revision);
    }
    for (contact, revisions) in revisions {
        assert!(revisions.is_sorted(), "{contact}: {revisions:?}");
    }
    Ok(())
}

fn settings(server: &NatsServer) -> Settings {
    Settings::new(&server.url()).expect("settings")
}

fn name(contact: &str) -> String {
    format!("workspaces/acme/contacts/{contact}")
}

/// Polls until `attempt` is `Ok`.
async fn eventually<T, E: Display>(
    what: &str,
    mut attempt: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let started = Instant::now();
    loop {
        match attempt().await {
            Ok(value) => return value,
            Err(error) => assert!(
                started.elapsed() < PATIENCE,
                "{what}: not within {PATIENCE:?}; last: {error}"
            ),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until exactly these events were told.
async fn all_told(server: &NatsServer, ids: &[String]) {
    eventually("every event is told", async || {
        check(&server.received().await, ids)
    })
    .await;
}
