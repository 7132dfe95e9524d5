//! Server streams end when their time is over: by rotation, and at shutdown.
//!
//! tonic's graceful shutdown waits for open streams for ever; a connection age with a grace cuts
//! them with UNKNOWN. Here each stream ends between two messages, with trailers that say UNAVAILABLE
//! and why; one that has not opened yet ends with that status alone.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use pin_project_lite::pin_project;
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use super::Calls;
use super::body::trailers_of;
use crate::rpcs::{Kind, Rpc};
use crate::streams::{ROTATION, Rotation, Shutdown};

/// Ends server streams.
#[derive(Clone, Debug)]
pub struct DrainLayer {
    // Shared, since tonic clones the whole stack for every call.
    parts: Arc<(Shutdown, Duration)>,
}

impl DrainLayer {
    /// The layer of a server with this shutdown, whose endless streams live about `rotation`.
    #[must_use]
    pub fn new(shutdown: Shutdown, rotation: Duration) -> Self {
        Self {
            parts: Arc::new((shutdown, rotation)),
        }
    }

    fn rotation_of(&self, rpc: &Arc<Rpc>) -> Option<Rotation> {
        let (shutdown, rotation) = &*self.parts;
        let rotation = match rpc.kind() {
            Kind::Unary => return None,
            Kind::Watch => Rotation::after(*rotation, shutdown.clone()),
            Kind::Finite => Rotation::at_close(shutdown.clone()),
        };
        Some(rotation.of(Arc::clone(rpc)))
    }
}

/// When this stream must end. A request that did not come through the stack gets a rotation of its
/// own, which no shutdown reaches.
pub fn rotation<T>(request: &tonic::Request<T>) -> Rotation {
    request
        .extensions()
        .get::<Rotation>()
        .cloned()
        .unwrap_or_else(|| Rotation::after(ROTATION, Shutdown::new()))
}

impl<S> Layer<S> for DrainLayer {
    type Service = Drain<S>;

    fn layer(&self, inner: S) -> Drain<S> {
        Drain {
            inner,
            layer: self.clone(),
        }
    }
}

/// The service of [`DrainLayer`].
#[derive(Clone, Debug)]
pub struct Drain<S> {
    inner: S,
    layer: DrainLayer,
}

impl<S: Calls> Service<Request<Body>> for Drain<S> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = DrainFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let rpc = request.extensions().get::<Arc<Rpc>>();
        let rotation = rpc.and_then(|rpc| self.layer.rotation_of(rpc));
        if let Some(rotation) = &rotation {
            request.extensions_mut().insert(rotation.clone());
        }
        DrainFuture {
            inner: self.inner.call(request),
            rotation,
            stopped: None,
        }
    }
}

pin_project! {
    /// The future of [`Drain`].
    pub struct DrainFuture<F> {
        #[pin]
        inner: F,
        rotation: Option<Rotation>,
        // Made when the stream first waits to open.
        stopped: Option<Ended>,
    }
}

/// Waits until a stream must end.
type Ended = Pin<Box<dyn Future<Output = Status> + Send>>;

impl<F> Future for DrainFuture<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Poll::Ready(Ok(response)) = this.inner.poll(cx) else {
            let Some(rotation) = this.rotation else {
                return Poll::Pending;
            };
            let stopped = this.stopped.get_or_insert_with(|| {
                let rotation = rotation.clone();
                Box::pin(async move { rotation.stopped().await })
            });
            return stopped
                .as_mut()
                .poll(cx)
                .map(|status| Ok(status.into_http()));
        };
        Poll::Ready(Ok(match this.rotation.take() {
            Some(rotation) if !response.headers().contains_key(Status::GRPC_STATUS) => {
                response.map(|body| Body::new(DrainBody::of(body, rotation)))
            }
            _ => response,
        }))
    }
}

/// A stream that ends when its rotation says so.
struct DrainBody {
    // Dropped as soon as the stream has ended, which tells its producer.
    inner: Option<Body>,
    ended: Ended,
}

impl DrainBody {
    fn of(inner: Body, rotation: Rotation) -> Self {
        Self {
            inner: Some(inner),
            ended: Box::pin(async move { rotation.ended().await }),
        }
    }
}

impl http_body::Body for DrainBody {
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
        // Asked first, or a stream that always has something to send would never end. Frames hold
        // whole messages, so none is cut.
        if let Poll::Ready(status) = this.ended.as_mut().poll(cx) {
            this.inner = None;
            return Poll::Ready(Some(Ok(trailers_of(&status))));
        }
        Pin::new(inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
