//! The time by which old things are deleted: no clock decides it alone.

use std::time::Duration;

use store::testing::{Engine, engines, soon};
use store::{Options, Store};
use types::{Clock, Micros};

use crate::{MIGRATIONS, at};

const MONTH: Duration = Duration::from_hours(31 * 24);

/// The time that a store by this clock goes by.
async fn certain(store: &Store) -> Micros {
    let looking = store.clone();
    let certain = store
        .across()
        .read("test", soon(), move |conn| looking.certain_time(conn));
    certain.await.unwrap()
}

fn by(clock: &Clock, url: &str) -> Store {
    let options = Options {
        clock: clock.clone(),
        ..Options::new("test", url, &MIGRATIONS).migrating()
    };
    Store::open(options).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn time_that_passes_counts_and_a_clock_that_is_set_ahead_does_not() {
    for engine in engines() {
        let url = engine.fresh_url().await;
        let clock = Clock::fixed(at(1_700_000_000_000_000));
        let store = by(&clock, &url);
        clock.advance(MONTH);
        assert_eq!(certain(&store).await, clock.now());
        clock.jump(MONTH);
        let few_minutes = Duration::from_mins(5);
        assert_eq!(
            certain(&store).await,
            clock.now().minus(MONTH).plus(few_minutes)
        );
        clock.advance(MONTH);
        assert_eq!(
            certain(&store).await,
            clock.now().minus(MONTH).plus(few_minutes)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_starts_ahead_of_its_server_goes_by_the_servers_clock() {
    for engine in engines().into_iter().filter(Engine::is_postgres) {
        let url = engine.fresh_url().await;
        let before = Clock::system().now();
        let clock = Clock::fixed(before.plus(MONTH));
        let found = certain(&by(&clock, &url)).await;
        let after = Clock::system().now();
        // The server of the tests has this machine's clock.
        assert!(before <= found && found <= after, "{found:?}");
    }
}
