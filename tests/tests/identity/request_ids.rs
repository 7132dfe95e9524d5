//! A request id means something to the caller who chose it, in the workspace where it was used: over every
//! method that takes one.

use harness::client::Client;
use harness::engine::engines;
use harness::suite::Layout;
use serde_json::{Value, json};

use crate::walk::{ROWS, Walk, done, with_field};

/// What a preset's policy says in which everybody may go anywhere.
async fn definition(client: &Client) -> Value {
    let (presets, _) = done(client, "PolicyService/ListPresets", json!({})).await;
    let presets = presets["presets"].as_array().expect("presets").clone();
    let free = presets
        .into_iter()
        .find(|preset| preset["id"] == "free-switch");
    free.expect("the preset")["definition"].clone()
}

/// The definition without what allows somebody to work on projects.
fn without_projects(definition: &Value) -> Value {
    let mut less = definition.clone();
    for stage in less["stages"].as_array_mut().expect("stages") {
        if let Some(entitlements) = stage["entitlements"].as_array_mut() {
            entitlements.retain(|entitlement| entitlement != "project");
        }
    }
    less
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_id_is_its_callers_own_in_its_workspace() {
    for engine in engines() {
        let mut walk = Walk::begin(engine, Layout::Three).await;
        let definition = definition(&walk.ada).await;
        companies(&mut walk, &definition).await;
        policies(&mut walk, &definition).await;
        contacts(&mut walk).await;
        transfers(&mut walk).await;
        positions(&mut walk).await;
        money(&mut walk).await;
        waiting(&mut walk, &definition).await;
        assert_eq!(walk.tried, with_field("request_id"), "{engine}");
    }
}

/// Under a policy in which companies come first, before the one in which each stands for itself.
async fn companies(walk: &mut Walk, definition: &Value) {
    let mut first = definition.clone();
    first["mode"] = json!("MODE_COMPANY_FIRST");
    walk.both(
        "PolicyService/CreatePolicy",
        |at| json!({"parent": at.parent, "policy_id": "companies", "definition": first}),
    )
    .await;
    walk.both(
        "PolicyService/ActivatePolicy",
        |at| json!({"name": at.name("policies/companies/revisions/1")}),
    )
    .await;
    let company = json!({"display_name": "Example", "kind": "KIND_COMPANY"});
    walk.both(
        "ContactService/CreateContact",
        |at| json!({"parent": at.parent, "contact_id": "company", "contact": company}),
    )
    .await;
    for person in ["boss", "deputy"] {
        walk.both("ContactService/CreateContact", |at| {
            let contact = json!({"display_name": person, "company": at.name("contacts/company")});
            json!({"parent": at.parent, "contact_id": person, "contact": contact})
        })
        .await;
    }
    walk.once("PositionService/SetPrimaryContact", |at| {
        let (company, deputy) = (at.name("contacts/company"), at.name("contacts/deputy"));
        json!({"company": company, "primary_contact": deputy})
    })
    .await;
}

async fn policies(walk: &mut Walk, definition: &Value) {
    walk.once(
        "PolicyService/CreatePolicy",
        |at| json!({"parent": at.parent, "policy_id": "p", "definition": definition}),
    )
    .await;
    walk.once(
        "PolicyService/ActivatePolicy",
        |at| json!({"name": at.name("policies/p/revisions/1")}),
    )
    .await;
    let less = without_projects(definition);
    walk.once("PolicyService/UpdatePolicy", |at| {
        let policy = json!({"name": at.name("policies/p"), "definition": less});
        json!({"policy": policy, "update_mask": "definition"})
    })
    .await;
}

async fn contacts(walk: &mut Walk) {
    walk.once("ContactService/CreateContact", |at| {
        let contact = json!({"display_name": "Ada"});
        json!({"parent": at.parent, "contact_id": "x", "contact": contact})
    })
    .await;
    walk.once("ContactService/UpdateContact", |at| {
        let contact = json!({"name": at.name("contacts/x"), "display_name": "Ada L."});
        json!({"contact": contact, "update_mask": "displayName"})
    })
    .await;
    walk.both("ContactService/CreateContact", |at| {
        let contact = json!({"display_name": "Gone"});
        json!({"parent": at.parent, "contact_id": "gone", "contact": contact})
    })
    .await;
    walk.once(
        "ContactService/DeleteContact",
        |at| json!({"name": at.name("contacts/gone")}),
    )
    .await;
    walk.once(
        "ContactService/UndeleteContact",
        |at| json!({"name": at.name("contacts/gone")}),
    )
    .await;
}

async fn transfers(walk: &mut Walk) {
    let imports = walk
        .once(
            "TransferService/CreateImport",
            |at| json!({"parent": at.parent, "import": {"format": "FORMAT_NDJSON"}}),
        )
        .await;
    walk.both(
        "TransferService/UploadImportChunk",
        |at| json!({"name": imports[at.index]["import"]["name"], "data": ROWS}),
    )
    .await;
    walk.once(
        "TransferService/RunImport",
        |at| json!({"name": imports[at.index]["import"]["name"]}),
    )
    .await;
}

async fn positions(walk: &mut Walk) {
    walk.once(
        "PositionService/ConvertContact",
        |at| json!({"contact": at.name("contacts/x"), "stage": "client"}),
    )
    .await;
    walk.once("PositionService/BatchConvertContacts", |at| {
        let one = json!({"contact": at.name("contacts/gone"), "stage": "client"});
        json!({"parent": at.parent, "atomic": true, "requests": [one]})
    })
    .await;
}

async fn money(walk: &mut Walk) {
    let lines = json!([{"description": "Work", "unit_price": {"value": "1"}}]);
    let drafts = walk
        .once("InvoiceService/CreateInvoice", |at| {
            let contact = at.name("contacts/x");
            let invoice = json!({"contact": contact, "currency_code": "EUR", "lines": lines});
            json!({"parent": at.parent, "invoice": invoice})
        })
        .await;
    let lines = json!([{"description": "More work", "unit_price": {"value": "2"}}]);
    walk.once("InvoiceService/UpdateInvoice", |at| {
        let name = &drafts[at.index]["invoice"]["name"];
        json!({"invoice": {"name": name, "lines": lines}, "update_mask": "lines"})
    })
    .await;
    walk.once(
        "InvoiceService/IssueInvoice",
        |at| json!({"name": drafts[at.index]["invoice"]["name"]}),
    )
    .await;
    walk.once("ProjectService/CreateProject", |at| {
        let project = json!({"display_name": "A project"});
        json!({"parent": at.parent, "project_id": "x", "project": project})
    })
    .await;
    walk.once("ProjectService/UpdateProject", |at| {
        let project = json!({"name": at.name("projects/x"), "display_name": "Another"});
        json!({"project": project, "update_mask": "displayName"})
    })
    .await;
    for method in ["AssignContact", "UnassignContact"] {
        walk.once(
            &format!("ProjectService/{method}"),
            |at| json!({"project": at.name("projects/x"), "contact": at.name("contacts/x")}),
        )
        .await;
    }
}

/// What can be given up while it waits, for billing, which does not answer.
async fn waiting(walk: &mut Walk, definition: &Value) {
    walk.suite.kill("billing").await;
    walk.both(
        "PositionService/ConvertContact",
        |at| json!({"contact": at.name("contacts/x"), "stage": "contact"}),
    )
    .await;
    walk.once(
        "PositionService/CancelTransition",
        |at| json!({"contact": at.name("contacts/x")}),
    )
    .await;
    let less = without_projects(definition);
    let made = walk
        .both(
            "PolicyService/CreatePolicy",
            |at| json!({"parent": at.parent, "policy_id": "less", "definition": less}),
        )
        .await;
    let activating = walk
        .both(
            "PolicyService/ActivatePolicy",
            |at| json!({"name": made[at.index]["policy"]["revision"]}),
        )
        .await;
    walk.once(
        "PolicyService/CancelPolicyActivation",
        |at| json!({"name": activating[at.index]["activation"]["name"]}),
    )
    .await;
}
