//! A network that loses a connection without telling either end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serve::Config;
use serve::peer::{self, Peer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tonic::{Code, Status};
use types::Deadline;

use crate::support::{Note, Probe, Running, call};

/// Twice what it takes to find out: a ping every ten seconds, and three for its answer.
const PATIENCE: Duration = Duration::from_secs(26);

/// The way to a server.
struct Network {
    address: SocketAddr,
    cut: Arc<Notify>,
}

impl Network {
    async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let cut: Arc<Notify> = Arc::default();
        let cuts = Arc::clone(&cut);
        tokio::spawn(async move {
            while let Ok((mut caller, _)) = listener.accept().await {
                let cut = Arc::clone(&cuts);
                tokio::spawn(async move {
                    let mut server = TcpStream::connect(server).await.expect("a server");
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut caller, &mut server) => {}
                        // Both ends stay open, and nothing comes through.
                        () = cut.notified() => std::future::pending().await,
                    }
                });
            }
        });
        Self { address, cut }
    }

    /// Lets nothing more through over the connections that there are.
    fn cut(&self) {
        self.cut.notify_waiters();
    }
}

#[tokio::test]
async fn a_peer_is_reached_over_another_connection_when_one_has_fallen_silent() {
    let server = Running::start(Config::on_free_port(), Probe::default()).await;
    let network = Network::to(server.address).await;
    let uri = format!("http://{}", network.address);
    let peer = Peer::connect_lazy(&uri, "billing").expect("a URI");
    let echo = async || -> Result<(), Status> {
        let deadline = Deadline::after(Duration::from_secs(1));
        let request = peer::request(deadline, Note::default());
        call(peer.clone(), "Echo", request).await.map(drop)
    };
    echo().await.expect("answers");
    network.cut();
    let status = echo().await.expect_err("nothing comes through");
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    let again = async { while echo().await.is_err() {} };
    let found_out = tokio::time::timeout(PATIENCE, again).await;
    found_out.expect("the silence is noticed");
}
