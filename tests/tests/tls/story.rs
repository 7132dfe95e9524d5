//! A story that needs all three services and both ways between them.

use harness::client::Client;
use serde_json::{Value, json};
use tonic::Status;

/// The workspace of these tests.
pub const WORKSPACE: &str = "workspaces/secure";

/// A client in the sense of the suite: created at contacts, converted at pipeline, which reads it
/// there.
pub async fn client_of(client: &Client, name: &str) -> Result<String, Status> {
    let emails = json!([{"address": "ada@example.com"}]);
    let contact = json!({"display_name": name, "emails": emails});
    let request = json!({"parent": WORKSPACE, "contact": contact});
    let created = client.call("ContactService/CreateContact", request).await?;
    let contact = created["contact"]["name"]
        .as_str()
        .expect("a name")
        .to_owned();
    let request = json!({"contact": contact, "stage": "client"});
    client
        .call("PositionService/ConvertContact", request)
        .await?;
    Ok(contact)
}

/// An issued invoice: billing asks pipeline for a grant.
pub async fn invoice_of(client: &Client, contact: &str) -> Result<Value, Status> {
    let line = json!({"description": "Work", "unit_price": {"value": "1"}});
    let invoice = json!({"contact": contact, "currency_code": "EUR", "lines": [line]});
    let request = json!({"parent": WORKSPACE, "invoice": invoice});
    let draft = client.call("InvoiceService/CreateInvoice", request).await?;
    let request = json!({"name": draft["invoice"]["name"]});
    client.call("InvoiceService/IssueInvoice", request).await
}

/// The whole of it.
pub async fn told(client: &Client) {
    let contact = client_of(client, "Ada").await.expect("a client");
    let issued = invoice_of(client, &contact).await.expect("an invoice");
    assert_eq!(issued["invoice"]["state"], "STATE_ISSUED");
}
