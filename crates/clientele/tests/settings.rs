//! A setting that can't be used ends the start with exit code 64, and the message names it.

use std::net::TcpListener;
use std::process::{Command, Output};

fn clientele(arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    Command::new(env!("CARGO_BIN_EXE_clientele"))
        .args(arguments)
        .current_dir(folder.path())
        .output()
        .expect("the binary runs")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn each_wrong_setting_is_named() {
    let up = |setting, value| vec!["up", "--listen", "127.0.0.1:0", setting, value];
    let pipeline_at = |uri| {
        let serve = ["serve", "pipeline", "--migrate", "--listen", "127.0.0.1:0"];
        let database = ["--database-url", "sqlite:a.db", "--contacts-uri", uri];
        [serve.as_slice(), &database].concat()
    };
    let peer = |setting, value| {
        let more = [setting, value];
        [pipeline_at("http://127.0.0.1:1").as_slice(), &more].concat()
    };
    for (arguments, named) in [
        (
            up("--contacts-database-url", "mysql://x"),
            "--contacts-database-url",
        ),
        (
            up("--pipeline-database-url", "a.db"),
            "--pipeline-database-url",
        ),
        (
            up("--billing-database-url", "mysql://x"),
            "--billing-database-url",
        ),
        (up("--log", "=="), "--log"),
        (up("--otlp-endpoint", "collector"), "--otlp-endpoint"),
        (
            up("--otlp-endpoint", "ftp://collector:4317"),
            "--otlp-endpoint",
        ),
        (up("--issuer", "x"), "--jwks"),
        (up("--concurrency-max", "0"), "--concurrency-max"),
        (up("--queue-max", "many"), "--queue-max"),
        (up("--queue-wait-ms", "5000"), "--queue-wait-ms"),
        (up("--streams-max", "0"), "--streams-max"),
        (vec!["up", "--listen", "0.0.0.0:0"], "--listen"),
        (
            vec!["migrate", "contacts", "--database-url", "mysql://x"],
            "--database-url",
        ),
        (pipeline_at("localhost:50051"), "--contacts-uri"),
        (
            vec!["demo", "--address", "localhost:50051"],
            "--address: must begin with http://",
        ),
        (vec!["up", "--listen", "50051"], "<IP:PORT>"),
        (
            vec!["serve", "contacts"],
            "settings can also come from the environment",
        ),
        (peer("--peer-ca", "ca.pem"), "--peer-ca"),
        (
            [
                peer("--peer-key", "k.pem"),
                vec!["--peer-certificate", "c.pem"],
            ]
            .concat(),
            "--peer-certificate",
        ),
        (
            vec!["demo", "--address", "http://127.0.0.1:1", "--ca", "ca.pem"],
            "--ca",
        ),
    ] {
        let output = clientele(&arguments);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {said}");
        assert!(said.contains(named), "{arguments:?}: {said}");
    }
}

#[test]
fn each_wrong_variable_of_opentelemetry_is_named() {
    for (variable, value) in [
        ("CLIENTELE_OTLP_ENDPOINT", "collector"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "unix:/run/otlp"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
        ("OTEL_TRACES_SAMPLER_ARG", "2"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "many"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let output = Command::new(env!("CARGO_BIN_EXE_clientele"))
            .args(["up", "--listen", "127.0.0.1:0"])
            .env(variable, value)
            .current_dir(folder.path())
            .output()
            .expect("the binary runs");
        let said = said(&output);
        assert_eq!(output.status.code(), Some(64), "{variable}: {said}");
        // The variable of a flag is one with it.
        let flag = variable.replace("CLIENTELE_OTLP_ENDPOINT", "--otlp-endpoint");
        assert!(said.contains(&flag), "{variable}: {said}");
    }
}

#[test]
fn the_password_of_a_collector_is_refused_and_not_repeated() {
    let endpoint = "http://user:hidden@127.0.0.1:4317";
    let refused = clientele(&["up", "--listen", "127.0.0.1:0", "--otlp-endpoint", endpoint]);
    assert_eq!(refused.status.code(), Some(64));
    assert!(said(&refused).contains("--otlp-endpoint: "));
    let shown = clientele(&["config", "show", "up", "--otlp-endpoint", endpoint]);
    let output = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(output.contains("# otlp-endpoint: a secret"), "{output}");
    for text in [said(&refused), said(&shown), output] {
        assert!(!text.contains("hidden"), "{text}");
    }
}

#[test]
fn a_port_that_is_taken_is_said_once() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address").to_string();
    let output = clientele(&["up", "--listen", &address]);
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&address), "{said}");
    assert_eq!(said.matches("in use").count(), 1, "{said}");
}
