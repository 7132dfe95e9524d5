//! What tests do with policies: create them, put them in force, read what is.

use std::collections::BTreeMap;

use proto::pipeline::v1::{
    ActivatePolicyRequest, CreatePolicyRequest, GetActivePolicyRequest, ListPresetsRequest, Policy,
    PolicyActivation, PolicyDefinition, create_policy_request::Source,
};
use tonic::Status;

use crate::suite::{Instance, Suite};

pub const WORKSPACE: &str = "workspaces/default";
pub const ADA: &str = "workspaces/default/contacts/ada";
pub const BOB: &str = "workspaces/default/contacts/bob";

pub async fn preset(instance: &Instance, id: &str) -> PolicyDefinition {
    let answer = instance
        .policies()
        .list_presets(ListPresetsRequest::default())
        .await;
    let presets = answer.expect("presets").into_inner().presets;
    assert_eq!(presets.len(), 5);
    assert_eq!(presets[0].id, "one-way");
    presets
        .into_iter()
        .find(|preset| preset.id == id)
        .and_then(|preset| preset.definition)
        .expect("the preset")
}

pub async fn create(
    instance: &Instance,
    id: &str,
    definition: PolicyDefinition,
) -> Result<Policy, Status> {
    let request = CreatePolicyRequest {
        parent: WORKSPACE.to_owned(),
        policy_id: id.to_owned(),
        source: Some(Source::Definition(definition)),
        ..CreatePolicyRequest::default()
    };
    let answer = instance.policies().create_policy(request).await?;
    Ok(answer.into_inner().policy.expect("a policy"))
}

pub async fn activate(
    instance: &Instance,
    revision: &str,
    stage_map: &[(&str, &str)],
    validate_only: bool,
) -> Result<PolicyActivation, Status> {
    let request = ActivatePolicyRequest {
        name: revision.to_owned(),
        stage_map: stage_map
            .iter()
            .map(|(from, to)| ((*from).to_owned(), (*to).to_owned()))
            .collect(),
        validate_only,
        ..ActivatePolicyRequest::default()
    };
    let answer = instance.policies().activate_policy(request).await?;
    Ok(answer.into_inner().activation.expect("an activation"))
}

pub async fn active(instance: &Instance) -> (Policy, PolicyActivation) {
    let request = GetActivePolicyRequest {
        parent: WORKSPACE.to_owned(),
    };
    let answer = instance
        .policies()
        .get_active_policy(request)
        .await
        .expect("one");
    let answer = answer.into_inner();
    (
        answer.policy.expect("a policy"),
        answer.activation.expect("an activation"),
    )
}

/// The preset `free-switch` with its stages renamed by this map.
pub fn renamed(mut definition: PolicyDefinition, names: &[(&str, &str)]) -> PolicyDefinition {
    let names: BTreeMap<&str, &str> = names.iter().copied().collect();
    let rename = |id: &mut String| {
        if let Some(to) = names.get(id.as_str()) {
            *id = (*to).to_owned();
        }
    };
    rename(&mut definition.initial);
    definition.create_in.iter_mut().for_each(rename);
    for stage in &mut definition.stages {
        rename(&mut stage.id);
    }
    for transition in &mut definition.transitions {
        rename(&mut transition.from);
        rename(&mut transition.to);
    }
    definition.triggers.clear();
    definition
}

/// Ada is a lead and Bob a client, under `free-switch`.
pub async fn populated(suite: &Suite) -> PolicyDefinition {
    suite.one.activate_preset("default", "free-switch").await;
    for (contact, stage) in [(ADA, "lead"), (BOB, "client")] {
        suite.directory.person(contact, "");
        suite.one.position(contact).await.expect("a position");
        suite.one.convert(contact, stage).await.expect("converted");
    }
    preset(&suite.one, "free-switch").await
}
