//! What requests about policies ask for, read field by field.

use proto::Violations;
use proto::pipeline::v1::{
    ListPoliciesRequest, ListPolicyActivationsRequest, PolicyDefinition, UpdatePolicyRequest,
};
use store::pages::{Key, PageToken, args_hash};
use tonic::Status;
use types::{PolicyName, PolicyRevisionName};

use super::calls::{parse, workspace};
use super::status::status;
use crate::app::lists::PageRequest;
use crate::error::Error;
use crate::wire::definitions;

/// The definition in a field of a request.
pub(super) fn definition(
    path: &str,
    wire: &PolicyDefinition,
) -> Result<policy::Definition, Status> {
    definitions::definition(wire).map_err(|misfits| {
        let mut violations = Violations::default();
        for misfit in misfits {
            let field = format!("{path}.{}", misfit.path);
            violations.push(field, "definition", misfit.problem);
        }
        violations.into()
    })
}

/// The preset with this id.
pub(super) fn preset(id: &str) -> Result<policy::Definition, Status> {
    let found = policy::presets::get(id).and_then(|preset| preset.definition().ok());
    found.ok_or_else(|| {
        let known = policy::presets::all().iter().map(|preset| preset.id);
        let known = crate::domain::policies::listed(known);
        status(Error::field("preset", format!("must be one of {known}")))
    })
}

/// What tokens of lists of presets are bound to: there is nothing to choose.
const PRESETS: [&str; 1] = ["ListPresets"];

/// Where a list of presets goes on: behind the preset that the token names.
pub(super) fn presets_from(token: &str) -> Result<usize, Status> {
    let last =
        PageToken::decode(token, &args_hash(&PRESETS)).map_err(|error| status(error.into()))?;
    let Some(last) = last else {
        return Ok(0);
    };
    let mut all = policy::presets::all().iter();
    let place = all.position(|preset| last == [Key::Text(preset.id.to_owned())]);
    let place = place.ok_or_else(|| status(store::Error::PageTokenInvalid.into()))?;
    Ok(place + 1)
}

/// The token of a list of presets that goes on behind this one.
pub(super) fn presets_after(preset: &str) -> String {
    let token = PageToken {
        args_hash: args_hash(&PRESETS),
        keys: vec![Key::Text(preset.to_owned())],
    };
    token.encode()
}

/// The etag that an update is conditional on; empty for none.
pub(super) fn etag(request: &UpdatePolicyRequest) -> Result<String, Status> {
    let of_policy = request.policy.as_ref().map_or("", |policy| &*policy.etag);
    match (request.etag.as_str(), of_policy) {
        (one, other) if !one.is_empty() && !other.is_empty() && one != other => {
            let problem = "must be the same as policy.etag where both are given";
            Err(status(Error::field("etag", problem)))
        }
        ("", other) => Ok(other.to_owned()),
        (one, _) => Ok(one.to_owned()),
    }
}

/// What ListPolicies is asked for: the workspace, the policy whose revisions are listed if one is
/// named, and the page.
pub(super) fn policies_page(
    body: ListPoliciesRequest,
) -> Result<(String, Option<PolicyName>, PageRequest), Status> {
    let of = body.parent.parse::<PolicyName>().ok();
    let workspace = match &of {
        Some(of) => of.workspace.clone(),
        None => workspace("parent", &body.parent)?,
    };
    let page = PageRequest {
        size: body.page_size,
        token: body.page_token,
        filter: body.filter,
        ..PageRequest::default()
    };
    Ok((workspace, of, page))
}

/// What ListPolicyActivations is asked for: the workspace and the page.
pub(super) fn activations_page(
    body: ListPolicyActivationsRequest,
) -> Result<(String, PageRequest), Status> {
    let page = PageRequest {
        size: body.page_size,
        token: body.page_token,
        filter: body.filter,
        ..PageRequest::default()
    };
    Ok((workspace("parent", &body.parent)?, page))
}

/// The definition as far as the mask names it: what it does not name need not make sense.
pub(super) fn partial(
    mask: &[String],
    wire: PolicyDefinition,
) -> Result<policy::Definition, Status> {
    let named = |part: &str| {
        mask.iter().any(|path| {
            path == "*" || path == "definition" || path.strip_prefix("definition.") == Some(part)
        })
    };
    let mut wanted = wire;
    if !named("stages") {
        wanted.stages.clear();
    }
    if !named("triggers") {
        wanted.triggers.clear();
    }
    definition("policy.definition", &wanted)
}

/// A policy's revision by its name.
pub(super) fn revision(path: &str, text: &str) -> Result<(PolicyName, i64), Status> {
    let name: PolicyRevisionName = parse(path, text)?;
    let number = name
        .revision
        .parse()
        .map_err(|_| status(Error::field(path, "must end with the revision's number")))?;
    Ok((PolicyName::new(name.workspace, name.policy), number))
}
