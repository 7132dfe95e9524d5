//! What the tests of this crate share: billing on a real port over a fresh database, and a pipeline
//! of their own that gives and recalls grants.
#![allow(dead_code, reason = "each test file uses a part of it")]

mod pipeline;

use std::collections::BTreeMap;
use std::time::Duration;

use billing::{Billing, Config};
use proto::billing::v1;
use proto::billing::v1::invoice_service_client::InvoiceServiceClient;
use proto::billing::v1::project_service_client::ProjectServiceClient;
use proto::errors::v1::Reason;
use proto::google::r#type as google;
use proto::status;
use serve::{LocalAdmission, Server};
use store::testing::{Engine, FreshUrl, engines};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic::{Code, Status};
use types::{Clock, Ids};

pub use pipeline::Pipeline;

/// Longer than anything takes unless it hangs.
pub const LONG: Duration = Duration::from_secs(20);

/// Runs a test once per engine, one after the other.
#[expect(
    clippy::print_stdout,
    reason = "a test that fails says on which engine"
)]
pub async fn on_every_engine<F: AsyncFn(Engine)>(test: F) {
    for engine in engines() {
        println!("on {}", engine.name());
        Box::pin(test(engine)).await;
    }
}

/// A database and a pipeline; billing is started on them, more than once where a test wants.
pub struct Suite {
    pub url: FreshUrl,
    pub pipeline: Pipeline,
}

impl Suite {
    pub async fn new(engine: &Engine) -> Self {
        Self {
            url: engine.fresh_url().await,
            pipeline: Pipeline::start().await,
        }
    }

    /// Billing with its follower of recalls.
    pub async fn start(&self) -> Running {
        Running::start(&self.url, &self.pipeline.uri(), true).await
    }

    /// Billing without its follower: recalls and fences wait.
    pub async fn start_without_follower(&self) -> Running {
        Running::start(&self.url, &self.pipeline.uri(), false).await
    }

    /// A store over the same database, to look behind the service.
    pub fn store(&self) -> store::Store {
        store::testing::open(&self.url, &billing::MIGRATIONS)
    }
}

/// Billing on a port of its own.
pub struct Running {
    pub invoices: InvoiceServiceClient<Channel>,
    pub projects: ProjectServiceClient<Channel>,
    stop: CancellationToken,
    server: JoinHandle<()>,
    tasks: JoinSet<()>,
}

impl Running {
    async fn start(url: &str, pipeline_uri: &str, follow: bool) -> Self {
        let config = Config {
            database_url: url.to_owned(),
            migrate: true,
            pool_max: 16,
            pipeline_uri: pipeline_uri.to_owned(),
        };
        let billing = Billing::open(config, Clock::system(), Ids::system())
            .await
            .expect("billing opens");
        assert!(billing.ready().await);
        let listen = "127.0.0.1:0".parse().expect("an address");
        let server = Server::bind(serve::Config {
            listen,
            grace_ms: 1000,
            ..Default::default()
        })
        .await
        .expect("a free port");
        let uri = format!("http://{}", server.address());
        let stop = CancellationToken::new();
        let services = billing.services(LocalAdmission);
        let told = stop.clone().cancelled_owned();
        let server = tokio::spawn(async move {
            server.run(services, told).await.expect("the server runs");
        });
        let tasks = if follow {
            billing.spawn(stop.clone())
        } else {
            JoinSet::new()
        };
        let channel = Channel::from_shared(uri)
            .expect("a URI")
            .connect_timeout(LONG)
            .connect()
            .await
            .expect("billing answers");
        Self {
            invoices: InvoiceServiceClient::new(channel.clone()),
            projects: ProjectServiceClient::new(channel),
            stop,
            server,
            tasks,
        }
    }

    /// Stops it as SIGTERM would.
    pub async fn stop(mut self) {
        self.stop.cancel();
        self.server.await.expect("the server ends");
        while self.tasks.join_next().await.is_some() {}
    }

    /// Drafts an invoice of one line.
    pub async fn draft(&self, contact: &str) -> Result<v1::Invoice, Status> {
        let invoice = invoice(contact);
        self.create(v1::CreateInvoiceRequest {
            invoice: Some(invoice),
            ..create_request()
        })
        .await
    }

    pub async fn create(&self, request: v1::CreateInvoiceRequest) -> Result<v1::Invoice, Status> {
        let response = self.invoices.clone().create_invoice(request).await?;
        Ok(response.into_inner().invoice.expect("an invoice"))
    }

    pub async fn issue(&self, name: &str) -> Result<v1::Invoice, Status> {
        let request = v1::IssueInvoiceRequest {
            name: name.to_owned(),
            ..Default::default()
        };
        let response = self.invoices.clone().issue_invoice(request).await?;
        Ok(response.into_inner().invoice.expect("an invoice"))
    }

