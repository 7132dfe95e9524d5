//! Crowds of connections: whose are closed, and for whom there is room all the same.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use h2::client::Builder;
use jsonwebtoken::Algorithm;
use serve::identity::{Mapping, Settings};
use serve::testing::authority::{Leaf, spiffe};
use serve::testing::{AUDIENCE, ISSUER, Issuer, NOW, claims, key_set};
use serve::tls::{ClientCertificates, ServerFiles, ServerTls, ServiceNames};
use serve::{Authenticator, Config, Limits, Server, Services};
use tokio::net::{TcpSocket, TcpStream};
use tonic::Code;
use types::{Clock, Micros};

use crate::doors::{closed, turned_away};
use crate::raw::{Raw, framed};
use crate::support::{Probe, Running};
use crate::tls::{Realm, echo, start};

async fn connect_from(address: [u8; 4], server: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    let own = SocketAddr::from((IpAddr::from(Ipv4Addr::from(address)), 0));
    socket.bind(own).expect("loopback is a whole network");
    socket.connect(server).await.expect("connects")
}

#[tokio::test]
async fn one_address_has_only_so_many_connections() {
    let config = Config {
        limits: Limits {
            connections_per_address_max: 2,
            ..Limits::default()
        },
        ..Config::on_free_port()
    };
    let server = Running::start(config, Probe::default()).await;
    let mut crowd = Vec::new();
    for _ in 0..2 {
        crowd.push(connect_from([127, 0, 0, 1], server.address).await);
    }
    closed(&mut connect_from([127, 0, 0, 1], server.address).await).await;
    let mut other = connect_from([127, 0, 0, 2], server.address).await;
    assert!(!turned_away(&mut other).await, "another address");
    crowd.pop();
    let begun = Instant::now();
    while turned_away(&mut connect_from([127, 0, 0, 1], server.address).await).await {
        assert!(begun.elapsed() < Duration::from_secs(5), "there is room");
    }
}

#[tokio::test]
async fn the_last_connections_are_for_services() {
    /// Of which the last one is a service's.
    const CONNECTIONS: usize = 8;
    let realm = Realm::new();
    let rule = spiffe("{service}").parse().expect("a rule");
    let files = ServerFiles {
        clients: Some(ClientCertificates {
            authority: realm.root.clone(),
            services: ServiceNames::new(&[rule]).expect("one"),
        }),
        ..realm.issue("server", &Leaf::default()).server()
    };
    let tls = ServerTls::start(files, Clock::system()).await.expect("TLS");
    let config = Config {
        limits: Limits {
            connections_max: CONNECTIONS,
            ..Limits::default()
        },
        ..Config::on_free_port()
    };
    let server = Running::start_over(tls, config).await;
    let stranger = realm.caller().await;
    let mut crowd = Vec::new();
    for _ in 1..CONNECTIONS {
        let peer = server.peer_over(&stranger, "localhost");
        echo(&peer).await.expect("there is a place");
        crowd.push(peer);
    }
    let late = echo(&server.peer_over(&stranger, "localhost")).await;
    assert_eq!(late.expect_err("is closed").code(), Code::Unavailable);
    let pair = realm.issue("billing", &Leaf::of_service("billing"));
    let service = start(pair.client(&realm.root)).await;
    let answer = echo(&server.peer_over(&service, "localhost")).await;
    answer.expect("there is a place for it");
    for peer in crowd {
        echo(&peer).await.expect("keeps its place");
    }
}

/// Where nothing is served but health and reflection, to whoever has a token of this issuer.
async fn start_asking(issuer: &Issuer, patience: Duration) -> SocketAddr {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("jwks.json");
    std::fs::write(&path, key_set(&[issuer])).expect("written");
    let settings = Settings {
        keys: path.display().to_string().parse().expect("a source"),
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        nbf_may_be_missing: false,
        mapping: Mapping::default(),
        process: None,
    };
    let clock = Clock::fixed(Micros(NOW * 1_000_000));
    let authenticator = Authenticator::start(settings, clock).await.expect("keys");
    let config = Config {
        limits: Limits {
            unproven_timeout_ms: u64::try_from(patience.as_millis()).expect("short"),
            ..Limits::default()
        },
        ..Config::on_free_port()
    };
    let server = Server::bind(config).await.expect("loopback binds");
    let (address, server) = (server.address(), server.authenticated_by(authenticator));
    tokio::spawn(server.run(Services::new(), std::future::pending()));
    address
}

#[tokio::test]
async fn a_connection_over_which_nobody_proves_anything_is_closed() {
    const PATIENCE: Duration = Duration::from_secs(2);
    const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    let issuer = Issuer::new("a", Algorithm::EdDSA);
    let address = start_asking(&issuer, PATIENCE).await;
    let token = format!("Bearer {}", issuer.token(&claims()));
    let connect = || async { Raw::over(address, &Builder::new()).await };
    let (mut known, lasting) = connect().await;
    let mut answers = Vec::new();
    let (mut liar, lied) = connect().await;
    let (mut healthy, asked) = connect().await;
    let (_silent, said_nothing) = connect().await;
    for (caller, path, token, is_refused) in [
        (&mut known, REFLECTION, &*token, false),
        (&mut liar, REFLECTION, "Bearer garbage", true),
        (&mut healthy, "/grpc.health.v1.Health/Watch", "", false),
    ] {
        let (answer, mut body) = caller.send_with(path, "authorization", token).await;
        if !is_refused {
            body.send_data(framed(&[]), true).expect("is sent");
        }
        let answer = answer.await.expect("answered");
        assert_eq!(answer.headers().contains_key("grpc-status"), is_refused);
        answers.push(answer);
    }
    for connection in [lied, asked, said_nothing] {
        let ended = tokio::time::timeout(10 * PATIENCE, connection).await;
        let _ = ended.expect("is closed").expect("no panic");
    }
    assert!(!lasting.is_finished(), "somebody is there");
    let (answer, _body) = known.send_with(REFLECTION, "authorization", &token).await;
    answer.await.expect("over the same connection");
}
