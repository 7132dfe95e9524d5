//! Health checks on a port of their own, in the clear: the kubelet's gRPC probes speak no TLS, and have
//! no token either.
//!
//! Nothing but `grpc.health.v1` is served here, which tells whether the server is well and no more; so
//! the port may be open where the server's own must not. Its places for connections are its own: a
//! crowd at the server's port keeps no probe out.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic_health::pb::health_server::HealthServer;

use crate::config::Limits;
use crate::connections;
use crate::health::Health;

/// Connections at once: a kubelet makes one for each probe.
const CONNECTIONS_MAX: usize = 64;

/// How long a connection may stay, and how long it then has for its calls: whoever holds on to its
/// place would keep a kubelet out.
const CONNECTION_AGE_MAX: Duration = Duration::from_secs(30);
const CONNECTION_GRACE: Duration = Duration::from_secs(5);

/// A port that is bound, and does not answer yet.
pub(crate) struct Probes {
    listener: TcpListener,
    address: SocketAddr,
}

/// Answers until it is dropped.
pub(crate) struct Answering(JoinHandle<()>);

impl Probes {
    pub(crate) async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Begins to answer.
    pub(crate) fn answer(self, health: &Health, limits: &Limits) -> Answering {
        let limits = Limits {
            connections_max: CONNECTIONS_MAX,
            // All kubelets of a node are one address.
            connections_per_address_max: 0,
            ..limits.clone()
        };
        tracing::info!(address = %self.address, "answering health checks");
        let closed = CancellationToken::new();
        let connections = connections::accept(self.listener, None, &limits, false, closed.clone());
        let server = limits
            .apply(tonic::transport::Server::builder())
            .max_connection_age(CONNECTION_AGE_MAX)
            .max_connection_age_grace(CONNECTION_GRACE)
            .add_service(HealthServer::new(health.service()))
            .serve_with_incoming(connections);
        Answering(tokio::spawn(async move {
            // Open connections break off with the task, and not with the process.
            let _closing = closed.drop_guard();
            if let Err(error) = server.await {
                tracing::warn!(error = %error, "health checks are no longer answered");
            }
        }))
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.abort();
    }
}
