//! Pods as they are written start, work together, and are replaced under load without a failed call.

use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use harness::client::Client;
use harness::engine::{Engine, SERVICES, engines};
use harness::eventually::eventually;
use serde_json::{Value, json};
use tonic::{Code, Status};

use crate::cluster::{Cluster, Pod, WORKSPACE};

/// How often a call is made at most: what gRPC's own retry policies allow.
const ATTEMPTS: u32 = 5;

/// Calls as callers do, who take UNAVAILABLE for an invitation to try again.
async fn call(client: &Client, method: &str, mut request: Value) -> Result<Value, Status> {
    request["request_id"] = json!(types::Ids::system().next());
    let mut attempt = 1;
    loop {
        match client.call(method, request.clone()).await {
            Err(status) if is_unavailable(&status) && attempt < ATTEMPTS => {
                tokio::time::sleep(Duration::from_millis(50 << attempt)).await;
            }
            answer => return answer,
        }
        attempt += 1;
    }
}

/// Whether the call was not begun. Where a connection ends just before, tonic says CANCELLED; gRPC's own
/// clients say UNAVAILABLE or try again unseen. A call that broke off half-way is neither.
fn is_unavailable(status: &Status) -> bool {
    let by_transport = status
        .source()
        .is_some_and(<dyn std::error::Error>::is::<tonic::transport::Error>);
    status.code() == Code::Unavailable || (status.code() == Code::Cancelled && by_transport)
}

/// Somebody new becomes a client and gets an invoice: through all services and between them.
pub async fn story(client: &Client) -> Result<(), Status> {
    let emails = json!([{"address": "ada@example.com"}]);
    let contact = json!({"display_name": "Ada", "emails": emails});
    let request = json!({"parent": WORKSPACE, "contact": contact});
    let created = call(client, "ContactService/CreateContact", request).await?;
    let contact = &created["contact"]["name"];
    let request = json!({"contact": contact, "stage": "client"});
    call(client, "PositionService/ConvertContact", request).await?;
    let line = json!({"description": "Work", "unit_price": {"value": "1"}});
    let invoice = json!({"contact": contact, "currency_code": "EUR", "lines": [line]});
    let request = json!({"parent": WORKSPACE, "invoice": invoice});
    let draft = call(client, "InvoiceService/CreateInvoice", request).await?;
    let request = json!({"name": draft["invoice"]["name"]});
    call(client, "InvoiceService/IssueInvoice", request).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_migrate_start_and_work_together_as_they_are_written() {
    for engine in engines() {
        let cluster = Cluster::new(engine).await;
        let mut pods = Vec::new();
        for service in SERVICES {
            let pod = cluster.start(service).await;
            cluster.lead(service, &[&pod]);
            pods.push(pod);
        }
        let told = story(&cluster.caller().await).await;
        told.unwrap_or_else(|status| panic!("{engine}: {status}"));
    }
}

/// Replaces a pod as a rollout does: another one first, which gets its share once it is ready; then the
/// old one is told to end, of which its Service hears a moment later.
async fn replace(cluster: &Cluster, service: &str, old: Pod) -> Pod {
    let new = cluster.start(service).await;
    cluster.lead(service, &[&old, &new]);
    old.terminate().await;
    // The moment itself, well within the lame-duck time.
    tokio::time::sleep(Duration::from_millis(500)).await;
    cluster.lead(service, &[&new]);
    old.ended().await;
    new
}

/// A SQLite file has one process, so there is nothing to roll out there.
#[tokio::test(flavor = "multi_thread")]
async fn all_pods_are_replaced_under_load_without_a_failed_call() {
    if !engines().contains(&Engine::Postgres) {
        return;
    }
    let cluster = Cluster::new(Engine::Postgres).await;
    let mut pods = Vec::new();
    for service in SERVICES {
        let pod = cluster.start(service).await;
        cluster.lead(service, &[&pod]);
        pods.push((service, pod));
    }
    let (stop, done): (Arc<AtomicBool>, Arc<AtomicU64>) = Default::default();
    let mut workers = Vec::new();
    for _ in 0..4 {
        let client = cluster.caller().await;
        let (stop, done) = (Arc::clone(&stop), Arc::clone(&done));
        workers.push(tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                story(&client).await?;
                done.fetch_add(1, Ordering::Relaxed);
            }
            Ok::<(), Status>(())
        }));
    }
    let mut replaced = Vec::new();
    for (service, old) in pods {
        replaced.push(replace(&cluster, service, old).await);
        let enough = done.load(Ordering::Relaxed) + 8;
        eventually("work goes on", async || {
            match done.load(Ordering::Relaxed) {
                done if done >= enough => Ok(()),
                done => Err(format!("{done} of {enough}")),
            }
        })
        .await;
    }
    stop.store(true, Ordering::Relaxed);
    for worker in workers {
        let ended = worker.await.expect("a worker");
        ended.expect("no call has failed");
    }
    assert_eq!(cluster.turned_away(), 0, "whoever is led to a pod gets in");
}
