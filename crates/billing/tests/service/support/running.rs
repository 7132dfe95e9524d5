//! Billing on a port of its own, and the calls that the tests make.

use billing::{Billing, Config};
use proto::billing::v1;
use proto::billing::v1::invoice_service_client::InvoiceServiceClient;
use proto::billing::v1::project_service_client::ProjectServiceClient;
use serve::{Concurrency, LocalAdmission, Server};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::transport::Channel;
use types::{Clock, Ids};

use super::{LONG, PARENT, create_request, invoice};

/// Billing on a port of its own.
pub struct Running {
    pub invoices: InvoiceServiceClient<Channel>,
    pub projects: ProjectServiceClient<Channel>,
    stop: CancellationToken,
    server: JoinHandle<()>,
    tasks: JoinSet<()>,
}

impl Running {
    pub(super) async fn start(url: &str, pipeline_uri: &str, clock: Clock, follow: bool) -> Self {
        let places = Concurrency::default();
        Self::start_with(places, url, pipeline_uri, clock, follow).await
    }

    /// The same with these places for calls.
    pub(super) async fn start_with(
        concurrency: Concurrency,
        url: &str,
        pipeline_uri: &str,
        clock: Clock,
        follow: bool,
    ) -> Self {
        let config = Config {
            database_url: url.into(),
            migrate: true,
            pool_max: 16,
            pipeline_uri: pipeline_uri.to_owned(),
            credential: serve::Credential::None,
            tls: None,
        };
        let billing = Billing::open(config, clock, Ids::system())
            .await
            .expect("billing opens");
        assert!(billing.ready().await);
        let listen = "127.0.0.1:0".parse().expect("an address");
        let server = Server::bind(serve::Config {
            listen,
            grace_ms: 1000,
            concurrency,
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
