//! Several replicas behind one name: calls go to each in turn, to new ones and no more to those that
//! have gone.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serve::Config;
use serve::peer::{self, Peer, Resolver};
use tokio::task::JoinHandle;
use tonic::{Response, Status};
use types::Deadline;

use crate::support::{Note, Probe, Running, call};

const TIME: Duration = Duration::from_secs(5);

/// The addresses that the name stands for.
#[derive(Clone, Default)]
struct Names(Arc<Mutex<Vec<SocketAddr>>>);

impl Names {
    fn are(&self, addresses: &[SocketAddr]) {
        *self.0.lock().expect("not poisoned") = addresses.to_vec();
    }

    fn peer(&self, port: u16) -> Peer {
        let names = self.clone();
        let resolver = Resolver::new(Duration::from_millis(20), move |host, _| {
            assert_eq!(host, "replicas.invalid");
            let found = names.0.lock().expect("not poisoned").clone();
            Box::pin(async move { Ok(found) })
        });
        let uri = format!("http://replicas.invalid:{port}");
        Peer::connect_lazy_by(resolver, &uri, "billing", None).expect("a URI")
    }
}

/// Two servers at one port of two addresses.
async fn two() -> [Running; 2] {
    let first = Running::start(Config::on_free_port(), Probe::default()).await;
    let config = Config {
        listen: SocketAddr::from((Ipv4Addr::new(127, 0, 0, 2), first.address.port())),
        ..Config::default()
    };
    let second = Running::start(config, Probe::default()).await;
    [first, second]
}

fn hold(peer: &Peer) -> JoinHandle<Result<Response<Note>, Status>> {
    let request = peer::request(Deadline::after(TIME), Note::default());
    tokio::spawn(call(peer.clone(), "Hold", request))
}

/// Calls until this server has a call, and lets it end.
async fn reaches(peer: &Peer, server: &Running) {
    let reached = async {
        loop {
            let held = hold(peer);
            let there =
                tokio::time::timeout(Duration::from_millis(100), server.probe.held.notified());
            if there.await.is_ok() {
                server.probe.release.notify_one();
                return held.await.expect("no panic").expect("answers");
            }
            held.abort();
        }
    };
    let reached = tokio::time::timeout(TIME, reached).await;
    reached.expect("it is one of the replicas");
}

#[tokio::test]
async fn replicas_take_turns_and_are_taken_in_as_they_come() {
    let [first, second] = two().await;
    let names = Names::default();
    names.are(&[first.address]);
    let peer = names.peer(first.address.port());
    reaches(&peer, &first).await;
    names.are(&[first.address, second.address]);
    reaches(&peer, &second).await;
    let held = [hold(&peer), hold(&peer)];
    first.probe.held.notified().await;
    second.probe.held.notified().await;
    for server in [&first, &second] {
        server.probe.release.notify_one();
    }
    for held in held {
        held.await.expect("no panic").expect("answers");
    }
}

#[tokio::test]
async fn a_replica_that_has_gone_is_left_whether_its_address_has_gone_or_not() {
    let [first, mut second] = two().await;
    let names = Names::default();
    names.are(&[first.address, second.address]);
    let peer = names.peer(first.address.port());
    reaches(&peer, &first).await;
    reaches(&peer, &second).await;
    second.stop();
    second.ended().await;
    for _ in 0..20 {
        let deadline = Deadline::after(TIME);
        let echo = || {
            let request = peer::request(deadline, Note::default());
            call(peer.clone(), "Echo", request)
        };
        peer.retry(deadline, echo).await.expect("the other answers");
    }
    names.are(&[first.address]);
    reaches(&peer, &first).await;
}
