//! A place for every call before anything of it is read, or the refusal of it.
//!
//! Calls of peers count as critical here, where nothing is known but what they say of themselves; the
//! [claim layer](super::claim) takes that rank back from those that are none.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::future::BoxFuture;
use http::{Request, Response};
use pin_project_lite::pin_project;
use tokio::sync::oneshot;
use tokio::task::futures::TaskLocalFuture;
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use super::Calls;
use super::body::{Answering, Arriving};
use crate::connections::ConnectionInfo;
use crate::load::{Answer, Class, Handle, Load, Loads, Place, Proof, in_scope};
use crate::rpcs::Rpc;

/// Marks the refusal of a call for which there was no place: the log tells of those together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shed;

/// Gives each call a place, or refuses it.
#[derive(Clone, Debug)]
pub(crate) struct ShedLayer {
    loads: Arc<Loads>,
    patience: Duration,
}

impl ShedLayer {
    /// The layer with these places, for which a call waits as long as `patience`.
    pub(crate) fn new(loads: Loads, patience: Duration) -> Self {
        Self {
            loads: Arc::new(loads),
            patience,
        }
    }
}

impl<S> Layer<S> for ShedLayer {
    type Service = ShedCalls<S>;

    fn layer(&self, inner: S) -> ShedCalls<S> {
        ShedCalls {
            inner,
            layer: self.clone(),
        }
    }
}

/// The service of [`ShedLayer`].
#[derive(Clone, Debug)]
pub(crate) struct ShedCalls<S> {
    inner: S,
    layer: ShedLayer,
}

impl<S: Calls> Service<Request<Body>> for ShedCalls<S> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = ShedFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let rpc = request.extensions().get::<Arc<Rpc>>();
        let found = rpc.and_then(|rpc| Some((self.layer.loads.of(rpc)?, rpc)));
        let Some((load, rpc)) = found else {
            let answering = answering(&request);
            return ShedFuture::Free {
                inner: self.inner.call(request),
                answering,
            };
        };
        let class = if Proof::is_claimed(request.headers()) {
            Class::Critical
        } else {
            rpc.class()
        };
        match load.enter(class) {
            Answer::Place(place) => ShedFuture::placed(place, &mut self.inner, request),
            Answer::Refused(status) => ShedFuture::Refused {
                answer: Some(refusal(status)),
            },
            Answer::Waits(waits) => {
                let queued = queued(waits, Arc::clone(load), class, self.layer.patience);
                // The one that is ready takes the call; what stays behind is asked anew.
                let clone = self.inner.clone();
                let mut inner = std::mem::replace(&mut self.inner, clone);
                ShedFuture::Waiting {
                    waiting: Box::pin(async move {
                        match queued.await {
                            Ok(place) => ShedFuture::placed(place, &mut inner, request).await,
                            Err(status) => Ok(refusal(status)),
                        }
                    }),
                }
            }
        }
    }
}

/// Waits for a place.
async fn queued(
    waits: oneshot::Receiver<Place>,
    load: Arc<Load>,
    class: Class,
    patience: Duration,
) -> Result<Place, Status> {
    match tokio::time::timeout(patience, waits).await {
        Ok(Ok(place)) => Ok(place),
        // Another one, of a higher class, has its place in the queue; or it has waited long enough.
        Ok(Err(_)) | Err(_) => Err(load.refuse(class)),
    }
}

/// What the answer to this call will need, beside its place.
fn answering(request: &Request<Body>) -> Answering {
    let extensions = request.extensions();
    let connection: Option<&ConnectionInfo> = extensions.get();
    let rpc: Option<&Arc<Rpc>> = extensions.get();
    Answering {
        place: None,
        reader: connection.map(|connection| Arc::clone(&connection.reader)),
        is_read_only: rpc.is_none_or(|rpc| rpc.is_read_only()),
    }
}

/// The answer of a unary call that is on its way to its client; or the refusal, if too much is already.
fn unary(response: Response<Body>, answering: &Answering, cx: &mut Context<'_>) -> Response<Body> {
    let (head, body) = response.into_parts();
    match answering.unary(body, cx) {
        Ok(body) => Response::from_parts(head, body),
        Err(status) => status.into_http(),
    }
}

fn refusal(status: Status) -> Response<Body> {
    let mut response = status.into_http();
    response.extensions_mut().insert(Shed);
    response
}

pin_project! {
    /// The future of [`ShedCalls`].
    #[project = Stage]
    pub(crate) enum ShedFuture<F> {
        /// In its place.
        Placed {
            #[pin]
            inner: TaskLocalFuture<Handle, F>,
            answering: Option<Answering>,
            streams: bool,
        },
        /// Needs none.
        Free {
            #[pin]
            inner: F,
            answering: Answering,
        },
        /// There is none.
        Refused { answer: Option<Response<Body>> },
        /// Waits for one.
        Waiting { waiting: BoxFuture<'static, Result<Response<Body>, Infallible>> },
    }
}

impl<F: Future> ShedFuture<F> {
    fn placed<S>(place: Place, inner: &mut S, mut request: Request<Body>) -> Self
    where
        S: Service<Request<Body>, Future = F>,
    {
        let streams = super::streams(&request);
        let answering = answering(&request);
        request.extensions_mut().insert(place.handle());
        let connection: Option<&ConnectionInfo> = request.extensions().get();
        let address = connection.map(|connection| connection.address);
        let request = request.map(|body| Arriving::of(body, place.handle(), address));
        Self::Placed {
            inner: in_scope(place.handle(), inner.call(request)),
            answering: Some(Answering {
                place: Some(place),
                ..answering
            }),
            streams,
        }
    }
}

impl<F> Future for ShedFuture<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            Stage::Placed {
                inner,
                answering,
                streams,
            } => {
                let Ok(mut response) = ready!(inner.poll(cx));
                let Some(answering) = answering.take() else {
                    return Poll::Ready(Ok(response));
                };
                let has_failed = response.headers().contains_key(Status::GRPC_STATUS);
                if *streams && !has_failed {
                    if let Some(place) = &answering.place {
                        place.open();
                    }
                    return Poll::Ready(Ok(response.map(|body| answering.stream(body))));
                }
                if !has_failed {
                    response = unary(response, &answering, cx);
                }
                if answering.place.as_ref().is_some_and(Place::is_refused) {
                    response.extensions_mut().insert(Shed);
                }
                Poll::Ready(Ok(response))
            }
            Stage::Free { inner, answering } => {
                let Ok(response) = ready!(inner.poll(cx));
                Poll::Ready(Ok(unary(response, answering, cx)))
            }
            Stage::Refused { answer } => answer
                .take()
                .map_or(Poll::Pending, |answer| Poll::Ready(Ok(answer))),
            Stage::Waiting { waiting } => waiting.as_mut().poll(cx),
        }
    }
}

#[cfg(test)]
mod tests;