    pub async fn get(&self, name: &str) -> Result<v1::Invoice, Status> {
        let request = v1::GetInvoiceRequest {
            name: name.to_owned(),
            ..Default::default()
        };
        let response = self.invoices.clone().get_invoice(request).await?;
        Ok(response.into_inner().invoice.expect("an invoice"))
    }

    pub async fn verify(&self) -> Result<i64, Status> {
        let request = v1::VerifyInvoicesRequest {
            parent: PARENT.into(),
            ..Default::default()
        };
        Ok(self
            .invoices
            .clone()
            .verify_invoices(request)
            .await?
            .into_inner()
            .invoices)
    }

    pub async fn project(&self, id: &str) -> v1::Project {
        let request = v1::CreateProjectRequest {
            parent: PARENT.into(),
            project_id: id.to_owned(),
            project: Some(v1::Project {
                display_name: "Roof".into(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let response = self
            .projects
            .clone()
            .create_project(request)
            .await
            .expect("a project");
        response.into_inner().project.expect("a project")
    }

    pub async fn assign(&self, project: &str, contact: &str) -> Result<v1::Assignment, Status> {
        let request = v1::AssignContactRequest {
            project: project.to_owned(),
            contact: contact.to_owned(),
            ..Default::default()
        };
        let response = self.projects.clone().assign_contact(request).await?;
        Ok(response.into_inner().assignment.expect("an assignment"))
    }
}

impl Running {
    pub async fn unassign(&self, project: &str, contact: &str) -> Result<v1::Assignment, Status> {
        let request = v1::UnassignContactRequest {
            project: project.to_owned(),
            contact: contact.to_owned(),
            ..Default::default()
        };
        let response = self.projects.clone().unassign_contact(request).await?;
        Ok(response.into_inner().assignment.expect("an assignment"))
    }
}

/// The workspace of the tests.
pub const PARENT: &str = "workspaces/default";

pub fn contact(id: &str) -> String {
    format!("{PARENT}/contacts/{id}")
}

#[expect(clippy::unnecessary_wraps, reason = "fields of messages are optional")]
pub fn decimal(text: &str) -> Option<google::Decimal> {
    Some(google::Decimal {
        value: text.to_owned(),
    })
}

/// 2 * 10.50 EUR with 19 % tax: net 21.00, tax 3.99, gross 24.99.
pub fn invoice(contact: &str) -> v1::Invoice {
    v1::Invoice {
        contact: contact.to_owned(),
        currency_code: "EUR".into(),
        lines: vec![v1::LineItem {
            description: "Tiles".into(),
            quantity: decimal("2"),
            unit_price: decimal("10.50"),
            tax_rate: decimal("19"),
            ..Default::default()
        }],
        ..Default::default()
    }
}

pub fn create_request() -> v1::CreateInvoiceRequest {
    v1::CreateInvoiceRequest {
        parent: PARENT.into(),
        ..Default::default()
    }
}

#[expect(clippy::unnecessary_wraps, reason = "fields of messages are optional")]
pub fn money(units: i64, nanos: i32) -> Option<google::Money> {
    Some(google::Money {
        currency_code: "EUR".into(),
        units,
        nanos,
    })
}

/// Code, reason and metadata of a refusal.
pub fn refusal(status: &Status) -> (Code, Option<Reason>, BTreeMap<String, String>) {
    (
        status.code(),
        status::reason(status),
        status::metadata(status),
    )
}

pub fn assert_refused(status: &Status, reason: Reason) {
    assert_eq!(status::reason(status), Some(reason), "{status:?}");
    assert_eq!(status.code(), reason.code());
}

/// The fields that a FIELD_INVALID names.
pub fn fields(status: &Status) -> Vec<String> {
    use tonic_types::StatusExt as _;
    let details = status.get_details_bad_request().expect("a BadRequest");
    details
        .field_violations
        .into_iter()
        .map(|violation| violation.field)
        .collect()
}

/// Polls until `check` is true; fails after a long time.
pub async fn eventually<F: AsyncFnMut() -> bool>(what: &str, mut check: F) {
    let deadline = tokio::time::Instant::now() + LONG;
    while !check().await {
        assert!(
            tokio::time::Instant::now() < deadline,
            "never came true: {what}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A file of the truth folder; `None` where there is no such folder to read from.
#[expect(clippy::print_stdout, reason = "tests say what they leave out")]
pub fn truth(path: &str) -> Option<serde_json::Value> {
    let Some(root) = std::env::var_os("CLIENTELE_TRUTH") else {
        println!("CLIENTELE_TRUTH is not set: {path} is skipped");
        return None;
    };
    let file = std::path::PathBuf::from(root).join(path);
    let text = std::fs::read_to_string(&file).expect("CLIENTELE_TRUTH is set, so it is there");
    Some(serde_json::from_str(&text).expect("JSON"))
}
