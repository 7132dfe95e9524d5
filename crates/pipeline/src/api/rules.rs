//! What is wrong with a request that no rule of its proto states and that needs no stored data to be
//! found. Told together with what the proto states, before a handler sees the request.

use std::collections::HashSet;

use proto::Findings;
use proto::pipeline::v1::create_policy_request::Source;
use proto::pipeline::v1::watch_transitions_request::Start;
use proto::pipeline::v1::{
    ActivatePolicyRequest, BatchConvertContactsRequest, BatchGetPositionsRequest,
    CancelPolicyActivationRequest, CheckEntitlementRequest, CreatePolicyRequest,
    GetPolicyActivationRequest, GetPositionRequest, ListPoliciesRequest,
    ListPolicyActivationsRequest, ListPositionsRequest, ListPresetsRequest, ListTransitionsRequest,
    UpdatePolicyRequest, VerifyHistoryRequest, WatchPolicyActivationRequest,
    WatchTransitionsRequest,
};
use proto::rules::{EntitlementServiceRules, PolicyServiceRules, PositionServiceRules};
use types::{ContactName, PolicyName, PositionName};

use super::Api;
use super::activations::activation;
use super::calls::parse;
use super::policy_requests::{
    activations_page, definition, etag, partial, policies_page, preset, presets_from, revision,
};
use super::positions::positions_page;
use super::status::status;
use super::transitions::{parent, transitions_page, watched};
use crate::app::lists::{List, PageRequest};
use crate::app::policies::mask_fault;
use crate::app::watch;
use crate::error::Error;

impl PolicyServiceRules for Api {
    fn list_presets(&self, request: &ListPresetsRequest, found: &mut Findings) {
        found.keep(presets_from(&request.page_token));
    }

    fn create_policy(&self, request: &CreatePolicyRequest, found: &mut Findings) {
        match &request.source {
            Some(Source::Preset(id)) => {
                found.keep(preset(id));
            }
            Some(Source::Definition(wire)) => {
                found.keep(definition("definition", wire));
            }
            None => {}
        }
    }

    fn list_policies(&self, request: &ListPoliciesRequest, found: &mut Findings) {
        if let Some((workspace, of, page)) = found.keep(policies_page(request.clone())) {
            let of = of.as_ref().map(|of| of.policy.as_str());
            of_page(List::Policies(&workspace, of), &page, found);
        }
    }

    fn update_policy(&self, request: &UpdatePolicyRequest, found: &mut Findings) {
        let policy = request.policy.clone().unwrap_or_default();
        found.keep(parse::<PolicyName>("policy.name", &policy.name));
        let mask = request.update_mask.as_ref();
        let mask = mask.map_or(&[][..], |mask| &mask.paths);
        refuse_all(mask_fault(mask), found);
        found.keep(partial(mask, policy.definition.unwrap_or_default()));
        found.keep(etag(request));
    }

    fn activate_policy(&self, request: &ActivatePolicyRequest, found: &mut Findings) {
        found.keep(revision("name", &request.name));
    }

    fn get_policy_activation(&self, request: &GetPolicyActivationRequest, found: &mut Findings) {
        found.keep(activation("name", &request.name));
    }

    fn list_policy_activations(
        &self,
        request: &ListPolicyActivationsRequest,
        found: &mut Findings,
    ) {
        if let Some((workspace, page)) = found.keep(activations_page(request.clone())) {
            of_page(List::Activations(&workspace), &page, found);
        }
    }

    fn watch_policy_activation(
        &self,
        request: &WatchPolicyActivationRequest,
        found: &mut Findings,
    ) {
        found.keep(activation("name", &request.name));
    }

    fn cancel_policy_activation(
        &self,
        request: &CancelPolicyActivationRequest,
        found: &mut Findings,
    ) {
        found.keep(activation("name", &request.name));
    }
}

impl PositionServiceRules for Api {
    fn get_position(&self, request: &GetPositionRequest, found: &mut Findings) {
        self.of_freshness(&request.at_least_as_fresh_as, found);
    }

    fn batch_get_positions(&self, request: &BatchGetPositionsRequest, found: &mut Findings) {
        for (index, name) in request.names.iter().enumerate() {
            found.keep(parse::<PositionName>(&format!("names[{index}]"), name));
        }
        self.of_freshness(&request.at_least_as_fresh_as, found);
    }

    fn list_positions(&self, request: &ListPositionsRequest, found: &mut Findings) {
        if let Some((workspace, page)) = found.keep(positions_page(request.clone())) {
            of_page(List::Positions(&workspace), &page, found);
            self.of_freshness(&page.fresh, found);
        }
    }

    fn batch_convert_contacts(&self, request: &BatchConvertContactsRequest, found: &mut Findings) {
        let mut named = HashSet::new();
        for (index, one) in request.requests.iter().enumerate() {
            let path = format!("requests[{index}].contact");
            if let Some(contact) = found.keep(parse::<ContactName>(&path, &one.contact))
                && !named.insert(contact)
            {
                found.field(path, "batch.unique", "must be named once");
            }
        }
    }

    fn list_transitions(&self, request: &ListTransitionsRequest, found: &mut Findings) {
        if let Some((workspace, contact, page)) = found.keep(transitions_page(request.clone())) {
            let list = List::Transitions(&workspace, contact.as_deref());
            of_page(list, &page, found);
            self.of_freshness(&page.fresh, found);
        }
    }

    fn watch_transitions(&self, request: &WatchTransitionsRequest, found: &mut Findings) {
        if let Some(Start::ResumeToken(token)) = &request.start
            && let Some(workspace) = found.keep(watched(&request.parent))
        {
            let workspace = workspace.as_deref();
            let faults = watch::resume_faults(workspace, token, request.send_snapshot);
            refuse_all(faults, found);
        }
    }

    fn verify_history(&self, request: &VerifyHistoryRequest, found: &mut Findings) {
        found.keep(parent(&request.parent));
    }
}

impl EntitlementServiceRules for Api {
    fn check_entitlement(&self, request: &CheckEntitlementRequest, found: &mut Findings) {
        self.of_freshness(&request.at_least_as_fresh_as, found);
    }
}

impl Api {
    fn of_freshness(&self, tokens: &[String], found: &mut Findings) {
        found.keep(self.app.needs_directory(tokens).map_err(status));
    }
}

fn of_page(list: List<'_>, page: &PageRequest, found: &mut Findings) {
    refuse_all(list.faults(page), found);
}

fn refuse_all(errors: impl IntoIterator<Item = Error>, found: &mut Findings) {
    for error in errors {
        found.refusal(status(error));
    }
}
