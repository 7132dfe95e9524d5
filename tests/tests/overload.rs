//! Five times the calls that the suite can serve: most are refused, and what can be served still is.
//!
//! How much of the peak is left is what `./dev bench` measures, in a release build. In a debug build it is
//! HTTP/2 that costs, for a refusal as much as for a call, and flood and servers share the cores with
//! whatever else runs: here only a collapse can be told.

use std::time::Duration;

use harness::engine::engines;
use harness::overload::rounds;

/// How long health may take: what it takes, and what a busy machine adds.
const HEALTH: Duration = Duration::from_secs(1);
/// What must be left of the peak in the median round. A service that does what nobody waits for any more
/// has nothing.
const LEFT: f64 = 0.1;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_five_times_the_load_calls_are_served_and_health_answers() {
    for engine in engines() {
        let rounds = rounds(engine, 5).await;
        for round in &rounds {
            println!("{engine}: {:.2} left, {round:?}", round.left());
            assert!(round.flood.refused > 0, "there was no overload");
            assert!(round.health < HEALTH, "health");
        }
        let median = rounds[rounds.len() / 2].left();
        assert!(median > LEFT, "{engine}: {median:.2} of the peak");
    }
}
