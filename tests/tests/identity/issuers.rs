//! Issuers that are not files of a test: one that is asked over HTTPS, and `clientele token`.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use harness::certificates::Certificates;
use harness::client::{Client, refusal};
use harness::engine::Engine;
use harness::eventually::eventually;
use harness::realm::Realm;
use harness::suite::{Layout, Suite, binary};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio_rustls::TlsAcceptor;
use tonic::Status;

async fn list(client: &Client, workspace: &str) -> Result<Value, Status> {
    let request = json!({"parent": format!("workspaces/{workspace}")});
    client.call("ContactService/ListContacts", request).await
}

/// Answers every request over TLS with the key set; counts those who did not trust it.
fn issuer(certificates: &Certificates, keys: String, listener: TcpListener) -> Arc<AtomicU64> {
    certificates.renew("issuer");
    let file = |ending: &str| certificates.folder().join(format!("issuer.{ending}"));
    let chain = CertificateDer::pem_file_iter(file("pem")).expect("a file");
    let chain = chain.collect::<Result<_, _>>().expect("certificates");
    let key = PrivateKeyDer::from_pem_file(file("key")).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key);
    let acceptor = TlsAcceptor::from(Arc::new(config.expect("a certificate with its key")));
    let turned_away: Arc<AtomicU64> = Arc::default();
    let counted = Arc::clone(&turned_away);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                counted.fetch_add(1, Ordering::Relaxed);
                continue;
            };
            let _ = stream.read(&mut [0; 4096]).await;
            let length = keys.len();
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{keys}");
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    turned_away
}

/// All services in one process, which trusts the authorities in this file where it trusts those of the
/// system; and somebody who calls it.
async fn start(realm: &Realm, folder: &Path, trusted: &Path) -> (Child, Client) {
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = free.local_addr().expect("bound");
    drop(free);
    let process = Command::new(binary())
        .args(["up", "--listen", &address.to_string(), "--data-dir"])
        .arg(folder)
        .args(realm.arguments())
        .env("SSL_CERT_FILE", trusted)
        .env("CLIENTELE_LOG", "warn")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    let uri = format!("http://{address}");
    let client = Client::new(&uri, &uri, &uri).expect("a client");
    let token = realm.token_of("ada", &json!({"home": ["admin"]}));
    (process.expect("the binary"), client.bearing(&token))
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_come_over_https_from_an_issuer_that_is_trusted_and_from_no_other() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let realm = Realm::new().at(&format!("https://localhost:{port}/keys"));
    let (certificates, others) = (Certificates::new(), Certificates::new());
    let turned_away = issuer(&certificates, realm.key_set(), listener);
    let folder = tempfile::tempdir().expect("a folder");

    let (_process, client) = start(&realm, &folder.path().join("a"), others.root()).await;
    eventually("the issuer is not trusted", async || {
        match turned_away.load(Ordering::Relaxed) {
            0 => Err("nobody came"),
            _ => Ok(()),
        }
    })
    .await;
    let refused = eventually("it answers", async || match list(&client, "home").await {
        Err(status) if refusal(&status).reason == "UPSTREAM_UNAVAILABLE" => Ok(status),
        other => Err(format!("{other:?}")),
    })
    .await;
    assert_eq!(refusal(&refused).code, "UNAVAILABLE");

    let (_process, client) = start(&realm, &folder.path().join("b"), certificates.root()).await;
    eventually("the keys are there", async || {
        let listed = list(&client, "home").await;
        listed.map_err(|status| status.to_string())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_the_command_let_into_what_they_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let keys = folder.path().join("keys");
    let token = async |arguments: &[&str]| {
        let told = Command::new(binary())
            .args(["token", "--key-dir"])
            .arg(&keys)
            .args(arguments)
            .output()
            .await
            .expect("the binary");
        let hint = String::from_utf8(told.stderr).expect("text");
        assert!(told.status.success(), "{hint}");
        let token = String::from_utf8(told.stdout).expect("text");
        (token.trim_end().to_owned(), hint)
    };
    let (admin, hint) = token(&["--workspace", "acme", "--role", "admin"]).await;
    // What the command says to start servers with is what they are started with.
    let hint = hint.lines().find(|line| line.contains("--jwks"));
    let words = hint.expect("how to use it").split_whitespace();
    let arguments: Vec<String> = words
        .skip_while(|word| *word != "--jwks")
        .map(str::to_owned)
        .collect();
    assert_eq!(arguments.len(), 6, "{arguments:?}");
    let suite = Suite::start_with(Engine::Sqlite, Layout::One, &|_| arguments.clone()).await;
    let create = async |client: &Client| {
        let contact = json!({"display_name": "Ada"});
        let request = json!({"parent": "workspaces/acme", "contact": contact});
        client.call("ContactService/CreateContact", request).await
    };
    let reason = |answer: Result<Value, Status>| refusal(&answer.expect_err("refused")).reason;
    let client = suite.client().bearing(&admin);
    create(&client).await.expect("an administrator");
    list(&client, "acme").await.expect("an administrator");
    assert_eq!(reason(list(&client, "other").await), "RESOURCE_NOT_FOUND");
    // With the same key: somebody who may only look.
    let (viewer, _) = token(&["--workspace", "acme", "--role", "viewer"]).await;
    let client = suite.client().bearing(&viewer);
    list(&client, "acme").await.expect("a viewer");
    assert_eq!(reason(create(&client).await), "PERMISSION_MISSING");
    assert_eq!(reason(list(&suite.client(), "acme").await), "TOKEN_MISSING");
}
