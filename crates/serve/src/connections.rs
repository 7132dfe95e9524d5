//! Accepting connections: their TLS handshakes, and how many there may be, in all and of each address.
//!
//! Invariant: no connection holds up another. Handshakes run beside each other, each within its time,
//! and whoever connects and then says nothing, reads nothing, or proves nothing, is closed.

mod connection;
mod reader;
mod sources;

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, JoinSet};
use tokio_util::either::Either;
use tokio_util::sync::CancellationToken;

use crate::complaint::Complaint;
use crate::config::Limits;
use crate::tls::ServerTls;

pub(crate) use connection::{Connection, ConnectionInfo};
pub(crate) use reader::Reader;

use connection::Terms;
use sources::{Source, Sources};

/// How long accepting pauses after an error that concerns the process and not one connection, such
/// as running out of file descriptors: at once it would only fail again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The part of the places that is kept for services of the suite, where they are known by certificates.
const PEERS: usize = 8;

/// The connections of `listener`, each of which breaks off when `closed` is cancelled. Where callers are
/// `asked` who they are, a connection must have had a proven call by some time.
pub(crate) fn accept(
    listener: TcpListener,
    tls: Option<ServerTls>,
    limits: &Limits,
    asked: bool,
    closed: CancellationToken,
) -> impl Stream<Item = io::Result<Connection>> + use<> {
    let door = Door {
        listener,
        closed,
        places: Arc::new(Semaphore::new(limits.connections_max)),
        of_peers: match &tls {
            Some(tls) if tls.knows_services() => limits.connections_max / PEERS,
            _ => 0,
        },
        sources: Sources::new(limits.connections_per_address_max),
        patience: Patience {
            handshake: Duration::from_millis(limits.handshake_timeout_ms),
            unread: Duration::from_millis(limits.unread_timeout_ms),
            unproven: asked.then(|| Duration::from_millis(limits.unproven_timeout_ms)),
        },
        tls,
        handshakes: JoinSet::new(),
        full: Complaint::default(),
        crowd: Complaint::default(),
        failed: Complaint::default(),
    };
    futures::stream::unfold(door, |mut door| async move {
        let connection = door.next().await;
        Some((connection, door))
    })
}

/// How long a server waits for the client of a connection.
#[derive(Clone, Copy)]
struct Patience {
    /// For the handshake, and then for the beginning of HTTP/2.
    handshake: Duration,
    /// For the client to read what it was sent.
    unread: Duration,
    /// For a first call of somebody who has proven who they are; `None` where nobody is asked.
    unproven: Option<Duration>,
}

/// A place for a connection. Dropping it gives it to the next.
struct Place {
    _source: Source,
    _permit: OwnedSemaphorePermit,
}

/// Where connections come in. Dropping it ends the handshakes that are going on.
struct Door {
    listener: TcpListener,
    tls: Option<ServerTls>,
    closed: CancellationToken,
    places: Arc<Semaphore>,
    /// How many of them are for services alone.
    of_peers: usize,
    sources: Sources,
    patience: Patience,
    handshakes: JoinSet<io::Result<Connection>>,
    full: Complaint,
    crowd: Complaint,
    failed: Complaint,
}

impl Door {
    /// The next connection that is ready to speak HTTP/2.
    async fn next(&mut self) -> io::Result<Connection> {
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, address)) => {
                        if let Some(connection) = self.enter(stream, address.ip().to_canonical()) {
                            return connection;
                        }
                    }
                    Err(error) if concerns_one_connection(&error) => {}
                    Err(error) => {
                        tracing::warn!(error = %error, "connections can't be accepted for now");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(ended) = self.handshakes.join_next() => {
                    if let Some(connection) = self.greeted(ended) {
                        return Ok(connection);
                    }
                }
            }
        }
    }

    /// Takes a connection in; `None` where it is full, or while its handshake goes on.
    fn enter(&mut self, stream: TcpStream, address: IpAddr) -> Option<io::Result<Connection>> {
        let Some(source) = self.sources.enter(address) else {
            if let Some(hidden) = self.crowd.due() {
                tracing::warn!(
                    hidden,
                    %address,
                    "there are too many connections from one address; its new ones are closed"
                );
            }
            return None;
        };
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            self.complain();
            return None;
        };
        // An answer is one small packet: waiting to fill a bigger one would only delay it.
        if let Err(error) = stream.set_nodelay(true) {
            return Some(Err(error));
        }
        let terms = Terms {
            address: sources::network(address),
            patience: self.patience,
            closed: self.closed.clone(),
            place: Place {
                _source: source,
                _permit: place,
            },
        };
        let Some(tls) = self.tls.clone() else {
            return Some(Ok(Connection::new(Either::Left(stream), None, terms)));
        };
        self.handshakes.spawn(async move {
            let greeting = tls.accept(stream);
            let greeted = tokio::time::timeout(terms.patience.handshake, greeting).await;
            let greeted = greeted.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
            let (stream, shown) = (Either::Right(greeted.stream), greeted.certificate);
            Ok(Connection::new(stream, shown, terms))
        });
        None
    }

    fn complain(&mut self) {
        if let Some(hidden) = self.full.due() {
            tracing::warn!(
                hidden,
                "there are too many connections; new ones are closed"
            );
        }
    }

    /// Whether what is left of the places is for services of the suite alone.
    fn is_nearly_full(&self) -> bool {
        self.places.available_permits() < self.of_peers
    }

    /// The connection after its handshake, if that has come to a good end.
    fn greeted(&mut self, ended: Result<io::Result<Connection>, JoinError>) -> Option<Connection> {
        let error = match ended {
            Ok(Ok(connection)) if connection.is_proven() || !self.is_nearly_full() => {
                return Some(connection);
            }
            Ok(Ok(_)) => {
                self.complain();
                return None;
            }
            Ok(Err(error)) => error,
            Err(error) => io::Error::other(error),
        };
        // Whoever scans ports could fill the log.
        if let Some(hidden) = self.failed.due() {
            tracing::info!(hidden, error = %error, "a TLS handshake failed");
        }
        None
    }
}

fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
    )
}
