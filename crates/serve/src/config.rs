//! What can be set about a server, with its defaults.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::Deserialize;

use crate::layers::Deadlines;
use crate::streams::ROTATION;

/// The settings of one server.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The address to listen on; port 0 takes a free one. Default: `127.0.0.1:50051`.
    pub listen: SocketAddr,
    /// An address that answers health checks in the clear, and nothing else. Default: none.
    pub health_listen: Option<SocketAddr>,
    /// Whether the server describes its services to clients (`grpc.reflection`). Default: true.
    pub reflection: bool,
    /// How long the server goes on as before after readiness is off, so that load balancers notice
    /// before connections are refused. Default: 0.
    pub lame_duck_ms: u64,
    /// How long calls in flight get to finish at shutdown. Default: 10,000.
    pub grace_ms: u64,
    /// The time of a unary call that asks for none. Default: 5,000.
    pub deadline_default_ms: u64,
    /// The most time a unary call gets. Default: 30,000.
    pub deadline_max_ms: u64,
    /// The mean age at which endless streams are ended, give or take a fifth. Default: 1,800,000,
    /// which is half an hour.
    pub rotation_ms: u64,
    /// Limits of the protocol.
    pub limits: Limits,
    /// How much each service does at once.
    pub concurrency: Concurrency,
}

impl Default for Config {
    fn default() -> Self {
        let deadlines = Deadlines::default();
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 50051)),
            health_listen: None,
            reflection: true,
            lame_duck_ms: 0,
            grace_ms: 10_000,
            deadline_default_ms: millis(deadlines.default),
            deadline_max_ms: millis(deadlines.max),
            rotation_ms: millis(ROTATION),
            limits: Limits::default(),
            concurrency: Concurrency::default(),
        }
    }
}

impl Config {
    /// The default settings on loopback with a free port: what tests want.
    #[must_use]
    pub fn on_free_port() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            ..Self::default()
        }
    }

    pub(crate) fn deadlines(&self) -> Deadlines {
        Deadlines {
            default: Duration::from_millis(self.deadline_default_ms),
            max: Duration::from_millis(self.deadline_max_ms),
        }
    }
}

/// Limits of connections and of HTTP/2, each set explicitly: tonic passes "none" through, and with it
/// removes the limits that the libraries below it would have.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Connections at once, those in their handshake included; further ones are closed as they come.
    /// Default: 4,096.
    pub connections_max: usize,
    /// Connections of one address at once; an IPv6 network of 64 bits counts as one. 0 is no limit.
    /// Default: 1,024.
    pub connections_per_address_max: usize,
    /// The mean age at which a connection is told to end, give or take a fifth: new replicas get load,
    /// and whoever connects and never calls gives the place back. Calls in flight finish, streams go on
    /// until their own rotation. Default: 450,000, which is seven and a half minutes.
    pub connection_age_ms: u64,
    /// How long a connection may take for its TLS handshake, and then for the beginning of HTTP/2.
    /// Default: 10,000.
    pub handshake_timeout_ms: u64,
    /// Calls at once on one connection. Default: 256.
    pub streams_per_connection_max: u32,
    /// The size of a call's headers. Default: 16,384.
    pub header_list_bytes_max: u32,
    /// The size of one frame (16,384 to 16,777,215). Default: 16,384.
    pub frame_bytes_max: u32,
    /// What one call may send before the server has taken it in. Default: 262,144.
    pub stream_window_bytes: u32,
    /// What one connection may send before the server has taken it in. Default: 1,048,576.
    pub connection_window_bytes: u32,
    /// Calls that a client has reset and the server not yet let go of, before the connection is
    /// closed (the "rapid reset" attack). Default: 20.
    pub pending_reset_streams_max: usize,
    /// Streams that the server has reset for a client's errors, before the connection is closed.
    /// Default: 1,024.
    pub error_reset_streams_max: usize,
    /// How often an idle connection is pinged. Default: 30,000.
    pub keepalive_interval_ms: u64,
    /// How long a ping may stay unanswered. Default: 10,000.
    pub keepalive_timeout_ms: u64,
    /// How long a client may leave unread what it is sent, beside a second for each 64 KiB of it, before
    /// its connection is closed. Default: 60,000.
    pub unread_timeout_ms: u64,
    /// How long a connection may be without a call of somebody who has proven who they are, where that
    /// is asked. Default: 30,000.
    pub unproven_timeout_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 4096,
            connections_per_address_max: 1024,
            connection_age_ms: 450_000,
            handshake_timeout_ms: 10_000,
            streams_per_connection_max: 256,
            header_list_bytes_max: 16 * 1024,
            frame_bytes_max: 16 * 1024,
            stream_window_bytes: 256 * 1024,
            connection_window_bytes: 1024 * 1024,
            pending_reset_streams_max: 20,
            error_reset_streams_max: 1024,
            keepalive_interval_ms: 30_000,
            keepalive_timeout_ms: 10_000,
            unread_timeout_ms: 60_000,
            unproven_timeout_ms: 30_000,
        }
    }
}

impl Limits {
    pub(crate) fn apply(&self, server: tonic::transport::Server) -> tonic::transport::Server {
        server
            .max_connection_age(self.connection_age())
            .max_concurrent_streams(self.streams_per_connection_max)
            .http2_max_header_list_size(self.header_list_bytes_max)
            .max_frame_size(self.frame_bytes_max)
            .initial_stream_window_size(self.stream_window_bytes)
            .initial_connection_window_size(self.connection_window_bytes)
            .http2_max_pending_accept_reset_streams(Some(self.pending_reset_streams_max))
            .http2_max_local_error_reset_streams(Some(self.error_reset_streams_max))
            .http2_keepalive_interval(Some(Duration::from_millis(self.keepalive_interval_ms)))
            .http2_keepalive_timeout(Some(Duration::from_millis(self.keepalive_timeout_ms)))
    }

    /// Replicas that were started together do not tell their clients to go at once.
    fn connection_age(&self) -> Duration {
        Duration::from_millis(self.connection_age_ms).mul_f64(rand::random_range(0.8..=1.2))
    }
}

/// How much each service of a server does at once. What comes beyond that waits in a short queue or is
/// refused with `OVERLOADED`, in the order of the methods' criticality.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Concurrency {
    /// Unary calls at once, of which lists and reports are at most half. Default: 256.
    pub calls_max: usize,
    /// Critical calls at once beside those, and critical streams. Default: 64.
    pub critical_max: usize,
    /// Calls that wait for their turn. Default: 128.
    pub queue_max: usize,
    /// How long a call waits for its turn. Default: 25.
    pub queue_wait_ms: u64,
    /// Server streams at once; one workspace has at most three quarters of them. Default: 1,024.
    pub streams_max: usize,
    /// Bytes of answers that clients have not read yet, beyond some 16 KiB of each connection; no workspace
    /// has more than three quarters. Default: 67,108,864, which is 64 MiB.
    pub answer_bytes_max: usize,
    /// Bytes of bodies that have not come to their end, beyond the first 16 KiB of each; no address has
    /// more than three quarters, and peers have a quarter beyond it. Default: 67,108,864, which is 64 MiB.
    pub body_bytes_max: usize,
}

impl Default for Concurrency {
    fn default() -> Self {
        Self {
            calls_max: 256,
            critical_max: 64,
            queue_max: 128,
            queue_wait_ms: 25,
            streams_max: 1024,
            answer_bytes_max: 64 * 1024 * 1024,
            body_bytes_max: 64 * 1024 * 1024,
        }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
