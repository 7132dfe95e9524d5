//! One connection, which ends although its client would go on: with the server's grace, and where the
//! client says nothing, reads nothing or proves nothing.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;

use super::{Patience, Place, Reader};
use crate::tls::ClientCertificate;

/// What every connection begins with: "PRI * HTTP/2.0" and so on (RFC 9113).
const PREFACE_BYTES: usize = 24;

/// What a connection is taken in with.
pub(super) struct Terms {
    pub address: IpAddr,
    pub patience: Patience,
    pub closed: CancellationToken,
    pub place: Place,
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
    proven: Arc<AtomicBool>,
    since: Instant,
    patience: Patience,
    tick: Duration,
    look: Pin<Box<Sleep>>,
    _place: Place,
}

impl Connection {
    pub(super) fn new(
        stream: Either<TcpStream, Box<TlsStream<TcpStream>>>,
        certificate: Option<Arc<ClientCertificate>>,
        terms: Terms,
    ) -> Self {
        let patience = terms.patience;
        let reader = Reader::new(patience.unread);
        let unproven = patience.unproven.unwrap_or(Duration::MAX);
        let tick = reader.tick().min(unproven / 8);
        let tick = tick.max(Duration::from_millis(1));
        let shown = certificate.as_ref();
        let is_service = shown.is_some_and(|shown| shown.service().is_some());
        Self {
            stream,
            certificate,
            address: terms.address,
            closed: Box::pin(terms.closed.cancelled_owned()),
            silence: Some(Silence::of(patience.handshake)),
            stuck: None,
            proven: Arc::new(AtomicBool::new(is_service)),
            since: Instant::now(),
            patience,
            tick,
            look: Box::pin(tokio::time::sleep(tick)),
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
            if self.reader.is_late() || self.is_stuck(now) || self.is_unknown(now) {
                return Poll::Ready(io::ErrorKind::TimedOut.into());
            }
            self.look.as_mut().reset(now + self.tick);
        }
        if self.look.as_mut().poll(cx).is_ready() {
            // It has passed just now: the next turn looks.
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    fn is_stuck(&self, now: Instant) -> bool {
        self.stuck
            .is_some_and(|since| now.duration_since(since) > self.patience.unread)
    }

    /// Whether nobody has proven who they are although there was time to.
    fn is_unknown(&self, now: Instant) -> bool {
        let unproven = self.patience.unproven;
        unproven.is_some_and(|max| now.duration_since(self.since) > max) && !self.is_proven()
    }

    /// Whether a service of the suite, or somebody who has called, is known to be at the other end.
    pub(super) fn is_proven(&self) -> bool {
        self.proven.load(Ordering::Relaxed)
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
    proven: Arc<AtomicBool>,
}

impl ConnectionInfo {
    /// Somebody who calls over it has proven who they are.
    pub(crate) fn prove(&self) {
        self.proven.store(true, Ordering::Relaxed);
    }
}

impl Connected for Connection {
    type ConnectInfo = ConnectionInfo;

    fn connect_info(&self) -> ConnectionInfo {
        ConnectionInfo {
            certificate: self.certificate.clone(),
            address: self.address,
            reader: Arc::clone(&self.reader),
            proven: Arc::clone(&self.proven),
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
