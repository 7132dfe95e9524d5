//! Where key sets come from: a file, or an HTTP server, asked with as little of a client as will do.
//!
//! Redirects are not followed and proxies not used: the address that was configured is the one that
//! is trusted.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::keys::KEY_SET_BYTES_MAX;

/// How long one attempt may take, from the name lookup to the last byte.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Where the issuer's key set is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A file.
    File(PathBuf),
    /// An `https://` address, or an `http://` one on this machine.
    Url(Uri),
}

/// Why an address can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySourceError {
    /// Not an address.
    #[error("it is not a URL with a host")]
    Url,
    /// A password in an address ends up in logs.
    #[error("it may have no user or password")]
    UserInfo,
    /// Whoever sits on the way could give keys of their own.
    #[error("keys come over https:// only, or over http:// from this very machine")]
    Plain,
}

impl FromStr for KeySource {
    type Err = KeySourceError;

    /// An address if it has `://`, else the path of a file.
    fn from_str(text: &str) -> Result<Self, KeySourceError> {
        if !text.contains("://") {
            return Ok(Self::File(text.into()));
        }
        let uri: Uri = text.parse().map_err(|_| KeySourceError::Url)?;
        let host = uri.host().ok_or(KeySourceError::Url)?;
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        if authority.contains('@') {
            return Err(KeySourceError::UserInfo);
        }
        match uri.scheme_str() {
            Some("https") => Ok(Self::Url(uri)),
            Some("http") if is_this_machine(host) => Ok(Self::Url(uri)),
            Some("http") => Err(KeySourceError::Plain),
            _ => Err(KeySourceError::Url),
        }
    }
}

/// Without the query of an address, which may have a secret.
impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Url(uri) => {
                let scheme = uri.scheme_str().unwrap_or_default();
                let authority = uri.authority().map_or("", |authority| authority.as_str());
                write!(f, "{scheme}://{authority}{}", uri.path())
            }
        }
    }
}

/// Why a key set could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The file, the network or the TLS handshake failed.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The server did not speak HTTP as it should.
    #[error("{0}")]
    Http(#[from] hyper::Error),
    /// The server answered something else than 200.
    #[error("the answer was {0}")]
    Status(StatusCode),
    /// The answer broke off or was too long.
    #[error("the answer could not be read: {0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
    /// Nothing came in time.
    #[error("no answer within {} s", TIMEOUT.as_secs())]
    Late,
    /// TLS can't be set up here.
    #[error("TLS: {0}")]
    Tls(String),
}

impl KeySource {
    /// The text of the key set as it is now.
    pub(crate) async fn fetch(&self) -> Result<Bytes, FetchError> {
        match self {
            Self::File(path) => Ok(tokio::fs::read(path).await?.into()),
            Self::Url(uri) => tokio::time::timeout(TIMEOUT, get(uri))
                .await
                .unwrap_or(Err(FetchError::Late)),
        }
    }
}

fn is_this_machine(host: &str) -> bool {
    let bare = bare(host);
    bare == "localhost"
        || bare
            .parse()
            .is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

/// A host without the brackets that IPv6 addresses have in URLs.
fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

async fn get(uri: &Uri) -> Result<Bytes, FetchError> {
    let host = bare(uri.host().unwrap_or_default());
    let secure = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let stream = TcpStream::connect((host, port)).await?;
    if !secure {
        return ask(stream, uri).await;
    }
    let name = ServerName::try_from(host.to_owned())
        .map_err(|error| FetchError::Tls(error.to_string()))?;
    let config = TLS.clone().map_err(FetchError::Tls)?;
    ask(TlsConnector::from(config).connect(name, stream).await?, uri).await
}

/// One HTTP/1.1 request over a connection of its own.
async fn ask<S>(stream: S, uri: &Uri) -> Result<Bytes, FetchError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let mut request = Request::new(Empty::<Bytes>::new());
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = Uri::try_from(path).unwrap_or_default();
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let host = HeaderValue::from_str(authority).unwrap_or(HeaderValue::from_static(""));
    let headers = request.headers_mut();
    headers.insert(header::HOST, host);
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    let answer = sender.send_request(request).await;
    let read = async {
        let answer = answer?;
        if answer.status() != StatusCode::OK {
            return Err(FetchError::Status(answer.status()));
        }
        let body = Limited::new(answer.into_body(), KEY_SET_BYTES_MAX);
        let collected = body.collect().await.map_err(FetchError::Body)?;
        Ok(collected.to_bytes())
    };
    let read = read.await;
    connection.abort();
    read
}

/// TLS with the certificates that the system trusts (`SSL_CERT_FILE` names others).
static TLS: LazyLock<Result<Arc<ClientConfig>, String>> = LazyLock::new(|| {
    let roots = crate::tls::system_roots()?;
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_a_file_or_an_address_that_can_be_trusted() {
        for (text, plain) in [
            ("https://issuer.example/keys", false),
            ("http://127.0.0.1:9/keys", false),
            ("http://[::1]/keys", false),
            ("http://localhost/keys", false),
            ("http://issuer.example/keys", true),
            ("http://127.0.0.1.issuer.example/keys", true),
        ] {
            let read = text.parse::<KeySource>();
            if plain {
                assert_eq!(read, Err(KeySourceError::Plain), "{text}");
            } else {
                assert!(matches!(read, Ok(KeySource::Url(_))), "{text}");
            }
        }
        for text in ["ftp://issuer.example/keys", "file:///etc/keys", "https://"] {
            assert_eq!(
                text.parse::<KeySource>(),
                Err(KeySourceError::Url),
                "{text}"
            );
        }
        for text in [
            "http://localhost@issuer.example/keys",
            "https://ada:secret@issuer.example/keys",
        ] {
            assert_eq!(text.parse::<KeySource>(), Err(KeySourceError::UserInfo));
        }
        let source = "https://issuer.example:8443/keys?token=secret".parse::<KeySource>();
        let told = source.expect("an address").to_string();
        assert_eq!(told, "https://issuer.example:8443/keys");
        let file = "./data/keys/jwks.json".parse::<KeySource>();
        assert_eq!(file, Ok(KeySource::File("./data/keys/jwks.json".into())));
    }
}
