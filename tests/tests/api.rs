//! Conventions that every rpc keeps: repeats, pages, naughty texts, masks, etags, watching.

use std::collections::BTreeSet;

use harness::client::{Client, refusal};
use harness::engine::engines;
use harness::eventually::eventually;
use harness::suite::{Layout, Suite};
use harness::truth;
use serde_json::{Value, json};

const WORKSPACE: &str = "workspaces/api";

async fn create(client: &Client, contact: Value) -> Value {
    let request = json!({"parent": WORKSPACE, "contact": contact});
    let answer = client.call("ContactService/CreateContact", request).await;
    answer.expect("a contact")["contact"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_is_answered_the_same_across_a_restart() {
    for engine in engines() {
        let mut suite = Suite::start(engine, Layout::One).await;
        let client = suite.client();
        let request = json!({
            "parent": WORKSPACE, "contact": {"display_name": "Once"},
            "request_id": "0190a000-0000-7000-8000-0000000000b1",
        });
        let method = "ContactService/CreateContact";
        let first = client
            .call(method, request.clone())
            .await
            .expect("a contact");
        suite.kill("up").await;
        suite.restart("up").await;
        let again = eventually("the suite is back", async || {
            client
                .call_with(method, request.clone(), &[])
                .await
                .map_err(|s| s.to_string())
        })
        .await;
        assert_eq!(again.body["contact"], first["contact"]);
        assert_eq!(
            again
                .metadata
                .get("clientele-replayed")
                .map(tonic::metadata::MetadataValue::as_bytes),
            Some(&b"1"[..])
        );
        let mut other = request.clone();
        other["contact"]["display_name"] = json!("Twice");
        let refused = refusal(&client.call(method, other).await.expect_err("another body"));
        assert_eq!(
            (refused.code.as_str(), refused.reason.as_str()),
            ("INVALID_ARGUMENT", "REQUEST_ID_REUSED")
        );
        let mut zero = request;
        zero["request_id"] = json!("00000000-0000-0000-0000-000000000000");
        let refused = refusal(&client.call(method, zero).await.expect_err("the zero UUID"));
        assert_eq!(refused.reason, "FIELD_INVALID");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_lose_and_repeat_nothing_while_rows_come_and_go() {
    for engine in engines() {
        let suite = Suite::start(engine, Layout::One).await;
        let client = suite.client();
        let mut stays = BTreeSet::new();
        let mut leaves = Vec::new();
        for number in 0..60 {
            let name =
                create(&client, json!({"display_name": format!("Row {number:03}")})).await["name"]
                    .clone();
            if number % 10 == 5 {
                leaves.push(name);
            } else {
                stays.insert(name.as_str().expect("a name").to_owned());
            }
        }
        for order_by in ["", "display_name desc", "update_time, display_name"] {
            let mut seen = Vec::new();
            let mut page_token = String::new();
            loop {
                let request = json!({
                    "parent": WORKSPACE, "page_size": 7, "order_by": order_by,
                    "page_token": page_token, "filter": "display_name = \"Row*\"",
                });
                let page = client
                    .call("ContactService/ListContacts", request)
                    .await
                    .expect("a page");
                for contact in page["contacts"].as_array().into_iter().flatten() {
                    seen.push(contact["name"].as_str().expect("a name").to_owned());
                }
                create(&client, json!({"display_name": "Row inserted meanwhile"})).await;
                if let Some(name) = leaves.pop() {
                    client
                        .call("ContactService/DeleteContact", json!({"name": name}))
                        .await
                        .expect("deleted");
                }
                page_token = page["next_page_token"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned();
                if page_token.is_empty() {
                    break;
                }
                let mismatch = json!({
                    "parent": WORKSPACE, "page_size": 7, "order_by": "create_time desc",
                    "page_token": page_token,
                });
                let refused = client.call("ContactService/ListContacts", mismatch).await;
                assert_eq!(
                    refusal(&refused.expect_err("other arguments")).reason,
                    "PAGE_TOKEN_MISMATCH"
                );
            }
            let unique: BTreeSet<_> = seen.iter().cloned().collect();
            assert_eq!(
                unique.len(),
                seen.len(),
                "{engine} {order_by:?}: nothing twice"
            );
            assert!(
                stays.is_subset(&unique),
                "{engine} {order_by:?}: nothing lost"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn naughty_texts_come_back_byte_for_byte_or_are_refused() {
    let Some(folder) = truth::folder() else {
        return;
    };
    let text = std::fs::read_to_string(folder.join("hostile/raw/blns.json")).expect("the texts");
    let texts: Vec<String> = serde_json::from_str(&text).expect("the texts");
    let mut verdicts: Vec<Vec<String>> = Vec::new();
    for engine in engines() {
        let suite = Suite::start(engine, Layout::One).await;
        let client = suite.client();
        let mut verdict = Vec::new();
        for text in texts.iter().map(String::as_str).chain([
            "nul \0 inside",
            "\u{202e}gnp.exe",
            "\u{feff}bom",
        ]) {
            let contact = json!({"display_name": "Naughty", "note": text, "labels": {"text": text}, "title": text});
            let request = json!({"parent": WORKSPACE, "contact": contact});
            match client.call("ContactService/CreateContact", request).await {
                Ok(answer) => {
                    let name = answer["contact"]["name"].clone();
                    let found = client
                        .call("ContactService/GetContact", json!({"name": name}))
                        .await;
                    let found = found.expect("the contact")["contact"].clone();
                    assert_eq!(found["note"].as_str().unwrap_or_default(), text, "{engine}");
                    assert_eq!(
                        found["labels"]["text"].as_str().unwrap_or_default(),
                        text,
                        "{engine}"
                    );
                    verdict.push("stored".to_owned());
                }
                Err(status) => {
                    let refused = refusal(&status);
                    assert_eq!(
                        refused.code, "INVALID_ARGUMENT",
                        "{engine}: {text:?}: {refused:?}"
                    );
                    verdict.push(format!("{refused:?}"));
                }
            }
        }
        verdicts.push(verdict);
    }
    assert!(
        verdicts.windows(2).all(|pair| pair[0] == pair[1]),
        "both engines answer alike"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_field_is_named_in_one_answer() {
    for engine in engines() {
        let suite = Suite::start(engine, Layout::One).await;
        let client = suite.client();
        let contact = json!({
            "display_name": "x".repeat(501),
            "emails": [{"address": "ada@example.com"}, {"address": "Ada <ada@example.com>"}],
            "labels": {"Bad Key": "v"},
            "kind": 99,
        });
        let request = json!({"parent": WORKSPACE, "contact": contact, "request_id": "no uuid"});
        let refused = refusal(
            &client
                .call("ContactService/CreateContact", request)
                .await
                .expect_err("bad"),
        );
        assert_eq!(
            (refused.code.as_str(), refused.reason.as_str()),
            ("INVALID_ARGUMENT", "FIELD_INVALID")
        );
        for field in [
            "contact.display_name",
            "contact.kind",
            "contact.labels",
            "request_id",
        ] {
            assert!(
                refused
                    .violations
                    .iter()
                    .any(|found| found.starts_with(field)),
                "{engine}: {field} is not among {:?}",
                refused.violations
            );
        }
        let request = json!({"parent": WORKSPACE, "contact": {"emails": [{"address": "a@b"}, {"address": "not one"}]}});
        let refused = refusal(
            &client
                .call("ContactService/CreateContact", request)
                .await
                .expect_err("bad"),
        );
        assert_eq!(
            refused.violations,
            ["contact.emails[0].address", "contact.emails[1].address"]
        );
        let many: Vec<Value> = (0..50).map(|_| json!({"address": "wrong"})).collect();
        let request = json!({"parent": WORKSPACE, "contact": {"emails": many}});
        let refused = refusal(
            &client
                .call("ContactService/CreateContact", request)
                .await
                .expect_err("bad"),
        );
        assert_eq!(refused.violations.len(), 20);
        assert_eq!(
            refused.metadata.get("omitted").map(String::as_str),
            Some("30")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_need_a_mask_and_never_undo_each_other() {
    for engine in engines() {
        let suite = Suite::start(engine, Layout::One).await;
        let client = suite.client();
        let contact = create(
            &client,
            json!({"display_name": "Ada", "labels": {"tier": "gold"}}),
        )
        .await;
        let update = async |contact: Value, mask: &str| {
            let request = json!({"contact": contact, "update_mask": mask});
            client.call("ContactService/UpdateContact", request).await
        };
        let name = contact["name"].clone();
        let refused = update(json!({"name": name, "title": "x"}), "")
            .await
            .expect_err("no mask");
        assert_eq!(refusal(&refused).reason, "UPDATE_MASK_REQUIRED");
        let refused = update(json!({"name": name}), "noSuchField")
            .await
            .expect_err("a bad mask");
        assert_eq!(refusal(&refused).reason, "UPDATE_MASK_INVALID");
        let changed = update(
            json!({"name": name, "labels": {"city": "Bonn"}}),
            "labels.city",
        )
        .await;
        let changed = changed.expect("a label")["contact"].clone();
        assert_eq!(
            changed["labels"],
            json!({"tier": "gold", "city": "Bonn"}),
            "{engine}"
        );
        let stale = json!({"name": name, "title": "late", "etag": contact["etag"]});
        let refused = refusal(&update(stale, "title").await.expect_err("a stale etag"));
        assert_eq!(
            (refused.code.as_str(), refused.reason.as_str()),
            ("ABORTED", "ETAG_MISMATCH")
        );
        let fresh = json!({"name": name, "title": "in time", "etag": changed["etag"]});
        let racers = (0..8).map(|_| update(fresh.clone(), "title"));
        let outcomes = futures::future::join_all(racers).await;
        assert_eq!(
            outcomes.iter().filter(|outcome| outcome.is_ok()).count(),
            1,
            "{engine}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_resumes_where_it_was_left() {
    for engine in engines() {
        let mut suite = Suite::start(engine, Layout::One).await;
        let client = suite.client();
        for number in 0..5 {
            create(
                &client,
                json!({"display_name": format!("Watched {number}")}),
            )
            .await;
        }
        let request = json!({"parent": WORKSPACE, "oldest": true});
        let mut names = Vec::new();
        let mut token = follow(&client, request, &mut names, 3).await;
        suite.kill("up").await;
        suite.restart("up").await;
        eventually("the suite is back", async || {
            let request = json!({"parent": WORKSPACE});
            client
                .call("ContactService/ListContacts", request)
                .await
                .map_err(|s| s.to_string())
        })
        .await;
        create(&client, json!({"display_name": "Watched 5"})).await;
        while names.len() < 6 {
            let request = json!({"parent": WORKSPACE, "resume_token": token});
            let wanted = names.len() + 1;
            token = follow(&client, request, &mut names, wanted).await;
        }
        let expected: Vec<String> = (0..6).map(|number| format!("Watched {number}")).collect();
        assert_eq!(names, expected, "{engine}: each creation once, in order");
        let refused = client.open(
            "ContactService/WatchContacts",
            json!({"parent": WORKSPACE, "resume_token": "junk"}),
        );
        let refused = match refused.await {
            Err(status) => status,
            Ok(mut stream) => stream
                .next()
                .await
                .expect_err("a token that nobody gave out"),
        };
        assert_eq!(refusal(&refused).code, "INVALID_ARGUMENT");
    }
}

/// Follows until `wanted` creations are known; the last resume token.
async fn follow(client: &Client, request: Value, names: &mut Vec<String>, wanted: usize) -> String {
    let mut stream = client
        .open("ContactService/WatchContacts", request)
        .await
        .expect("a stream");
    loop {
        let message = stream.next().await.expect("a message").expect("a message");
        let token = message["resume_token"]
            .as_str()
            .expect("a token in every message")
            .to_owned();
        for change in message["changes"]["changes"]
            .as_array()
            .into_iter()
            .flatten()
        {
            if change["kind"] == "KIND_CREATED" {
                names.push(
                    change["contact"]["display_name"]
                        .as_str()
                        .expect("a name")
                        .to_owned(),
                );
            }
        }
        if names.len() >= wanted {
            return token;
        }
    }
}
