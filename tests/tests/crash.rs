//! kill -9 of each service under load: nothing that was acknowledged is lost, and what was
//! repeated is not done twice.

#![expect(clippy::print_stdout, reason = "what was tried is said in one line")]

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use harness::client::{Client, refusal};
use harness::engine::{Engine, engines};
use harness::eventually::eventually;
use harness::suite::{Layout, Suite};
use serde_json::{Value, json};

const WRITERS: usize = 8;
/// Writes acknowledged before the process is killed.
const BEFORE: usize = 200;

/// What a writer was told, so that it can be asked for again.
struct Acknowledged {
    request: Value,
    answer: Value,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_service_loses_no_acknowledged_write() {
    for engine in engines() {
        let mut suite = Suite::start(engine, Layout::Three).await;
        let client = suite.client();
        let people = prepare(&client, WRITERS * 2).await;
        let create = "ContactService/CreateContact";
        let acknowledged = hammer(
            &mut suite,
            "contacts",
            create,
            BEFORE * 4,
            |writer, number| {
                let name = format!("Writer {writer}, {number}");
                json!({"parent": "workspaces/crash", "contact": {"display_name": name}})
            },
        );
        check(engine, &client, create, acknowledged.await).await;

        let convert = "PositionService/ConvertContact";
        let acknowledged = hammer(
            &mut suite,
            "pipeline",
            convert,
            BEFORE * 4,
            |writer, number| {
                let stage = if number % 2 == 0 { "lead" } else { "contact" };
                json!({"contact": people[writer], "stage": stage})
            },
        );
        check(engine, &client, convert, acknowledged.await).await;
        let verify = json!({"parent": "workspaces/crash/contacts/-"});
        client
            .call("PositionService/VerifyHistory", verify)
            .await
            .expect("a whole history");

        kill_while_issuing(engine, &mut suite, &people[WRITERS..]).await;
    }
}

/// Clients and other people in a workspace where everyone may be moved freely.
async fn prepare(client: &Client, count: usize) -> Vec<String> {
    let request =
        json!({"parent": "workspaces/crash", "policy_id": "rules", "preset": "free-switch"});
    let policy = client
        .call("PolicyService/CreatePolicy", request)
        .await
        .expect("a policy");
    let request = json!({"name": policy["policy"]["revision"]});
    client
        .call("PolicyService/ActivatePolicy", request)
        .await
        .expect("an activation");
    let mut people = Vec::new();
    for number in 0..count {
        let contact = json!({"display_name": format!("Person {number}")});
        let request = json!({"parent": "workspaces/crash", "contact": contact});
        let created = client.call("ContactService/CreateContact", request).await;
        let created = created.expect("a contact");
        let name = created["contact"]["name"]
            .as_str()
            .expect("a name")
            .to_owned();
        if number >= count / 2 {
            let request = json!({"contact": name, "stage": "client"});
            client
                .call("PositionService/ConvertContact", request)
                .await
                .expect("a client");
        }
        people.push(name);
    }
    people
}

/// Writes from many tasks, kills the service under them, starts it again, and gives back all that
/// was acknowledged before and after.
async fn hammer(
    suite: &mut Suite,
    service: &str,
    method: &'static str,
    each: usize,
    request: impl Fn(usize, usize) -> Value,
) -> Vec<Acknowledged> {
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    let killed = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let requests: Vec<Value> = (0..each).map(|number| request(writer, number)).collect();
            let (client, acknowledged) = (suite.client(), acknowledged.clone());
            let killed = killed.clone();
            tokio::spawn(
                async move { write(&client, method, requests, &acknowledged, &killed).await },
            )
        })
        .collect();
    eventually("enough writes before the kill", async || {
        let count = acknowledged.lock().expect("not poisoned").len();
        if count >= BEFORE {
            Ok(())
        } else {
            Err(format!("{count} so far"))
        }
    })
    .await;
    suite.kill(service).await;
    killed.store(true, Ordering::SeqCst);
    for writer in writers {
        writer.await.expect("a writer");
    }
    suite.restart(service).await;
    Arc::into_inner(acknowledged)
        .expect("all writers ended")
        .into_inner()
        .expect("not poisoned")
}

async fn write(
    client: &Client,
    method: &str,
    requests: Vec<Value>,
    acknowledged: &Mutex<Vec<Acknowledged>>,
    killed: &AtomicBool,
) {
    for mut request in requests {
        if killed.load(Ordering::SeqCst) {
            return;
        }
        request["request_id"] = json!(types::Ids::system().next());
        match client.call(method, request.clone()).await {
            Ok(answer) => {
                acknowledged
                    .lock()
                    .expect("not poisoned")
                    .push(Acknowledged { request, answer });
            }
            Err(status) if died(&status) => return,
            Err(status) => panic!("{method}: {:?}", refusal(&status)),
        }
    }
}

/// Whether a call failed because the server went away under it.
fn died(status: &tonic::Status) -> bool {
    use tonic::Code;
    matches!(
        status.code(),
        Code::Unavailable
            | Code::Unknown
            | Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Internal
    )
}

/// Every acknowledged write is there: the same request gives the same answer again.
async fn check(engine: Engine, client: &Client, method: &str, acknowledged: Vec<Acknowledged>) {
    assert!(acknowledged.len() >= BEFORE);
    println!(
        "{engine}: {method}: {} acknowledged writes",
        acknowledged.len()
    );
    for Acknowledged { request, answer } in acknowledged {
        let what = format!("{method} {request}");
        let again = eventually(&what, async || {
            client
                .call(method, request.clone())
                .await
                .map_err(|status| status.to_string())
        })
        .await;
        let resource = |answer: &Value| match method {
            "PositionService/ConvertContact" => answer["transition"]["name"].clone(),
            "InvoiceService/IssueInvoice" => answer["invoice"]["number"].clone(),
            _ => answer["contact"].clone(),
        };
        assert_eq!(resource(&again), resource(&answer), "{what}");
    }
}

async fn kill_while_issuing(engine: Engine, suite: &mut Suite, clients: &[String]) {
    let client = suite.client();
    let mut drafts = Vec::new();
    for number in 0..WRITERS * BEFORE / 4 {
        let line = json!({"description": "Work", "unit_price": {"value": "1"}});
        let contact = &clients[number % clients.len()];
        let invoice = json!({"contact": contact, "currency_code": "EUR", "lines": [line]});
        let request = json!({"parent": "workspaces/crash", "invoice": invoice});
        let draft = client
            .call("InvoiceService/CreateInvoice", request)
            .await
            .expect("a draft");
        drafts.push(draft["invoice"]["name"].clone());
    }
    let issue = "InvoiceService/IssueInvoice";
    let own = drafts.len() / WRITERS;
    let request = |writer: usize, number: usize| json!({"name": drafts[writer * own + number]});
    let acknowledged = hammer(suite, "billing", issue, own, request).await;
    let numbers: BTreeSet<String> = acknowledged
        .iter()
        .map(|acknowledged| acknowledged.answer["invoice"]["number"].to_string())
        .collect();
    assert_eq!(
        numbers.len(),
        acknowledged.len(),
        "no number is given twice"
    );
    check(engine, &client, issue, acknowledged).await;
    let verify = json!({"parent": "workspaces/crash"});
    client
        .call("InvoiceService/VerifyInvoices", verify)
        .await
        .expect("numbers without a gap");
}
