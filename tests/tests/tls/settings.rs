//! Settings of TLS that the binary refuses, and those that open an address to others.

use std::path::Path;

use harness::certificates::Certificates;
use harness::client::Client;
use harness::engine::Engine;
use harness::realm::Realm;
use harness::suite::{Layout, Suite, binary};
use tokio::process::Command;

use crate::story;

/// Runs the binary until it ends; its exit code and what it says.
async fn run(arguments: &[String]) -> (Option<i32>, String) {
    let output = Command::new(binary())
        .args(arguments)
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(std::time::Duration::from_mins(1), output).await;
    let output = output.expect("it ends").expect("the binary");
    let told = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&told).into_owned(),
    )
}

fn up(folder: &Path, more: &[&str]) -> Vec<String> {
    let folder = folder.display().to_string();
    let fixed = ["up", "--data-dir", &folder];
    fixed
        .iter()
        .chain(more)
        .map(|&text| text.to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_meant_ends_the_start_and_is_named() {
    let (realm, certificates) = (Realm::new(), Certificates::new());
    let folder = tempfile::tempdir().expect("a folder");
    let tls = certificates.server("up");
    let tls: Vec<&str> = tls.iter().map(String::as_str).collect();
    let tokens = realm.arguments();
    let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
    let root = certificates.root().display().to_string();
    let nowhere = folder.path().join("nowhere.pem").display().to_string();
    let outside = ["--listen", "0.0.0.0:0"];
    let mesh = ["--insecure-plaintext-behind-mesh"];
    let san = ["--service-san", "spiffe://example.org/{service}"];
    let cases: [(Vec<&str>, &[&str]); 12] = [
        (
            outside.to_vec(),
            &["--listen", "--tls-certificate", "--jwks", "behind-mesh"],
        ),
        ([&outside[..], &tls].concat(), &["--listen", "--jwks"]),
        (
            [&outside[..], &tokens].concat(),
            &["--listen", "--tls-certificate"],
        ),
        ([&outside[..], &mesh].concat(), &["--listen", "--jwks"]),
        (
            [&tls[..], &mesh].concat(),
            &["--insecure-plaintext-behind-mesh", "--tls-certificate"],
        ),
        (tls[..2].to_vec(), &["--tls-key"]),
        (
            vec![tls[0], &nowhere, tls[2], tls[3]],
            &["--tls-certificate", &nowhere],
        ),
        (vec![tls[0], tls[1], tls[2], tls[1]], &["--tls-key", tls[1]]),
        (
            [&tls[..], &["--client-ca", &root], &san].concat(),
            &["--jwks"],
        ),
        (
            [&tls[..], &tokens, &["--client-ca", &root]].concat(),
            &["--service-san"],
        ),
        (
            [&tls[..], &tokens, &["--client-ca", tls[3]], &san].concat(),
            &["--client-ca", tls[3]],
        ),
        (
            [
                &tls[..],
                &tokens,
                &["--client-ca", &root, "--service-san", "invoices=urn://x"],
            ]
            .concat(),
            &["--service-san", "invoices"],
        ),
    ];
    for (arguments, named) in cases {
        let (code, told) = run(&up(folder.path(), &arguments)).await;
        assert_eq!(code, Some(64), "{arguments:?}: {told}");
        for name in named {
            assert!(told.contains(name), "{arguments:?}: {told}");
        }
    }
    let billing = [
        "serve",
        "billing",
        "--database-url",
        "sqlite:unused.db",
        "--pipeline-uri",
    ];
    let billing = [&billing[..], &["https://127.0.0.1:1"]].concat();
    for (more, named) in [
        (vec!["--peer-ca", &*nowhere], "--peer-ca"),
        (
            vec!["--peer-ca", &*root, "--peer-certificate", &*root],
            "--peer-key",
        ),
        (
            [&["--peer-ca", &*root][..], &tokens].concat(),
            "--service-token-file",
        ),
    ] {
        let arguments = [&billing[..], &more].concat();
        let arguments: Vec<String> = arguments.iter().map(|&text| text.to_owned()).collect();
        let (code, told) = run(&arguments).await;
        assert_eq!(code, Some(64), "{arguments:?}: {told}");
        assert!(told.contains(named), "{arguments:?}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_open_to_others_with_both_or_behind_a_mesh() {
    let (realm, certificates) = (Realm::new(), Certificates::new());
    let token = realm.token_of("ada", &serde_json::json!({"secure": ["admin"]}));
    for mesh in [false, true] {
        let more = |_: &str| {
            let mut all = realm.arguments();
            if mesh {
                all.push("--insecure-plaintext-behind-mesh".to_owned());
            } else {
                all.extend(certificates.server("up"));
            }
            all
        };
        let suite = Suite::start_on("0.0.0.0:0", Engine::Sqlite, Layout::One, &more).await;
        let uri = suite.process("up").uri.replace("0.0.0.0", "127.0.0.1");
        let client = if mesh {
            Client::new(&uri, &uri, &uri).expect("a client")
        } else {
            Client::over(&certificates.caller().await, &uri, &uri, &uri).expect("a client")
        };
        story::told(&client.bearing(&token)).await;
        let warned = suite.log("up").contains("in the clear");
        assert_eq!(warned, mesh);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn client_commands_speak_tls_and_take_only_whom_they_trust() {
    let certificates = Certificates::new();
    let more = |service: &str| certificates.server(service);
    let suite = Suite::start_with(Engine::Sqlite, Layout::One, &more).await;
    let address = suite.process("up").uri.clone();
    let root = certificates.root().display().to_string();
    let file = certificates.folder().join("people.csv");
    std::fs::write(&file, "Name,E-mail\nAda,ada@example.com\n").expect("written");
    let file = file.display().to_string();
    let command = |parts: &[&str]| -> Vec<String> {
        let fixed = ["--address", &address];
        parts
            .iter()
            .chain(&fixed)
            .map(|&text| text.to_owned())
            .collect()
    };
    let (code, told) = run(&command(&["demo", "--ca", &root])).await;
    assert_eq!(code, Some(0), "{told}");
    let (code, told) = run(&command(&["import", &file, "--ca", &root])).await;
    assert_eq!(code, Some(0), "{told}");
    let theirs = serve::testing::authority::Authority::new("theirs");
    let theirs = theirs.write(certificates.folder(), "theirs.pem");
    let theirs = theirs.display().to_string();
    let (code, told) = run(&command(&["demo", "--ca", &theirs])).await;
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("certificate"), "{told}");
    let (code, told) = run(&command(&["demo", "--ca", &file])).await;
    assert_eq!(code, Some(64), "{told}");
    assert!(told.contains("--ca"), "{told}");
}
