//! The fence: what a relay may do that has lost its lease without knowing it.

use diesel_migrations::embed_migrations;
use store::testing::{age_leases, engines, soon};
use store::{Migrations, Options};
use types::Micros;

use super::*;
use crate::settings::Settings;

static MIGRATIONS: Migrations = Migrations {
    sqlite: embed_migrations!("../../migrations/contacts/sqlite"),
    postgres: embed_migrations!("../../migrations/contacts/postgres"),
    tables: &[],
};

/// A relay at a clock that stands, to a bus that is not there.
async fn relay(url: &str) -> Relay {
    let clock = Clock::fixed(Micros(1_000_000));
    let options = Options {
        clock: clock.clone(),
        ..Options::new("test", url, &MIGRATIONS).migrating()
    };
    let store = Store::open(options).expect("a store");
    let settings = Settings::new("nats://127.0.0.1:1").expect("settings");
    let bus = Bus::connect(settings).await.expect("no server is needed");
    Relay::new(store, Service::Contacts, bus, clock)
}

async fn lease(store: &Store, holder: &'static str) -> Lease {
    let now = store.clock().now();
    let taken = store.across().write("test.lease", soon(), move |conn| {
        leases::acquire(conn, NAME, holder, LEASE, now)
    });
    taken.await.expect("an answer").expect("the lease is free")
}

async fn place(store: &Store) -> Option<LogPosition> {
    let read = store.across().read("test.place", soon(), |conn| {
        change_log::consumer(conn, NAME)
    });
    read.await.expect("an answer")
}

#[tokio::test]
async fn one_that_has_lost_its_lease_moves_nothing() {
    for engine in engines() {
        let url = engine.fresh_url().await;
        let relay = relay(&url).await;
        let store = relay.store.clone();
        let deposed = lease(&store, "one").await;
        let start = relay.begin(&deposed).await.expect("a place");
        assert_eq!(place(&store).await, Some(start));

        age_leases(&store, LEASE).await;
        let next = lease(&store, "two").await;
        let later = LogPosition {
            epoch: start.epoch + 1,
            tx: 7,
            id: 7,
        };
        let lost = Err(Error::LeaseLost {
            name: NAME.to_owned(),
        });
        assert_eq!(relay.note(&deposed, Vec::new(), later).await, lost);
        assert_eq!(relay.begin(&deposed).await.map(drop), lost);
        assert_eq!(
            place(&store).await,
            Some(start),
            "the place is where it was"
        );
        assert_eq!(relay.note(&next, Vec::new(), later).await, Ok(()));
        assert_eq!(place(&store).await, Some(later));
    }
}

#[tokio::test]
async fn nothing_waits_at_one_whose_term_is_over() {
    for engine in engines() {
        let url = engine.fresh_url().await;
        let relay = relay(&url).await;
        let held = lease(&relay.store, "one").await;
        let mut term = Box::pin(relay.clone().term(held));
        assert!(futures::poll!(&mut term).is_pending());
        relay.progress.send_modify(|progress| {
            *progress = Progress {
                oldest_unpublished: Some(Micros(1)),
                parked: 2,
                published: 7,
            };
        });
        drop(term);
        let left = Progress {
            published: 7,
            ..Progress::default()
        };
        assert_eq!(*relay.progress().borrow(), left);
    }
}
