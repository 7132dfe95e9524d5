//! What happens is told on the bus: the same as by the Watches, and whatever is killed.

use std::collections::{BTreeMap, BTreeSet};

use harness::client::{Client, find};
use harness::engine::{Engine, engines};
use harness::eventually::eventually;
use harness::suite::{Layout, Suite};
use prost_reflect::DynamicMessage;
use relay::testing::{NatsServer, Received};
use serde_json::{Value, json};
use tokio::sync::watch;

const WORKSPACE: &str = "workspaces/told";
const WRITERS: usize = 6;

/// How many contacts are written before the service is killed in the midst of it.
const DOOMED_MIN: usize = 5;

/// Kinds that no story of seconds comes to: an import that somebody cancels, and what 30 days bring.
const NOT_TOLD: [&str; 2] = [
    "dev.clientele.contacts.import.cancelled.v1",
    "dev.clientele.contacts.contact.purged.v1",
];

async fn suite(engine: Engine, layout: Layout, server: &NatsServer) -> Suite {
    let url = server.url();
    let arguments = move |_: &str| {
        ["--nats-url", &url, "--events-format", "json"]
            .map(str::to_owned)
            .to_vec()
    };
    Suite::start_with(engine, layout, &arguments).await
}

async fn call(client: &Client, method: &str, request: Value) -> Value {
    let answer = client.call(method, request).await;
    answer.unwrap_or_else(|status| panic!("{method}: {status}"))
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_is_told_on_the_bus_and_contacts_and_moves_as_the_watches_tell_them() {
    for engine in engines() {
        let Some(server) = NatsServer::start() else {
            return;
        };
        let suite = suite(engine, Layout::One, &server).await;
        let client = suite.client();
        tell_all(&client).await;
        let wanted: BTreeSet<String> = relay::kinds()
            .map(relay::Kind::event_type)
            .filter(|kind| !NOT_TOLD.contains(&kind.as_str()))
            .collect();
        let received = eventually("every kind is told", async || {
            let received = server.received().await;
            let found: BTreeSet<String> = received.iter().map(|e| e.event_type.clone()).collect();
            let missing: Vec<_> = wanted.difference(&found).collect();
            if missing.is_empty() {
                Ok(received)
            } else {
                Err(format!("{missing:?}"))
            }
        })
        .await;
        assert!(
            !suite.log("up").contains("is parked"),
            "{}",
            suite.log("up")
        );
        for (watch, kind, message) in [
            (
                "ContactService/WatchContacts",
                "dev.clientele.contacts.contact.",
                "clientele.contacts.v1.ContactChange",
            ),
            (
                "PositionService/WatchTransitions",
                "dev.clientele.pipeline.position.",
                "clientele.pipeline.v1.TransitionChange",
            ),
        ] {
            let told: Vec<_> = received
                .iter()
                .filter(|e| e.event_type.starts_with(kind))
                .collect();
            let watched = watched(&client, watch, message, told.len()).await;
            let told = told.iter().map(|event| {
                let json: Value = serde_json::from_slice(&event.data).expect("JSON");
                (event.id.clone(), parsed(message, json))
            });
            assert_eq!(told.collect::<BTreeMap<_, _>>(), watched, "{watch}");
        }
    }
}

/// The changes that a Watch tells from the beginning, by their event id.
async fn watched(
    client: &Client,
    watch: &str,
    message: &str,
    count: usize,
) -> BTreeMap<String, String> {
    let request = json!({"parent": WORKSPACE, "oldest": true});
    let mut stream = client.open(watch, request).await.expect("a stream");
    let mut found = BTreeMap::new();
    while found.len() < count {
        let told = stream.next().await.expect("a message").expect("no end");
        for change in told["changes"]["changes"].as_array().into_iter().flatten() {
            found.insert(text(&change["event_id"]), parsed(message, change.clone()));
        }
    }
    found
}

/// A message that was written as JSON, in one form.
fn parsed(message: &str, json: Value) -> String {
    let descriptor = proto::pool().get_message_by_name(message).expect(message);
    let parsed = DynamicMessage::deserialize(descriptor, json).expect("a message");
    serde_json::to_string(&parsed).expect("JSON")
}

/// Does everything that there are events of, but for [`NOT_TOLD`].
async fn tell_all(client: &Client) {
    assert!(find("ContactService/WatchContacts").is_ok());
    let request = json!({"parent": WORKSPACE, "policy_id": "rules", "preset": "free-switch"});
    let policy = call(client, "PolicyService/CreatePolicy", request).await;
    let request = json!({"name": policy["policy"]["revision"]});
    call(client, "PolicyService/ActivatePolicy", request).await;

    let contact = json!({"display_name": "Ada", "emails": [{"address": "ada@example.com"}]});
    let request = json!({"parent": WORKSPACE, "contact": contact});
    let created = call(client, "ContactService/CreateContact", request).await;
    let ada = text(&created["contact"]["name"]);
    let request = json!({
        "contact": {"name": ada, "display_name": "Ada L."}, "update_mask": "displayName",
    });
    call(client, "ContactService/UpdateContact", request).await;
    let request = json!({"contact": ada, "stage": "client"});
    call(client, "PositionService/ConvertContact", request).await;
    sell_to(client, &ada).await;
    import(client).await;

    let request = json!({"parent": WORKSPACE, "contact": {"display_name": "Bob"}});
    let created = call(client, "ContactService/CreateContact", request).await;
    let bob = json!({"name": created["contact"]["name"]});
    call(client, "ContactService/DeleteContact", bob.clone()).await;
    eventually("bob can be undeleted", async || {
        client
            .call("ContactService/UndeleteContact", bob.clone())
            .await
            .map_err(|status| status.to_string())
    })
    .await;
}

async fn sell_to(client: &Client, contact: &str) {
    let line = json!({"description": "Work", "unit_price": {"value": "1"}});
    let invoice = json!({"contact": contact, "currency_code": "EUR", "lines": [line]});
    let request = json!({"parent": WORKSPACE, "invoice": invoice});
    let draft = call(client, "InvoiceService/CreateInvoice", request).await;
    let name = &draft["invoice"]["name"];
    let line = json!({"description": "More work", "unit_price": {"value": "2"}});
    let request = json!({"invoice": {"name": name, "lines": [line]}, "update_mask": "lines"});
    call(client, "InvoiceService/UpdateInvoice", request).await;
    call(client, "InvoiceService/IssueInvoice", json!({"name": name})).await;

    let request = json!({"parent": WORKSPACE, "project": {"display_name": "Engine"}});
    let project = call(client, "ProjectService/CreateProject", request).await;
    let name = &project["project"]["name"];
    let request = json!({
        "project": {"name": name, "display_name": "Engines"}, "update_mask": "displayName",
    });
    call(client, "ProjectService/UpdateProject", request).await;
    let request = json!({"project": name, "contact": contact});
    call(client, "ProjectService/AssignContact", request.clone()).await;
    call(client, "ProjectService/UnassignContact", request).await;
}

async fn import(client: &Client) {
    let request = json!({"parent": WORKSPACE, "import": {"format": "FORMAT_NDJSON"}});
    let created = call(client, "TransferService/CreateImport", request).await;
    let name = &created["import"]["name"];
    // {"display_name": "Cy"}
    let request = json!({"name": name, "offset": 0, "data": "eyJkaXNwbGF5X25hbWUiOiAiQ3kifQ=="});
    call(client, "TransferService/UploadImportChunk", request).await;
    call(client, "TransferService/RunImport", json!({"name": name})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_relay_loses_nothing_and_another_process_takes_over() {
    for engine in engines() {
        let Some(server) = NatsServer::start() else {
            return;
        };
        let mut suite = suite(engine, Layout::Three, &server).await;
        // On SQLite the same process comes back, on PostgreSQL there is another one.
        let replica = match engine {
            Engine::Sqlite => None,
            Engine::Postgres => Some(suite.replica("contacts").await),
        };
        let people = hammer(&suite.client(), "before").await;
        let (count, mut counted) = watch::channel(0);
        let doomed = tokio::spawn({
            let client = suite.client();
            async move { write_until_refused(&client, &count).await }
        });
        let some = counted.wait_for(|count| *count >= DOOMED_MIN).await;
        some.expect("a writer that writes");
        suite.kill("contacts").await;
        let doomed = doomed.await.expect("a writer");
        let client = if let Some(replica) = &replica {
            Client::new(&replica.uri, &replica.uri, &replica.uri).expect("a client")
        } else {
            suite.restart("contacts").await;
            suite.client()
        };
        let later = hammer(&client, "after").await;
        let wanted: BTreeSet<&String> = people.iter().chain(&doomed).chain(&later).collect();
        let received = eventually("everyone is told", async || {
            let received = server.received().await;
            let found: BTreeSet<&String> = updated(&received).collect();
            let missing = wanted.difference(&found).count();
            if missing == 0 {
                Ok(received)
            } else {
                Err(format!("{missing} of {}", wanted.len()))
            }
        })
        .await;
        let mut ids = BTreeSet::new();
        let mut newest: BTreeMap<&str, i64> = BTreeMap::new();
        for event in &received {
            assert!(ids.insert(&event.id), "{} is told once", event.id);
            let known = newest.entry(&event.resource).or_default();
            assert!(
                event.revision >= *known,
                "{} is told in order",
                event.resource
            );
            *known = event.revision;
        }
    }
}

/// The contacts whose update is told.
fn updated(received: &[Received]) -> impl Iterator<Item = &String> {
    let updated = received
        .iter()
        .filter(|event| event.event_type.ends_with(".contact.updated.v1"));
    updated.map(|event| &event.resource)
}

/// Creates and updates contacts from many tasks; those that were acknowledged.
async fn hammer(client: &Client, run: &'static str) -> Vec<String> {
    let writers = (0..WRITERS).map(|writer| {
        let client = client.clone();
        tokio::spawn(async move {
            let mut names = Vec::new();
            for number in 0..20 {
                let title = format!("{run} {writer} {number}");
                names.push(create_and_update(&client, &title).await.expect("a contact"));
            }
            names
        })
    });
    let mut all = Vec::new();
    for writer in writers.collect::<Vec<_>>() {
        all.extend(writer.await.expect("a writer"));
    }
    all
}

/// The contacts whose writes were acknowledged; `count` tells how many they are.
async fn write_until_refused(client: &Client, count: &watch::Sender<usize>) -> Vec<String> {
    let mut names = Vec::new();
    while let Ok(name) = create_and_update(client, "doomed").await {
        names.push(name);
        count.send_replace(names.len());
    }
    names
}

async fn create_and_update(client: &Client, title: &str) -> Result<String, tonic::Status> {
    let request = json!({"parent": WORKSPACE, "contact": {"display_name": title}});
    let created = client.call("ContactService/CreateContact", request).await?;
    let name = text(&created["contact"]["name"]);
    let contact = json!({"name": name, "display_name": format!("{title}!")});
    let request = json!({"contact": contact, "update_mask": "displayName"});
    client.call("ContactService/UpdateContact", request).await?;
    Ok(name)
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_cannot_be_meant_end_the_start_and_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("user.creds");
    std::fs::write(&file, "hunter2").expect("a file");
    let file = file.display().to_string();
    let url = "nats://127.0.0.1:1";
    let cases: [(&[&str], &str); 12] = [
        (&["--nats-url", "http://127.0.0.1"], "--nats-url"),
        (&["--nats-url", "nats://me:hunter2@127.0.0.1"], "--nats-url"),
        (&["--nats-url", url, "--nats-inbox", ">"], "--nats-inbox"),
        (
            &["--nats-url", url, "--events-prefix", "a.*"],
            "--events-prefix",
        ),
        (
            &["--nats-url", url, "--events-stream", "a.b"],
            "--events-stream",
        ),
        (
            &["--nats-url", url, "--events-format", "xml"],
            "--events-format",
        ),
        (
            &["--nats-url", url, "--nats-credentials-file", &file],
            "--nats-credentials-file",
        ),
        (
            &["--nats-url", url, "--nats-ca", "/nowhere.pem"],
            "--nats-ca",
        ),
        (
            &["--nats-url", url, "--nats-certificate", &file],
            "--nats-key",
        ),
        (
            &["--nats-url", url, "--nats-key", &file],
            "--nats-certificate",
        ),
        (
            &[
                "--nats-url",
                url,
                "--nats-certificate",
                &file,
                "--nats-key",
                "/nowhere.key",
            ],
            "--nats-key",
        ),
        (
            &["--nats-url", url, "--events-replicas", "2"],
            "--events-replicas",
        ),
    ];
    for (arguments, named) in cases {
        let output = tokio::process::Command::new(harness::suite::binary())
            .args(["up", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(folder.path())
            .args(arguments)
            .output()
            .await
            .expect("the binary");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(64), "{named}: {said}");
        assert!(said.contains(named), "{named}: {said}");
        assert!(!said.contains("hunter2"), "{named}: {said}");
    }
}
