//! PositionService, but for its lists and streams of transitions, which `transitions` has, and the
//! naming of primary contacts, which `primaries` has.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;

use futures::Stream;
use prost::Message as _;
use proto::convert::timestamp_from_wire;
use proto::pipeline::v1::position_service_server::PositionService;
use proto::pipeline::v1::{
    BatchConversion, BatchConvertContactsRequest, BatchConvertContactsResponse,
    BatchGetPositionsRequest, BatchGetPositionsResponse, CancelTransitionRequest,
    CancelTransitionResponse, ConvertContactRequest, ConvertContactResponse, GetPositionRequest,
    GetPositionResponse, GetServerInfoRequest, GetServerInfoResponse, ListPositionsRequest,
    ListPositionsResponse, ListTransitionsRequest, ListTransitionsResponse,
    PreviewConversionsRequest, PreviewConversionsResponse, SetPrimaryContactRequest,
    SetPrimaryContactResponse, VerifyHistoryRequest, VerifyHistoryResponse,
    WatchTransitionsRequest, WatchTransitionsResponse,
};
use tonic::{Request, Response, Status};
use tonic_types::pb as rpc;
use types::{ContactName, Deadline, PositionName};

use super::Api;
use super::calls::{call, identity, parse, respond, workspace};
use super::status::{encoded_item, no_contact, status};
use super::{primaries, transitions};
use crate::app::Call;
use crate::app::batches::{Batch, Stored};
use crate::app::conversions::Request as Conversion;
use crate::app::lists::PageRequest;
use crate::app::previews::Tried;
use crate::app::steps::Ask;
use crate::error::Error;
use crate::wire::positions;

pub(super) const SERVICE: &str = "clientele.pipeline.v1.PositionService";

#[tonic::async_trait]
impl PositionService for Api {
    async fn get_position(
        &self,
        request: Request<GetPositionRequest>,
    ) -> Result<Response<GetPositionResponse>, Status> {
        let deadline = serve::deadline(&request);
        let body = request.into_inner();
        let name: PositionName = parse("name", &body.name)?;
        let contact = ContactName::new(name.workspace, name.contact);
        let position = match &body.as_of {
            None => {
                let fresh = &body.at_least_as_fresh_as;
                let (shown, _) = self
                    .app
                    .position_shown(&contact, fresh, deadline)
                    .await
                    .map_err(status)?;
                positions::position(&shown)
            }
            Some(time) => {
                let time = timestamp_from_wire(time)
                    .map_err(|invalid| status(Error::field("as_of", invalid.description)))?;
                self.app
                    .position_as_of(&contact, time, &body.at_least_as_fresh_as, deadline)
                    .await
                    .map_err(status)?
            }
        };
        Ok(Response::new(GetPositionResponse {
            position: Some(position),
        }))
    }

    async fn batch_get_positions(
        &self,
        request: Request<BatchGetPositionsRequest>,
    ) -> Result<Response<BatchGetPositionsResponse>, Status> {
        let deadline = serve::deadline(&request);
        let body = request.into_inner();
        let workspace = workspace("parent", &body.parent)?;
        let mut names = Vec::with_capacity(body.names.len());
        for (index, text) in body.names.iter().enumerate() {
            let name: PositionName = parse(&format!("names[{index}]"), text)?;
            if name.workspace != workspace {
                // As if it were not there: the caller may enter its own workspace only.
                return Err(no_contact(text));
            }
            names.push(ContactName::new(name.workspace, name.contact));
        }
        let found = self
            .app
            .positions_batch(&workspace, names, &body.at_least_as_fresh_as, deadline)
            .await
            .map_err(status)?;
        Ok(Response::new(BatchGetPositionsResponse {
            positions: found.iter().map(positions::position).collect(),
        }))
    }

    async fn list_positions(
        &self,
        request: Request<ListPositionsRequest>,
    ) -> Result<Response<ListPositionsResponse>, Status> {
        let call = call(&request);
        let body = request.into_inner();
        let (workspace, page) = positions_page(body)?;
        let found = self
            .app
            .list_positions(&workspace, page, call.deadline)
            .await
            .map_err(status)?;
        Ok(Response::new(ListPositionsResponse {
            positions: found.items.iter().map(positions::position).collect(),
            next_page_token: found.next,
        }))
    }

