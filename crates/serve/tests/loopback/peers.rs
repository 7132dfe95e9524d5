//! Outgoing calls: reconnecting, retries, deadlines, and the codes that callers see.

use std::time::{Duration, Instant};

use crate::support::{Note, Probe, Running, call, reason};
use serve::peer::{self, Peer};
use serve::{Config, Server};
use tonic::{Code, Request};
use types::Deadline;

const SECOND: Duration = Duration::from_secs(1);

async fn start() -> Running {
    Running::start(Config::on_free_port(), Probe::default()).await
}

async fn echo(peer: &Peer, deadline: Deadline) -> Result<Note, tonic::Status> {
    let request = peer::request(deadline, Note::default());
    call(peer.clone(), "Echo", request)
        .await
        .map(tonic::Response::into_inner)
}

#[tokio::test]
async fn a_peer_that_is_not_there_is_unavailable() {
    let mut server = start().await;
    let peer = server.peer();
    server.stop();
    server.ended().await;
    let status = echo(&peer, Deadline::after(SECOND))
        .await
        .expect_err("nobody listens");
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    assert_eq!(reason(&status), "UPSTREAM_UNAVAILABLE");
    assert!(proto::status::retry_after(&status).is_some());
    assert!(!status.message().contains("127.0.0.1"), "{status}");
}

#[tokio::test]
async fn a_peer_is_reached_again_after_its_restart() {
    let mut server = start().await;
    let (address, peer) = (server.address, server.peer());
    echo(&peer, Deadline::after(SECOND)).await.expect("answers");
    server.stop();
    server.ended().await;
    echo(&peer, Deadline::after(SECOND))
        .await
        .expect_err("is down");

    let again = Config {
        listen: address,
        ..Config::default()
    };
    let server = Running::run(
        Server::bind(again).await.expect("free again"),
        Probe::default(),
    );
    let deadline = Deadline::after(5 * SECOND);
    let seen = peer
        .retry(deadline, || echo(&peer, deadline))
        .await
        .expect("answers again");
    assert_eq!(seen.peer, "billing");
    assert_eq!(server.address, address);
}

#[tokio::test]
async fn a_retry_bridges_a_restart_inside_the_deadline() {
    let mut server = start().await;
    let (address, peer) = (server.address, server.peer());
    server.stop();
    server.ended().await;
    let deadline = Deadline::after(5 * SECOND);
    let restart = async {
        echo(&peer, deadline).await.expect_err("is down");
        let again = Config {
            listen: address,
            ..Config::default()
        };
        Running::run(
            Server::bind(again).await.expect("free again"),
            Probe::default(),
        )
    };
    let (answer, _server) =
        futures::future::join(peer.retry(deadline, || echo(&peer, deadline)), restart).await;
    answer.expect("one of the attempts arrives");
}

#[tokio::test]
async fn a_late_peer_is_a_deadline_and_not_a_cancellation() {
    let server = start().await;
    let begun = Instant::now();
    let request = peer::request(Deadline::after(Duration::from_millis(300)), Note::default());
    let status = call(server.peer(), "Hold", request)
        .await
        .expect_err("too late");
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    assert!(begun.elapsed() < SECOND);

    // A listener that never answers: only the client's own timer can end this.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("binds");
    let address = silent.local_addr().expect("bound");
    let peer = Peer::connect_lazy(&format!("http://{address}"), "billing").expect("a URI");
    let deadline = Deadline::after(Duration::from_millis(300));
    let status = echo(&peer, deadline).await.expect_err("silence");
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
}

#[tokio::test]
async fn nothing_is_sent_once_the_deadline_has_passed() {
    let server = start().await;
    let past = Deadline::after(Duration::ZERO);
    let status = echo(&server.peer(), past).await.expect_err("too late");
    assert_eq!(status.code(), Code::DeadlineExceeded);
    let request = Request::new(Note::default());
    let seen = call(server.peer(), "Echo", request)
        .await
        .expect("needs no deadline");
    assert_eq!(seen.into_inner().grpc_timeout_us, 0);
}

#[test]
fn what_is_not_the_address_of_a_peer_is_refused() {
    for uri in ["", "localhost:1", "ftp://example.com", "/path"] {
        let error = Peer::connect_lazy(uri, "billing")
            .expect_err(uri)
            .to_string();
        assert!(error.contains("http://host:port"), "{error}");
    }
}
