//! One server: an address, the services on it, and its life from binding to the end of the drain.
//!
//! Shutdown in order: readiness off; serve on for the lame-duck time; GOAWAY and no new connections
//! while endless streams end with `SHUTTING_DOWN`; calls in flight finish within the grace; what is
//! left then is closed.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic_health::pb::health_server::HealthServer;

use crate::bind::{NotLoopback, Protection, is_loopback};
use crate::caller::{LocalAdmission, ProcessAdmission};
use crate::config::Config;
use crate::connections;
use crate::health::Health;
use crate::identity::{Authenticator, IdentityAdmission};
use crate::load::{Proof, ShareAdmission};
use crate::probes::Probes;
use crate::rpcs::Rpcs;
use crate::services::Services;
use crate::stack::{Parts, stack};
use crate::streams::Shutdown;

/// How long before the end of the grace finite streams are ended, so that their last frames still
/// go out.
const CLOSING: Duration = Duration::from_millis(500);

/// Why a server could not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address is reachable from other machines, and too little protects it.
    #[error(transparent)]
    NotLoopback(#[from] NotLoopback),
    /// The address can't be bound.
    #[error("can't listen on {address}")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A descriptor set can't be read: a fault of the build.
    #[error("the descriptor set of the services can't be read: {0}")]
    Descriptors(String),
    /// A served method says nothing of its permission: a fault of the build.
    #[error("refusing to serve {0}: it has no clientele.options.v1.method_policy")]
    Undeclared(String),
    /// The transport failed.
    #[error("the server's transport failed: {0}")]
    Transport(#[from] tonic::transport::Error),
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
    probes: Option<Probes>,
    shutdown: Shutdown,
    descriptors: Vec<&'static [u8]>,
    protection: Protection,
}

impl Server {
    /// Binds the configured address, which must be loopback.
    pub async fn bind(config: Config) -> Result<Self, ServerError> {
        Self::bind_protected(config, Protection::default()).await
    }

    /// Binds the configured address, which may be any where there are TLS and an authenticator.
    pub async fn bind_protected(
        config: Config,
        protection: Protection,
    ) -> Result<Self, ServerError> {
        protection.require(config.listen)?;
        let bound = TcpListener::bind(config.listen).await;
        let mut server = Self::on(bound, config, protection)?;
        if let Some(address) = server.config.health_listen {
            let probes = Probes::bind(address).await;
            let refused = |source| ServerError::Bind { address, source };
            server.probes = Some(probes.map_err(refused)?);
        }
        Ok(server)
    }

    /// Takes a listener that was bound elsewhere, such as by a test or a supervisor.
    pub fn from_listener(listener: TcpListener, config: Config) -> Result<Self, ServerError> {
        Self::on(Ok(listener), config, Protection::default())
    }

    fn on(
        listener: io::Result<TcpListener>,
        config: Config,
        protection: Protection,
    ) -> Result<Self, ServerError> {
        let (listener, address) = listener
            .and_then(|listener| listener.local_addr().map(|address| (listener, address)))
            .map_err(|source| ServerError::Bind {
                address: config.listen,
                source,
            })?;
        protection.require(address)?;
        if protection.tls.is_none() && !is_loopback(address) {
            tracing::warn!(%address, "tokens and data reach this port in the clear: only a mesh may reach it");
        }
        Ok(Self {
            config,
            listener,
            address,
            health: Health::new(),
            probes: None,
            shutdown: Shutdown::new(),
            descriptors: vec![proto::DESCRIPTOR_SET],
            protection,
        })
    }

    /// Asks every caller who they are. Services are ready once there are keys to judge tokens by.
    #[must_use]
    pub fn authenticated_by(mut self, authenticator: Authenticator) -> Self {
        self.protection.authenticator = Some(authenticator);
        self
    }

    /// Whether the server speaks TLS.
    pub fn is_encrypted(&self) -> bool {
        self.protection.tls.is_some()
    }

    /// Whether callers are asked who they are.
    pub fn is_authenticated(&self) -> bool {
        self.protection.authenticator.is_some()
    }

    /// What the guards of this server's services ask: with an authenticator what the caller's
    /// identity may do, without one whether the call is internal and from within the process; and in
    /// any case whether the workspace has its share of the service already.
    pub fn admission(&self) -> Arc<dyn proto::Admission> {
        match self.proof() {
            Proof::Identity => ShareAdmission::shared(IdentityAdmission),
            Proof::Process(secret) => ShareAdmission::shared(ProcessAdmission(secret)),
            Proof::None => ShareAdmission::shared(LocalAdmission),
        }
    }

    /// How this server knows the services of the suite.
    fn proof(&self) -> Proof {
        match (&self.protection.authenticator, &self.protection.process) {
            (Some(_), _) => Proof::Identity,
            (None, Some(secret)) => Proof::Process(secret.clone()),
            (None, None) => Proof::None,
        }
    }

    /// The address that was bound, with its real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address that answers health checks and nothing else, if there is one.
    pub fn health_address(&self) -> Option<SocketAddr> {
        self.probes.as_ref().map(Probes::address)
    }

    /// The server's health, by which the readiness of its services is kept ([`Health::keep`]).
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// The server's shutdown, to be handed to background tasks that end with it.
    pub fn shutdown(&self) -> Shutdown {
        self.shutdown.clone()
    }

    /// Adds the descriptors of services that are not Clientele's, encoded. They have no permissions,
    /// so a server with an authenticator refuses to serve them.
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
        let names = services.names().to_vec();
        self.require_policies(&names)?;
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
            connections::accept(
                self.listener,
                self.protection.tls.clone(),
                &self.config.limits,
                self.protection.authenticator.is_some(),
                closed.clone(),
            ),
            goaway.clone().cancelled_owned(),
        );
        let mut serving = pin!(serving);
        let _answering = self
            .probes
            .map(|probes| probes.answer(&self.health, &self.config.limits));
        let ready = announce(&self.health, self.protection.authenticator.as_ref(), &names);
        // Readiness comes with the keys, and a shutdown may come before them.
        let ready_for_ever = async {
            ready.await;
            std::future::pending::<()>().await;
        };
        tracing::info!(address = %self.address, services = ?names, "serving");

        tokio::select! {
            biased;
            () = ready_for_ever => {}
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
            authenticator: self.protection.authenticator.clone(),
            concurrency: self.config.concurrency.clone(),
            proof: self.proof(),
        })
    }

    /// Refuses to serve a method that does not say who may call it. What is described beside the
    /// suite's own protos is let pass only where nobody is asked who they are.
    fn require_policies(&self, names: &[&'static str]) -> Result<(), ServerError> {
        let beside = self
            .protection
            .authenticator
            .is_none()
            .then(|| &self.descriptors[1..]);
        let described = Rpcs::read(beside.unwrap_or_default());
        let described = described.map_err(|error| ServerError::Descriptors(error.to_string()))?;
        let all = Rpcs::read(&self.descriptors);
        let all = all.map_err(|error| ServerError::Descriptors(error.to_string()))?;
        for name in names {
            if described.of_service(name).next().is_some() {
                continue;
            }
            let mut methods = all.of_service(name).peekable();
            if methods.peek().is_none() {
                return Err(ServerError::Undeclared((*name).to_owned()));
            }
            for rpc in methods {
                if proto::method(&format!("/{}", rpc.name())).is_none() {
                    return Err(ServerError::Undeclared(rpc.name().to_owned()));
                }
            }
        }
        Ok(())
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

/// Makes the services ready, at once or as soon as callers can be told apart.
async fn announce(health: &Health, authenticator: Option<&Authenticator>, names: &[&'static str]) {
    if let Some(authenticator) = authenticator {
        health.withhold(names).await;
        authenticator.ready().await;
    }
    health.announce(names).await;
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
