//! Demotion and issue at once: no invoice whose call lies wholly after an acknowledged demotion is
//! ever accepted.

use std::time::Instant;

use harness::client::{Client, refusal};
use harness::engine::engines;
use harness::suite::{Layout, Suite};
use serde_json::{Value, json};

/// Contacts that race at the same time, and how often each is promoted and demoted.
const CONTACTS: usize = 8;
const ROUNDS: usize = 150;

#[tokio::test(flavor = "multi_thread")]
async fn no_invoice_is_accepted_after_an_acknowledged_demotion() {
    for engine in engines() {
        let suite = Suite::start(engine, Layout::Three).await;
        let client = suite.client();
        let workspace = "workspaces/race";
        let request = json!({"parent": workspace, "policy_id": "rules", "preset": "free-switch"});
        let policy = client
            .call("PolicyService/CreatePolicy", request)
            .await
            .expect("a policy");
        let request = json!({"name": policy["policy"]["revision"]});
        client
            .call("PolicyService/ActivatePolicy", request)
            .await
            .expect("an activation");
        let races = (0..CONTACTS).map(|number| {
            let client = client.clone();
            tokio::spawn(async move { race(&client, workspace, number).await })
        });
        let mut total = Tally::default();
        for race in races.collect::<Vec<_>>() {
            total.add(race.await.expect("a race"));
        }
        println!(
            "{engine}: {} demotions, {} invoices issued, {} refused, {} calls wholly after one",
            CONTACTS * ROUNDS,
            total.accepted,
            total.refused,
            total.after
        );
        assert!(
            total.accepted > 0 && total.refused > 0,
            "the race must have had both outcomes"
        );
        assert!(
            total.after > 0,
            "some calls must lie wholly after a demotion"
        );
        let verify = json!({"parent": format!("{workspace}/contacts/-")});
        client
            .call("PositionService/VerifyHistory", verify)
            .await
            .expect("a whole history");
        let verify = json!({"parent": workspace});
        client
            .call("InvoiceService/VerifyInvoices", verify)
            .await
            .expect("gapless numbers");
    }
}

#[derive(Clone, Copy, Default)]
struct Tally {
    accepted: usize,
    refused: usize,
    after: usize,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.refused += other.refused;
        self.after += other.after;
    }
}

async fn race(client: &Client, workspace: &str, number: usize) -> Tally {
    let contact = json!({"display_name": format!("Racer {number}")});
    let request = json!({"parent": workspace, "contact": contact});
    let contact = client
        .call("ContactService/CreateContact", request)
        .await
        .expect("a contact");
    let contact = contact["contact"]["name"]
        .as_str()
        .expect("a name")
        .to_owned();
    let mut tally = Tally::default();
    for _ in 0..ROUNDS {
        convert(client, &contact, "client").await;
        let draft = create(client, workspace, &contact).await;
        let draft = draft.expect("a draft for a client");
        let demotion = async {
            convert(client, &contact, "contact").await;
            Instant::now()
        };
        let issues = async {
            let mut calls = vec![(Instant::now(), issue(client, &draft).await)];
            for _ in 0..2 {
                let began = Instant::now();
                calls.push((began, create(client, workspace, &contact).await.map(drop)));
            }
            calls
        };
        let (acknowledged, mut calls) = tokio::join!(demotion, issues);
        let began = Instant::now();
        calls.push((began, create(client, workspace, &contact).await.map(drop)));
        for (began, outcome) in calls {
            let wholly_after = began >= acknowledged;
            tally.after += usize::from(wholly_after);
            match outcome {
                Ok(()) => {
                    assert!(
                        !wholly_after,
                        "accepted although demoted before the call began"
                    );
                    tally.accepted += 1;
                }
                Err(reason) => {
                    assert_eq!(reason, "ENTITLEMENT_MISSING");
                    tally.refused += 1;
                }
            }
        }
    }
    tally
}

/// Moves the contact and waits until the move is complete, not merely pending.
async fn convert(client: &Client, contact: &str, stage: &str) {
    let request = json!({"contact": contact, "stage": stage});
    let answer = client.call("PositionService/ConvertContact", request).await;
    let answer = answer.unwrap_or_else(|status| panic!("{contact} to {stage}: {status}"));
    assert_eq!(
        answer["state"], "STATE_OPEN",
        "the demotion is acknowledged within two seconds"
    );
    assert_eq!(answer["position"]["stage"], json!(stage));
}

async fn create(client: &Client, workspace: &str, contact: &str) -> Result<Value, String> {
    let line = json!({"description": "Work", "unit_price": {"value": "1"}});
    let invoice = json!({"contact": contact, "currency_code": "EUR", "lines": [line]});
    let request = json!({"parent": workspace, "invoice": invoice});
    outcome(client, "InvoiceService/CreateInvoice", request)
        .await
        .map(|a| a["invoice"].clone())
}

async fn issue(client: &Client, draft: &Value) -> Result<(), String> {
    outcome(
        client,
        "InvoiceService/IssueInvoice",
        json!({"name": draft["name"]}),
    )
    .await
    .map(drop)
}

/// Calls; while a recall is under way billing may ask to try again, as any client would.
async fn outcome(client: &Client, method: &str, request: Value) -> Result<Value, String> {
    for _ in 0..200 {
        match client.call(method, request.clone()).await {
            Ok(answer) => return Ok(answer),
            Err(status) => match refusal(&status).reason.as_str() {
                "TRANSITION_PENDING" => tokio::task::yield_now().await,
                reason => return Err(reason.to_owned()),
            },
        }
    }
    Err("TRANSITION_PENDING for ever".to_owned())
}
