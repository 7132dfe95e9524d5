//! Connections for gRPC channels, with a TLS handshake by the files of that moment.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower::Service;

use super::{ALPN, ClientTls};

/// Why nothing can be connected to an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an https:// address with a host")]
pub struct ConnectorError(String);

/// Connects in the clear to one address of a host.
#[derive(Clone, Debug)]
pub(crate) struct Plain {
    tcp: HttpConnector,
    at: Option<Uri>,
}

impl Plain {
    pub(crate) fn to(address: SocketAddr) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        Self {
            tcp,
            at: uri_of(address),
        }
    }
}

impl Service<Uri> for Plain {
    type Response = TokioIo<TcpStream>;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.tcp.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connected = self.tcp.call(self.at.clone().unwrap_or(uri));
        Box::pin(async move { Ok(connected.await?) })
    }
}

/// An address as the connector of the library takes it.
fn uri_of(address: SocketAddr) -> Option<Uri> {
    format!("http://{address}").parse().ok()
}

/// Connects to one https:// address. A channel takes it instead of its own connector:
/// `endpoint.connect_with_connector(connector)`.
///
/// The certificate must be for the host of the address.
#[derive(Clone, Debug)]
pub struct Connector {
    tcp: HttpConnector,
    tls: ClientTls,
    host: ServerName<'static>,
    /// Where to connect, if not to the host's own address.
    at: Option<Uri>,
}

impl Connector {
    /// A connector to the host of this address.
    pub fn new(uri: &Uri, tls: ClientTls) -> Result<Self, ConnectorError> {
        let wrong = || ConnectorError(uri.to_string());
        let host = uri.host().filter(|_| uri.scheme_str() == Some("https"));
        let host = host.ok_or_else(wrong)?;
        // IPv6 addresses stand in brackets in URLs.
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let host = ServerName::try_from(bare.to_owned()).map_err(|_| wrong())?;
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        Ok(Self {
            tcp,
            tls,
            host,
            at: None,
        })
    }

    /// The same to this address of the host.
    pub(crate) fn to(mut self, address: SocketAddr) -> Self {
        self.at = uri_of(address);
        self
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.tcp.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connected = self.tcp.call(self.at.clone().unwrap_or(uri));
        let (tls, host) = (self.tls.clone(), self.host.clone());
        Box::pin(async move {
            let tcp = connected.await?.into_inner();
            let stream = TlsConnector::from(tls.config()).connect(host, tcp).await?;
            if stream.get_ref().1.alpn_protocol() != Some(ALPN) {
                let problem = "the server speaks TLS, but not HTTP/2 inside of it";
                return Err(io::Error::new(io::ErrorKind::InvalidData, problem).into());
            }
            Ok(TokioIo::new(stream))
        })
    }
}