    async fn convert_contact(
        &self,
        request: Request<ConvertContactRequest>,
    ) -> Result<Response<ConvertContactResponse>, Status> {
        let call = call(&request);
        let contact: ContactName = parse("contact", &request.get_ref().contact)?;
        let permissions = serve::permissions(&request, &contact.workspace).map(Arc::new);
        let body = request.into_inner();
        let method = format!("{SERVICE}/ConvertContact");
        let stripped = ConvertContactRequest {
            request_id: String::new(),
            ..body.clone()
        };
        let conversion = Conversion {
            identity: identity(
                &call,
                &method,
                &contact.workspace,
                &body.request_id,
                &stripped,
            ),
            contact,
            validate_only: body.validate_only,
            ask: ask("", body, permissions)?,
        };
        let done = self.app.convert(&call, conversion).await.map_err(status)?;
        let answer = done.conversion.response.unwrap_or_default();
        Ok(respond(answer, done.replayed))
    }

    async fn batch_convert_contacts(
        &self,
        request: Request<BatchConvertContactsRequest>,
    ) -> Result<Response<BatchConvertContactsResponse>, Status> {
        let call = call(&request);
        let workspace = workspace("parent", &request.get_ref().parent)?;
        let permissions = serve::permissions(&request, &workspace).map(Arc::new);
        let batch = batch(&call, workspace, request.into_inner(), permissions.as_ref())?;
        let done = self
            .app
            .convert_batch(&call, batch, encoded_item)
            .await
            .map_err(status)?;
        Ok(respond(batch_answer(done.answer), done.replayed))
    }

    async fn preview_conversions(
        &self,
        request: Request<PreviewConversionsRequest>,
    ) -> Result<Response<PreviewConversionsResponse>, Status> {
        let call = call(&request);
        let contact: ContactName = parse("contact", &request.get_ref().contact)?;
        let tried = Tried {
            actor: call.actor.clone(),
            permissions: serve::permissions(&request, &contact.workspace),
            reason: request.into_inner().reason,
        };
        let (shown, stages) = self
            .app
            .preview_conversions(&contact, &tried, call.deadline)
            .await
            .map_err(status)?;
        let stages = stages.into_iter().map(|preview| {
            let mut told = positions::preview(preview.stage);
            if preview.waits {
                "TRANSITION_PENDING".clone_into(&mut told.refusal);
            }
            told
        });
        Ok(Response::new(PreviewConversionsResponse {
            position: Some(positions::position(&shown)),
            stages: stages.collect(),
        }))
    }

    async fn cancel_transition(
        &self,
        request: Request<CancelTransitionRequest>,
    ) -> Result<Response<CancelTransitionResponse>, Status> {
        let call = call(&request);
        let body = request.into_inner();
        let contact: ContactName = parse("contact", &body.contact)?;
        let method = format!("{SERVICE}/CancelTransition");
        let stripped = CancelTransitionRequest {
            request_id: String::new(),
            ..body.clone()
        };
        let identity = identity(
            &call,
            &method,
            &contact.workspace,
            &body.request_id,
            &stripped,
        );
        let (answer, replayed) = self
            .app
            .cancel_transition(&call, contact, body.validate_only, identity)
            .await
            .map_err(status)?;
        Ok(respond(answer, replayed))
    }

    async fn set_primary_contact(
        &self,
        request: Request<SetPrimaryContactRequest>,
    ) -> Result<Response<SetPrimaryContactResponse>, Status> {
        primaries::set(self, request).await
    }

    async fn list_transitions(
        &self,
        request: Request<ListTransitionsRequest>,
    ) -> Result<Response<ListTransitionsResponse>, Status> {
        transitions::list(self, request).await
    }

    type WatchTransitionsStream =
        Pin<Box<dyn Stream<Item = Result<WatchTransitionsResponse, Status>> + Send>>;

    async fn watch_transitions(
        &self,
        request: Request<WatchTransitionsRequest>,
    ) -> Result<Response<Self::WatchTransitionsStream>, Status> {
        let stream = transitions::watch(self, request).await?;
        Ok(Response::new(Box::pin(stream)))
    }

