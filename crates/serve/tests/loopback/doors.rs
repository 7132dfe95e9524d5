//! What comes to a server's port and is no good: silence, garbage, crowds.

use std::time::{Duration, Instant};

use crate::support::{Note, Probe, Running, SERVICE, call};
use crate::tls::{Realm, echo};
use serve::testing::authority::Leaf;
use serve::{Config, Limits};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::transport::Endpoint;
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use types::Deadline;

/// The time that connections get in these tests.
const PATIENCE: Duration = Duration::from_millis(500);

fn config(limits: Limits) -> Config {
    Config {
        limits,
        ..Config::on_free_port()
    }
}

fn impatient() -> Config {
    config(Limits {
        handshake_timeout_ms: u64::try_from(PATIENCE.as_millis()).expect("short"),
        ..Limits::default()
    })
}

async fn connect(server: &Running) -> TcpStream {
    TcpStream::connect(server.address).await.expect("connects")
}

/// Waits until the server has closed the connection.
pub async fn closed(stream: &mut TcpStream) {
    let end = async {
        let mut bytes = [0; 1024];
        while stream.read(&mut bytes).await.is_ok_and(|count| count > 0) {}
    };
    let end = tokio::time::timeout(10 * PATIENCE, end).await;
    end.expect("the server closes it");
}

#[tokio::test]
async fn who_connects_and_says_nothing_holds_up_nobody_and_is_closed() {
    let realm = Realm::new();
    let tls = realm.server(&realm.issue("server", &Leaf::default())).await;
    let secure = Running::start_over(tls, impatient()).await;
    let plain = Running::start(impatient(), Probe::default()).await;
    let caller = realm.caller().await;
    for server in [&secure, &plain] {
        let mut silent = Vec::new();
        for beginning in [&b""[..], b"\x16", b"\x16\x03\x01\x02\x00\x01", b"PRI * HT"] {
            for _ in 0..50 {
                let mut stream = connect(server).await;
                stream.write_all(beginning).await.expect("taken");
                silent.push(stream);
            }
        }
        let begun = Instant::now();
        if server.address == secure.address {
            echo(&server.peer_over(&caller, "localhost"))
                .await
                .expect("answers");
        } else {
            echo(&server.peer()).await.expect("answers");
        }
        assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
        for mut stream in silent {
            closed(&mut stream).await;
        }
    }
}

#[tokio::test]
async fn health_has_a_door_of_its_own_which_opens_to_nothing_else() {
    let realm = Realm::new();
    let tls = realm.server(&realm.issue("server", &Leaf::default())).await;
    let config = Config {
        health_listen: Some("127.0.0.1:0".parse().expect("an address")),
        ..config(Limits {
            connections_max: 1,
            ..Limits::default()
        })
    };
    let mut server = Running::start_over(tls, config).await;
    let _crowd = connect(&server).await;
    let address = server.health_address.expect("a door");
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("a URI");
    let channel = endpoint.connect().await.expect("in the clear");
    let mut health = HealthClient::new(channel.clone());
    let mut status = async |service: &str| {
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        let answer = health.check(request).await;
        answer.map(|answer| answer.into_inner().status())
    };
    for service in ["", SERVICE] {
        assert_eq!(status(service).await.expect("told"), ServingStatus::Serving);
    }
    let other = call(channel, "Echo", Request::new(Note::default())).await;
    assert_eq!(other.expect_err("health only").code(), Code::Unimplemented);
    server.stop();
    server.ended().await;
    status("").await.expect_err("gone with the server");
}

#[tokio::test]
async fn a_connection_that_has_begun_may_be_silent() {
    let server = Running::start(impatient(), Probe::default()).await;
    let channel = server.channel().await;
    let echo = || call(channel.clone(), "Echo", Request::new(Note::default()));
    echo().await.expect("answers");
    let mut later = connect(&server).await;
    closed(&mut later).await;
    echo().await.expect("the connection has outlived that time");
}

#[tokio::test]
async fn connections_end_with_their_age_and_no_call_does() {
    let aging = Limits {
        connection_age_ms: 200,
        ..Limits::default()
    };
    let server = Running::start(config(aging), Probe::default()).await;
    // It speaks HTTP/2, answers pings, and never calls.
    let stream = connect(&server).await;
    let (_send, idle) = h2::client::handshake(stream).await.expect("greets");
    let mut idle = tokio::spawn(idle);
    let held = {
        let channel = server.channel().await;
        tokio::spawn(async move { call(channel, "Hold", Request::new(Note::default())).await })
    };
    server.probe.held.notified().await;
    let peer = server.peer();
    while !idle.is_finished() {
        // A call may meet the very moment at which its connection ends; then it was not sent.
        let deadline = Deadline::after(10 * PATIENCE);
        let answer = peer.retry(deadline, || echo(&peer)).await;
        answer.expect("goes over another connection");
    }
    let ended = (&mut idle).await.expect("no panic");
    ended.expect("in order");
    server.probe.release.notify_one();
    held.await
        .expect("no panic")
        .expect("has outlived its connection's age");
}

#[tokio::test]
async fn there_are_only_so_many_connections_and_a_place_is_free_again() {
    let realm = Realm::new();
    let tls = realm.server(&realm.issue("server", &Leaf::default())).await;
    let two = Limits {
        connections_max: 2,
        ..Limits::default()
    };
    let secure = Running::start_over(tls, config(two.clone())).await;
    let plain = Running::start(config(two), Probe::default()).await;
    for server in [&secure, &plain] {
        let (first, _second) = (connect(server).await, connect(server).await);
        let mut third = connect(server).await;
        closed(&mut third).await;
        drop(first);
        let begun = Instant::now();
        while turned_away(&mut connect(server).await).await {
            assert!(begun.elapsed() < 10 * PATIENCE, "there is a place");
        }
    }
}

/// Whether the server closes the connection at once. One that is taken in stays silent or, in the
/// clear, begins to speak.
pub async fn turned_away(stream: &mut TcpStream) -> bool {
    let mut bytes = [0; 1];
    let read = tokio::time::timeout(PATIENCE / 5, stream.read(&mut bytes)).await;
    read.is_ok_and(|read| !matches!(read, Ok(1..)))
}
