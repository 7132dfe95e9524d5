//! One service is down: what goes on, what waits, and what is said.

use std::time::{Duration, Instant};

use harness::client::{Client, refusal};
use harness::engine::engines;
use harness::eventually::eventually;
use harness::suite::{Layout, Suite};
use serde_json::{Value, json};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

const WORKSPACE: &str = "workspaces/down";

async fn prepare(client: &Client) {
    let request = json!({"parent": WORKSPACE, "policy_id": "rules", "preset": "free-switch"});
    let policy = client
        .call("PolicyService/CreatePolicy", request)
        .await
        .expect("a policy");
    let request = json!({"name": policy["policy"]["revision"]});
    client
        .call("PolicyService/ActivatePolicy", request)
        .await
        .expect("an activation");
}

async fn client_of(client: &Client, name: &str) -> String {
    let request = json!({"parent": WORKSPACE, "contact": {"display_name": name}});
    let contact = client
        .call("ContactService/CreateContact", request)
        .await
        .expect("a contact");
    let contact = contact["contact"]["name"]
        .as_str()
        .expect("a name")
        .to_owned();
    let request = json!({"contact": contact, "stage": "client"});
    client
        .call("PositionService/ConvertContact", request)
        .await
        .expect("a client");
    contact
}

async fn invoice(client: &Client, contact: &str) -> Result<Value, tonic::Status> {
    let line = json!({"description": "Work", "unit_price": {"value": "1"}});
    let invoice = json!({"contact": contact, "currency_code": "EUR", "lines": [line]});
    let request = json!({"parent": WORKSPACE, "invoice": invoice});
    client.call("InvoiceService/CreateInvoice", request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn billing_goes_on_under_a_held_grant_while_pipeline_is_down() {
    for engine in engines() {
        let mut suite = Suite::start(engine, Layout::Three).await;
        let client = suite.client();
        prepare(&client).await;
        let known = client_of(&client, "Known").await;
        let unknown = client_of(&client, "Unknown").await;
        let draft = invoice(&client, &known)
            .await
            .expect("a draft, and with it a grant");
        suite.kill("pipeline").await;

        let issued = client.call(
            "InvoiceService/IssueInvoice",
            json!({"name": draft["invoice"]["name"]}),
        );
        assert_eq!(
            issued.await.expect("an invoice")["invoice"]["state"],
            "STATE_ISSUED"
        );
        invoice(&client, &known)
            .await
            .expect("another draft under the held grant");

        let began = Instant::now();
        let refused = refusal(
            &invoice(&client, &unknown)
                .await
                .expect_err("no grant is held"),
        );
        assert_eq!(
            (refused.code.as_str(), refused.reason.as_str()),
            ("UNAVAILABLE", "UPSTREAM_UNAVAILABLE")
        );
        assert!(
            began.elapsed() < Duration::from_secs(6),
            "said within the deadline"
        );

        suite.restart("pipeline").await;
        eventually("billing finds pipeline again", async || {
            invoice(&client, &unknown)
                .await
                .map_err(|status| status.to_string())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_demotion_waits_for_billing_and_is_never_completed_by_time() {
    for engine in engines() {
        let mut suite = Suite::start(engine, Layout::Three).await;
        let client = suite.client();
        prepare(&client).await;
        let contact = client_of(&client, "Ada").await;
        let draft = invoice(&client, &contact)
            .await
            .expect("a draft, and with it a grant");
        suite.kill("billing").await;

        let request = json!({
            "contact": contact, "stage": "contact",
            "request_id": "0190a000-0000-7000-8000-00000000000a",
        });
        let convert = "PositionService/ConvertContact";
        let pending = client
            .call(convert, request.clone())
            .await
            .expect("accepted");
        assert_eq!(pending["state"], "STATE_REVOKING");
        assert_eq!(
            pending["position"]["stage"], "client",
            "the role is unchanged until then"
        );

        let other = client
            .call(convert, json!({"contact": contact, "stage": "lead"}))
            .await;
        let refused = refusal(&other.expect_err("a move is pending"));
        assert_eq!(
            (refused.code.as_str(), refused.reason.as_str()),
            ("ABORTED", "TRANSITION_PENDING")
        );
        assert_eq!(
            refused.metadata.get("to").map(String::as_str),
            Some("contact")
        );
        assert!(refused.metadata.contains_key("since"));

        suite.restart("billing").await;
        eventually(
            "the demotion is completed once billing is back",
            async || {
                let again = client
                    .call(convert, request.clone())
                    .await
                    .map_err(|s| s.to_string())?;
                if again["state"] == "STATE_OPEN" && again["position"]["stage"] == "contact" {
                    Ok(())
                } else {
                    Err(again.to_string())
                }
            },
        )
        .await;
        let issued = client.call(
            "InvoiceService/IssueInvoice",
            json!({"name": draft["invoice"]["name"]}),
        );
        assert_eq!(
            refusal(&issued.await.expect_err("demoted")).reason,
            "ENTITLEMENT_MISSING"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pending_demotion_can_be_cancelled() {
    for engine in engines() {
        let mut suite = Suite::start(engine, Layout::Three).await;
        let client = suite.client();
        prepare(&client).await;
        let contact = client_of(&client, "Ada").await;
        invoice(&client, &contact)
            .await
            .expect("a draft, and with it a grant");
        suite.kill("billing").await;
        let request = json!({"contact": contact, "stage": "contact"});
        let pending = client
            .call("PositionService/ConvertContact", request)
            .await
            .expect("accepted");
        assert_eq!(pending["state"], "STATE_REVOKING");
        let cancelled = client.call(
            "PositionService/CancelTransition",
            json!({"contact": contact}),
        );
        let cancelled = cancelled.await.expect("cancelled");
        assert_eq!(cancelled["position"]["state"], "STATE_OPEN");
        assert_eq!(cancelled["position"]["stage"], "client");
        suite.restart("billing").await;
        eventually("the client is invoiced again", async || {
            invoice(&client, &contact)
                .await
                .map_err(|status| status.to_string())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_contact_is_gone_only_after_billing_gave_its_grant_back() {
    for engine in engines() {
        let mut suite = Suite::start(engine, Layout::Three).await;
        let client = suite.client();
        prepare(&client).await;
        let contact = client_of(&client, "Ada").await;
        let draft = invoice(&client, &contact)
            .await
            .expect("a draft, and with it a grant");
        suite.kill("billing").await;
        let deleted = client
            .call("ContactService/DeleteContact", json!({"name": contact}))
            .await;
        assert_eq!(
            deleted.expect("accepted")["contact"]["state"],
            "STATE_DELETING"
        );
        suite.restart("billing").await;
        eventually(
            "the deletion is confirmed once billing is back",
            async || {
                let found = client
                    .call("ContactService/GetContact", json!({"name": contact}))
                    .await;
                let found = found.map_err(|status| status.to_string())?;
                if found["contact"]["state"] == "STATE_DELETED" {
                    Ok(())
                } else {
                    Err(found.to_string())
                }
            },
        )
        .await;
        let issued = client.call(
            "InvoiceService/IssueInvoice",
            json!({"name": draft["invoice"]["name"]}),
        );
        assert_eq!(
            refusal(&issued.await.expect_err("deleted")).code,
            "FAILED_PRECONDITION"
        );

        let back = client
            .call("ContactService/UndeleteContact", json!({"name": contact}))
            .await;
        assert_eq!(back.expect("undeleted")["contact"]["state"], "STATE_ACTIVE");
        eventually("its position opens again where it stood", async || {
            let request = json!({"name": format!("{contact}/position")});
            let found = client.call("PositionService/GetPosition", request).await;
            let found = found.map_err(|status| status.to_string())?;
            if found["position"]["stage"] == "client" {
                Ok(())
            } else {
                Err(found.to_string())
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_goes_with_the_database_and_liveness_does_not() {
    for engine in engines() {
        let suite = Suite::start(engine, Layout::One).await;
        // A file can't be taken away from SQLite.
        let Some(databases) = suite.databases() else {
            continue;
        };
        let channel = tonic::transport::Endpoint::from_shared(suite.process("up").uri.clone());
        let channel = channel.expect("a URI").connect_lazy();
        let health = HealthClient::new(channel);
        let becomes = async |service: &str, expected: ServingStatus| {
            eventually(&format!("{service} is {expected:?}"), async || {
                let service = service.to_owned();
                let answer = health.clone().check(HealthCheckRequest { service }).await;
                let status = answer.map_err(|status| status.to_string())?;
                let found = status.into_inner().status();
                if found == expected {
                    Ok(())
                } else {
                    Err(format!("{found:?}"))
                }
            })
            .await;
        };
        let (shut, open) = (
            "clientele.billing.v1.InvoiceService",
            "clientele.contacts.v1.ContactService",
        );
        becomes(shut, ServingStatus::Serving).await;
        databases.shut("billing");
        becomes(shut, ServingStatus::NotServing).await;
        becomes(open, ServingStatus::Serving).await;
        becomes("", ServingStatus::Serving).await;
        databases.reopen("billing");
        becomes(shut, ServingStatus::Serving).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_process_drains_and_ends_well_when_asked() {
    for engine in engines() {
        let mut suite = Suite::start(engine, Layout::Three).await;
        let client = suite.client();
        prepare(&client).await;
        let contact = client_of(&client, "Ada").await;
        invoice(&client, &contact).await.expect("a draft");
        let watch = json!({"parent": WORKSPACE, "oldest": true});
        let mut stream = client
            .open("ContactService/WatchContacts", watch)
            .await
            .expect("a stream");
        stream.next().await.expect("a message").expect("a message");
        for service in ["billing", "pipeline", "contacts"] {
            let began = Instant::now();
            assert_eq!(suite.terminate(service).await, Some(0), "{service}");
            assert!(
                began.elapsed() < Duration::from_secs(10),
                "{service} took {:?}",
                began.elapsed()
            );
        }
        let end = loop {
            match stream.next().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the stream must end with a reason"),
                Err(status) => break refusal(&status),
            }
        };
        assert_eq!(
            (end.code.as_str(), end.reason.as_str()),
            ("UNAVAILABLE", "SHUTTING_DOWN")
        );
    }
}
