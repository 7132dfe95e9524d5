//! Somebody else's workspace: in the name, in the parent, in references, mixed into lists.

use std::collections::BTreeSet;

use harness::client::{Client, refusal};
use harness::engine::engines;
use harness::realm::Realm;
use harness::suite::{Layout, Suite};
use prost_reflect::MethodDescriptor;
use serde_json::json;
use tonic::{Code, Status};

use crate::requests::{filled, methods, paths, policy};

/// Ids of equal length, so that one can take the other's place in an encoded answer: the caller's
/// workspace, one of somebody else that has contents, and one that nobody has ever named.
const HOME: &str = "at-home";
const FOREIGN: &str = "foreign";
const NOWHERE: &str = "nowhere";

/// A suite in which there is something of everything in the foreign workspace, and a client of an
/// administrator of the other one.
async fn start(engine: harness::engine::Engine) -> (Suite, Client) {
    let realm = Realm::new();
    let suite = Suite::start_in(engine, Layout::One, Some(&realm)).await;
    let theirs = suite
        .client()
        .bearing(&realm.token_of("eve", &json!({FOREIGN: ["admin"]})));
    furnish(&theirs, FOREIGN).await;
    let ours = suite
        .client()
        .bearing(&realm.token_of("ada", &json!({HOME: ["admin"]})));
    (suite, ours)
}

/// Makes a resource of each kind under the ids that requests made from descriptors have.
async fn furnish(client: &Client, workspace: &str) {
    let parent = format!("workspaces/{workspace}");
    let contact = json!({"display_name": "Kept Secret"});
    for (method, request) in [
        (
            "PolicyService/CreatePolicy",
            json!({"parent": parent, "policy_id": "x0", "preset": "free-switch"}),
        ),
        (
            "PolicyService/ActivatePolicy",
            json!({"name": format!("{parent}/policies/x0/revisions/1")}),
        ),
        (
            "ContactService/CreateContact",
            json!({"parent": parent, "contact_id": "x0", "contact": contact}),
        ),
        (
            "ContactService/CreateContact",
            json!({"parent": parent, "contact_id": "x1", "contact": contact}),
        ),
        (
            "PositionService/ConvertContact",
            json!({"contact": format!("{parent}/contacts/x0"), "stage": "client"}),
        ),
        (
            "ProjectService/CreateProject",
            json!({"parent": parent, "project_id": "x0", "project": {"display_name": "Secret"}}),
        ),
        (
            "InvoiceService/CreateInvoice",
            json!({"parent": parent, "invoice": {"contact": format!("{parent}/contacts/x0"), "currency_code": "EUR", "lines": [{"description": "Work", "unit_price": {"value": "1"}}]}}),
        ),
    ] {
        client.call(method, request).await.expect(method);
    }
}

/// A status as its bytes on the wire, one workspace's id put in place of another's.
fn wire(status: &Status, from: &str, to: &str) -> (Code, String, Vec<u8>) {
    let mut details = status.details().to_vec();
    for at in 0..details.len().saturating_sub(from.len() - 1) {
        if details[at..].starts_with(from.as_bytes()) {
            details[at..at + to.len()].copy_from_slice(to.as_bytes());
        }
    }
    (status.code(), status.message().replace(from, to), details)
}

