//! Accepting connections: their TLS handshakes, how many there may be, and closing those that outlive
//! the grace.
//!
//! Invariant: no connection holds up another. Handshakes run beside each other, each within its time,
//! and whoever connects and then says nothing, or reads nothing, is closed.

mod reader;

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, Sleep};
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;

use crate::complaint::Complaint;
use crate::config::Limits;
use crate::tls::{ClientCertificate, ServerTls};

pub(crate) use reader::Reader;

/// How long accepting pauses after an error that concerns the process and not one connection, such
/// as running out of file descriptors: at once it would only fail again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What every connection begins with: "PRI * HTTP/2.0" and so on (RFC 9113).
const PREFACE_BYTES: usize = 24;

/// The connections of `listener`, each of which breaks off when `closed` is cancelled.
pub(crate) fn accept(
    listener: TcpListener,
    tls: Option<ServerTls>,
    limits: &Limits,
    closed: CancellationToken,
) -> impl Stream<Item = io::Result<Connection>> + use<> {
    let door = Door {
        listener,
        tls,
        closed,
        places: Arc::new(Semaphore::new(limits.connections_max)),
        patience: Patience {
            handshake: Duration::from_millis(limits.handshake_timeout_ms),
            unread: Duration::from_millis(limits.unread_timeout_ms),
        },
        handshakes: JoinSet::new(),
        full: Complaint::default(),
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
}

/// What a connection is taken in with.
struct Terms {
    address: IpAddr,
    patience: Patience,
    closed: CancellationToken,
    place: OwnedSemaphorePermit,
}

/// Where connections come in. Dropping it ends the handshakes that are going on.
struct Door {
    listener: TcpListener,
    tls: Option<ServerTls>,
    closed: CancellationToken,
    places: Arc<Semaphore>,
    patience: Patience,
    handshakes: JoinSet<io::Result<Connection>>,
    full: Complaint,
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
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            if let Some(hidden) = self.full.due() {
                tracing::warn!(
                    hidden,
                    "there are too many connections; new ones are closed"
                );
            }
            return None;
        };
        // An answer is one small packet: waiting to fill a bigger one would only delay it.
        if let Err(error) = stream.set_nodelay(true) {
            return Some(Err(error));
        }
        let terms = Terms {
            address,
            patience: self.patience,
            closed: self.closed.clone(),
            place,
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

    /// The connection after its handshake, if that has come to a good end.
    fn greeted(&mut self, ended: Result<io::Result<Connection>, JoinError>) -> Option<Connection> {
        let error = match ended {
            Ok(Ok(connection)) => return Some(connection),
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

/// A connection that the server can break off.
pub(crate) struct Connection {
    stream: Either<TcpStream, Box<TlsStream<TcpStream>>>,
    certificate: Option<Arc<ClientCertificate>>,
    address: IpAddr,
    closed: Pin<Box<WaitForCancellationFutureOwned>>,
    silence: Option<Silence>,
    reader: Arc<Reader>,
    /// Since when the client's side takes nothing at all.
    stuck: Option<Instant>,
    unread_max: Duration,
    look: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    fn new(
        stream: Either<TcpStream, Box<TlsStream<TcpStream>>>,
        certificate: Option<Arc<ClientCertificate>>,
        terms: Terms,
    ) -> Self {
        let patience = terms.patience;
        let reader = Reader::new(patience.unread);
        Self {
            stream,
            certificate,
            address: terms.address,
            closed: Box::pin(terms.closed.cancelled_owned()),
            silence: Some(Silence::of(patience.handshake)),
            stuck: None,
            unread_max: patience.unread,
            look: Box::pin(tokio::time::sleep(reader.tick())),
            reader,
            _place: terms.place,
        }
    }

    /// Whether it must end although its client would go on. Asked whenever it has to wait for the
    /// client, be it to read or to write: HTTP/2 does only the one while it can't do the other.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        if let Some(silence) = &mut self.silence
            && silence.over.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(io::ErrorKind::TimedOut.into());
        }
        if self.closed.as_mut().poll(cx).is_ready() {
            return Poll::Ready(io::ErrorKind::ConnectionAborted.into());
        }
        let now = Instant::now();
        // By the clock and not by the timer, which does not fire within a task that is always busy.
        if now >= self.look.deadline() {
            if self.reader.is_late() || self.is_stuck(now) {
                return Poll::Ready(io::ErrorKind::TimedOut.into());
            }
            self.look.as_mut().reset(now + self.reader.tick());
        }
        if self.look.as_mut().poll(cx).is_ready() {
            // It has passed just now: the next turn looks.
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    fn is_stuck(&self, now: Instant) -> bool {
        self.stuck
            .is_some_and(|since| now.duration_since(since) > self.unread_max)
    }

    /// What came of writing.
    fn wrote<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stuck = None;
            return written;
        }
        self.stuck.get_or_insert_with(Instant::now);
        self.poll_end(cx).map(Err)
    }
}

/// The time until the client has sent the beginning of HTTP/2; after that, pings tell whether
/// somebody is there.
struct Silence {
    missing: usize,
    over: Pin<Box<Sleep>>,
}

impl Silence {
    fn of(patience: Duration) -> Self {
        Self {
            missing: PREFACE_BYTES,
            over: Box::pin(tokio::time::sleep(patience)),
        }
    }
}

/// What a call knows about its connection: an extension of its request.
#[derive(Clone)]
pub(crate) struct ConnectionInfo {
    /// What the client has shown and proven in the handshake, if it has.
    pub certificate: Option<Arc<ClientCertificate>>,
    /// The client's address.
    pub address: IpAddr,
    /// Who reads the answers.
    pub reader: Arc<Reader>,
}

impl Connected for Connection {
    type ConnectInfo = ConnectionInfo;

    fn connect_info(&self) -> ConnectionInfo {
        ConnectionInfo {
            certificate: self.certificate.clone(),
            address: self.address,
            reader: Arc::clone(&self.reader),
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        if let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(cx, buf) {
            let count = buf.filled().len() - before;
            if let Some(silence) = &mut self.silence {
                silence.missing = silence.missing.saturating_sub(count);
                if silence.missing == 0 {
                    self.silence = None;
                }
            }
            return Poll::Ready(read);
        }
        self.poll_end(cx).map(Err)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.wrote(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.wrote(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.wrote(flushed, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.wrote(shut, cx)
    }
}
