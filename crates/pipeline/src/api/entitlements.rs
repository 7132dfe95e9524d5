//! EntitlementService.

use std::pin::Pin;
use std::time::Duration;

use futures::Stream;
use proto::convert::role_to_wire;
use proto::pipeline::v1::entitlement_service_server::EntitlementService;
use proto::pipeline::v1::{
    AcknowledgeFenceRequest, AcknowledgeFenceResponse, AcknowledgeRecallRequest,
    AcknowledgeRecallResponse, AcquireGrantRequest, AcquireGrantResponse, AttachHolderRequest,
    AttachHolderResponse, CheckEntitlementRequest, CheckEntitlementResponse, WatchRecallsRequest,
    WatchRecallsResponse,
};
use tokio::time::Instant;
use tonic::{Request, Response, Status};
use types::Deadline;

use super::Api;
use super::calls::{call, parse, workspace};
use super::status::status;
use crate::app::App;
use crate::app::acknowledgements::Acknowledgement;
use crate::domain::grants::Orders;
use crate::error::Error;
use crate::wire::grants;

/// How long one look at what waits may take.
const LOOK: Duration = Duration::from_secs(10);
/// What is not acknowledged is told again after this.
const AGAIN: Duration = Duration::from_secs(2);
/// How long a stream of recalls may be silent.
const HEARTBEAT: Duration = Duration::from_secs(15);

#[tonic::async_trait]
impl EntitlementService for Api {
    async fn check_entitlement(
        &self,
        request: Request<CheckEntitlementRequest>,
    ) -> Result<Response<CheckEntitlementResponse>, Status> {
        let call = call(&request)?;
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
        let call = call(&request)?;
        let body = request.into_inner();
        let contact = parse("contact", &body.contact)?;
        let (grant, subject) = self
            .app
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
        call(&request)?;
        let body = request.into_inner();
        let watched = Watched {
            app: self.app.clone(),
            holder: body.holder,
            told: None,
        };
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
        let call = call(&request)?;
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
            .acknowledge_recall(told, call.deadline)
            .await
            .map_err(status)?;
        Ok(Response::new(AcknowledgeRecallResponse { completed }))
    }

    async fn acknowledge_fence(
        &self,
        request: Request<AcknowledgeFenceRequest>,
    ) -> Result<Response<AcknowledgeFenceResponse>, Status> {
        let call = call(&request)?;
        let body = request.into_inner();
        let workspace = workspace("workspace", &body.workspace)?;
        let number = body.min_policy_activation;
        let completed = self
            .app
            .acknowledge_fence(&workspace, &body.holder, number, body.epoch, call.deadline)
            .await
            .map_err(status)?;
        Ok(Response::new(AcknowledgeFenceResponse { completed }))
    }

    async fn attach_holder(
        &self,
        request: Request<AttachHolderRequest>,
    ) -> Result<Response<AttachHolderResponse>, Status> {
        let call = call(&request)?;
        let body = request.into_inner();
        let epoch = self
            .app
            .attach_holder(body.holder, body.holder_epoch, call.deadline)
            .await
            .map_err(status)?;
        Ok(Response::new(AttachHolderResponse { epoch }))
    }
}

/// A holder that is told what to give back.
struct Watched {
    app: App,
    holder: String,
    told: Option<(Orders, Instant)>,
}

impl Watched {
    /// What waits: at once where it is news, again where it was not acknowledged, and nothing as a
    /// sign of life.
    async fn next(&mut self) -> Result<Orders, Error> {
        loop {
            let mut seen = self.app.store.seen();
            let orders = self.app.orders(&self.holder, Deadline::after(LOOK)).await?;
            let waits = !(orders.recalls.is_empty() && orders.fences.is_empty());
            let due = match &self.told {
                None => None,
                Some((told, _)) if waits && *told != orders => None,
                Some((_, at)) => Some(*at + if waits { AGAIN } else { HEARTBEAT }),
            };
            let left = due.map(|due| due.saturating_duration_since(Instant::now()));
            match left {
                Some(left) if !left.is_zero() => {
                    self.app.store.wait_for_change(&mut seen, left).await;
                }
                Some(_) | None => {
                    self.told = Some((orders.clone(), Instant::now()));
                    return Ok(orders);
                }
            }
        }
    }
}
