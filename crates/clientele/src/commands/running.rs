//! A server with its services, from the moment they are open to the end of the drain.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use anyhow::Result;
use proto::Admission;
use serve::telemetry::{self, Export, Format, Logs, Telemetry, TelemetryError};
use serve::{Concurrency, Config, Limits, NotLoopback, Protection, Server, ServerError, Services};
use store::{DatabaseUrl, Store};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use types::Service;

use super::announce::announce;
use super::{bus, files};
use crate::cli::{self, LogFormat};
use crate::exit::WrongSetting;
use crate::settings::{Origin, Origins};

/// What the three services have in common once they are open.
pub trait Running: Send + Sync {
    /// The gRPC services to serve, behind `admission`.
    fn services(&self, admission: Arc<dyn Admission>) -> Services;
    /// Starts the work in the background, which ends when `shutdown` is cancelled.
    fn spawn(&self, shutdown: &CancellationToken) -> JoinSet<()>;
    /// Whether the service can do its work now: its database answers.
    fn ready(&self) -> Pin<Box<dyn Future<Output = bool> + Send + '_>>;
    /// Whose change log is relayed to the bus, and where it is.
    fn log(&self) -> (Service, &Store);
}

/// A service's handle does what the others' do; the crates may not know each other.
macro_rules! running {
    ($($service:ty: $name:ident),+) => {$(
        impl Running for $service {
            fn services(&self, admission: Arc<dyn Admission>) -> Services {
                <$service>::services(self, admission)
            }

            fn spawn(&self, shutdown: &CancellationToken) -> JoinSet<()> {
                <$service>::spawn(self, shutdown.clone())
            }

            fn ready(&self) -> Pin<Box<dyn Future<Output = bool> + Send + '_>> {
                Box::pin(<$service>::ready(self))
            }

            fn log(&self) -> (Service, &Store) {
                (Service::$name, self.store())
            }
        }
    )+};
}
running!(contacts::Contacts: Contacts, pipeline::Pipeline: Pipeline, billing::Billing: Billing);

/// Sets up logs and traces as the settings say, for the process that is called `name` among its kind.
pub async fn telemetry(settings: &cli::Server, name: &str) -> Result<Telemetry> {
    let format = match settings.log_format {
        LogFormat::Auto => Format::Auto,
        LogFormat::Text => Format::Human,
        LogFormat::Json => Format::Json,
    };
    let logs = Logs {
        format,
        filter: settings.log.clone(),
    };
    let endpoint = settings.otlp_endpoint.clone();
    let export = Export {
        endpoint: endpoint.map(|endpoint| ("--otlp-endpoint", endpoint)),
        service: name.to_owned(),
        version: env!("CARGO_PKG_VERSION"),
    };
    let set_up = telemetry::init(&logs, &export).await;
    Ok(set_up.map_err(|error| match &error {
        TelemetryError::Setting { key, problem } => WrongSetting::new(key, problem),
        TelemetryError::Filter(_) | TelemetryError::Twice(_) => WrongSetting::new("--log", &error),
    })?)
}

/// The server's settings.
pub fn config(listen: SocketAddr, settings: &cli::Server, identity: &cli::Identity) -> Config {
    let limits = Limits::default();
    // As many as if all three services were in this process.
    let pools = 3 * u64::from(settings.pool_max);
    let limits = Limits {
        connections_max: files::connections_max(limits.connections_max, pools),
        connections_per_address_max: settings.load.connections_per_address_max,
        ..limits
    };
    Config {
        listen,
        health_listen: settings.health_listen,
        reflection: identity.reflection,
        lame_duck_ms: settings.lame_duck_ms,
        grace_ms: settings.grace_ms,
        limits,
        concurrency: concurrency(&settings.load),
        ..Config::default()
    }
}

fn concurrency(settings: &cli::Load) -> Concurrency {
    Concurrency {
        calls_max: settings.concurrency_max,
        queue_max: settings.queue_max,
        queue_wait_ms: settings.queue_wait_ms,
        streams_max: settings.streams_max,
        ..Concurrency::default()
    }
}

/// Binds the server. An address that may not be listened on is a wrong setting.
pub async fn bind(config: Config, protection: Protection) -> Result<Server> {
    let bound = Server::bind_protected(config, protection).await;
    bound.map_err(|error| match error {
        ServerError::NotLoopback(refused) => {
            let problem = format!("{refused}: {}", missing(&refused));
            WrongSetting::new("--listen", &problem).into()
        }
        other => other.into(),
    })
}

/// The settings that an address beyond loopback needs.
fn missing(refused: &NotLoopback) -> String {
    let tls = "--tls-certificate and --tls-key (or, where a service mesh encrypts what reaches this \
               port, --insecure-plaintext-behind-mesh)";
    let authenticator = "--jwks with --issuer and --audience";
    let parts = [
        (!refused.encrypted).then_some(tls),
        (!refused.authenticated).then_some(authenticator),
    ];
    let parts: Vec<&str> = parts.into_iter().flatten().collect();
    parts.join(", and ")
}

/// The URL of a database, which is read again where `setting` came from a file.
pub fn database_url(origins: &Origins, setting: &str, text: String) -> DatabaseUrl {
    match origins.of(setting) {
        Some(Origin::SecretFile { path, .. }) => DatabaseUrl::from(text).in_file(path.clone()),
        _ => text.into(),
    }
}

/// A database URL that can't be read is a wrong setting, `setting`; a database that does not answer is
/// not.
pub fn wrong_database<E>(setting: &'static str) -> impl FnOnce(E) -> anyhow::Error
where
    E: std::error::Error + Send + Sync + 'static,
{
    move |error| {
        let error = anyhow::Error::new(error);
        // Errors that stand for another one by the same words do not name it as their cause.
        let wrong = error.chain().any(|cause| {
            let store = match cause.downcast_ref() {
                Some(pipeline::OpenError::Store(store)) => Some(store),
                _ => cause.downcast_ref(),
            };
            cause.is::<store::UrlError>() || matches!(store, Some(store::OpenError::Url(_)))
        });
        if wrong {
            WrongSetting::new(setting, &error).into()
        } else {
            error
        }
    }
}

/// Serves until SIGTERM or SIGINT, then drains and ends the work in the background. What happens is
/// published to `bus`, if there is one.
pub async fn until_told(
    server: Server,
    running: &[(&str, Arc<dyn Running>)],
    bus: Option<relay::Bus>,
) -> Result<()> {
    let admission = server.admission();
    let background = CancellationToken::new();
    let mut services = Services::new();
    let mut tasks = Vec::new();
    for (_, service) in running {
        let offered = service.services(Arc::clone(&admission));
        let mut own = service.spawn(&background);
        if let Some(bus) = &bus {
            let (log, bus, stop) = (service.log(), bus.clone(), background.clone());
            let relayed = bus::relay(log.1.clone(), log.0, bus, stop.cancelled_owned());
            own.spawn(relayed);
        }
        let (health, names) = (server.health(), offered.names().to_vec());
        let (service, stop) = (Arc::clone(service), background.clone());
        own.spawn(async move {
            let check = || service.ready();
            tokio::select! {
                () = stop.cancelled() => {}
                () = health.keep(&names, check) => {}
            }
        });
        services = services.and(offered);
        tasks.push(own);
    }
    let names: Vec<&str> = running.iter().map(|(name, _)| *name).collect();
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let told = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    announce(&server, &names);
    let ended = server.run(services, told).await;
    background.cancel();
    for mut tasks in tasks {
        while tasks.join_next().await.is_some() {}
    }
    Ok(ended?)
}
