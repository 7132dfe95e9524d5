//! TLS of servers and of the calls that services and people make: rustls on aws-lc, TLS 1.2 and 1.3.
//!
//! Everything comes from PEM files, which are read again as they change (`reload.rs`): a server takes
//! the new certificate with its next connection, a peer channel makes a new connection for the next
//! call, and what is open goes on. [`ServerTls`] is a server's side, [`ClientTls`] a caller's.
//!
//! Sessions are never resumed: a resumed one would go on with the client certificate of back then,
//! and connections here live for hours.
//!
//! Invariant: no key and no certificate of a caller is ever logged.

mod client;
mod connector;
mod own;
mod pem;
mod reload;
mod server;
mod services;

use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;
use types::Clock;

pub use client::{ClientFiles, ClientTls};
pub(crate) use connector::Plain;
pub use connector::{Connector, ConnectorError};
pub use server::{ClientCertificates, ServerFiles, ServerTls};
pub use services::{ServiceName, ServiceNameError, ServiceNames, ServiceNamesError};

pub(crate) use client::system_roots;
pub(crate) use server::ClientCertificate;

/// The one protocol that is spoken inside of TLS.
const ALPN: &[u8] = b"h2";

/// What a file is for, so that a fault can name its setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The certificate that is shown, with its chain.
    Certificate,
    /// The private key of that certificate.
    Key,
    /// The authorities whose certificates are taken.
    Authority,
}

/// Why TLS can't be set up from its files.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct TlsError {
    /// What the file is for.
    pub part: Part,
    /// The file.
    pub path: PathBuf,
    problem: String,
}

impl TlsError {
    fn new(part: Part, path: impl Into<PathBuf>, problem: impl Into<String>) -> Self {
        Self {
            part,
            path: path.into(),
            problem: problem.into(),
        }
    }
}

/// Makes aws-lc the cryptography of every library of this process that uses rustls and is not told
/// which one to take. The binary calls it before anything else.
pub fn install_provider() {
    // Only the first of a process counts, and it can only be this one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// The suite's clock, as rustls asks for the time.
#[derive(Debug)]
struct Time(Clock);

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        Some(unix_time(&self.0))
    }
}

fn unix_time(clock: &Clock) -> UnixTime {
    let seconds = clock.now().0.div_euclid(1_000_000);
    UnixTime::since_unix_epoch(std::time::Duration::from_secs(
        u64::try_from(seconds).unwrap_or_default(),
    ))
}

#[cfg(test)]
mod tests;
