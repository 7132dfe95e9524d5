//! PolicyService.

use std::pin::Pin;

use futures::Stream;
use proto::pipeline::v1::policy_service_server::PolicyService;
use proto::pipeline::v1::{
    ActivatePolicyRequest, ActivatePolicyResponse, CancelPolicyActivationRequest,
    CancelPolicyActivationResponse, CreatePolicyRequest, CreatePolicyResponse,
    GetActivePolicyRequest, GetActivePolicyResponse, GetPolicyActivationRequest,
    GetPolicyActivationResponse, GetPolicyRequest, GetPolicyResponse, ListPoliciesRequest,
    ListPoliciesResponse, ListPolicyActivationsRequest, ListPolicyActivationsResponse,
    ListPresetsRequest, ListPresetsResponse, Preset, UpdatePolicyRequest, UpdatePolicyResponse,
    WatchPolicyActivationRequest, WatchPolicyActivationResponse, create_policy_request::Source,
};
use tonic::{Request, Response, Status};
use types::PolicyName;

use super::Api;
use super::activations::{activation, watch};
use super::calls::{call, identity, parse, respond, workspace};
use super::policy_requests::{
    activations_page, definition, etag, partial, policies_page, preset, presets_after,
    presets_from, revision,
};
use super::status::status;
use crate::app::activations::Activate;
use crate::app::policies::{NewPolicy, PolicyUpdate};
use crate::domain::policies::PolicyRef;
use crate::error::Error;
use crate::wire::{definitions, policies};

const SERVICE: &str = "clientele.pipeline.v1.PolicyService";

#[tonic::async_trait]
impl PolicyService for Api {
    async fn list_presets(
        &self,
        request: Request<ListPresetsRequest>,
    ) -> Result<Response<ListPresetsResponse>, Status> {
        let body = request.into_inner();
        let from = presets_from(&body.page_token)?;
        let all = policy::presets::all();
        let size = usize::try_from(body.page_size).unwrap_or(0);
        let size = if size == 0 { all.len() } else { size };
        let presets = all
            .iter()
            .skip(from)
            .take(size)
            .filter_map(|preset| {
                let definition = preset.definition().ok()?;
                Some(Preset {
                    id: preset.id.to_owned(),
                    definition: Some(definitions::to_wire(&definition)),
                })
            })
            .collect();
        // The last of this page, unless it is the last of all.
        let last = from.saturating_add(size).saturating_sub(1);
        let ended = last + 1 >= all.len();
        let last = all.get(last).filter(|_| !ended);
        Ok(Response::new(ListPresetsResponse {
            presets,
            next_page_token: last.map_or_else(String::new, |preset| presets_after(preset.id)),
        }))
    }

    async fn create_policy(
        &self,
        request: Request<CreatePolicyRequest>,
    ) -> Result<Response<CreatePolicyResponse>, Status> {
        let call = call(&request);
        let body = request.into_inner();
        let workspace = workspace("parent", &body.parent)?;
        let method = format!("{SERVICE}/CreatePolicy");
        let stripped = CreatePolicyRequest {
            request_id: String::new(),
            ..body.clone()
        };
        let identity = identity(&call, &method, &workspace, &body.request_id, &stripped);
        let (preset, definition) = match body.source {
            Some(Source::Preset(id)) => {
                let found = preset(&id)?;
                (id, found)
            }
            Some(Source::Definition(wire)) => (String::new(), definition("definition", &wire)?),
            None => {
                let problem = "or `preset` must be set";
                return Err(status(Error::field("definition", problem)));
            }
        };
        let new = NewPolicy {
            workspace,
            id: body.policy_id,
            preset,
            definition,
            validate_only: body.validate_only,
            identity,
        };
        let (answer, replayed) = self.app.create_policy(&call, new).await.map_err(status)?;
        Ok(respond(answer, replayed))
    }

    async fn get_policy(
        &self,
        request: Request<GetPolicyRequest>,
    ) -> Result<Response<GetPolicyResponse>, Status> {
        let deadline = serve::deadline(&request);
        let body = request.into_inner();
        let (name, revision) = if let Ok(name) = body.name.parse::<PolicyName>() {
            (name, None)
        } else {
            let (name, revision) = revision("name", &body.name)?;
            (name, Some(revision))
        };
        let found = self
            .app
            .get_policy(&name, revision, deadline)
            .await
            .map_err(status)?;
        Ok(Response::new(GetPolicyResponse {
            policy: Some(policies::policy(&found)),
        }))
    }

    async fn list_policies(
        &self,
        request: Request<ListPoliciesRequest>,
    ) -> Result<Response<ListPoliciesResponse>, Status> {
        let call = call(&request);
        let body = request.into_inner();
        let (workspace, of, page) = policies_page(body)?;
        let found = self
            .app
            .list_policies(&workspace, of, page, call.deadline)
            .await
            .map_err(status)?;
        Ok(Response::new(ListPoliciesResponse {
            policies: found.items.iter().map(policies::policy).collect(),
            next_page_token: found.next,
        }))
    }

