//! The five definitions and companies that come first, each as a story of calls, on both engines, in
//! one process and in three.

#![expect(clippy::print_stdout, reason = "what was tried is said in one line")]

use harness::engine::{Engine, engines};
use harness::scenario::Scenario;
use harness::suite::{Layout, Suite};

const SCENARIOS: [&str; 6] = [
    "one-way",
    "company-first",
    "free-switch",
    "relationship",
    "verified-interest",
    "call-driven",
];

async fn play(engine: Engine, layout: Layout) {
    if !engines().contains(&engine) {
        return;
    }
    let suite = Suite::start(engine, layout).await;
    let client = suite.client();
    for name in SCENARIOS {
        let path = format!("{}/scenarios/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
        let scenario = Scenario::read(path.as_ref()).expect("a scenario");
        scenario.run(&client, name).await;
        println!(
            "{engine}, {layout:?}: {} ({} steps)",
            scenario.title,
            scenario.steps.len()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_five_definitions_hold_in_one_process_on_sqlite() {
    play(Engine::Sqlite, Layout::One).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_five_definitions_hold_in_one_process_on_postgresql() {
    play(Engine::Postgres, Layout::One).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_five_definitions_hold_in_three_processes_on_sqlite() {
    play(Engine::Sqlite, Layout::Three).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_five_definitions_hold_in_three_processes_on_postgresql() {
    play(Engine::Postgres, Layout::Three).await;
}
