//! A pipeline service with its directory, on real ports.

use std::net::SocketAddr;
use std::time::Duration;

use diesel::prelude::*;
use pipeline::{Config, Pipeline};
use proto::pipeline::v1::entitlement_service_client::EntitlementServiceClient;
use proto::pipeline::v1::policy_service_client::PolicyServiceClient;
use proto::pipeline::v1::position_service_client::PositionServiceClient;
use proto::pipeline::v1::{
    AcquireGrantRequest, ActivatePolicyRequest, AttachHolderRequest, ConvertContactRequest,
    ConvertContactResponse, CreatePolicyRequest, GetPositionRequest, Grant, PolicyActivation,
    Position, create_policy_request::Source,
};
use serve::{LocalAdmission, Peer, Server, Services};
use store::testing::{Engine, FreshUrl, engines};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use types::{Clock, Ids};

use crate::directory::Directory;

/// The holder that tests play.
pub const HOLDER: &str = "billing-db";
pub const HOLDER_EPOCH: i64 = 7;

/// One pipeline process.
pub struct Instance {
    peer: Peer,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

/// A directory, a database and the pipeline processes on it.
pub struct Suite {
    pub directory: Directory,
    pub url: FreshUrl,
    pub engine: Engine,
    contacts_uri: String,
    _directory: JoinSet<()>,
    pub one: Instance,
}

async fn serve(services: Services, stop: CancellationToken, tasks: &mut JoinSet<()>) -> SocketAddr {
    let config = serve::Config {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        grace_ms: 500,
        ..serve::Config::default()
    };
    let server = Server::bind(config).await.expect("a free port");
    let address = server.address();
    tasks.spawn(async move {
        server
            .run(services, stop.cancelled_owned())
            .await
            .expect("the server runs");
    });
    address
}

impl Instance {
    /// A pipeline on this database; `background` says whether it does anything besides answering.
    pub async fn start(url: &str, contacts_uri: &str, background: bool) -> Self {
        Self::start_at(Clock::system(), url, contacts_uri, background).await
    }

    /// The same with this clock.
    async fn start_at(clock: Clock, url: &str, contacts_uri: &str, background: bool) -> Self {
        let config = Config {
            migrate: true,
            contacts_uri: contacts_uri.to_owned(),
            seal_interval_seconds: 1,
            pool_max: 12,
            ..Config::new(url)
        };
        let pipeline = Pipeline::open(config, clock, Ids::system())
            .await
            .expect("the pipeline opens");
        let stop = CancellationToken::new();
        let mut tasks = if background {
            pipeline.spawn(stop.clone())
        } else {
            JoinSet::new()
        };
        let address = serve(pipeline.services(LocalAdmission), stop.clone(), &mut tasks).await;
        let uri = format!("http://{address}");
        let peer = Peer::connect_lazy(&uri, "billing").expect("an address");
        Self { peer, stop, tasks }
    }

    /// Stops as a process does that is killed: nothing is finished.
    pub async fn kill(mut self) {
        self.tasks.shutdown().await;
    }

    /// Stops in good order.
    pub async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }

    pub fn positions(&self) -> PositionServiceClient<Peer> {
        PositionServiceClient::new(self.peer.clone())
    }

    pub fn policies(&self) -> PolicyServiceClient<Peer> {
        PolicyServiceClient::new(self.peer.clone())
    }

    pub fn entitlements(&self) -> EntitlementServiceClient<Peer> {
        EntitlementServiceClient::new(self.peer.clone())
    }

    pub async fn position(&self, contact: &str) -> Result<Position, Status> {
        let request = GetPositionRequest {
            name: format!("{contact}/position"),
            ..GetPositionRequest::default()
        };
        let answer = self.positions().get_position(request).await?;
        Ok(answer.into_inner().position.expect("a position"))
    }

    pub async fn convert(
        &self,
        contact: &str,
        stage: &str,
    ) -> Result<ConvertContactResponse, Status> {
        self.convert_with(ConvertContactRequest {
            contact: contact.to_owned(),
            stage: stage.to_owned(),
            ..ConvertContactRequest::default()
        })
        .await
    }

    pub async fn convert_with(
        &self,
        request: ConvertContactRequest,
    ) -> Result<ConvertContactResponse, Status> {
        Ok(self
            .positions()
            .convert_contact(request)
            .await?
            .into_inner())
    }

    /// Puts a preset in force in a workspace.
    pub async fn activate_preset(&self, workspace: &str, preset: &str) -> PolicyActivation {
        let request = CreatePolicyRequest {
            parent: format!("workspaces/{workspace}"),
            policy_id: preset.to_owned(),
            source: Some(Source::Preset(preset.to_owned())),
            ..CreatePolicyRequest::default()
        };
        let created = self
            .policies()
            .create_policy(request)
            .await
            .expect("a policy");
        let policy = created.into_inner().policy.expect("a policy");
        let request = ActivatePolicyRequest {
            name: policy.revision,
            ..ActivatePolicyRequest::default()
        };
        let activated = self
            .policies()
            .activate_policy(request)
            .await
            .expect("activated");
        activated.into_inner().activation.expect("an activation")
    }

