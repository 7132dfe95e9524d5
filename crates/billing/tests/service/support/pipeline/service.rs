//! What the tests' pipeline answers.

use std::pin::Pin;
use std::time::Duration;

use futures::Stream;
use proto::errors::v1::Reason;
use proto::pipeline::v1;
use proto::pipeline::v1::entitlement_service_server::EntitlementService;
use proto::status::Refusal;
use tonic::{Request, Response, Status};

use super::{Pipeline, Reach};

#[tonic::async_trait]
impl EntitlementService for Pipeline {
    type WatchRecallsStream =
        Pin<Box<dyn Stream<Item = Result<v1::WatchRecallsResponse, Status>> + Send>>;

    async fn check_entitlement(
        &self,
        _: Request<v1::CheckEntitlementRequest>,
    ) -> Result<Response<v1::CheckEntitlementResponse>, Status> {
        Err(Status::unimplemented("billing does not ask"))
    }

    async fn acquire_grant(
        &self,
        request: Request<v1::AcquireGrantRequest>,
    ) -> Result<Response<v1::AcquireGrantResponse>, Status> {
        let v1::AcquireGrantRequest {
            contact, holder, ..
        } = request.into_inner();
        let mute = self.change(|world| {
            let mute = world.reach == Reach::Mute;
            world.acquired += usize::from(mute);
            mute
        });
        if mute {
            std::future::pending::<()>().await;
        }
        self.change(|world| {
            world.reachable()?;
            world.acquired += 1;
            if let Some(late) = world.late.take() {
                return Ok(Response::new(late));
            }
            let Some(position) = world.positions.get_mut(&contact) else {
                let refusal = Refusal::new(Reason::ResourceNotFound, "there is no such contact");
                return Err(refusal.metadata("resource", contact).into());
            };
            if let Some((to, _)) = &position.pending {
                return Err(
                    Refusal::new(Reason::TransitionPending, "it is leaving its stage")
                        .metadata("contact", contact.as_str())
                        .metadata("to", to.as_str())
                        .metadata("since", "2026-11-03T09:30:00Z")
                        .into(),
                );
            }
            position.holders.insert(holder);
            Ok(Response::new(world.grant(&contact)))
        })
    }

    async fn watch_recalls(
        &self,
        request: Request<v1::WatchRecallsRequest>,
    ) -> Result<Response<Self::WatchRecallsStream>, Status> {
        let holder = request.into_inner().holder;
        self.change(|world| {
            world.streams += 1;
            world.streams_waiting += 1;
        });
        while self.look(|world| world.streams_held) {
            let changed = self.changed.notified();
            let _ = tokio::time::timeout(Duration::from_millis(5), changed).await;
        }
        self.change(|world| {
            world.streams_waiting -= 1;
            world.reachable()
        })?;
        let stream = futures::stream::unfold(
            (self.clone(), holder, true),
            |(pipeline, holder, first)| async move {
                if !first {
                    let _ = tokio::time::timeout(
                        Duration::from_millis(50),
                        pipeline.changed.notified(),
                    )
                    .await;
                }
                let world = pipeline.world.lock().expect("no test panicked in here");
                let message = world.reachable().map(|()| world.orders(&holder));
                drop(world);
                if pipeline.stop.is_cancelled() {
                    return None;
                }
                Some((message, (pipeline, holder, false)))
            },
        );
        Ok(Response::new(Box::pin(stream)))
    }

    async fn acknowledge_recall(
        &self,
        request: Request<v1::AcknowledgeRecallRequest>,
    ) -> Result<Response<v1::AcknowledgeRecallResponse>, Status> {
        let request = request.into_inner();
        let completed = self.change(|world| {
            world.reachable()?;
            world
                .acknowledged
                .push((request.contact.clone(), request.grant_revision));
            let attached = world.attached.contains_key(&request.holder);
            if world.ignore_acknowledgements || request.epoch != world.epoch || !attached {
                return Ok(false);
            }
            let Some(position) = world.positions.get_mut(&request.contact) else {
                return Ok(false);
            };
            match position.pending.clone() {
                Some((stage, revision)) if revision == request.grant_revision => {
                    position.stage = stage;
                    position.pending = None;
                    position.revision += 1;
                    position.documents_exist = Some(request.documents_exist);
                    Ok(true)
                }
                _ => Ok::<_, Status>(false),
            }
        })?;
        Ok(Response::new(v1::AcknowledgeRecallResponse { completed }))
    }

    async fn acknowledge_fence(
        &self,
        request: Request<v1::AcknowledgeFenceRequest>,
    ) -> Result<Response<v1::AcknowledgeFenceResponse>, Status> {
        let request = request.into_inner();
        let completed = self.change(|world| {
            world.reachable()?;
            let completed = request.min_policy_activation == world.activation;
            if completed {
                world.fence_waits = false;
            }
            Ok::<_, Status>(completed)
        })?;
        Ok(Response::new(v1::AcknowledgeFenceResponse { completed }))
    }

    async fn attach_holder(
        &self,
        request: Request<v1::AttachHolderRequest>,
    ) -> Result<Response<v1::AttachHolderResponse>, Status> {
        let request = request.into_inner();
        let epoch = self.change(|world| {
            world.reachable()?;
            world.attached.insert(request.holder, request.holder_epoch);
            Ok::<_, Status>(world.epoch)
        })?;
        Ok(Response::new(v1::AttachHolderResponse { epoch }))
    }
}
