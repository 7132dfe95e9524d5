//! Bodies that a layer watches or rewrites: those of requests and of answers.
//!
//! Unary answers are wrapped once: their outcome stands in the head, and each wrapper costs an
//! allocation.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as _, Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;

use crate::connections::Reader;
use crate::load::{Aside, Handle, Place, Taken};

/// A body whose trailers pass through a function.
pub(super) struct Trailers<F> {
    inner: Body,
    each: F,
}

impl<F> Trailers<F>
where
    F: FnMut(&mut HeaderMap) + Send + Unpin + 'static,
{
    /// Wraps `inner`; `each` sees its trailers, and may change them.
    pub(super) fn of(inner: Body, each: F) -> Body {
        Body::new(Self { inner, each })
    }
}

impl<F> http_body::Body for Trailers<F>
where
    F: FnMut(&mut HeaderMap) + Send + Unpin,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        let mut frame = ready!(Pin::new(&mut this.inner).poll_frame(cx));
        if let Some(Ok(frame)) = &mut frame
            && let Some(trailers) = frame.trailers_mut()
        {
            (this.each)(trailers);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The last frame of a stream that ends with `status`.
pub(super) fn trailers_of(status: &Status) -> Frame<Bytes> {
    let mut trailers = HeaderMap::new();
    if status.add_header(&mut trailers).is_err() {
        // A status that does not fit into headers still ends the stream with its code.
        let bare = Status::new(status.code(), "");
        let _ = bare.add_header(&mut trailers);
    }
    Frame::trailers(trailers)
}

/// A request's body. While it has not come, its call holds no place, else a few that never send theirs
/// would take all; and what has come of it is counted.
pub(super) struct Arriving {
    inner: Body,
    place: Handle,
    address: Option<IpAddr>,
    aside: Option<Aside>,
    bytes: usize,
    taken: Option<Taken>,
}

impl Arriving {
    /// The body that comes from `address`; `None` for a call that came over no connection.
    pub(super) fn of(inner: Body, place: Handle, address: Option<IpAddr>) -> Body {
        Body::new(Self {
            inner,
            place,
            address,
            aside: None,
            bytes: 0,
            taken: None,
        })
    }

    fn count(&mut self, bytes: usize) -> Result<(), Status> {
        let before = self.bytes;
        self.bytes += bytes;
        self.place
            .body(&mut self.taken, self.address, before, bytes)
    }
}

impl http_body::Body for Arriving {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) {
            this.aside = None;
            if let Some(Ok(frame)) = &frame
                && let Some(piece) = frame.data_ref()
                && let Err(refused) = this.count(piece.len())
            {
                return Poll::Ready(Some(Err(refused)));
            }
            return Poll::Ready(frame);
        }
        if this.aside.is_none() {
            let Some(aside) = this.place.step_aside() else {
                return Poll::Ready(Some(Err(this.place.refuse())));
            };
            this.aside = Some(aside);
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// What an answer needs until its client has it.
pub(super) struct Answering {
    /// The call's place, where it needs one.
    pub place: Option<Place>,
    /// Who reads it; `None` for a call that came over no connection.
    pub reader: Option<Arc<Reader>>,
    /// Whether the call may still be refused.
    pub is_read_only: bool,
}

impl Answering {
    /// The body of a unary answer, which is encoded here, while the call still has its place: so one
    /// for which there is no memory is refused and not broken off.
    pub(super) fn unary(&self, mut body: Body, cx: &mut Context<'_>) -> Result<Body, Status> {
        let first = match Pin::new(&mut body).poll_frame(cx) {
            Poll::Ready(Some(frame)) => self.sent(frame?)?,
            Poll::Ready(None) => return Ok(Body::empty()),
            Poll::Pending => return Ok(body),
        };
        Ok(Body::new(Begun {
            first: Some(first),
            rest: body,
        }))
    }

    /// The body of a stream, which has its place for as long as it is open.
    pub(super) fn stream(self, inner: Body) -> Body {
        Body::new(Holding {
            inner: Some(inner),
            answering: self,
        })
    }

    /// A frame with a slip on it, by which is known that it was sent.
    fn sent(&self, frame: Frame<Bytes>) -> Result<Frame<Bytes>, Status> {
        let Some(reader) = &self.reader else {
            return Ok(frame);
        };
        let piece = match frame.into_data() {
            Ok(piece) => piece,
            Err(trailers) => return Ok(trailers),
        };
        let taken = match &self.place {
            Some(place) => {
                let (bytes, unread) = (piece.len(), reader.unread());
                place.handle().answer(bytes, unread, self.is_read_only)?
            }
            None => None,
        };
        Ok(Frame::data(reader.sent(piece, taken)))
    }
}

/// A unary answer whose first frame has been made.
struct Begun {
    first: Option<Frame<Bytes>>,
    rest: Body,
}

impl http_body::Body for Begun {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        match this.first.take() {
            Some(first) => Poll::Ready(Some(Ok(first))),
            None => Pin::new(&mut this.rest).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.rest.is_end_stream()
    }
}

/// A stream that is open.
struct Holding {
    // Dropped where there is no memory for what it says.
    inner: Option<Body>,
    answering: Answering,
}

impl http_body::Body for Holding {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        let Some(inner) = &mut this.inner else {
            return Poll::Ready(None);
        };
        let Some(frame) = ready!(Pin::new(inner).poll_frame(cx)) else {
            return Poll::Ready(None);
        };
        Poll::Ready(Some(match this.answering.sent(frame?) {
            Ok(frame) => Ok(frame),
            Err(status) => {
                this.inner = None;
                Ok(trailers_of(&status))
            }
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }
}
