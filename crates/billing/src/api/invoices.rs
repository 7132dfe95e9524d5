//! InvoiceService.

use proto::billing::v1;
use proto::billing::v1::invoice_service_server::InvoiceService;
use tonic::{Request, Response, Status};

use super::{answer, call, done};
use crate::app::App;

/// The handlers of InvoiceService.
#[derive(Clone)]
pub struct Invoices {
    app: App,
}

impl Invoices {
    /// Handlers over the use cases.
    pub fn new(app: App) -> Self {
        Self { app }
    }

    /// The present life of the database: tokens of another one are foreign.
    pub(super) fn epoch(&self) -> i64 {
        self.app.store.epoch()
    }
}

#[tonic::async_trait]
impl InvoiceService for Invoices {
    async fn create_invoice(
        &self,
        request: Request<v1::CreateInvoiceRequest>,
    ) -> Result<Response<v1::CreateInvoiceResponse>, Status> {
        let call = call(&request);
        done(self.app.invoice_create(&call, request.into_inner()).await)
    }

    async fn get_invoice(
        &self,
        request: Request<v1::GetInvoiceRequest>,
    ) -> Result<Response<v1::GetInvoiceResponse>, Status> {
        let call = call(&request);
        answer(self.app.invoice_get(&call, request.into_inner()).await)
    }

    async fn list_invoices(
        &self,
        request: Request<v1::ListInvoicesRequest>,
    ) -> Result<Response<v1::ListInvoicesResponse>, Status> {
        let call = call(&request);
        answer(self.app.invoice_list(&call, request.into_inner()).await)
    }

    async fn update_invoice(
        &self,
        request: Request<v1::UpdateInvoiceRequest>,
    ) -> Result<Response<v1::UpdateInvoiceResponse>, Status> {
        let call = call(&request);
        done(self.app.invoice_update(&call, request.into_inner()).await)
    }

    async fn issue_invoice(
        &self,
        request: Request<v1::IssueInvoiceRequest>,
    ) -> Result<Response<v1::IssueInvoiceResponse>, Status> {
        let call = call(&request);
        done(self.app.invoice_issue(&call, request.into_inner()).await)
    }

    async fn verify_invoices(
        &self,
        request: Request<v1::VerifyInvoicesRequest>,
    ) -> Result<Response<v1::VerifyInvoicesResponse>, Status> {
        let call = call(&request);
        answer(self.app.invoice_verify(&call, request.into_inner()).await)
    }

    async fn get_server_info(
        &self,
        request: Request<v1::GetServerInfoRequest>,
    ) -> Result<Response<v1::GetServerInfoResponse>, Status> {
        let call = call(&request);
        answer(self.app.server_info(&call).await)
    }
}
