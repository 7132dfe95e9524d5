//! Handshakes in memory: who is let in, as whom, and what changes with the files.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use tempfile::TempDir;
use tokio_rustls::TlsConnector;
use types::Clock;

use super::*;
use crate::testing::authority::{Authority, Leaf, PairFiles, spiffe};

/// An authority, a server with a certificate of it that asks for certificates of it, and time.
struct Scene {
    folder: TempDir,
    authority: Authority,
    root: PathBuf,
    clock: Clock,
    server: ServerTls,
}

impl Scene {
    async fn set() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let authority = Authority::new("ours");
        let root = authority.write(folder.path(), "ca.pem");
        let clock = Clock::fixed(Clock::system().now());
        let pair = authority.issue(&Leaf::default());
        let files = ServerFiles {
            clients: Some(ClientCertificates {
                authority: root.clone(),
                services: names(&spiffe("{service}")),
            }),
            ..pair.write(folder.path(), "server").server()
        };
        let server = ServerTls::start(files, clock.clone()).await.expect("TLS");
        Self {
            folder,
            authority,
            root,
            clock,
            server,
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A caller that trusts the authority and shows this certificate.
    async fn caller(&self, leaf: &Leaf) -> ClientTls {
        let pair = self.authority.issue(leaf).write(self.path(), "caller");
        self.start(pair.client(&self.root)).await
    }

    async fn start(&self, files: ClientFiles) -> ClientTls {
        let started = ClientTls::start(files, self.clock.clone()).await;
        started.expect("TLS")
    }

    /// The handshake of this caller with the server.
    async fn meet(&self, caller: &ClientTls) -> Result<Option<Arc<ClientCertificate>>, String> {
        let (near, far) = tokio::io::duplex(16 * 1024);
        let name = ServerName::try_from("localhost").expect("a name");
        let calling = TlsConnector::from(caller.config());
        let calling = async { calling.connect(name, near).await.map_err(|e| e.to_string()) };
        let accepting = async { self.server.accept(far).await.map_err(|e| e.to_string()) };
        let (arrived, accepted) = tokio::join!(calling, accepting);
        // The caller is done before the server has judged it: the server's word counts first.
        let accepted = accepted.map(|accepted| accepted.certificate)?;
        arrived.map(|_| accepted)
    }
}

fn names(rule: &str) -> ServiceNames {
    ServiceNames::new(&[rule.parse().expect("a rule")]).expect("names")
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_certificate_is_a_service_by_its_uri_and_nothing_else() {
    let scene = Scene::set().await;
    let with = |uris: &[String]| Leaf {
        uris: uris.to_vec(),
        ..Leaf::default()
    };
    let other = "spiffe://example.org/ns/elsewhere/sa/billing".to_owned();
    for (leaf, service) in [
        (Leaf::of_service("billing"), Some("billing")),
        (with(&[other.clone(), spiffe("contacts")]), Some("contacts")),
        (with(&[spiffe("contacts"), spiffe("billing")]), None),
        (with(&[other]), None),
        (with(&[]), None),
        (
            Leaf {
                hosts: vec!["billing"],
                ..Leaf::default()
            },
            None,
        ),
    ] {
        let shown = scene.meet(&scene.caller(&leaf).await).await;
        let shown = shown.expect("let in").expect("shown");
        assert_eq!(shown.service(), service, "{leaf:?}");
    }
    let quiet = ClientFiles {
        authority: Some(scene.root.clone()),
        pair: None,
    };
    let shown = scene.meet(&scene.start(quiet).await).await;
    assert!(shown.expect("let in").is_none(), "nothing was shown");
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused_at_the_handshake() {
    let scene = Scene::set().await;
    let leaf = Leaf::of_service("billing");
    let stranger = Authority::new("theirs").issue(&leaf);
    let stranger = stranger.write(scene.path(), "stranger").client(&scene.root);
    let refused = scene.meet(&scene.start(stranger).await).await;
    let told = refused.err().expect("another authority");
    assert!(told.contains("UnknownIssuer"), "{told}");
    let refused = scene.meet(&scene.caller(&leaf.expired()).await).await;
    let told = refused.err().expect("expired");
    assert!(
        told.contains("Expired") || told.contains("expired"),
        "{told}"
    );
}

#[tokio::test]
async fn an_identity_ends_with_its_certificate_and_with_its_authority() {
    let scene = Scene::set().await;
    let caller = scene.caller(&Leaf::of_service("billing")).await;
    let shown = scene.meet(&caller).await.expect("let in").expect("shown");
    scene.clock.advance(Duration::from_mins(59));
    assert_eq!(shown.service(), Some("billing"));
    scene.clock.advance(Duration::from_mins(2));
    assert_eq!(shown.service(), None, "its time is over");

    let scene = Scene::set().await;
    let caller = scene.caller(&Leaf::of_service("billing")).await;
    let shown = scene.meet(&caller).await.expect("let in").expect("shown");
    let next = Authority::new("next");
    let both = format!("{}{}", scene.authority.pem(), next.pem());
    std::fs::write(&scene.root, both).expect("written");
    until("both are read", || scene.server.number() == 1).await;
    assert_eq!(shown.service(), Some("billing"));
    next.write(scene.path(), "ca.pem");
    until("the old one is gone", || scene.server.number() == 2).await;
    assert_eq!(
        shown.service(),
        None,
        "its authority is not trusted any more"
    );
}

#[tokio::test]
async fn a_process_knows_its_own_server_whatever_its_certificate_says() {
    let scene = Scene::set().await;
    let own = ClientTls::of_own_server(scene.server.clone()).expect("TLS");
    scene.meet(&own).await.expect("its own");
    let other = Scene::set().await;
    assert!(other.meet(&own).await.is_err(), "another server");
}

#[tokio::test]
async fn a_caller_takes_no_certificate_of_another_name_authority_or_time() {
    let scene = Scene::set().await;
    let theirs = Authority::new("theirs").write(scene.path(), "theirs.pem");
    let trusting = |root: &Path| ClientFiles {
        authority: Some(root.to_owned()),
        pair: None,
    };
    let caller = scene.start(trusting(&theirs)).await;
    assert!(scene.meet(&caller).await.is_err(), "another authority");
    let caller = scene.start(trusting(&scene.root)).await;
    scene.meet(&caller).await.expect("let in");
    scene.clock.advance(Duration::from_hours(2));
    assert!(scene.meet(&caller).await.is_err(), "expired");
    let elsewhere = Leaf {
        hosts: vec!["elsewhere.example"],
        ..Leaf::default()
    };
    let mut scene = Scene::set().await;
    let files = scene.authority.issue(&elsewhere);
    let files = files.write(scene.path(), "elsewhere").server();
    let caller = scene.start(trusting(&scene.root)).await;
    scene.server = ServerTls::start(files, scene.clock.clone())
        .await
        .expect("TLS");
    assert!(scene.meet(&caller).await.is_err(), "another name");
}

#[tokio::test]
async fn files_that_can_not_be_used_are_named_and_never_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new("ours");
    let root = authority.write(folder.path(), "ca.pem");
    let good = authority
        .issue(&Leaf::default())
        .write(folder.path(), "good");
    let other = authority
        .issue(&Leaf::default())
        .write(folder.path(), "other");
    let empty = folder.path().join("empty");
    std::fs::write(&empty, "nothing\n").expect("written");
    let missing = folder.path().join("missing");
    let secret = std::fs::read_to_string(&good.key).expect("a key");
    let secret = secret.lines().nth(1).expect("base64").to_owned();
    for (certificate, key, ca, part) in [
        (&missing, &good.key, &root, Part::Certificate),
        (&empty, &good.key, &root, Part::Certificate),
        (&good.key, &good.key, &root, Part::Certificate),
        (&good.certificate, &missing, &root, Part::Key),
        (&good.certificate, &good.certificate, &root, Part::Key),
        (&good.certificate, &other.key, &root, Part::Key),
        (&good.certificate, &good.key, &empty, Part::Authority),
        (&good.certificate, &good.key, &good.key, Part::Authority),
    ] {
        let pair = PairFiles {
            certificate: certificate.clone(),
            key: key.clone(),
        };
        let files = ServerFiles {
            clients: Some(ClientCertificates {
                authority: ca.clone(),
                services: ServiceNames::default(),
            }),
            ..pair.server()
        };
        let error = ServerTls::start(files, Clock::system()).await;
        let error = error.expect_err("unusable");
        assert_eq!(error.part, part, "{error}");
        let client = ClientTls::start(pair.client(ca), Clock::system()).await;
        assert_eq!(client.expect_err("unusable").part, part);
        let text = error.to_string();
        assert!(
            text.contains(folder.path().to_str().expect("UTF-8")),
            "{text}"
        );
        assert!(!text.contains(&secret), "{text}");
    }
}
