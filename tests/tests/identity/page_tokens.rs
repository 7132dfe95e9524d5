//! A page token goes on with the list that it came from, over every method that takes one.

use harness::client::refusal;
use harness::engine::engines;
use harness::eventually::eventually;
use harness::suite::Layout;
use serde_json::{Value, json};

use crate::requests::{methods, policy};
use crate::walk::{Place, ROWS, Walk, with_field};

/// Two of everything that there are lists of.
async fn furnish(walk: &Walk) -> [Value; 2] {
    for number in 0..2 {
        let id = format!("x{number}");
        walk.both(
            "PolicyService/CreatePolicy",
            |at| json!({"parent": at.parent, "policy_id": id, "preset": "free-switch"}),
        )
        .await;
        walk.both(
            "PolicyService/ActivatePolicy",
            |at| json!({"name": at.name(&format!("policies/{id}/revisions/1"))}),
        )
        .await;
        walk.both("ContactService/CreateContact", |at| {
            let contact = json!({"display_name": id});
            json!({"parent": at.parent, "contact_id": id, "contact": contact})
        })
        .await;
        let contact = |at: &Place| at.name(&format!("contacts/{id}"));
        walk.both(
            "PositionService/ConvertContact",
            |at| json!({"contact": contact(at), "stage": "client"}),
        )
        .await;
        walk.both("ProjectService/CreateProject", |at| {
            let project = json!({"display_name": id});
            json!({"parent": at.parent, "project_id": id, "project": project})
        })
        .await;
        walk.both(
            "ProjectService/AssignContact",
            |at| json!({"project": at.name("projects/x0"), "contact": contact(at)}),
        )
        .await;
        let lines = json!([{"description": "Work", "unit_price": {"value": "1"}}]);
        walk.both("InvoiceService/CreateInvoice", |at| {
            let invoice = json!({"contact": contact(at), "currency_code": "EUR", "lines": lines});
            json!({"parent": at.parent, "invoice": invoice})
        })
        .await;
    }
    let import = json!({"format": "FORMAT_NDJSON"});
    let request = |at: &Place| json!({"parent": at.parent, "import": import});
    walk.both("TransferService/CreateImport", request).await;
    let made = walk.both("TransferService/CreateImport", request).await;
    let imports = made.map(|made| made["import"]["name"].clone());
    walk.both(
        "TransferService/UploadImportChunk",
        |at| json!({"name": imports[at.index], "data": ROWS}),
    )
    .await;
    walk.both(
        "TransferService/RunImport",
        |at| json!({"name": imports[at.index]}),
    )
    .await;
    imports
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_token_opens_no_other_workspace() {
    for engine in engines() {
        let walk = Walk::begin(engine, Layout::One).await;
        let imports = furnish(&walk).await;
        let lists = methods().into_iter().filter(|method| {
            policy(method).scoped && method.input().get_field_by_name("page_token").is_some()
        });
        let mut walked = 0;
        for method in lists {
            let full = format!("{}/{}", method.parent_service().full_name(), method.name());
            let full = full.as_str();
            let page = |at: &Place, token: &Value| {
                let mut request = json!({"page_size": 1, "page_token": token});
                let (field, of) = match method.name() {
                    "ListTransitions" => ("parent", json!(at.name("contacts/x0"))),
                    "ListAssignments" => ("parent", json!(at.name("projects/x0"))),
                    "ListImportRows" => ("name", imports[at.index].clone()),
                    _ => ("parent", json!(at.parent)),
                };
                request[field] = of;
                request
            };
            let [home, other] = Place::both();
            let first = eventually(full, async || {
                let answer = walk.ada.call(full, page(&other, &json!(""))).await;
                let answer = answer.map_err(|status| status.to_string())?;
                match answer["next_page_token"].as_str() {
                    Some(token) if !token.is_empty() => Ok(json!(token)),
                    _ => Err(format!("a single page: {answer}")),
                }
            })
            .await;
            let next = walk.ada.call(full, page(&other, &first)).await;
            next.unwrap_or_else(|status| panic!("{full}: {status}"));
            for (who, client, place, reason) in [
                (
                    "in another workspace",
                    &walk.ada,
                    &home,
                    "PAGE_TOKEN_MISMATCH",
                ),
                (
                    "by another caller there",
                    &walk.bob,
                    &home,
                    "PAGE_TOKEN_MISMATCH",
                ),
                ("by a stranger", &walk.bob, &other, "RESOURCE_NOT_FOUND"),
            ] {
                let refused = client.call(full, page(place, &first)).await;
                let refused = refused.expect_err(full);
                assert_eq!(refusal(&refused).reason, reason, "{engine} {full} {who}");
            }
            walked += 1;
        }
        assert_eq!(walked, with_field("page_token").len());
    }
}
