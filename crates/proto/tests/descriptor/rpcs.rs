//! Claims about methods.

use std::collections::BTreeSet;

use prost_reflect::{DynamicMessage, Kind, MessageDescriptor, MethodDescriptor};
use proto::options::v1::Idempotency;

use crate::options::{behaviours, http, policy, repeats_by_request_id, set, text};
use crate::{assert_none, rpcs};

fn has(message: &MessageDescriptor, field: &str, kind: &Kind) -> bool {
    message
        .get_field_by_name(field)
        .is_some_and(|field| field.kind() == *kind)
}

#[test]
fn request_and_response_belong_to_their_rpc_alone() {
    let wrong = rpcs().into_iter().filter(|rpc| {
        rpc.input().name() != format!("{}Request", rpc.name())
            || rpc.output().name() != format!("{}Response", rpc.name())
    });
    assert_none(
        "not named after the rpc",
        wrong.map(|rpc| rpc.full_name().to_owned()),
    );
    let mut seen = BTreeSet::new();
    let shared = rpcs()
        .into_iter()
        .filter(|rpc| !seen.insert(rpc.input().full_name().to_owned()));
    assert_none(
        "shared requests",
        shared.map(|rpc| rpc.full_name().to_owned()),
    );
}

#[test]
fn streams_go_from_the_server_only() {
    let wrong = rpcs()
        .into_iter()
        .filter(MethodDescriptor::is_client_streaming);
    assert_none(
        "streams from the client",
        wrong.map(|rpc| rpc.full_name().to_owned()),
    );
}

/// The verb and path of a binding, with every variable as `*`.
fn binding(rule: &DynamicMessage) -> Option<(String, String)> {
    ["get", "put", "post", "delete", "patch"]
        .into_iter()
        .find_map(|verb| Some((verb.to_owned(), set(rule, verb)?.as_str()?.to_owned())))
}

/// The variables of a path, as (field path, segments).
fn variables(path: &str) -> Vec<(String, String)> {
    path.split('{')
        .skip(1)
        .filter_map(|part| part.split('}').next())
        .map(|inner| {
            let (field, segments) = inner.split_once('=').unwrap_or((inner, "*"));
            (field.to_owned(), segments.to_owned())
        })
        .collect()
}

#[test]
fn public_unary_rpcs_are_reachable_over_http() {
    let wrong = rpcs().into_iter().filter(|rpc| {
        let public_unary = !policy(rpc).internal && !rpc.is_server_streaming();
        public_unary != http(rpc).is_some()
    });
    assert_none(
        "unary and public, or with google.api.http, but not both",
        wrong.map(|rpc| rpc.full_name().to_owned()),
    );
}

#[test]
fn no_two_http_bindings_collide() {
    let mut seen = BTreeSet::new();
    let mut faults = Vec::new();
    for rpc in rpcs() {
        let Some((verb, path)) = http(&rpc).as_ref().and_then(binding) else {
            continue;
        };
        let mut plain = path.clone();
        for (field, segments) in variables(&path) {
            plain = plain.replace(&format!("{{{field}={segments}}}"), &segments);
        }
        if !seen.insert((verb, plain)) {
            faults.push(format!("{}: {path}", rpc.full_name()));
        }
    }
    assert_none("bindings that two rpcs share", faults);
}

#[test]
fn http_bindings_fit_their_requests() {
    let mut faults = Vec::new();
    for rpc in rpcs() {
        let Some(rule) = http(&rpc) else { continue };
        let (verb, path) = binding(&rule).expect("a verb");
        let mut fault = |problem: &str| faults.push(format!("{}: {problem}", rpc.full_name()));
        for (field, _) in variables(&path) {
            let mut message = Some(rpc.input());
            for part in field.split('.') {
                let found = message.and_then(|message| message.get_field_by_name(part));
                if found.is_none() {
                    fault("a variable is no field");
                }
                message = found.and_then(|field| field.kind().as_message().cloned());
            }
        }
        let (body, reads) = (
            text(&rule, "body"),
            policy(&rpc).idempotency() == Idempotency::Read,
        );
        match verb.as_str() {
            "get" if !reads => fault("GET but not a read"),
            "get" | "delete" if !body.is_empty() => fault("a body with GET or DELETE"),
            "post" | "put" | "patch" if body.is_empty() => fault("no body"),
            _ => {}
        }
        if !body.is_empty() && body != "*" && rpc.input().get_field_by_name(&body).is_none() {
            fault("the body is no field");
        }
    }
    assert_none("http bindings", faults);
}

