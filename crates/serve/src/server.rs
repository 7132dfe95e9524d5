//! One server: an address, the services on it, and its life from binding to the end of the drain.
//!
//! Shutdown in order: readiness off; serve on for the lame-duck time; GOAWAY and no new connections
//! while endless streams end with `SHUTTING_DOWN`; calls in flight finish within the grace; what is
//! left then is closed.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use http::{Request, Response};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic_health::pb::health_server::HealthServer;
use tower::Service;

use crate::bind::{NotLoopback, require_loopback};
use crate::config::Config;
use crate::connections;
use crate::health::Health;
use crate::rpcs::Rpcs;
use crate::stack::{Parts, stack};
use crate::streams::Shutdown;

/// How long before the end of the grace finite streams are ended, so that their last frames still
/// go out.
const CLOSING: Duration = Duration::from_millis(500);

/// Why a server could not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address is reachable from other machines.
    #[error(transparent)]
    NotLoopback(#[from] NotLoopback),
    /// The address can't be bound.
    #[error("can't listen on {address}: {source}")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A descriptor set can't be read: a fault of the build.
    #[error("the descriptor set of the services can't be read: {0}")]
    Descriptors(String),
    /// The transport failed.
    #[error("the server's transport failed: {0}")]
    Transport(#[from] tonic::transport::Error),
}

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

    fn mount(self, routes: Routes) -> Routes {
        self.mounts
            .into_iter()
            .fold(routes, |routes, mount| mount(routes))
    }
}

/// A server that listens and does not answer yet.
///
/// It is bound before its services are made, because in `clientele up` they call each other at
/// [`Server::address`]; connections wait until [`Server::run`].
pub struct Server {
    config: Config,
    listener: TcpListener,
    address: SocketAddr,
    health: Health,
    shutdown: Shutdown,
    descriptors: Vec<&'static [u8]>,
}

impl Server {
    /// Binds the configured address, which must be loopback.
    pub async fn bind(config: Config) -> Result<Self, ServerError> {
        require_loopback(config.listen)?;
        let bound = TcpListener::bind(config.listen).await;
        Self::on(bound, config)
    }

    /// Takes a listener that was bound elsewhere, such as by a test or a supervisor.
    pub fn from_listener(listener: TcpListener, config: Config) -> Result<Self, ServerError> {
        Self::on(Ok(listener), config)
    }

    fn on(listener: io::Result<TcpListener>, config: Config) -> Result<Self, ServerError> {
        let (listener, address) = listener
            .and_then(|listener| listener.local_addr().map(|address| (listener, address)))
            .map_err(|source| ServerError::Bind {
                address: config.listen,
                source,
            })?;
        require_loopback(address)?;
        Ok(Self {
            config,
            listener,
            address,
            health: Health::new(),
            shutdown: Shutdown::new(),
            descriptors: vec![proto::DESCRIPTOR_SET],
        })
    }

    /// The address that was bound, with its real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The server's health, to be handed to services that set their readiness.
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// The server's shutdown, to be handed to background tasks that end with it.
    pub fn shutdown(&self) -> Shutdown {
        self.shutdown.clone()
    }

    /// Adds the descriptors of services that are not Clientele's, encoded.
    #[must_use]
    pub fn describe(mut self, descriptor_set: &'static [u8]) -> Self {
        self.descriptors.push(descriptor_set);
        self
    }

    /// Serves `services` until `shutdown` is ready, then drains. Ends at the latest a moment after
    /// the grace.
    pub async fn run(
        self,
        services: Services,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), ServerError> {
        let names = services.names.clone();
        let layers = stack(self.parts()?);
        let routes = services.mount(self.own_routes(&names)?);
        let closed = CancellationToken::new();
        let goaway = CancellationToken::new();
        let server = self
            .config
            .limits
            .apply(tonic::transport::Server::builder())
            // tonic's own `timeout` stays unset: the deadline layer answers better.
            .layer(layers);
        let serving = server.serve_with_incoming_shutdown(
            routes.prepare(),
            connections::accept(self.listener, closed.clone()),
            goaway.clone().cancelled_owned(),
        );
        let mut serving = pin!(serving);
        self.health.announce(&names).await;
        tracing::info!(address = %self.address, services = ?names, "serving");

        tokio::select! {
            ended = &mut serving => return Ok(ended?),
            () = shutdown => {}
        }
        tracing::info!(grace_ms = self.config.grace_ms, "draining");
        self.health.drain().await;
        let lame_duck = Duration::from_millis(self.config.lame_duck_ms);
        if !lame_duck.is_zero() {
            tokio::select! {
                ended = &mut serving => return Ok(ended?),
                () = tokio::time::sleep(lame_duck) => {}
            }
        }
        self.shutdown.begin();
        goaway.cancel();
        drain(serving, &self.config, &self.shutdown, &closed).await
    }

    fn parts(&self) -> Result<Parts, ServerError> {
        let mut descriptors = self.descriptors.clone();
        descriptors.extend([
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
        ]);
        Ok(Parts {
            rpcs: Rpcs::read(&descriptors)
                .map_err(|error| ServerError::Descriptors(error.to_string()))?,
            shutdown: self.shutdown.clone(),
            rotation: Duration::from_millis(self.config.rotation_ms),
            deadlines: self.config.deadlines(),
        })
    }

    /// Health, and reflection if it is on, which names only the services that are served here.
    fn own_routes(&self, names: &[&'static str]) -> Result<Routes, ServerError> {
        let health = HealthServer::new(self.health.service());
        let routes = Routes::new(health);
        if !self.config.reflection {
            return Ok(routes);
        }
        let builder = || {
            let mut builder = tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
                .with_service_name(<HealthServer<()> as NamedService>::NAME)
                .with_service_name("grpc.reflection.v1.ServerReflection");
            for descriptor_set in &self.descriptors {
                builder = builder.register_encoded_file_descriptor_set(descriptor_set);
            }
            for name in names {
                builder = builder.with_service_name(*name);
            }
            builder
        };
        let unreadable =
            |error: tonic_reflection::server::Error| ServerError::Descriptors(error.to_string());
        let v1 = builder().build_v1().map_err(unreadable)?;
        let v1alpha = builder().build_v1alpha().map_err(unreadable)?;
        Ok(routes.add_service(v1).add_service(v1alpha))
    }
}

/// Waits for the calls in flight, and closes at the end of the grace what is left.
async fn drain(
    mut serving: impl Future<Output = Result<(), tonic::transport::Error>> + Unpin,
    config: &Config,
    shutdown: &Shutdown,
    closed: &CancellationToken,
) -> Result<(), ServerError> {
    let grace = Duration::from_millis(config.grace_ms);
    let closing = CLOSING.min(grace / 2);
    if let Ok(ended) = tokio::time::timeout(grace.saturating_sub(closing), &mut serving).await {
        tracing::info!("drained");
        return Ok(ended?);
    }
    shutdown.close();
    if let Ok(ended) = tokio::time::timeout(closing, &mut serving).await {
        tracing::info!("drained");
        return Ok(ended?);
    }
    tracing::warn!(
        grace_ms = config.grace_ms,
        "closing connections whose calls did not finish within the grace"
    );
    closed.cancel();
    let _ = tokio::time::timeout(CLOSING, &mut serving).await;
    Ok(())
}