    async fn verify_history(
        &self,
        request: Request<VerifyHistoryRequest>,
    ) -> Result<Response<VerifyHistoryResponse>, Status> {
        let deadline = serve::deadline(&request);
        let (workspace, contact) = transitions::parent(&request.get_ref().parent)?;
        let verified = match contact {
            Some(contact) => {
                let name = ContactName::new(workspace, contact);
                self.app.verify_contact(&name, deadline).await
            }
            None => self.app.verify_workspace(&workspace, deadline).await,
        }
        .map_err(status)?;
        Ok(Response::new(VerifyHistoryResponse {
            contacts: verified.contacts,
            transitions: verified.transitions,
            checkpoints: verified.checkpoints,
        }))
    }

    async fn get_server_info(
        &self,
        request: Request<GetServerInfoRequest>,
    ) -> Result<Response<GetServerInfoResponse>, Status> {
        let deadline: Deadline = serve::deadline(&request);
        let (oldest, newest) = self.app.reach(deadline).await.map_err(status)?;
        let capabilities = ["grants", "recalls", "policy_activations", "history_seals"];
        Ok(Response::new(GetServerInfoResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: option_env!("CLIENTELE_COMMIT")
                .unwrap_or_default()
                .to_owned(),
            capabilities: capabilities
                .into_iter()
                .map(|capability| (capability.to_owned(), true))
                .collect(),
            oldest_token: oldest,
            newest_token: newest,
        }))
    }
}

/// What ListPositions is asked for: the workspace and the page.
pub(super) fn positions_page(body: ListPositionsRequest) -> Result<(String, PageRequest), Status> {
    let page = PageRequest {
        size: body.page_size,
        token: body.page_token,
        filter: body.filter,
        order_by: body.order_by,
        fresh: body.at_least_as_fresh_as,
    };
    Ok((workspace("parent", &body.parent)?, page))
}

/// What somebody with these permissions asks for.
fn ask(
    path: &str,
    body: ConvertContactRequest,
    permissions: Option<Arc<BTreeSet<String>>>,
) -> Result<Ask, Status> {
    let effective_time = body
        .effective_time
        .as_ref()
        .map(timestamp_from_wire)
        .transpose()
        .map_err(|invalid| {
            let field = format!("{path}effective_time");
            status(Error::field(field, invalid.description))
        })?;
    Ok(Ask {
        stage: body.stage,
        reason: body.reason,
        note: body.note,
        etag: body.etag,
        effective_time,
        permissions,
    })
}

fn batch(
    call: &Call,
    workspace: String,
    body: BatchConvertContactsRequest,
    permissions: Option<&Arc<BTreeSet<String>>>,
) -> Result<Batch, Status> {
    let method = format!("{SERVICE}/BatchConvertContacts");
    let stripped = BatchConvertContactsRequest {
        request_id: String::new(),
        ..body.clone()
    };
    let identity = identity(call, &method, &workspace, &body.request_id, &stripped);
    let mut items = Vec::with_capacity(body.requests.len());
    for (index, one) in body.requests.into_iter().enumerate() {
        let path = format!("requests[{index}].");
        let contact: ContactName = parse(&format!("{path}contact"), &one.contact)?;
        if contact.workspace != workspace {
            return Err(no_contact(&one.contact));
        }
        items.push((contact, ask(&path, one, permissions.cloned())?));
    }
    Ok(Batch {
        workspace,
        items,
        atomic: body.atomic,
        validate_only: body.validate_only,
        identity,
    })
}

fn batch_answer(answer: Stored) -> BatchConvertContactsResponse {
    let conversions: Vec<BatchConversion> = answer
        .conversions
        .into_iter()
        .zip(answer.statuses)
        .map(|(conversion, refused)| {
            // No status at all is code 0: it was accepted.
            let status = rpc::Status::decode(refused.as_slice()).unwrap_or_default();
            BatchConversion {
                response: conversion.response.filter(|_| status.code == 0),
                status: Some(status),
            }
        })
        .collect();
    let consistency_token = conversions
        .iter()
        .filter_map(|one| one.response.as_ref())
        .map(|response| response.consistency_token.as_str())
        .max_by_key(|token| place(token))
        .unwrap_or_default()
        .to_owned();
    BatchConvertContactsResponse {
        conversions,
        consistency_token,
    }
}

/// A token's place in the log, for finding the latest.
fn place(token: &str) -> Option<(i64, i64, i64)> {
    let token: types::Token = token.parse().ok()?;
    Some((token.epoch, token.tx, token.id))
}