/// Sends a request in which one name is of another workspace and all others are ours.
async fn with_one(
    client: &Client,
    method: &MethodDescriptor,
    path: &str,
    workspace: &str,
) -> Result<(), Status> {
    let request = filled(method, &mut |at| {
        if at == path { workspace } else { HOME }.to_owned()
    });
    client.send(method, request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_workspace_answers_like_one_that_is_not_there() {
    for engine in engines() {
        let (_suite, client) = start(engine).await;
        for method in methods().iter().filter(|method| policy(method).scoped) {
            let mut answers = Vec::new();
            for workspace in [FOREIGN, NOWHERE] {
                let request = filled(method, &mut |_| workspace.to_owned());
                let refused = client
                    .send(method, request)
                    .await
                    .expect_err(method.full_name());
                assert_eq!(
                    refusal(&refused).reason,
                    "RESOURCE_NOT_FOUND",
                    "{}",
                    method.full_name()
                );
                answers.push(wire(&refused, workspace, HOME));
            }
            assert_eq!(answers[0], answers[1], "{}", method.full_name());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_resource_answers_like_one_that_is_not_there() {
    for engine in engines() {
        let (_suite, client) = start(engine).await;
        let (mut compared, mut elsewhere) = (BTreeSet::new(), BTreeSet::new());
        let methods = methods();
        for method in methods.iter().filter(|method| policy(method).scoped) {
            let ask = async |workspace: &str| {
                let request = filled(method, &mut |_| workspace.to_owned());
                client.send(method, request).await
            };
            // Only where our own absent one is said to be absent there is something to compare.
            let Err(absent) = ask(HOME).await else {
                continue;
            };
            if refusal(&absent).reason != "RESOURCE_NOT_FOUND" {
                continue;
            }
            let foreign = ask(FOREIGN).await.expect_err(method.full_name());
            let (ours, theirs) = (refusal(&absent), refusal(&foreign));
            let named = ours.metadata["resource"].replace(HOME, FOREIGN);
            if named == theirs.metadata["resource"] {
                let (absent, foreign) = (
                    wire(&absent, HOME, FOREIGN),
                    wire(&foreign, FOREIGN, FOREIGN),
                );
                assert_eq!(absent, foreign, "{engine} {}", method.full_name());
                compared.insert(method.name());
            } else {
                // A request that names two things may find that it is the other one that is absent.
                let blank = |text: &str, name: &str| text.replace(name, "NAME");
                let absent = blank(&ours.message, &ours.metadata["resource"]);
                let foreign = blank(&theirs.message, &theirs.metadata["resource"]);
                assert_eq!(absent, foreign, "{engine} {}", method.full_name());
                elsewhere.insert(method.name());
            }
        }
        let differently = BTreeSet::from(["BatchGetContacts", "GetPosition", "UnassignContact"]);
        assert_eq!(elsewhere, differently, "{engine}");
        for expected in [
            "ActivatePolicy",
            "AssignContact",
            "CancelImport",
            "DeleteContact",
            "GetContact",
            "GetImport",
            "GetInvoice",
            "GetPolicy",
            "GetPolicyActivation",
            "GetProject",
            "IssueInvoice",
            "ListImportRows",
            "ListTransitions",
            "PreviewConversions",
            "RunImport",
            "UndeleteContact",
            "VerifyHistory",
            "WatchImport",
        ] {
            assert!(
                compared.contains(expected),
                "{expected} was not compared: {compared:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_of_another_workspace_is_refused_wherever_it_stands() {
    for engine in engines() {
        let (_suite, client) = start(engine).await;
        let mut references = 0;
        for method in methods()
            .iter()
            .filter(|method| policy(method).scoped && !policy(method).internal)
        {
            let mut scopes = 0;
            for path in paths(method) {
                let mut answers = Vec::new();
                for workspace in [FOREIGN, NOWHERE] {
                    let answer = with_one(&client, method, &path, workspace).await;
                    let ignored = path
                        .rsplit_once('.')
                        .is_some_and(|(_, last)| last == "name")
                        && !method.name().starts_with("Update");
                    let Err(refused) = answer else {
                        assert!(ignored, "{} {path} was accepted", method.full_name());
                        continue;
                    };
                    let told = refusal(&refused);
                    if told.reason == "RESOURCE_NOT_FOUND"
                        && told.metadata["resource"].contains(workspace)
                    {
                        scopes += 1;
                    } else if !ignored {
                        assert!(
                            told.violations.contains(&path),
                            "{} {path}: {told:?}",
                            method.full_name()
                        );
                        references += 1;
                    }
                    answers.push(wire(&refused, workspace, HOME));
                }
                answers.dedup();
                assert!(
                    answers.len() <= 1,
                    "{} {path}: {answers:?}",
                    method.full_name()
                );
            }
            assert_eq!(scopes, 2, "{} is about one workspace", method.full_name());
        }
        assert!(references > 20, "{references} references were tried");
    }
}
