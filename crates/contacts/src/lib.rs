//! The directory service: who somebody is, where they came from, and everything that is known of
//! them. Where they stand is decided by the pipeline service and only shown here.
//!
//! A request reads straight through the rooms: `api` parses it, `app` does it, `domain` knows the
//! rules, `store` the rows; `wire` turns values into messages and back, `formats` into files.
//!
//! ```no_run
//! # async fn start() -> Result<(), Box<dyn std::error::Error>> {
//! let mut config = contacts::Config::new("sqlite:contacts.db");
//! config.migrate = true;
//! let service = contacts::Contacts::open(config, types::Clock::system(), types::Ids::system()).await?;
//! let stop = tokio_util::sync::CancellationToken::new();
//! let tasks = service.spawn(stop.clone());
//! let server = serve::Server::bind(serve::Config::default()).await?;
//! let stopped = async { let _ = tokio::signal::ctrl_c().await; };
//! server.run(service.services(serve::LocalAdmission), stopped).await?;
//! stop.cancel();
//! tasks.join_all().await;
//! # Ok(())
//! # }
//! ```

mod api;
mod app;
mod config;
pub mod domain;
mod error;
pub mod formats;
mod store;
mod wire;

use std::time::Duration;

use ::store::{OpenError, Options, Store};
use proto::contacts::v1::contact_service_server::ContactServiceServer;
use proto::contacts::v1::transfer_service_server::TransferServiceServer;
use proto::{Admission, Guarded};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use types::{Clock, Deadline, Ids};

pub use config::Config;
pub use store::MIGRATIONS;

/// How long a background task's lease lasts when its holder is gone.
const LEASE: Duration = Duration::from_secs(15);

/// The longest message that is read: a piece of an import's file is up to 1 MiB.
const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The service over its database. Clones are cheap and share everything.
#[derive(Clone)]
pub struct Contacts {
    app: app::App,
}

impl Contacts {
    /// Opens the database, which is migrated if the configuration says so and else must be up to
    /// date.
    pub async fn open(config: Config, clock: Clock, ids: Ids) -> Result<Self, OpenError> {
        let options = Options {
            migrate: config.migrate,
            connections: config.pool_max,
            clock: clock.clone(),
            held: serve::at_work,
            ..Options::new(app::SERVICE, config.database_url, &MIGRATIONS)
        };
        let opened = tokio::task::spawn_blocking(move || Store::open(options)).await;
        let store = opened.map_err(|error| OpenError::Unreachable(error.to_string()))??;
        Ok(Self::over(store, clock, ids))
    }

    /// The service over a store that was opened with [`MIGRATIONS`].
    pub fn over(store: Store, clock: Clock, ids: Ids) -> Self {
        Self {
            app: app::App::new(store, clock, ids),
        }
    }

    /// The rpc services, each behind its guard.
    pub fn services<A>(&self, admission: A) -> serve::Services
    where
        A: Admission + Clone,
    {
        let api = api::Api {
            app: self.app.clone(),
        };
        let contacts = Guarded::new(api.clone(), admission.clone());
        let transfers = Guarded::new(api, admission);
        serve::Services::new()
            .with(ContactServiceServer::new(contacts).max_decoding_message_size(MESSAGE_BYTES_MAX))
            .with(
                TransferServiceServer::new(transfers).max_decoding_message_size(MESSAGE_BYTES_MAX),
            )
    }

    /// Starts the background tasks: running imports, and clearing away what is over. Each runs on
    /// one replica at a time and ends when `shutdown` is cancelled.
    pub fn spawn(&self, shutdown: CancellationToken) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        tasks.spawn_blocking(domain::phones::load_plans);
        let holder = self.app.ids.next();
        let (app, stop, name) = (self.app.clone(), shutdown.clone(), holder.clone());
        tasks.spawn(async move {
            let run = |lease| app.clone().run_imports(lease);
            app.store
                .lead("contacts.imports", &name, LEASE, stop.cancelled(), run)
                .await;
        });
        let app = self.app.clone();
        tasks.spawn(async move {
            let run = |lease| app.clone().keep_up(lease);
            app.store
                .lead("contacts.upkeep", &holder, LEASE, shutdown.cancelled(), run)
                .await;
        });
        tasks
    }

    /// Whether the service can answer: its database does.
    pub async fn ready(&self) -> bool {
        self.app
            .store
            .check(Deadline::after(Duration::from_secs(1)))
            .await
            .is_ok()
    }

    /// The store, for the event relay.
    pub fn store(&self) -> &Store {
        &self.app.store
    }
}
