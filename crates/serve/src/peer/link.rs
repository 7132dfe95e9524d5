//! The connection to a peer: plain, or over TLS and made anew when the certificates change.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use http::Uri;
use tonic::transport::{Channel, Endpoint};

use super::PeerError;
use crate::tls::{ClientTls, Connector};

/// How often a peer's connection is pinged, also while no call is in flight: a connection that a
/// network has silently dropped would otherwise stay dead for ever.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(3);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// The handshake is two more ways there and back, and work for both.
const SECURE_CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Where a peer is, and the channel that calls take now.
#[derive(Debug)]
pub(super) struct Link {
    endpoint: Endpoint,
    /// The host, for traces.
    host: Arc<str>,
    connector: Option<(Connector, ClientTls)>,
    /// With the number of the files that it was made with.
    channel: RwLock<(u64, Channel)>,
}

impl Link {
    /// Must be called within a tokio runtime.
    pub(super) fn new(uri: &str, tls: Option<ClientTls>) -> Result<Self, PeerError> {
        let address = || PeerError::Address {
            uri: uri.to_owned(),
        };
        let parsed: Uri = uri.parse().map_err(|_| address())?;
        if parsed.authority().is_none() {
            return Err(address());
        }
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
        let host = parsed.host().unwrap_or_default().into();
        let patience = match connector {
            Some(_) => SECURE_CONNECT_TIMEOUT,
            None => CONNECT_TIMEOUT,
        };
        let endpoint = Endpoint::from(parsed)
            .connect_timeout(patience)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .keep_alive_while_idle(true);
        let number = connector.as_ref().map_or(0, |(_, tls)| tls.number());
        let channel = connect(&endpoint, connector.as_ref());
        Ok(Self {
            endpoint,
            host,
            connector,
            channel: RwLock::new((number, channel)),
        })
    }

    /// The host of the peer's address.
    pub(super) fn host(&self) -> Arc<str> {
        Arc::clone(&self.host)
    }

    /// The channel for the next call: another one once the certificates have changed, for a server
    /// judges a connection by the certificate that it began with. The old one ends when its last call
    /// has.
    pub(super) fn channel(&self) -> Channel {
        let now = self.connector.as_ref().map_or(0, |(_, tls)| tls.number());
        {
            let channel = self.channel.read().unwrap_or_else(PoisonError::into_inner);
            if channel.0 == now {
                return channel.1.clone();
            }
        }
        let mut channel = self.channel.write().unwrap_or_else(PoisonError::into_inner);
        if channel.0 != now {
            *channel = (now, connect(&self.endpoint, self.connector.as_ref()));
        }
        channel.1.clone()
    }
}

fn connect(endpoint: &Endpoint, connector: Option<&(Connector, ClientTls)>) -> Channel {
    match connector {
        Some((connector, _)) => endpoint.connect_with_connector_lazy(connector.clone()),
        None => endpoint.connect_lazy(),
    }
}
