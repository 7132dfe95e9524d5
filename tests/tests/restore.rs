//! A database is restored from a backup that was taken while its service ran: what was lost does not
//! come back by itself, no grant of the lost time counts, and nothing is done twice.
//!
//! `docs/operations.md` tells the same to whoever has to do it at night.

use harness::backup::Backup;
use harness::client::{Client, refusal};
use harness::engine::engines;
use harness::eventually::eventually;
use harness::suite::{Layout, Suite, binary};
use serde_json::{Value, json};

const WORKSPACE: &str = "workspaces/restored";

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restore_of_pipeline_no_grant_counts_until_billing_has_attached() {
    for engine in engines() {
        let mut suite = Suite::start(engine, Layout::Three).await;
        let client = suite.client();
        prepare(&client).await;
        let [ada, bob] = [person(&client, "ada").await, person(&client, "bob").await];
        move_to(&client, &ada, "client").await;
        draft(&client, &ada)
            .await
            .expect("a draft, and with it a grant");
        let backup = Backup::of(&suite, "pipeline");

        // All this is lost: bob's being a client, ada's being none, and that there is carol.
        move_to(&client, &bob, "client").await;
        draft(&client, &bob)
            .await
            .expect("a grant that outlives the restore in billing");
        demote(&client, &ada).await;
        let carol = person(&client, "carol").await;
        move_to(&client, &carol, "client").await;

        suite.kill("billing").await;
        suite.kill("pipeline").await;
        backup.restore(&suite);
        bump(&suite, "pipeline").await;
        suite.restart("pipeline").await;
        assert_eq!(stage(&client, &ada).await, "client");
        let pending = move_to(&client, &ada, "contact").await;
        assert_eq!(
            pending["state"], "STATE_REVOKING",
            "billing has not attached yet"
        );

        suite.restart("billing").await;
        completed(&client, &ada).await;
        for (number, lost) in [(1, &bob), (2, &carol)] {
            // A grant of the lost time may count until billing has attached.
            eventually(
                "whose conversion was lost is no client",
                async || match draft(&client, lost).await {
                    Ok(_) => Err("accepted".to_owned()),
                    Err(status) => entitlement_missing(&status),
                },
            )
            .await;
            eventually("nor is shown as one", async || {
                let found = client.call("ContactService/GetContact", json!({"name": lost}));
                let found = found.await.map_err(|status| status.to_string())?;
                let shown = &found["contact"]["stage"];
                if shown == "client" {
                    return Err(found.to_string());
                }
                Ok(())
            })
            .await;
            move_to(&client, lost, "client").await;
            let again = draft(&client, lost).await.expect("a client again");
            issue(&client, &again["invoice"]["name"], number)
                .await
                .expect("an invoice");
        }
        let histories = json!({"parent": format!("{WORKSPACE}/contacts/-")});
        let verified = client
            .call("PositionService/VerifyHistory", histories)
            .await;
        verified.expect("whole histories");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restore_of_billing_nothing_doubles_and_numbers_have_no_gap() {
    for engine in engines() {
        let mut suite = Suite::start(engine, Layout::Three).await;
        let client = suite.client();
        prepare(&client).await;
        let [ada, bob] = [person(&client, "ada").await, person(&client, "bob").await];
        move_to(&client, &ada, "client").await;
        move_to(&client, &bob, "client").await;
        let kept = draft(&client, &ada).await.expect("a draft")["invoice"]["name"].clone();
        let lost = draft(&client, &bob).await.expect("a draft")["invoice"]["name"].clone();
        let first = issue(&client, &kept, 1).await.expect("the first invoice");
        let backup = Backup::of(&suite, "billing");

        // Both are lost: the second invoice, and that ada's grant was given back.
        let second = issue(&client, &lost, 2).await.expect("the second invoice");
        demote(&client, &ada).await;

        suite.kill("billing").await;
        backup.restore(&suite);
        bump(&suite, "billing").await;
        suite.restart("billing").await;
        // The restored grant would let ada have an invoice; it counts at no moment.
        eventually("billing asks pipeline anew", async || {
            match draft(&client, &ada).await {
                Ok(accepted) => panic!("a restored grant counted: {accepted}"),
                Err(status) => entitlement_missing(&status),
            }
        })
        .await;
        let found = client
            .call("InvoiceService/GetInvoice", json!({"name": lost}))
            .await;
        assert_eq!(found.expect("the draft")["invoice"]["state"], "STATE_DRAFT");

        for _ in 0..2 {
            let again = issue(&client, &kept, 1)
                .await
                .expect("the answer that is known");
            assert_eq!(again["invoice"]["number"], first["invoice"]["number"]);
            let again = issue(&client, &lost, 2)
                .await
                .expect("issued once more, once");
            assert_eq!(again["invoice"]["number"], second["invoice"]["number"]);
        }
        let verify = json!({"parent": WORKSPACE});
        let verified = client.call("InvoiceService/VerifyInvoices", verify).await;
        assert_eq!(verified.expect("no gap")["invoices"].as_str(), Some("2"));
        demote(&client, &bob).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restore_of_contacts_who_comes_again_stands_where_they_stood() {
    for engine in engines() {
        let mut suite = Suite::start(engine, Layout::Three).await;
        let client = suite.client();
        prepare(&client).await;
        let ada = person(&client, "ada").await;
        move_to(&client, &ada, "client").await;
        let backup = Backup::of(&suite, "contacts");

        // Lost, and known to pipeline and billing all the same.
        let bob = person(&client, "bob").await;
        move_to(&client, &bob, "client").await;
        draft(&client, &bob)
            .await
            .expect("a draft, and with it a grant");

        suite.kill("contacts").await;
        backup.restore(&suite);
        bump(&suite, "contacts").await;
        suite.restart("contacts").await;
        let carol = eventually("the directory takes people in", async || {
            try_person(&client, "carol")
                .await
                .map_err(|status| status.to_string())
        });
        let carol = carol.await;
        eventually(
            "pipeline follows the restored directory",
            async || match stage(&client, &carol).await.as_str() {
                "contact" => Ok(()),
                other => Err(other.to_owned()),
            },
        )
        .await;
        let bob = person(&client, "bob").await;
        eventually("the directory shows who stands where", async || {
            for contact in [&ada, &bob] {
                let found = client.call("ContactService/GetContact", json!({"name": contact}));
                let found = found.await.map_err(|status| status.to_string())?;
                if found["contact"]["stage"] != "client" {
                    return Err(found.to_string());
                }
            }
            Ok(())
        })
        .await;
        // Pipeline may have begun to close the position of somebody whom the directory did not know.
        eventually("a client as before", async || {
            let drafted = draft(&client, &bob).await;
            drafted.map_err(|status| status.to_string())
        })
        .await;
    }
}

async fn prepare(client: &Client) {
    let request = json!({"parent": WORKSPACE, "policy_id": "rules", "preset": "free-switch"});
    let policy = client.call("PolicyService/CreatePolicy", request).await;
    let request = json!({"name": policy.expect("a policy")["policy"]["revision"]});
    let activation = client.call("PolicyService/ActivatePolicy", request).await;
    activation.expect("an activation");
}

async fn person(client: &Client, id: &str) -> String {
    try_person(client, id).await.expect("a contact")
}

async fn try_person(client: &Client, id: &str) -> Result<String, tonic::Status> {
    let contact = json!({"display_name": id});
    let request = json!({"parent": WORKSPACE, "contact_id": id, "contact": contact});
    let created = client.call("ContactService/CreateContact", request).await?;
    let name = created["contact"]["name"].as_str().expect("a name");
    Ok(name.to_owned())
}

async fn move_to(client: &Client, contact: &str, stage: &str) -> Value {
    let request = json!({"contact": contact, "stage": stage});
    let moved = client.call("PositionService/ConvertContact", request).await;
    moved.expect("a move")
}

/// Moves down and waits until billing has given its grant back. That a call waits for it is not
/// certain: who followed the recalls and was killed holds the lease for three seconds.
async fn demote(client: &Client, contact: &str) {
    move_to(client, contact, "contact").await;
    completed(client, contact).await;
}

async fn completed(client: &Client, contact: &str) {
    eventually(
        "billing gives its grant back, and the demotion is completed",
        async || match stage(client, contact).await.as_str() {
            "contact" => Ok(()),
            other => Err(other.to_owned()),
        },
    )
    .await;
}

async fn stage(client: &Client, contact: &str) -> String {
    let request = json!({"name": format!("{contact}/position")});
    let found = client.call("PositionService/GetPosition", request).await;
    let stage = found.expect("a position")["position"]["stage"].clone();
    stage.as_str().expect("a stage").to_owned()
}

async fn draft(client: &Client, contact: &str) -> Result<Value, tonic::Status> {
    let line = json!({"description": "Work", "unit_price": {"value": "1"}});
    let invoice = json!({"contact": contact, "currency_code": "EUR", "lines": [line]});
    let request = json!({"parent": WORKSPACE, "invoice": invoice});
    client.call("InvoiceService/CreateInvoice", request).await
}

/// Issues a draft by a request that is the same for the same number.
async fn issue(client: &Client, draft: &Value, number: u8) -> Result<Value, tonic::Status> {
    let id = format!("0190a000-0000-7000-8000-0000000000{number:02x}");
    let request = json!({"name": draft, "request_id": id});
    client.call("InvoiceService/IssueInvoice", request).await
}

/// Whether it was refused since the contact may not have it, and for no other reason.
fn entitlement_missing(status: &tonic::Status) -> Result<(), String> {
    if refusal(status).reason == "ENTITLEMENT_MISSING" {
        Ok(())
    } else {
        Err(status.to_string())
    }
}

async fn bump(suite: &Suite, service: &str) {
    let bumped = tokio::process::Command::new(binary())
        .args(["epoch", "bump", service])
        .env("CLIENTELE_DATABASE_URL", suite.database_url(service))
        .stdout(std::process::Stdio::null())
        .status();
    assert!(bumped.await.expect("the binary").success());
}
