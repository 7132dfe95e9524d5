//! The progression service: policies, positions, entitlements. The one place that decides where a
//! contact stands and what it is entitled to.
//!
//! A request reads straight through the rooms: `api` parses it, `app` does it (directory first,
//! transaction second), `domain` knows the rules around the engine, `store` the rows, `wire` turns
//! values into messages and back, `peers` asks the directory. Who may move where is decided by the
//! `policy` crate and nowhere else.

mod api;
mod app;
mod config;
mod domain;
mod error;
mod peers;
mod store;
mod wire;

/// The holders of grants in a pipeline database, for an operator: no service need run, and none need
/// be stopped.
pub mod holders {
    pub use crate::app::holders::{Known, forget, list};
    pub use crate::domain::holders::{Attachment, Holder};
}

use std::sync::Arc;
use std::time::Duration;

use proto::pipeline::v1::entitlement_service_server::EntitlementServiceServer;
use proto::pipeline::v1::policy_service_server::PolicyServiceServer;
use proto::pipeline::v1::position_service_server::PositionServiceServer;
use proto::{Admission, Guarded};
use serve::Services;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use types::{Clock, Deadline, Ids};

pub use crate::config::Config;
pub use crate::error::OpenError;
pub use crate::store::MIGRATIONS;

use crate::api::Api;
use crate::app::App;

/// The pipeline service. Clones share everything.
#[derive(Clone)]
pub struct Pipeline {
    app: App,
}

impl Pipeline {
    /// Opens the service's database, and migrates it if the configuration says so. Contacts is
    /// connected to at the first call.
    pub async fn open(config: Config, clock: Clock, ids: Ids) -> Result<Self, OpenError> {
        let (uri, tls) = (&config.contacts_uri, config.tls);
        let contacts = peers::contacts::Contacts::connect_lazy(uri, config.credential, tls)?;
        let mut options = ::store::Options::new("pipeline", config.database_url, &MIGRATIONS);
        options.migrate = config.migrate;
        options.connections = config.pool_max;
        options.clock = clock.clone();
        options.held = serve::at_work;
        let opened = tokio::task::spawn_blocking(move || ::store::Store::open(options)).await;
        let store = opened.map_err(std::io::Error::other)??;
        Ok(Self {
            app: App {
                store,
                contacts,
                lineages: Arc::default(),
                compiler: policy::Compiler::start()?,
                clock,
                process: ids.next().into(),
                ids,
                wakes: Arc::default(),
                seal_interval: Duration::from_secs(config.seal_interval_seconds.max(1)),
            },
        })
    }

    /// The rpc services, behind `admission`.
    pub fn services<A: Admission + Clone>(&self, admission: A) -> Services {
        let api = Api {
            app: self.app.clone(),
        };
        Services::new()
            .with(PolicyServiceServer::new(Guarded::new(
                api.clone(),
                admission.clone(),
            )))
            .with(PositionServiceServer::new(Guarded::new(
                api.clone(),
                admission.clone(),
            )))
            .with(EntitlementServiceServer::new(Guarded::new(api, admission)))
    }

    /// Starts what runs besides calls: following the directory, telling it where contacts stand,
    /// rewriting positions after an activation, sealing histories, clearing away. Ends when
    /// `shutdown` is cancelled.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the three services have one face"
    )]
    pub fn spawn(&self, shutdown: CancellationToken) -> JoinSet<()> {
        self.app.spawn(&shutdown)
    }

    /// Whether the database answers: for readiness.
    pub async fn ready(&self) -> bool {
        let deadline = Deadline::after(Duration::from_secs(1));
        self.app.store.check(deadline).await.is_ok()
    }

    /// The store, for the event relay.
    pub fn store(&self) -> &::store::Store {
        &self.app.store
    }
}