#[test]
fn what_may_be_repeated_with_a_request_id_takes_one() {
    let mut faults = Vec::new();
    for rpc in rpcs() {
        let (request, response) = (rpc.input(), rpc.output());
        let mut fault = |problem: &str| faults.push(format!("{}: {problem}", rpc.full_name()));
        let takes_one = has(&request, "request_id", &Kind::String);
        if takes_one != repeats_by_request_id(&rpc) {
            fault("request_id and IDEMPOTENCY_REQUEST_ID go together");
        }
        if takes_one && !has(&request, "validate_only", &Kind::Bool) {
            fault("no validate_only");
        }
        if takes_one && !has(&response, "consistency_token", &Kind::String) {
            fault("no consistency_token in the answer");
        }
    }
    assert_none("rpcs that write", faults);
}

#[test]
fn lists_are_read_in_pages() {
    // What the software brings along is never more than a page, and in no workspace.
    const UNPAGED: [&str; 1] = ["ListPresets"];
    // Histories and logs of work: what came first, or last, is what is asked for. Policies are few.
    const ORDERED: [&str; 4] = [
        "ListTransitions",
        "ListImportRows",
        "ListPolicies",
        "ListPolicyActivations",
    ];
    // The rows of an import are no resources, so it is no parent of theirs.
    const OF_A_NAME: [&str; 1] = ["ListImportRows"];
    let mut faults = Vec::new();
    for rpc in rpcs()
        .into_iter()
        .filter(|rpc| rpc.name().starts_with("List"))
    {
        let (request, response) = (rpc.input(), rpc.output());
        let mut fault = |problem: &str| faults.push(format!("{}: {problem}", rpc.full_name()));
        if !response.get_field(1).is_some_and(|field| field.is_list()) {
            fault("the answer's first field is no list");
        }
        if UNPAGED.contains(&rpc.name()) {
            continue;
        }
        if !has(&request, "page_size", &Kind::Int32) || !has(&request, "page_token", &Kind::String)
        {
            fault("no page_size or page_token");
        }
        if !has(&response, "next_page_token", &Kind::String) {
            fault("no next_page_token");
        }
        if !has(&request, "filter", &Kind::String) {
            fault("no filter");
        }
        if has(&request, "order_by", &Kind::String) == ORDERED.contains(&rpc.name()) {
            fault("order_by is missing, or has come to a list that is named here for having none");
        }
        if has(&request, "parent", &Kind::String) == OF_A_NAME.contains(&rpc.name()) {
            fault("parent is missing, or has come to a list that is named here for having none");
        }
    }
    assert_none("lists", faults);
}

#[test]
fn watches_can_be_resumed() {
    let mut faults = Vec::new();
    for rpc in rpcs()
        .into_iter()
        .filter(|rpc| rpc.name().starts_with("Watch"))
    {
        if !rpc.is_server_streaming() {
            faults.push(format!("{}: not a stream", rpc.full_name()));
        }
        let resumes = has(&rpc.output(), "resume_token", &Kind::String);
        // Jobs and recalls are state, told anew to whoever asks; only logs have a place to resume.
        let of_a_log = has(&rpc.input(), "parent", &Kind::String);
        if of_a_log && !resumes {
            faults.push(format!("{}: no resume_token", rpc.full_name()));
        }
    }
    assert_none("watches", faults);
}

#[test]
fn updates_take_a_mask_and_creates_an_id() {
    let mut faults = Vec::new();
    for rpc in rpcs() {
        let request = rpc.input();
        if let Some(resource) = rpc.name().strip_prefix("Update") {
            let mask = request.get_field_by_name("update_mask");
            if !mask.is_some_and(|mask| behaviours(&mask).contains(&crate::options::REQUIRED)) {
                faults.push(format!("{}: no required update_mask", rpc.full_name()));
            }
            if request
                .get_field(1)
                .is_none_or(|first| first.name() != resource.to_lowercase())
            {
                faults.push(format!("{}: the resource is not field 1", rpc.full_name()));
            }
        }
        if rpc.name().starts_with("Create") && !has(&request, "parent", &Kind::String) {
            faults.push(format!("{}: no parent", rpc.full_name()));
        }
    }
    assert_none("updates and creates", faults);
}

#[test]
fn internal_rpcs_need_internal_permissions() {
    let wrong = rpcs().into_iter().filter(|rpc| {
        let policy = policy(rpc);
        policy.internal != policy.permission.starts_with("internal.")
    });
    assert_none(
        "internal or not",
        wrong.map(|rpc| rpc.full_name().to_owned()),
    );
}

#[test]
fn every_public_rpc_but_server_info_is_about_a_workspace() {
    let wrong = proto::methods().iter().filter(|method| {
        let global = ["GetServerInfo", "ListPresets"].contains(&method.name);
        !method.internal && method.scoped == global
    });
    assert_none(
        "methods and their workspace",
        wrong.map(|method| method.path.to_owned()),
    );
}
