//! TLS of servers and peers: who is reached, and who is not.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::{Note, Running, call, reason};
use serve::peer::{self, Peer, PeerError};
use serve::testing::authority::{Authority, Leaf, PairFiles};
use serve::tls::{
    ClientCertificates, ClientFiles, ClientTls, ServerFiles, ServerTls, ServiceNames,
};
use serve::{Config, Protection, Server};
use tempfile::TempDir;
use tonic::{Code, Request, Status};
use types::{Clock, Deadline};

const SECOND: Duration = Duration::from_secs(1);

/// An authority with its files.
pub struct Realm {
    pub folder: TempDir,
    pub authority: Authority,
    pub root: PathBuf,
}

impl Realm {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let authority = Authority::new("ours");
        let root = authority.write(folder.path(), "ca.pem");
        Self {
            folder,
            authority,
            root,
        }
    }

    pub fn issue(&self, name: &str, leaf: &Leaf) -> PairFiles {
        self.authority.issue(leaf).write(self.folder.path(), name)
    }

    /// A server with this certificate, which asks for those of the authority.
    pub async fn server(&self, pair: &PairFiles) -> ServerTls {
        let files = ServerFiles {
            clients: Some(ClientCertificates {
                authority: self.root.clone(),
                services: ServiceNames::default(),
            }),
            ..pair.server()
        };
        ServerTls::start(files, Clock::system()).await.expect("TLS")
    }

    /// A caller that trusts the authority and shows nothing.
    pub async fn caller(&self) -> ClientTls {
        trusting(&self.root).await
    }
}

async fn trusting(root: &Path) -> ClientTls {
    let files = ClientFiles {
        authority: Some(root.to_owned()),
        pair: None,
    };
    start(files).await
}

pub async fn start(files: ClientFiles) -> ClientTls {
    ClientTls::start(files, Clock::system()).await.expect("TLS")
}

pub async fn echo(peer: &Peer) -> Result<Note, Status> {
    let request = peer::request(Deadline::after(5 * SECOND), Note::default());
    let answer = call(peer.clone(), "Echo", request).await;
    answer.map(tonic::Response::into_inner)
}

fn is_unreachable(answer: Result<Note, Status>) -> bool {
    answer.is_err_and(|status| {
        status.code() == Code::Unavailable && reason(&status) == "UPSTREAM_UNAVAILABLE"
    })
}

#[tokio::test]
async fn a_server_with_tls_answers_over_tls_and_nothing_else() {
    let realm = Realm::new();
    let tls = realm.server(&realm.issue("server", &Leaf::default())).await;
    let server = Running::start_over(tls, Config::on_free_port()).await;
    let caller = realm.caller().await;
    for host in ["127.0.0.1", "localhost"] {
        let seen = echo(&server.peer_over(&caller, host)).await;
        assert_eq!(seen.expect("answers").peer, "billing");
    }
    assert!(is_unreachable(echo(&server.peer()).await), "in the clear");
    let plain = tonic::transport::Endpoint::from_shared(format!("http://{}", server.address));
    let plain = plain.expect("a URI").connect_lazy();
    let refused = call(plain, "Echo", Request::new(Note::default())).await;
    assert!(refused.is_err(), "in the clear");
}

#[tokio::test]
async fn a_server_is_called_only_with_a_good_certificate_of_its_name() {
    let realm = Realm::new();
    let caller = realm.caller().await;
    let elsewhere = Leaf {
        hosts: vec!["elsewhere.example"],
        ..Leaf::default()
    };
    for (what, leaf) in [
        ("expired", Leaf::default().expired()),
        ("another name", elsewhere),
    ] {
        let tls = realm.server(&realm.issue("server", &leaf)).await;
        let server = Running::start_over(tls, Config::on_free_port()).await;
        let answer = echo(&server.peer_over(&caller, "localhost")).await;
        assert!(is_unreachable(answer), "{what}");
    }
    let tls = realm.server(&realm.issue("server", &Leaf::default())).await;
    let server = Running::start_over(tls, Config::on_free_port()).await;
    let theirs = Authority::new("theirs").write(realm.folder.path(), "theirs.pem");
    let stranger = trusting(&theirs).await;
    let answer = echo(&server.peer_over(&stranger, "localhost")).await;
    assert!(is_unreachable(answer), "another authority");
    echo(&server.peer_over(&caller, "localhost"))
        .await
        .expect("a good one");
}

#[tokio::test]
async fn a_caller_with_a_bad_certificate_is_not_let_in_and_one_without_is() {
    let realm = Realm::new();
    let tls = realm.server(&realm.issue("server", &Leaf::default())).await;
    let server = Running::start_over(tls, Config::on_free_port()).await;
    let good = realm.issue("good", &Leaf::of_service("billing"));
    let expired = realm.issue("expired", &Leaf::of_service("billing").expired());
    let theirs = Authority::new("theirs").issue(&Leaf::of_service("billing"));
    let theirs = theirs.write(realm.folder.path(), "theirs");
    for (what, pair, let_in) in [
        ("a good one", Some(&good), true),
        ("none", None, true),
        ("expired", Some(&expired), false),
        ("another authority", Some(&theirs), false),
    ] {
        let caller = match pair {
            Some(pair) => start(pair.client(&realm.root)).await,
            None => realm.caller().await,
        };
        let answer = echo(&server.peer_over(&caller, "127.0.0.1")).await;
        assert_eq!(answer.is_ok(), let_in, "{what}: {answer:?}");
    }
}

#[tokio::test]
async fn an_address_of_tls_needs_to_know_whom_to_trust() {
    let error = Peer::connect_lazy("https://127.0.0.1:1", "billing").expect_err("no trust");
    assert!(matches!(error, PeerError::Unsecured { .. }), "{error}");
    let caller = Realm::new().caller().await;
    for uri in [
        "https://",
        "ftp://localhost:1",
        "https:/localhost",
        "localhost:1",
    ] {
        let error = Peer::connect_lazy_over(uri, "billing", Some(caller.clone()));
        let error = error.expect_err(uri);
        assert!(matches!(error, PeerError::Address { .. }), "{error}");
    }
    Peer::connect_lazy_over("http://127.0.0.1:1", "billing", Some(caller)).expect("plain is plain");
}

#[tokio::test]
async fn tls_alone_does_not_open_an_address_beyond_loopback() {
    let realm = Realm::new();
    let protection = Protection {
        tls: Some(realm.server(&realm.issue("server", &Leaf::default())).await),
        ..Protection::default()
    };
    let config = Config {
        listen: "0.0.0.0:0".parse().expect("an address"),
        ..Config::default()
    };
    let refused = Server::bind_protected(config, protection).await;
    let told = refused.err().expect("refused").to_string();
    assert!(told.contains("without an authenticator"), "{told}");
}
