//! Metrics and log lines arrive as the table of metrics says, and hold nothing personal.

use std::collections::BTreeSet;

use harness::collector::{Collector, Point};
use harness::engine::{Engine, SERVICES, engines};
use harness::eventually::eventually;
use harness::suite::{Layout, Suite};
use serde_json::json;
use serve::telemetry::metrics::{Kind, METRICS};

use crate::story::{PERSONAL, WORKSPACE, tell};

/// Tells the story and ends the suite; the collector has everything then.
async fn told(engine: Engine) -> Collector {
    let collector = Collector::start();
    // What waits for a bus that never comes is measured too.
    let bus = ["--nats-url".to_owned(), "nats://127.0.0.1:1".to_owned()];
    let arguments = |_: &str| [&collector.arguments()[..], &bus].concat();
    let mut suite = Suite::start_with(engine, Layout::Three, &arguments).await;
    let client = suite.client();
    tell(&client).await;
    // What the projection has told the directory, it has counted.
    let request = json!({"parent": WORKSPACE, "filter": "role = CLIENT"});
    eventually("the directory shows the client", async || {
        let shown = client.call("ContactService/ListContacts", request.clone());
        let shown = shown.await.map_err(|status| status.to_string())?;
        let found = shown["contacts"]
            .as_array()
            .is_some_and(|all| all.len() == 1);
        found.then_some(()).ok_or_else(|| shown.to_string())
    })
    .await;
    for service in SERVICES {
        assert_eq!(suite.terminate(service).await, Some(0), "{service}");
    }
    collector
}

/// The value of the last point with these labels.
fn value(points: &[Point], service: &str, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let found = points.iter().rev().find(|point| {
        let fits = |(key, value): &(&str, &str)| point.labels.get(*key).is_some_and(|v| v == value);
        point.service == format!("clientele-{service}")
            && point.name == name
            && labels.iter().all(fits)
    });
    found.map(|point| point.value)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_arrives_with_its_unit_and_labels() {
    for engine in engines() {
        let collector = told(engine).await;
        let points = collector.points();
        for point in &points {
            let Some(metric) = METRICS.iter().find(|metric| metric.name == point.name) else {
                panic!("not in the table: {point:?}");
            };
            assert_eq!(
                (metric.unit, metric.meaning),
                (point.unit.as_str(), point.description.as_str())
            );
            let kind = match metric.kind {
                Kind::Counter | Kind::LookCounter => "counter",
                Kind::Histogram(_) => "histogram",
                Kind::UpDown => "level",
                Kind::Gauge | Kind::Look | Kind::Age => "gauge",
            };
            assert_eq!(kind, point.kind, "{point:?}");
            for label in point.labels.keys() {
                assert!(metric.labels.contains(&label.as_str()), "{point:?}");
            }
        }
        let arrived: BTreeSet<&str> = points.iter().map(|point| point.name.as_str()).collect();
        // Only SQLite has groups.
        let expected: BTreeSet<&str> = METRICS
            .iter()
            .map(|metric| metric.name)
            .filter(|name| engine == Engine::Sqlite || *name != "clientele.commit.group.size")
            .collect();
        assert_eq!(arrived, expected);
        let issue = "clientele.billing.v1.InvoiceService/IssueInvoice";
        for (service, name, labels, least) in [
            (
                "billing",
                "rpc.server.call.duration",
                &[("rpc.method", issue), ("rpc.response.status_code", "OK")][..],
                1.0,
            ),
            (
                "billing",
                "clientele.refusals",
                &[
                    ("rpc.method", issue),
                    ("clientele.reason", "ENTITLEMENT_MISSING"),
                ],
                1.0,
            ),
            ("billing", "clientele.grants.acquired", &[], 2.0),
            (
                "pipeline",
                "clientele.transitions",
                &[
                    ("clientele.stage.from", "client"),
                    ("clientele.role.to", "CONTACT"),
                ],
                1.0,
            ),
            (
                "billing",
                "db.client.operation.duration",
                &[
                    ("db.operation.name", "invoices.issue"),
                    ("clientele.kept", "true"),
                ],
                1.0,
            ),
            (
                "contacts",
                "clientele.events.lag",
                &[("clientele.service", "contacts")],
                0.0,
            ),
            (
                "billing",
                "clientele.events.parked",
                &[("clientele.service", "billing")],
                0.0,
            ),
            ("contacts", "process.memory.usage", &[], 1e6),
        ] {
            let found = value(&points, service, name, labels);
            assert!(
                found.is_some_and(|found| found >= least),
                "{name} {labels:?}: {found:?}"
            );
        }
        let active = value(
            &points,
            "billing",
            "clientele.calls.active",
            &[("rpc.method", issue)],
        );
        assert_eq!(active, Some(0.0), "every call that began has ended");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_arrive_and_nothing_of_it_all_is_personal() {
    let collector = told(Engine::Sqlite).await;
    let lines = collector.lines();
    let migrated = lines.iter().any(|line| line.body == "migrated");
    assert!(migrated, "{lines:#?}");
    let text = collector.text();
    for personal in PERSONAL {
        assert!(!text.contains(personal), "{personal}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_names_the_span_that_it_was_written_in() {
    let collector = Collector::start();
    let mut suite = Suite::start_with(Engine::Sqlite, Layout::Three, &|service| {
        let mut arguments = collector.arguments();
        if service == "billing" {
            arguments.extend(["--log".to_owned(), "clientele::rpc=debug".to_owned()]);
        }
        arguments
    })
    .await;
    tell(&suite.client()).await;
    assert_eq!(suite.terminate("billing").await, Some(0));
    let issued = collector
        .spans()
        .into_iter()
        .find(|span| span.trace == crate::story::TRACE && span.parent == crate::story::CALLER)
        .expect("the span of the issue");
    let lines = collector.lines();
    let inside = lines.iter().any(|line| {
        line.body == "call ended" && (&line.trace, &line.span) == (&issued.trace, &issued.id)
    });
    assert!(inside, "{lines:#?}");
}
