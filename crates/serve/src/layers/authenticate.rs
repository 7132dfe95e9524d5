//! Proves who makes each call, before anything of it is read but its headers.
//!
//! A call says itself who makes it, by its `authorization`; where it says nothing, the client
//! certificate of its connection may name a service of the suite. So a call never gets more than the
//! token it carries, whoever's connection it comes over.
//!
//! Health answers everyone: load balancers and kubelets have no tokens, and it tells nothing but
//! whether the server is well. Reflection needs a token like any other method.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::{Request, Response, header};
use pin_project_lite::pin_project;
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};
use types::Micros;

use super::Calls;
use crate::connections::ConnectionInfo;
use crate::identity::{Authenticator, Fault, Identity};
use crate::load;
use crate::streams::Rotation;

/// What answers without a token.
const OPEN: &str = "/grpc.health.v1.Health/";

/// Puts the caller's [`Identity`] into the extensions of each call, or refuses it. Lets every call
/// through as it is where there is no authenticator.
#[derive(Clone, Debug)]
pub(crate) struct AuthenticateLayer {
    authenticator: Option<Authenticator>,
}

impl AuthenticateLayer {
    pub(crate) fn new(authenticator: Option<Authenticator>) -> Self {
        Self { authenticator }
    }
}

impl<S> Layer<S> for AuthenticateLayer {
    type Service = Authenticate<S>;

    fn layer(&self, inner: S) -> Authenticate<S> {
        Authenticate {
            inner,
            authenticator: self.authenticator.clone(),
        }
    }
}

/// The service of [`AuthenticateLayer`].
#[derive(Clone, Debug)]
pub(crate) struct Authenticate<S> {
    inner: S,
    authenticator: Option<Authenticator>,
}

impl<S: Calls> Service<Request<Body>> for Authenticate<S> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = AuthenticateFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let Some(authenticator) = &self.authenticator else {
            return AuthenticateFuture::calling(self.inner.call(request));
        };
        if request.uri().path().starts_with(OPEN) {
            return AuthenticateFuture::calling(self.inner.call(request));
        }
        if let Some(identity) = of_connection(&request) {
            return AuthenticateFuture::calling(self.inner.call(of(request, identity)));
        }
        match authenticator.identify(request.headers()) {
            Ok(proven) => {
                limit(&request, authenticator, proven.expires);
                AuthenticateFuture::calling(self.inner.call(of(request, proven.identity)))
            }
            Err(Some(fault)) => AuthenticateFuture::Refused {
                answer: Some(refusal(fault)),
            },
            Err(None) => {
                let authenticator = authenticator.clone();
                // The one that is ready takes the call; what stays behind is asked anew.
                let clone = self.inner.clone();
                let mut inner = std::mem::replace(&mut self.inner, clone);
                AuthenticateFuture::Waiting {
                    waiting: Box::pin(async move {
                        // Others do the work, and nobody knows yet whether this call is worth a place.
                        let late = authenticator.identify_late(request.headers());
                        match load::aside(late).await {
                            Ok(proven) => {
                                limit(&request, &authenticator, proven.expires);
                                inner.call(of(request, proven.identity)).await
                            }
                            Err(fault) => Ok(refusal(fault)),
                        }
                    }),
                }
            }
        }
    }
}

/// Has a stream end with the token that opens it.
fn limit(request: &Request<Body>, authenticator: &Authenticator, expires: Option<Micros>) {
    let rotation: Option<&Rotation> = request.extensions().get();
    if let (Some(rotation), Some(expires)) = (rotation, expires) {
        rotation.expire(expires, authenticator.time_left(expires));
    }
}

/// The service whose certificate the connection has shown, for a call that says nothing itself.
fn of_connection(request: &Request<Body>) -> Option<Identity> {
    if request.headers().contains_key(header::AUTHORIZATION) {
        return None;
    }
    let connection: &ConnectionInfo = request.extensions().get()?;
    let service = connection.certificate.as_ref()?.service()?;
    Some(Identity::Service(service))
}

fn of(mut request: Request<Body>, identity: Identity) -> Request<Body> {
    if let Some(connection) = request.extensions().get::<ConnectionInfo>() {
        connection.prove();
    }
    request.extensions_mut().insert(identity);
    request
}

fn refusal(fault: Fault) -> Response<Body> {
    Status::from(fault).into_http()
}

