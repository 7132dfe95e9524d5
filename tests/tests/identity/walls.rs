//! Who did what, and who may have it answered again; moves with a permission of their own; services that
//! prove themselves to each other.

use harness::client::{Client, refusal};
use harness::engine::engines;
use harness::eventually::eventually;
use harness::realm::Realm;
use harness::suite::{Layout, Suite};
use serde_json::{Value, json};
use serve::testing::ISSUER;

async fn ok(client: &Client, method: &str, request: Value) -> Value {
    client.call(method, request).await.expect(method)
}

fn reason(answer: Result<Value, tonic::Status>) -> String {
    answer.map_or_else(
        |status| refusal(&status).reason,
        |body| format!("accepted: {body}"),
    )
}

/// Three contacts with positions, policies, projects and invoices.
async fn furnish(client: &Client, workspace: &str) {
    let parent = format!("workspaces/{workspace}");
    for number in 0..3 {
        let policy =
            json!({"parent": parent, "policy_id": format!("p{number}"), "preset": "free-switch"});
        let created = ok(client, "PolicyService/CreatePolicy", policy).await;
        if number == 0 {
            let request = json!({"name": created["policy"]["revision"]});
            ok(client, "PolicyService/ActivatePolicy", request).await;
        }
        let contact = json!({"display_name": format!("Person {number}")});
        let request =
            json!({"parent": parent, "contact_id": format!("c{number}"), "contact": contact});
        ok(client, "ContactService/CreateContact", request).await;
        let request = json!({"contact": format!("{parent}/contacts/c{number}"), "stage": "client"});
        ok(client, "PositionService/ConvertContact", request).await;
        let request = json!({"parent": parent, "project": {"display_name": "A project"}});
        ok(client, "ProjectService/CreateProject", request).await;
        let invoice = json!({"contact": format!("{parent}/contacts/c{number}"), "currency_code": "EUR", "lines": [{"description": "Work", "unit_price": {"value": "1"}}]});
        let request = json!({"parent": parent, "invoice": invoice});
        ok(client, "InvoiceService/CreateInvoice", request).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_id_is_its_principals_own() {
    for engine in engines() {
        let realm = Realm::new();
        let suite = Suite::start_in(engine, Layout::One, Some(&realm)).await;
        let client = |subject: &str| {
            suite
                .client()
                .bearing(&realm.token_of(subject, &json!({"home": ["admin"]})))
        };
        let (ada, bob) = (client("ada"), client("bob"));
        for (method, resource, body) in [
            (
                "ContactService/CreateContact",
                "contact",
                json!({"contact": {"display_name": "Once"}}),
            ),
            (
                "PolicyService/CreatePolicy",
                "policy",
                json!({"preset": "one-way"}),
            ),
            (
                "ProjectService/CreateProject",
                "project",
                json!({"project": {"display_name": "Once"}}),
            ),
        ] {
            let mut request = body;
            request["parent"] = json!("workspaces/home");
            request["request_id"] = json!("0190a000-0000-7000-8000-0000000000c1");
            let first = ok(&ada, method, request.clone()).await;
            let again = ok(&ada, method, request.clone()).await;
            assert_eq!(first[resource]["name"], again[resource]["name"], "{method}");
            let other = bob
                .call_with(method, request.clone(), &[])
                .await
                .expect(method);
            assert!(
                other.metadata.get("clientele-replayed").is_none(),
                "{engine} {method}"
            );
            assert_ne!(
                first[resource]["name"], other.body[resource]["name"],
                "{engine} {method}"
            );
            assert_eq!(
                first[resource]["creator"],
                format!("{ISSUER}#ada"),
                "{method}"
            );
            assert_eq!(
                other.body[resource]["creator"],
                format!("{ISSUER}#bob"),
                "{method}"
            );
        }
        let who_lost_it = realm.token_of("ada", &json!({"home": ["viewer"]}));
        let request = json!({
            "parent": "workspaces/home", "contact": {"display_name": "Once"},
            "request_id": "0190a000-0000-7000-8000-0000000000c1",
        });
        let demoted = suite.client().bearing(&who_lost_it);
        let replay = demoted.call("ContactService/CreateContact", request).await;
        assert_eq!(
            reason(replay),
            "PERMISSION_MISSING",
            "not even a repetition"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_may_need_a_permission_of_its_own() {
    for engine in engines() {
        let realm = Realm::new();
        let suite = Suite::start_in(engine, Layout::One, Some(&realm)).await;
        let client = |roles: &[&str]| {
            let token = realm.token_of("ada", &json!({"home": roles}));
            suite.client().bearing(&token)
        };
        let admin = client(&["admin"]);
        let presets = ok(&admin, "PolicyService/ListPresets", json!({})).await;
        let presets = presets["presets"].as_array().expect("presets");
        let free = presets.iter().find(|preset| preset["id"] == "free-switch");
        let mut definition = free.expect("the preset")["definition"].clone();
        for transition in definition["transitions"]
            .as_array_mut()
            .expect("transitions")
        {
            transition["permission"] = json!("deals.close");
        }
        let policy = json!({"parent": "workspaces/home", "definition": definition});
        let created = ok(&admin, "PolicyService/CreatePolicy", policy).await;
        let activation = json!({"name": created["policy"]["revision"]});
        ok(&admin, "PolicyService/ActivatePolicy", activation).await;
        let contact = json!({"parent": "workspaces/home", "contact_id": "c", "contact": {"display_name": "C"}});
        ok(&admin, "ContactService/CreateContact", contact).await;
        let name = "workspaces/home/contacts/c";
        let one = |stage: &str| json!({"contact": name, "stage": stage});
        let convert = "PositionService/ConvertContact";
        let seller = client(&["sales"]);
        eventually("the contact stands somewhere", async || {
            seller
                .call(
                    "PositionService/GetPosition",
                    json!({"name": format!("{name}/position")}),
                )
                .await
        })
        .await;
        let refused = seller
            .call(convert, one("client"))
            .await
            .expect_err("no closer");
        let told = refusal(&refused);
        assert_eq!(
            (&*told.code, &*told.reason),
            ("PERMISSION_DENIED", "PERMISSION_MISSING")
        );
        assert_eq!(told.metadata["permission"], "deals.close", "{engine}");
        let many =
            json!({"parent": "workspaces/home", "atomic": true, "requests": [one("client")]});
        let together = seller
            .call("PositionService/BatchConvertContacts", many)
            .await;
        assert_eq!(reason(together), "PERMISSION_MISSING", "{engine}");
        ok(&client(&["sales", "closer"]), convert, one("client")).await;
        ok(&admin, convert, one("contact")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn services_in_three_processes_prove_themselves_by_their_tokens() {
    for engine in engines() {
        let realm = Realm::new();
        let suite = Suite::start_in(engine, Layout::Three, Some(&realm)).await;
        let token = realm.token_of("ada", &json!({"home": ["admin"]}));
        let client = suite.client().bearing(&token);
        furnish(&client, "home").await;
        let contact = ok(
            &client,
            "ContactService/GetContact",
            json!({"name": "workspaces/home/contacts/c0"}),
        )
        .await;
        assert_eq!(contact["contact"]["creator"], format!("{ISSUER}#ada"));
    }
}
