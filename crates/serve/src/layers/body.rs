//! Bodies that a layer watches or rewrites: those of requests, and of answers that are server streams.
//!
//! Unary answers are never wrapped: their outcome stands in the head, and a wrapper costs an
//! allocation.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;

use crate::load::{Aside, Handle, Place};

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

/// A request's body. While it has not come, its call holds no place: else a few that never send theirs
/// would take all.
pub(super) struct Arriving {
    inner: Body,
    place: Handle,
    aside: Option<Aside>,
}

impl Arriving {
    pub(super) fn of(inner: Body, place: Handle) -> Body {
        Body::new(Self {
            inner,
            place,
            aside: None,
        })
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

/// A stream that has a place for as long as it is open.
pub(super) struct Holding {
    inner: Body,
    _place: Place,
}

impl Holding {
    pub(super) fn of(inner: Body, place: Place) -> Body {
        Body::new(Self {
            inner,
            _place: place,
        })
    }
}

impl http_body::Body for Holding {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.get_mut().inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