pin_project! {
    /// The future of [`Authenticate`].
    #[project = Stage]
    pub(crate) enum AuthenticateFuture<F> {
        /// Past the check.
        Calling { #[pin] inner: F },
        /// Not past it.
        Refused { answer: Option<Response<Body>> },
        /// The token's key is being looked for.
        Waiting { waiting: BoxFuture<'static, Result<Response<Body>, Infallible>> },
    }
}

impl<F> AuthenticateFuture<F> {
    fn calling(inner: F) -> Self {
        Self::Calling { inner }
    }
}

impl<F> Future for AuthenticateFuture<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            Stage::Calling { inner } => inner.poll(cx),
            Stage::Refused { answer } => answer
                .take()
                .map_or(Poll::Pending, |answer| Poll::Ready(Ok(answer))),
            Stage::Waiting { waiting } => waiting.as_mut().poll(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use bytes::Bytes;
    use http_body::Frame;
    use http_body_util::{BodyExt as _, StreamBody};
    use jsonwebtoken::Algorithm;
    use proto::errors::v1::Reason;
    use tonic::Code;
    use types::Clock;

    use super::*;
    use crate::identity::{LEEWAY, Mapping, Settings};
    use crate::layers::DrainLayer;
    use crate::rpcs::Rpcs;
    use crate::streams::{ROTATION, Shutdown};
    use crate::testing::{AUDIENCE, ISSUER, Issuer, NOW, claims, key_set};

    const METHOD: &str = "/clientele.contacts.v1.ContactService/GetContact";

    /// Calls `path` behind the layer; the status, and whom the handler saw, if it was reached.
    async fn call(
        layer: &AuthenticateLayer,
        path: &str,
        token: Option<&str>,
    ) -> (Code, Option<Option<Identity>>) {
        let seen = Arc::new(Mutex::new(None));
        let noted = Arc::clone(&seen);
        let handler = tower::service_fn(move |request: Request<Body>| {
            let identity = request.extensions().get::<Identity>().cloned();
            *noted.lock().expect("not poisoned") = Some(identity);
            async { Ok::<_, Infallible>(Response::new(Body::empty())) }
        });
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = path.parse().expect("a path");
        if let Some(token) = token {
            let header = format!("Bearer {token}").parse().expect("a header");
            request.headers_mut().insert("authorization", header);
        }
        let Ok(answer) = layer.layer(handler).call(request).await;
        let status = Status::from_header_map(answer.headers());
        let seen = seen.lock().expect("not poisoned").take();
        (status.map_or(Code::Ok, |status| status.code()), seen)
    }

    /// An authenticator with these keys, and the folder with their file, `jwks.json`.
    async fn authenticator(keys: &str) -> (Authenticator, tempfile::TempDir) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("jwks.json");
        std::fs::write(&path, keys).expect("written");
        let settings = Settings {
            keys: path.display().to_string().parse().expect("a source"),
            issuer: ISSUER.to_owned(),
            audience: AUDIENCE.to_owned(),
            nbf_may_be_missing: false,
            mapping: Mapping::default(),
            process: None,
        };
        let clock = Clock::fixed(Micros(NOW * 1_000_000));
        let started = Authenticator::start(settings, clock).await;
        (started.expect("keys"), folder)
    }

    #[tokio::test]
    async fn handlers_see_only_calls_with_an_identity_and_health_needs_none() {
        let (old, new) = (
            Issuer::new("old", Algorithm::EdDSA),
            Issuer::new("new", Algorithm::EdDSA),
        );
        let (authenticator, folder) = authenticator(&key_set(&[&old])).await;
        let path = folder.path().join("jwks.json");
        let layer = AuthenticateLayer::new(Some(authenticator));
        let known = call(&layer, METHOD, Some(&old.token(&claims()))).await;
        assert!(
            matches!(known, (Code::Ok, Some(Some(Identity::User(_))))),
            "{known:?}"
        );
        for token in [None, Some("garbage")] {
            let refused = call(&layer, METHOD, token).await;
            assert_eq!(refused, (Code::Unauthenticated, None));
        }
        let health = call(&layer, "/grpc.health.v1.Health/Check", None).await;
        assert_eq!(health, (Code::Ok, Some(None)));
        let near_miss = call(&layer, "/grpc.health.v1.HealthCare/Check", None).await;
        assert_eq!(near_miss.0, Code::Unauthenticated);
        // A key that came after the set was read last is looked for while the call waits.
        std::fs::write(&path, key_set(&[&new])).expect("written");
        let rotated = call(&layer, METHOD, Some(&new.token(&claims()))).await;
        assert!(matches!(rotated, (Code::Ok, Some(Some(_)))), "{rotated:?}");
        let never = Issuer::new("never", Algorithm::EdDSA).token(&claims());
        assert_eq!(
            call(&layer, METHOD, Some(&never)).await,
            (Code::Unauthenticated, None)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_ends_with_the_token_that_opened_it() {
        let issuer = Issuer::new("a", Algorithm::EdDSA);
        let (authenticator, _folder) = authenticator(&key_set(&[&issuer])).await;
        let stack = (
            DrainLayer::new(Shutdown::new(), ROTATION),
            AuthenticateLayer::new(Some(authenticator)),
        );
        let endless = tower::service_fn(|_: Request<Body>| async {
            let silence = futures::stream::pending::<Result<Frame<Bytes>, Status>>();
            Ok::<_, Infallible>(Response::new(Body::new(StreamBody::new(silence))))
        });
        let rpcs = Rpcs::read(&[proto::DESCRIPTOR_SET]).expect("our own");
        for path in [
            "/clientele.contacts.v1.ContactService/WatchContacts",
            "/clientele.contacts.v1.TransferService/ExportContacts",
        ] {
            let rpc = rpcs.find(path);
            assert!(rpc.streams(), "{path}");
            let mut request = Request::new(Body::empty());
            request.extensions_mut().insert(rpc);
            let header = format!("Bearer {}", issuer.token(&claims()));
            let header = header.parse().expect("a header");
            request.headers_mut().insert("authorization", header);
            let begun = tokio::time::Instant::now();
            let Ok(answer) = stack.layer(endless).call(request).await;
            let ended = answer.into_body().collect().await.expect("ends in order");
            let trailers = ended.trailers().expect("a status");
            let status = Status::from_header_map(trailers).expect("a status");
            assert_eq!(status.code(), Code::Unauthenticated, "{path}: {status}");
            assert_eq!(proto::status::reason(&status), Some(Reason::TokenExpired));
            assert_eq!(begun.elapsed().as_secs(), 60 + LEEWAY.as_secs(), "{path}");
        }
    }

    #[tokio::test]
    async fn without_an_authenticator_every_call_passes_as_it_is() {
        let layer = AuthenticateLayer::new(None);
        assert_eq!(call(&layer, METHOD, None).await, (Code::Ok, Some(None)));
    }
}
