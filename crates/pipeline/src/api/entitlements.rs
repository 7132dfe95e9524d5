//! EntitlementService.

use std::pin::Pin;

use futures::Stream;
use proto::convert::role_to_wire;
use proto::pipeline::v1::entitlement_service_server::EntitlementService;
use proto::pipeline::v1::{
    AcknowledgeFenceRequest, AcknowledgeFenceResponse, AcknowledgeRecallRequest,
    AcknowledgeRecallResponse, AcquireGrantRequest, AcquireGrantResponse, AttachHolderRequest,
    AttachHolderResponse, CheckEntitlementRequest, CheckEntitlementResponse, WatchRecallsRequest,
    WatchRecallsResponse,
};
use tonic::{Request, Response, Status};

use super::Api;
use super::calls::{call, parse, workspace};
use super::status::status;
use crate::app::acknowledgements::Acknowledgement;
use crate::wire::grants;

#[tonic::async_trait]
impl EntitlementService for Api {
    async fn check_entitlement(
        &self,
        request: Request<CheckEntitlementRequest>,
    ) -> Result<Response<CheckEntitlementResponse>, Status> {
        let call = call(&request);
        let body = request.into_inner();
        let contact = parse("contact", &body.contact)?;
        let fresh = &body.at_least_as_fresh_as;
        let found = self
            .app
            .check_entitlement(&contact, &body.entitlement, fresh, call.deadline)
            .await
            .map_err(status)?;
        Ok(Response::new(CheckEntitlementResponse {
            allowed: found.allowed,
            reason: found.reason,
            stage: found.stage.unwrap_or_default(),
            role: role_to_wire(found.role) as i32,
            policy_revision: found.policy_revision,
            position_revision: found.position_revision,
            consistency_token: found.consistency_token,
        }))
    }

    async fn acquire_grant(
        &self,
        request: Request<AcquireGrantRequest>,
    ) -> Result<Response<AcquireGrantResponse>, Status> {
        let call = call(&request);
        let body = request.into_inner();
        let contact = parse("contact", &body.contact)?;
        let (grant, subject) = self
            .app
            .for_peers()
            .acquire_grant(&contact, &body.holder, body.holder_epoch, call.deadline)
            .await
            .map_err(status)?;
        Ok(Response::new(AcquireGrantResponse {
            grant: Some(grants::grant(&grant)),
            subject: Some(grants::subject(subject)),
        }))
    }

    type WatchRecallsStream =
        Pin<Box<dyn Stream<Item = Result<WatchRecallsResponse, Status>> + Send>>;

    async fn watch_recalls(
        &self,
        request: Request<WatchRecallsRequest>,
    ) -> Result<Response<Self::WatchRecallsStream>, Status> {
        call(&request);
        let body = request.into_inner();
        let watched = self.app.watch_recalls(body.holder);
        let stream = futures::stream::unfold(Some(watched), |watched| async {
            let mut watched = watched?;
            match watched.next().await {
                Ok(orders) => Some((Ok(grants::orders(&orders)), Some(watched))),
                Err(error) => Some((Err(status(error)), None)),
            }
        });
        Ok(Response::new(Box::pin(stream)))
    }

    async fn acknowledge_recall(
        &self,
        request: Request<AcknowledgeRecallRequest>,
    ) -> Result<Response<AcknowledgeRecallResponse>, Status> {
        let call = call(&request);
        let body = request.into_inner();
        let told = Acknowledgement {
            contact: parse("contact", &body.contact)?,
            holder: body.holder,
            revision: body.grant_revision,
            documents_exist: body.documents_exist,
            epoch: body.epoch,
        };
        let completed = self
            .app
            .for_peers()
            .acknowledge_recall(told, call.deadline)
            .await
            .map_err(status)?;
        Ok(Response::new(AcknowledgeRecallResponse { completed }))
    }

    async fn acknowledge_fence(
        &self,
        request: Request<AcknowledgeFenceRequest>,
    ) -> Result<Response<AcknowledgeFenceResponse>, Status> {
        let call = call(&request);
        let body = request.into_inner();
        let workspace = workspace("workspace", &body.workspace)?;
        let number = body.min_policy_activation;
        let completed = self
            .app
            .for_peers()
            .acknowledge_fence(&workspace, &body.holder, number, body.epoch, call.deadline)
            .await
            .map_err(status)?;
        Ok(Response::new(AcknowledgeFenceResponse { completed }))
    }

    async fn attach_holder(
        &self,
        request: Request<AttachHolderRequest>,
    ) -> Result<Response<AttachHolderResponse>, Status> {
        let call = call(&request);
        let body = request.into_inner();
        let epoch = self
            .app
            .attach_holder(
                body.holder,
                body.holder_epoch,
                body.pipeline_epoch,
                call.deadline,
            )
            .await
            .map_err(status)?;
        Ok(Response::new(AttachHolderResponse { epoch }))
    }
}
