//! A collector that is absent, goes away, or hangs: the suite does not notice.

use std::time::{Duration, Instant};

use harness::client::Client;
use harness::collector::Collector;
use harness::engine::Engine;
use harness::eventually::eventually;
use harness::suite::{Layout, Suite};
use serde_json::json;

/// The end of a process without calls: the flush, which takes three seconds at most, and what the machine
/// needs.
const END_MAX: Duration = Duration::from_secs(8);

async fn create(client: &Client) {
    let contact = json!({"display_name": "Ada"});
    let request = json!({"parent": "workspaces/observed", "contact": contact});
    let created = client.call("ContactService/CreateContact", request).await;
    created.expect("a contact");
}

async fn ends_soon(mut suite: Suite) {
    let began = Instant::now();
    assert_eq!(suite.terminate("up").await, Some(0));
    assert!(began.elapsed() < END_MAX, "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_go_on_without_the_collector() {
    let nobody = || {
        let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        port.local_addr().expect("its address")
    };
    let arguments = vec!["--otlp-endpoint".to_owned(), format!("http://{}", nobody())];
    let suite = Suite::start_with(Engine::Sqlite, Layout::One, &|_| arguments.clone()).await;
    create(&suite.client()).await;
    ends_soon(suite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_go_on_when_the_collector_goes_away() {
    let collector = Collector::start();
    let arguments = |_: &str| collector.arguments();
    let suite = Suite::start_with(Engine::Sqlite, Layout::One, &arguments).await;
    let client = suite.client();
    create(&client).await;
    eventually("the collector is sent something", async || {
        let sent = !collector.spans().is_empty();
        sent.then_some(()).ok_or("nothing yet")
    })
    .await;
    drop(collector);
    create(&client).await;
    ends_soon(suite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_go_on_while_the_collector_hangs() {
    let collector = Collector::start_hanging();
    let arguments = |_: &str| collector.arguments();
    let suite = Suite::start_with(Engine::Sqlite, Layout::One, &arguments).await;
    let client = suite.client();
    for _ in 0..50 {
        create(&client).await;
    }
    ends_soon(suite).await;
}