    async fn update_policy(
        &self,
        request: Request<UpdatePolicyRequest>,
    ) -> Result<Response<UpdatePolicyResponse>, Status> {
        let call = call(&request);
        let body = request.into_inner();
        let wanted = body.policy.clone().unwrap_or_default();
        let name: PolicyName = parse("policy.name", &wanted.name)?;
        let method = format!("{SERVICE}/UpdatePolicy");
        let stripped = UpdatePolicyRequest {
            request_id: String::new(),
            ..body.clone()
        };
        let identity = identity(&call, &method, &name.workspace, &body.request_id, &stripped);
        let etag = etag(&body)?;
        let mask = body.update_mask.map(|mask| mask.paths).unwrap_or_default();
        let update = PolicyUpdate {
            name,
            definition: partial(&mask, wanted.definition.unwrap_or_default())?,
            mask,
            etag,
            validate_only: body.validate_only,
            identity,
        };
        let (answer, replayed) = self
            .app
            .update_policy(&call, update)
            .await
            .map_err(status)?;
        Ok(respond(answer, replayed))
    }

    async fn activate_policy(
        &self,
        request: Request<ActivatePolicyRequest>,
    ) -> Result<Response<ActivatePolicyResponse>, Status> {
        let call = call(&request);
        let body = request.into_inner();
        let (name, number) = revision("name", &body.name)?;
        let method = format!("{SERVICE}/ActivatePolicy");
        let stripped = ActivatePolicyRequest {
            request_id: String::new(),
            ..body.clone()
        };
        let ask = Activate {
            identity: identity(&call, &method, &name.workspace, &body.request_id, &stripped),
            workspace: name.workspace,
            policy: PolicyRef::new(name.policy, number),
            stage_map: body.stage_map.into_iter().collect(),
            validate_only: body.validate_only,
        };
        let done = self.app.activate_policy(&call, ask).await.map_err(status)?;
        let answer = ActivatePolicyResponse {
            activation: Some(policies::activation(&done.activation)),
            consistency_token: done.consistency_token,
        };
        Ok(respond(answer, done.replayed))
    }

    async fn get_active_policy(
        &self,
        request: Request<GetActivePolicyRequest>,
    ) -> Result<Response<GetActivePolicyResponse>, Status> {
        let deadline = serve::deadline(&request);
        let workspace = workspace("parent", &request.get_ref().parent)?;
        let (policy, activation) = self
            .app
            .active_policy(&workspace, deadline)
            .await
            .map_err(status)?;
        Ok(Response::new(GetActivePolicyResponse {
            policy: Some(policies::policy(&policy)),
            activation: Some(policies::activation(&activation)),
        }))
    }

    async fn get_policy_activation(
        &self,
        request: Request<GetPolicyActivationRequest>,
    ) -> Result<Response<GetPolicyActivationResponse>, Status> {
        let deadline = serve::deadline(&request);
        let (workspace, number) = activation("name", &request.get_ref().name)?;
        let found = self
            .app
            .get_activation(&workspace, number, deadline)
            .await
            .map_err(status)?;
        Ok(Response::new(GetPolicyActivationResponse {
            activation: Some(policies::activation(&found)),
        }))
    }

    async fn list_policy_activations(
        &self,
        request: Request<ListPolicyActivationsRequest>,
    ) -> Result<Response<ListPolicyActivationsResponse>, Status> {
        let call = call(&request);
        let body = request.into_inner();
        let (workspace, page) = activations_page(body)?;
        let found = self
            .app
            .list_activations(&workspace, page, call.deadline)
            .await
            .map_err(status)?;
        Ok(Response::new(ListPolicyActivationsResponse {
            activations: found.items.iter().map(policies::activation).collect(),
            next_page_token: found.next,
        }))
    }

    type WatchPolicyActivationStream =
        Pin<Box<dyn Stream<Item = Result<WatchPolicyActivationResponse, Status>> + Send>>;

    async fn watch_policy_activation(
        &self,
        request: Request<WatchPolicyActivationRequest>,
    ) -> Result<Response<Self::WatchPolicyActivationStream>, Status> {
        let (workspace, number) = activation("name", &request.get_ref().name)?;
        let stream = watch(self.app.clone(), workspace, number).await?;
        Ok(Response::new(Box::pin(stream)))
    }

    async fn cancel_policy_activation(
        &self,
        request: Request<CancelPolicyActivationRequest>,
    ) -> Result<Response<CancelPolicyActivationResponse>, Status> {
        let call = call(&request);
        let body = request.into_inner();
        let (workspace, number) = activation("name", &body.name)?;
        let method = format!("{SERVICE}/CancelPolicyActivation");
        let stripped = CancelPolicyActivationRequest {
            request_id: String::new(),
            ..body.clone()
        };
        let identity = identity(&call, &method, &workspace, &body.request_id, &stripped);
        let done = self
            .app
            .cancel_activation(&call, &workspace, number, body.validate_only, identity)
            .await
            .map_err(status)?;
        let answer = CancelPolicyActivationResponse {
            activation: Some(policies::activation(&done.activation)),
            consistency_token: done.consistency_token,
        };
        Ok(respond(answer, done.replayed))
    }
}
