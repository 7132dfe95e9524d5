//! Certificates that change while calls go on.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::support::Running;
use crate::tls::{Realm, echo, start};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serve::testing::authority::{Authority, Leaf};
use serve::tls::ClientTls;
use serve::{Config, Peer};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

/// How long a change of files may take to be seen.
const SEEN: Duration = Duration::from_secs(20);

/// Callers that call one after the other until they are told to stop, each of some channel and each
/// third time over a new one.
struct Load {
    stop: Arc<AtomicBool>,
    calls: Arc<AtomicU64>,
    callers: JoinSet<()>,
}

impl Load {
    fn start(server: &Running, tls: &ClientTls) -> Self {
        let (stop, calls) = (Arc::default(), Arc::default());
        let mut callers = JoinSet::new();
        for _ in 0..8 {
            let (stop, calls): (Arc<AtomicBool>, Arc<AtomicU64>) =
                (Arc::clone(&stop), Arc::clone(&calls));
            let lasting = server.peer_over(tls, "localhost");
            let fresh: Vec<Peer> = (0..20)
                .map(|_| server.peer_over(tls, "localhost"))
                .collect();
            callers.spawn(async move {
                let mut fresh = fresh.into_iter();
                while !stop.load(Ordering::Relaxed) {
                    let number = calls.fetch_add(1, Ordering::Relaxed);
                    let new = (number % 200 == 0).then(|| fresh.next()).flatten();
                    let answer = echo(new.as_ref().unwrap_or(&lasting)).await;
                    answer.expect("no call fails");
                }
            });
        }
        Self {
            stop,
            calls,
            callers,
        }
    }

    /// Waits for some more calls, so that they surely were made with what holds now.
    async fn go_on(&self) {
        let enough = self.calls.load(Ordering::Relaxed) + 200;
        let begun = Instant::now();
        while self.calls.load(Ordering::Relaxed) < enough {
            assert!(begun.elapsed() < SEEN, "calls go on");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Ends them: none of the calls has failed.
    async fn end(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.callers.join_next().await {
            ended.expect("no call has failed");
        }
    }
}

/// The certificate that the server shows to a new connection.
async fn shown(server: &Running, root: &Path) -> CertificateDer<'static> {
    let mut roots = RootCertStore::empty();
    let text = CertificateDer::from_pem_file(root).expect("an authority");
    roots.add(text).expect("an authority");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(server.address).await.expect("connects");
    let name = ServerName::try_from("localhost").expect("a name");
    let connector = TlsConnector::from(Arc::new(config));
    let stream = connector.connect(name, stream).await.expect("a handshake");
    let chain = stream.get_ref().1.peer_certificates().expect("a chain");
    chain[0].clone().into_owned()
}

async fn until_shown(server: &Running, root: &Path, pem: &str) {
    let expected = CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM");
    let begun = Instant::now();
    while shown(server, root).await != expected {
        assert!(begun.elapsed() < SEEN, "the new certificate is shown");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn serial_of(certificate: &CertificateDer<'_>) -> u64 {
    let parsed = webpki::EndEntityCert::try_from(certificate).expect("a certificate");
    let bytes = parsed.serial().iter();
    bytes.fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_changes_its_certificate_without_a_failed_call() {
    let realm = Realm::new();
    let folder = realm.folder.path();
    let tls = realm.server(&realm.issue("server", &Leaf::default())).await;
    let server = Running::start_over(tls, Config::on_free_port()).await;
    let load = Load::start(&server, &realm.caller().await);
    load.go_on().await;
    for serial in [4711, 4712, 4713] {
        let leaf = Leaf {
            serial,
            ..Leaf::default()
        };
        let next = realm.authority.issue(&leaf);
        next.write(folder, "server");
        until_shown(&server, &realm.root, &next.certificate).await;
        assert_eq!(serial_of(&shown(&server, &realm.root).await), serial);
        load.go_on().await;
    }
    load.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_that_does_not_fit_leaves_the_last_good_one_in_use() {
    let realm = Realm::new();
    let folder = realm.folder.path();
    let first = realm.authority.issue(&Leaf::default());
    let files = first.write(folder, "server");
    let server = Running::start_over(realm.server(&files).await, Config::on_free_port()).await;
    let load = Load::start(&server, &realm.caller().await);
    let stray = realm.authority.issue(&Leaf::default());
    let removed = |path: &Path| std::fs::remove_file(path).expect("removed");
    for spoil in [
        &|| std::fs::write(&files.certificate, &stray.certificate).expect("written"),
        &|| std::fs::write(&files.key, "no key").expect("written"),
        &|| removed(&files.certificate) as (),
    ] as [&dyn Fn(); 3]
    {
        spoil();
        // Two looks and more.
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(2500) {
            load.go_on().await;
        }
        until_shown(&server, &realm.root, &first.certificate).await;
    }
    let last = realm.authority.issue(&Leaf::default());
    last.write(folder, "server");
    until_shown(&server, &realm.root, &last.certificate).await;
    load.go_on().await;
    load.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_move_to_another_authority_without_a_failed_call() {
    let realm = Realm::new();
    let folder = realm.folder.path();
    let tls = realm.server(&realm.issue("server", &Leaf::default())).await;
    let server = Running::start_over(tls, Config::on_free_port()).await;
    let leaf = Leaf::of_service("billing");
    // The caller has a file of authorities of its own.
    let trusted = realm.authority.write(folder, "trusted.pem");
    let caller = start(realm.issue("caller", &leaf).client(&trusted)).await;
    let load = Load::start(&server, &caller);
    load.go_on().await;
    // First both trust both, then each shows the new one, then the old one goes.
    let next = Authority::new("next");
    let both = format!("{}{}", realm.authority.pem(), next.pem());
    std::fs::write(&trusted, &both).expect("written");
    std::fs::write(&realm.root, &both).expect("written");
    let wait = async || {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(2500) {
            load.go_on().await;
        }
    };
    wait().await;
    let shown = next.issue(&Leaf::default());
    shown.write(folder, "server");
    next.issue(&leaf).write(folder, "caller");
    let root = next.write(folder, "next.pem");
    wait().await;
    next.write(folder, "ca.pem");
    next.write(folder, "trusted.pem");
    wait().await;
    until_shown(&server, &root, &shown.certificate).await;
    echo(&server.peer_over(&caller, "localhost"))
        .await
        .expect("a new connection is of the new authority");
    load.end().await;
}
