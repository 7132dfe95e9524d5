//! The connections to a peer: one to each of its replicas, plain or over TLS, and made anew when the
//! certificates change.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use http::Uri;
use tonic::transport::{Channel, Endpoint};

use super::PeerError;
use crate::tls::{ClientTls, Connector, Plain};

/// How often a peer's connection is pinged, also while no call is in flight: a connection that a
/// network has silently dropped would otherwise stay dead for ever.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(3);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// The handshake is two more ways there and back, and work for both.
const SECURE_CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Where a peer is, and the channels that calls take now.
#[derive(Debug)]
pub(super) struct Link {
    endpoint: Endpoint,
    /// The host that the peer was named by, for traces too.
    host: Arc<str>,
    port: u16,
    connector: Option<(Connector, ClientTls)>,
    routes: RwLock<Routes>,
    turn: AtomicUsize,
}

/// The channels to a peer.
#[derive(Debug)]
struct Routes {
    /// The number of the files that they were made with.
    number: u64,
    /// To whichever of the name's addresses answers: all there is until the replicas are known.
    by_name: Channel,
    /// To each replica that could be reached.
    by_address: Vec<(SocketAddr, Channel)>,
}

/// The channel of one call, and the replica that it leads to.
#[derive(Debug)]
pub(super) struct Route {
    pub channel: Channel,
    pub address: Option<SocketAddr>,
}

impl Link {
    /// Must be called within a tokio runtime.
    pub(super) fn new(uri: &str, tls: Option<ClientTls>) -> Result<Self, PeerError> {
        let address = || PeerError::Address {
            uri: uri.to_owned(),
        };
        let parsed: Uri = uri.parse().map_err(|_| address())?;
        let host = parsed.host().ok_or_else(address)?.into();
        let connector = match parsed.scheme_str() {
            Some("http") => None,
            Some("https") => {
                let unsecured = || PeerError::Unsecured {
                    uri: uri.to_owned(),
                };
                let tls = tls.ok_or_else(unsecured)?;
                let connector = Connector::new(&parsed, tls.clone()).map_err(|_| address())?;
                Some((connector, tls))
            }
            _ => return Err(address()),
        };
        let (patience, usual_port) = match connector {
            Some(_) => (SECURE_CONNECT_TIMEOUT, 443),
            None => (CONNECT_TIMEOUT, 80),
        };
        let port = parsed.port_u16().unwrap_or(usual_port);
        let endpoint = Endpoint::from(parsed)
            .connect_timeout(patience)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .keep_alive_while_idle(true);
        let routes = Routes {
            number: connector.as_ref().map_or(0, |(_, tls)| tls.number()),
            by_name: by_name(&endpoint, connector.as_ref()),
            by_address: Vec::new(),
        };
        Ok(Self {
            endpoint,
            host,
            port,
            connector,
            routes: RwLock::new(routes),
            turn: AtomicUsize::new(0),
        })
    }

    /// The host of the peer's address.
    pub(super) fn host(&self) -> Arc<str> {
        Arc::clone(&self.host)
    }

    /// The host and the port that the peer was named by.
    pub(super) fn place(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    /// The channel for the next call: the replicas take turns. Others are made once the certificates
    /// have changed, for a server judges a connection by the certificate that it began with; an old one
    /// ends when its last call has.
    pub(super) fn route(&self) -> Route {
        let now = self.connector.as_ref().map_or(0, |(_, tls)| tls.number());
        {
            let routes = self.routes();
            if routes.number == now {
                return self.next(&routes);
            }
        }
        let mut routes = self.routes_mut();
        if routes.number != now {
            routes.number = now;
            routes.by_name = by_name(&self.endpoint, self.connector.as_ref());
            for (address, channel) in &mut routes.by_address {
                *channel = self.lazy(*address);
            }
        }
        self.next(&routes)
    }

    fn next(&self, routes: &Routes) -> Route {
        if routes.by_address.is_empty() {
            return Route {
                channel: routes.by_name.clone(),
                address: None,
            };
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % routes.by_address.len();
        let (address, channel) = &routes.by_address[turn];
        Route {
            channel: channel.clone(),
            address: Some(*address),
        }
    }

    /// The name stands for these addresses now: those that have vanished get no more calls, and those
    /// that are new get some as soon as they can be reached. None at all changes nothing.
    pub(super) async fn follow(&self, found: &[SocketAddr]) {
        if found.is_empty() {
            return;
        }
        let is_there = |known: &SocketAddr| found.contains(known);
        self.routes_mut()
            .by_address
            .retain(|(known, _)| is_there(known));
        for address in found {
            let is_known = |(known, _): &(SocketAddr, Channel)| known == address;
            let number = {
                let routes = self.routes();
                if routes.by_address.iter().any(is_known) {
                    continue;
                }
                routes.number
            };
            // Connected first: where a name has addresses that nobody listens at, calls would fail
            // there in turn.
            let Some(channel) = self.connect(*address).await else {
                continue;
            };
            let mut routes = self.routes_mut();
            // Where the certificates have changed meanwhile, the next look connects with those.
            if routes.number == number {
                routes.by_address.push((*address, channel));
            }
        }
    }

    /// Calls to this replica fail: no more of them go there until it was looked up and reached again.
    pub(super) fn lose(&self, address: SocketAddr) {
        self.routes_mut()
            .by_address
            .retain(|(known, _)| *known != address);
    }

    async fn connect(&self, address: SocketAddr) -> Option<Channel> {
        let connected = if let Some((connector, _)) = &self.connector {
            let connector = connector.clone().to(address);
            self.endpoint.connect_with_connector(connector).await
        } else {
            let connector = Plain::to(address);
            self.endpoint.connect_with_connector(connector).await
        };
        connected.ok()
    }

    fn lazy(&self, address: SocketAddr) -> Channel {
        match &self.connector {
            Some((connector, _)) => {
                let connector = connector.clone().to(address);
                self.endpoint.connect_with_connector_lazy(connector)
            }
            None => self
                .endpoint
                .connect_with_connector_lazy(Plain::to(address)),
        }
    }

    fn routes(&self) -> RwLockReadGuard<'_, Routes> {
        self.routes.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn routes_mut(&self) -> RwLockWriteGuard<'_, Routes> {
        self.routes.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn by_name(endpoint: &Endpoint, connector: Option<&(Connector, ClientTls)>) -> Channel {
    match connector {
        Some((connector, _)) => endpoint.connect_with_connector_lazy(connector.clone()),
        None => endpoint.connect_lazy(),
    }
}
