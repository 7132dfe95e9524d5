//! A client is made, demoted, made again, and sent an invoice: telemetry of every kind, and a person whose
//! data must not be in it.

use harness::client::Client;
use serde_json::{Value, json};

pub const WORKSPACE: &str = "workspaces/observed";

/// What no telemetry may hold: the person's name, mail and phone, and what was written about them.
pub const PERSONAL: [&str; 7] = [
    "Zweistein",
    "Albertine",
    "albertine.zweistein@mail.example",
    "mail.example",
    "5550142",
    "555 0142",
    "Secretwork",
];

/// The trace and the span that the issue is called in.
pub const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
pub const CALLER: &str = "b7ad6b7169203331";

/// Tells the story; the invoice is issued in [`TRACE`], when no grant is held.
pub async fn tell(client: &Client) {
    let policy = json!({"parent": WORKSPACE, "policy_id": "rules", "preset": "free-switch"});
    let policy = done(client, "PolicyService/CreatePolicy", policy).await;
    let activation = json!({"name": policy["policy"]["revision"]});
    done(client, "PolicyService/ActivatePolicy", activation).await;
    let contact = json!({
        "display_name": "Albertine Zweistein",
        "emails": [{"address": "albertine.zweistein@mail.example"}],
        "phones": [{"number": "+1 202 555 0142"}],
    });
    let contact = json!({"parent": WORKSPACE, "contact": contact});
    let contact = done(client, "ContactService/CreateContact", contact).await;
    let contact = contact["contact"]["name"].clone();
    move_to(client, &contact, "client").await;
    let line = json!({"description": "Secretwork", "unit_price": {"value": "1"}});
    let invoice = json!({"contact": contact, "currency_code": "EUR", "lines": [line]});
    let invoice = json!({"parent": WORKSPACE, "invoice": invoice});
    let draft = done(client, "InvoiceService/CreateInvoice", invoice).await;
    let name = draft["invoice"]["name"].clone();
    move_to(client, &contact, "contact").await;
    let refused = client.call("InvoiceService/IssueInvoice", json!({"name": name}));
    refused.await.expect_err("no client, no invoice");
    move_to(client, &contact, "client").await;
    let parent = format!("00-{TRACE}-{CALLER}-01");
    let headers = [("traceparent", parent.as_str())];
    let issue = client.call_with(
        "InvoiceService/IssueInvoice",
        json!({"name": name}),
        &headers,
    );
    issue.await.expect("an invoice");
}

async fn move_to(client: &Client, contact: &Value, stage: &str) {
    let request = json!({"contact": contact, "stage": stage});
    done(client, "PositionService/ConvertContact", request).await;
}

async fn done(client: &Client, method: &str, request: Value) -> Value {
    // The first phone number that a process reads takes it seconds on a slow machine.
    let answer = client.call_with(method, request, &[("grpc-timeout", "30S")]);
    let answer = answer.await;
    answer
        .unwrap_or_else(|status| panic!("{method}: {status}"))
        .body
}
