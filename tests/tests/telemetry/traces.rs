//! One call is one trace, from the client to each database operation.

use std::collections::BTreeMap;

use harness::collector::{Collector, Span};
use harness::engine::{SERVICES, engines};
use harness::suite::{Layout, Suite};

use crate::story::{CALLER, PERSONAL, TRACE, tell};

const SERVER: i32 = 2;
const CLIENT: i32 = 3;

/// The spans of the one trace, after a story in processes of this layout.
async fn traced(suite: &mut Suite, collector: &Collector) -> Vec<Span> {
    tell(&suite.client()).await;
    let processes: &[&str] = if suite.process("contacts").service == "up" {
        &["up"]
    } else {
        &SERVICES
    };
    for process in processes {
        assert_eq!(suite.terminate(process).await, Some(0), "{process}");
    }
    let all = collector.spans();
    all.into_iter().filter(|span| span.trace == TRACE).collect()
}

/// The only span of this kind and name.
fn only<'a>(spans: &'a [Span], kind: i32, name: &str) -> &'a Span {
    let found: Vec<&Span> = spans
        .iter()
        .filter(|span| span.kind == kind && span.name.ends_with(name))
        .collect();
    assert_eq!(found.len(), 1, "{name}: {spans:#?}");
    found[0]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issue_is_one_trace_through_three_processes_to_their_databases() {
    for engine in engines() {
        let collector = Collector::start();
        let arguments = |_: &str| collector.arguments();
        let mut suite = Suite::start_with(engine, Layout::Three, &arguments).await;
        let spans = traced(&mut suite, &collector).await;

        let issue = only(&spans, SERVER, "InvoiceService/IssueInvoice");
        assert_eq!(
            (issue.service(), issue.parent.as_str()),
            ("clientele-billing", CALLER)
        );
        let asks = only(&spans, CLIENT, "EntitlementService/AcquireGrant");
        assert_eq!(
            (asks.service(), &asks.parent),
            ("clientele-billing", &issue.id)
        );
        let grants = only(&spans, SERVER, "EntitlementService/AcquireGrant");
        assert_eq!(
            (grants.service(), &grants.parent),
            ("clientele-pipeline", &asks.id)
        );
        assert_eq!(asks.attributes["server.address"], "127.0.0.1");
        for call in [issue, asks, grants] {
            assert_eq!(call.attributes["rpc.system.name"], "grpc");
            assert_eq!(call.attributes["rpc.method"], call.name);
            assert_eq!(call.attributes["rpc.response.status_code"], "OK");
        }

        let by_id: BTreeMap<&str, &Span> =
            spans.iter().map(|span| (span.id.as_str(), span)).collect();
        for span in &spans {
            let known = by_id.contains_key(span.parent.as_str());
            assert!(known || span.id == issue.id, "an orphan: {span:#?}");
        }
        for service in SERVICES {
            let name = format!("clientele-{service}");
            let operations: Vec<&Span> = spans
                .iter()
                .filter(|span| {
                    span.service() == name && span.attributes.contains_key("db.system.name")
                })
                .collect();
            assert!(!operations.is_empty(), "{service}: {spans:#?}");
            for operation in operations {
                let above = by_id[operation.parent.as_str()];
                assert_eq!((above.service(), above.kind), (name.as_str(), SERVER));
                assert_eq!(operation.attributes["db.operation.name"], operation.name);
                assert_eq!(operation.attributes["db.namespace"], service);
                let system = engine.to_string().to_ascii_lowercase();
                assert_eq!(operation.attributes["db.system.name"], system);
            }
        }
        let mut attempts: Vec<&str> = spans
            .iter()
            .filter(|span| span.name == "invoices.issue")
            .map(|span| span.attributes["clientele.kept"].as_str())
            .collect();
        attempts.sort_unstable();
        assert_eq!(
            attempts,
            ["false", "true"],
            "without a grant, then with one"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_spans_of_the_suite_leaves_and_nothing_personal() {
    for engine in engines() {
        let collector = Collector::start();
        let arguments = |_: &str| collector.arguments();
        let mut suite = Suite::start_with(engine, Layout::One, &arguments).await;
        traced(&mut suite, &collector).await;
        let all = collector.spans();
        for span in &all {
            assert_eq!(span.service(), "clientele");
            assert_eq!(span.process["service.version"], env!("CARGO_PKG_VERSION"));
            assert!(!span.process["service.instance.id"].is_empty());
            // Those of h2, hyper, tonic and of the exporter's own calls have neither.
            let known = ["rpc.method", "db.operation.name"];
            assert!(
                known.iter().any(|key| span.attributes.contains_key(*key)),
                "{span:#?}"
            );
            assert!(!span.name.starts_with("opentelemetry"), "{span:#?}");
        }
        let text = collector.text();
        assert!(text.contains("IssueInvoice"));
        for personal in PERSONAL {
            assert!(!text.contains(personal), "{personal}");
        }
    }
}
