//! The service as a whole: opened, served, run in the background.

use std::time::Duration;

use ::store::{OpenError, Options, Store};
use proto::billing::v1::invoice_service_server::InvoiceServiceServer;
use proto::billing::v1::project_service_server::ProjectServiceServer;
use proto::{Admission, Guarded};
use serve::Services;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use types::{Clock, Deadline, Ids};

use crate::api::invoices::Invoices;
use crate::api::projects::Projects;
use crate::app::App;
use crate::app::attaching::Attaching;
use crate::app::issues::Queue;
use crate::app::subjects::Subjects;
use crate::config::Config;
use crate::peers::pipeline::Pipeline;
use crate::store::{MIGRATIONS, gate};

/// How long the first transaction may take.
const START_TIME: Duration = Duration::from_secs(10);

/// How long the database may take to say that it is there.
const READY_TIME: Duration = Duration::from_secs(1);

/// The service. Clones share it.
#[derive(Clone)]
pub struct Billing {
    app: App,
}

impl Billing {
    /// Opens the database, migrating it where the settings say so. Must be called within a tokio
    /// runtime; pipeline need not be there.
    pub async fn open(config: Config, clock: Clock, ids: Ids) -> Result<Self, OpenError> {
        let (uri, tls) = (&config.pipeline_uri, config.tls);
        let pipeline = Pipeline::connect_lazy(uri, config.credential, tls)
            .map_err(|error| OpenError::Unreachable(error.to_string()))?;
        let mut options = Options::new("billing", config.database_url, &MIGRATIONS);
        options.migrate = config.migrate;
        options.connections = config.pool_max;
        options.clock = clock.clone();
        options.held = serve::at_work;
        let opened = tokio::task::spawn_blocking(move || Store::open(options)).await;
        let store = opened.map_err(|error| OpenError::Unreachable(error.to_string()))??;
        let new_id = ids.next();
        let holder: String = store
            .across()
            .write("gate.holder", Deadline::after(START_TIME), move |conn| {
                gate::holder_ensure(conn, &new_id)
            })
            .await
            .map_err(|error: ::store::Error| OpenError::Unreachable(error.to_string()))?;
        let app = App {
            store,
            pipeline,
            clock,
            holder: holder.into(),
            process: ids.next().into(),
            ids,
            // Issues of one series wait for each other, so one batch is under way at a time.
            issues: Queue::new(1),
            attaching: Attaching::default(),
            subjects: Subjects::default(),
        };
        Ok(Self { app })
    }

    /// The gRPC services, each behind the guard that authorises and validates.
    pub fn services<A: Admission + Clone>(&self, admission: A) -> Services {
        let invoices = Guarded::new(Invoices::new(self.app.clone()), admission.clone());
        let projects = Guarded::new(Projects::new(self.app.clone()), admission);
        Services::new()
            .with(InvoiceServiceServer::new(invoices))
            .with(ProjectServiceServer::new(projects))
    }

    /// Starts what runs beside the calls: the follower of recalls, and the pruning. Ends with
    /// `shutdown`.
    pub fn spawn(&self, shutdown: CancellationToken) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        tasks.spawn(self.app.clone().recalls_follow(shutdown.clone()));
        tasks.spawn(self.app.clone().prune(shutdown));
        tasks
    }

    /// Whether the database answers. Pipeline may be down: held grants work without it.
    pub async fn ready(&self) -> bool {
        self.app
            .store
            .check(Deadline::after(READY_TIME))
            .await
            .is_ok()
    }

    /// The store, for the event relay.
    pub fn store(&self) -> &Store {
        &self.app.store
    }
}