    /// Attaches as a holder does: learns the epoch first, and confirms it then.
    pub async fn attach(&self) -> i64 {
        let learnt = self
            .attach_as(HOLDER, HOLDER_EPOCH, 0)
            .await
            .expect("learnt");
        let attached = self.attach_as(HOLDER, HOLDER_EPOCH, learnt).await;
        assert_eq!(attached.expect("attached"), learnt);
        learnt
    }

    /// AttachHolder; answers pipeline's epoch.
    pub async fn attach_as(
        &self,
        holder: &str,
        holder_epoch: i64,
        pipeline_epoch: i64,
    ) -> Result<i64, Status> {
        let request = AttachHolderRequest {
            holder: holder.to_owned(),
            holder_epoch,
            pipeline_epoch,
        };
        let answer = self.entitlements().attach_holder(request).await?;
        Ok(answer.into_inner().epoch)
    }

    pub async fn acquire(&self, contact: &str) -> Result<Grant, Status> {
        self.acquire_as(HOLDER, HOLDER_EPOCH, contact).await
    }

    /// AcquireGrant, by this holder.
    pub async fn acquire_as(
        &self,
        holder: &str,
        holder_epoch: i64,
        contact: &str,
    ) -> Result<Grant, Status> {
        let request = AcquireGrantRequest {
            contact: contact.to_owned(),
            holder: holder.to_owned(),
            holder_epoch,
        };
        let answer = self
            .entitlements()
            .acquire_grant(request)
            .await?
            .into_inner();
        Ok(answer.grant.expect("a grant"))
    }
}

impl Suite {
    pub async fn start(engine: &Engine) -> Self {
        Self::with_background(engine, true).await
    }

    pub async fn with_background(engine: &Engine, background: bool) -> Self {
        // What the service logs is shown where RUST_LOG asks for it.
        let _ = tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
            .with_test_writer()
            .try_init();
        let directory = Directory::new();
        let mut tasks = JoinSet::new();
        let services = Services::new().with(directory.server());
        let address = serve(services, CancellationToken::new(), &mut tasks).await;
        let contacts_uri = format!("http://{address}");
        let url = engine.fresh_url().await;
        let one = Instance::start(&url, &contacts_uri, background).await;
        Self {
            directory,
            url,
            engine: engine.clone(),
            contacts_uri,
            _directory: tasks,
            one,
        }
    }

    /// Another process on the same database.
    pub async fn another(&self) -> Instance {
        Instance::start(&self.url, &self.contacts_uri, true).await
    }

    /// The process is killed and another one started.
    pub async fn restart(&mut self) {
        self.restart_at(Clock::system()).await;
    }

    /// The same with this clock.
    pub async fn restart_at(&mut self, clock: Clock) {
        let next = Instance::start_at(clock, &self.url, &self.contacts_uri, true).await;
        std::mem::replace(&mut self.one, next).kill().await;
    }

    /// Another process takes over from one that stops in good order.
    pub async fn replace(&mut self) {
        let next = Instance::start(&self.url, &self.contacts_uri, true).await;
        std::mem::replace(&mut self.one, next).stop().await;
    }

    /// Runs SQL as whoever has the database.
    pub fn sql(&self, text: &str) -> QueryResult<usize> {
        if self.engine.is_postgres() {
            let mut conn = PgConnection::establish(&self.url).expect("a connection");
            diesel::sql_query("SET clientele.workspace = '*'").execute(&mut conn)?;
            diesel::sql_query(text).execute(&mut conn)
        } else {
            let path = self.url.strip_prefix("sqlite:").expect("a path");
            let mut conn = SqliteConnection::establish(path).expect("a connection");
            diesel::sql_query("PRAGMA busy_timeout = 5000").execute(&mut conn)?;
            diesel::sql_query(text).execute(&mut conn)
        }
    }

    /// The database as an operator's command opens it.
    pub fn store(&self) -> store::Store {
        store::testing::open(&self.url, &pipeline::MIGRATIONS)
    }
}

/// Runs a test on every engine that is there.
pub async fn on_each_engine(test: impl AsyncFn(&mut Suite)) {
    for engine in engines() {
        tracing::info!(engine = engine.name(), "a test begins");
        let mut suite = Suite::start(&engine).await;
        test(&mut suite).await;
        suite.one.kill().await;
    }
}

/// Asks until there is an answer, at most ten seconds.
pub async fn eventually<T, F, Fut>(what: &str, mut ask: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let until = tokio::time::Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(tokio::time::Instant::now() < until, "{what} did not come");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The reason of a refusal.
pub fn reason(status: &Status) -> String {
    use tonic_types::StatusExt as _;
    status
        .get_details_error_info()
        .map_or_else(|| format!("{status:?}"), |info| info.reason)
}

/// The fields that a refusal names.
pub fn fields(status: &Status) -> Vec<String> {
    use tonic_types::StatusExt as _;
    let details = status.get_details_bad_request().expect("BadRequest");
    let fields = details.field_violations.into_iter();
    fields.map(|violation| violation.field).collect()
}

/// The metadata of a refusal.
pub fn metadata(status: &Status, key: &str) -> String {
    proto::status::metadata(status)
        .get(key)
        .cloned()
        .unwrap_or_default()
}
