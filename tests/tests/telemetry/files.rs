//! Dashboards, alerts and the documentation name the metrics that there are.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use serve::telemetry::metrics::{Kind, METRICS, Metric};

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let path: PathBuf = root.join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What Prometheus calls a metric that arrives over OTLP: its series.
fn series(metric: &Metric) -> Vec<String> {
    let unit = match metric.unit {
        "s" => "_seconds",
        "By" => "_bytes",
        _ => "",
    };
    let name = format!("{}{unit}", metric.name.replace('.', "_"));
    match metric.kind {
        Kind::Counter | Kind::LookCounter => vec![format!("{name}_total")],
        Kind::Histogram(_) => ["bucket", "count", "sum"]
            .map(|part| format!("{name}_{part}"))
            .into(),
        Kind::Gauge | Kind::Look | Kind::UpDown | Kind::Age => vec![name],
    }
}

/// The words of a query that look like the name of a series, and labels.
fn words(query: &str) -> impl Iterator<Item = &str> {
    query
        .split(|character: char| !(character.is_ascii_alphanumeric() || character == '_'))
        .filter(|word| {
            ["rpc_", "db_", "clientele_", "process_"]
                .iter()
                .any(|p| word.starts_with(p))
        })
}

fn check(place: &str, query: &str) {
    let known: BTreeSet<String> = METRICS.iter().flat_map(series).collect();
    let labels: BTreeSet<String> = METRICS
        .iter()
        .flat_map(|metric| metric.labels)
        .map(|label| label.replace('.', "_"))
        .collect();
    let mut series = 0;
    for word in words(query) {
        series += usize::from(known.contains(word));
        let is_known = known.contains(word) || labels.contains(word);
        assert!(
            is_known,
            "{place}: {word} is neither a metric nor a label: {query}"
        );
    }
    assert!(series > 0, "{place}: no metric in {query}");
}

#[test]
fn panels_show_metrics_that_there_are() {
    let dashboard: Value =
        serde_json::from_str(&read("k8s/components/dashboards/clientele.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let mut queries = 0;
    for panel in panels {
        let title = panel["title"].as_str().expect("a title");
        for target in panel["targets"].as_array().unwrap_or(&Vec::new()) {
            check(title, target["expr"].as_str().expect("a query"));
            queries += 1;
        }
    }
    assert!(queries > 20, "{queries}");
}

#[test]
fn alerts_watch_metrics_that_there_are_and_say_what_to_do() {
    let rules: Value =
        serde_saphyr::from_str(&read("k8s/components/alerts/alerts.yaml")).expect("YAML");
    let groups = rules["spec"]["groups"].as_array().expect("groups");
    let alerts: Vec<&Value> = groups
        .iter()
        .filter_map(|group| group["rules"].as_array())
        .flatten()
        .collect();
    assert!(alerts.len() >= 10);
    let (operations, tried) = (read("docs/operations.md"), read("tests/alerts.yaml"));
    for rule in alerts {
        let name = rule["alert"].as_str().expect("a name");
        check(name, rule["expr"].as_str().expect("an expression"));
        assert!(rule["for"].is_string(), "{name}");
        let severity = rule["labels"]["severity"].as_str().expect("a severity");
        assert!(["critical", "warning"].contains(&severity), "{name}");
        assert!(rule["annotations"]["summary"].is_string(), "{name}");
        let runbook = format!("docs/operations.md#{}", name.to_ascii_lowercase());
        assert_eq!(rule["annotations"]["runbook_url"], runbook, "{name}");
        let heading = format!("### {name}");
        let is_there = operations.lines().any(|line| line == heading);
        assert!(is_there, "docs/operations.md has no {heading}");
        let is_tried = tried
            .lines()
            .any(|line| line.trim() == format!("alertname: {name}"));
        assert!(is_tried, "tests/alerts.yaml does not try {name}");
    }
}

#[test]
fn the_documentation_lists_the_metrics_that_there_are() {
    let page = read("docs/telemetry.md");
    let (_, page) = page.split_once("## Metrics").expect("a chapter");
    let rows: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("| `"))
        .collect();
    let expected: Vec<String> = METRICS.iter().map(row).collect();
    assert_eq!(
        rows,
        expected,
        "docs/telemetry.md should have:\n{}",
        expected.join("\n")
    );
}

fn row(metric: &Metric) -> String {
    let kind = match metric.kind {
        Kind::Counter | Kind::LookCounter => "counter",
        Kind::Histogram(_) => "histogram",
        Kind::UpDown => "up-down counter",
        Kind::Gauge | Kind::Look | Kind::Age => "gauge",
    };
    let labels: Vec<String> = metric
        .labels
        .iter()
        .map(|label| format!("`{label}`"))
        .collect();
    format!(
        "| `{}` | {} | {kind} | {} | {} |",
        metric.name,
        metric.unit,
        labels.join(" "),
        metric.meaning
    )
}
