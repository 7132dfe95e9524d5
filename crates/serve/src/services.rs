//! What a server serves.

use std::convert::Infallible;

use http::{Request, Response};
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::Routes;
use tower::Service;

/// The rpc services that one server offers.
#[derive(Default)]
pub struct Services {
    names: Vec<&'static str>,
    mounts: Vec<Box<dyn FnOnce(Routes) -> Routes + Send>>,
}

impl Services {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one generated service.
    #[must_use]
    pub fn with<S>(mut self, service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        self.names.push(S::NAME);
        self.mounts
            .push(Box::new(move |routes| routes.add_service(service)));
        self
    }

    /// Adds all services of another list, such as another crate's.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.names.extend(other.names);
        self.mounts.extend(other.mounts);
        self
    }

    /// The full proto names of the services.
    pub fn names(&self) -> &[&'static str] {
        &self.names
    }

    pub(crate) fn mount(self, routes: Routes) -> Routes {
        self.mounts
            .into_iter()
            .fold(routes, |routes, mount| mount(routes))
    }
}
