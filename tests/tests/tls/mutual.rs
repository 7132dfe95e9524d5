//! Services that know each other by their certificates, and what that is worth to others.

use harness::certificates::Certificates;
use harness::client::{Client, refusal};
use harness::engine::Engine;
use harness::realm::Realm;
use harness::suite::{Layout, Suite};
use serde_json::json;
use serve::testing::authority::{Authority, Leaf};
use serve::tls::{ClientFiles, ClientTls};

use crate::story;

/// What each process is given: whom to ask for tokens, and a certificate of its own. No token.
pub fn arguments(realm: &Realm, certificates: &Certificates, service: &str) -> Vec<String> {
    let mut all = realm.arguments();
    all.extend(certificates.server(service));
    all.extend(certificates.clients());
    if service != "up" {
        all.extend(certificates.peers());
    }
    all
}

pub async fn three() -> (Suite, Realm, Certificates) {
    let (realm, certificates) = (Realm::new(), Certificates::new());
    let more = |service: &str| arguments(&realm, &certificates, service);
    let suite = Suite::start_with(Engine::Sqlite, Layout::Three, &more).await;
    (suite, realm, certificates)
}

/// A client with the token of somebody who may do everything in the workspace of these tests.
pub async fn admin(suite: &Suite, realm: &Realm, certificates: &Certificates) -> Client {
    let token = realm.token_of("ada", &json!({"secure": ["admin"]}));
    suite
        .client_over(&certificates.caller().await)
        .bearing(&token)
}

#[tokio::test(flavor = "multi_thread")]
async fn three_processes_work_together_without_a_token_among_them() {
    let (suite, realm, certificates) = three().await;
    story::told(&admin(&suite, &realm, &certificates).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_opens_what_is_declared_for_its_service_and_nothing_else() {
    let (suite, _realm, certificates) = three().await;
    let acquire = json!({
        "contact": "workspaces/secure/contacts/00000000-0000-7000-8000-000000000000",
        "holder": "somebody", "holder_epoch": 1,
    });
    let stranger = "spiffe://example.org/ns/elsewhere/sa/billing".to_owned();
    let by_host = Leaf {
        hosts: vec!["billing"],
        ..Leaf::default()
    };
    let elsewhere = Leaf {
        uris: vec![stranger],
        ..Leaf::default()
    };
    for (leaf, refused_with) in [
        (Leaf::of_service("billing"), None),
        (Leaf::of_service("contacts"), Some("PERMISSION_MISSING")),
        (Leaf::of_service("pipeline"), Some("PERMISSION_MISSING")),
        (elsewhere, Some("TOKEN_MISSING")),
        (by_host, Some("TOKEN_MISSING")),
    ] {
        let peer = suite.client_over(&certificates.caller_as(&leaf).await);
        let answer = peer
            .call("EntitlementService/AcquireGrant", acquire.clone())
            .await;
        let reason = answer.err().map(|status| refusal(&status).reason);
        match refused_with {
            Some(expected) => assert_eq!(reason.as_deref(), Some(expected), "{leaf:?}"),
            // Past the door: whatever else there is to say about such a holder and contact.
            None => assert!(
                !matches!(
                    reason.as_deref(),
                    Some("PERMISSION_MISSING" | "TOKEN_MISSING" | "TOKEN_INVALID" | "")
                ),
                "{reason:?}"
            ),
        }
    }
    // Pipeline reads contacts, but does not create them; nor does billing read them.
    let create = json!({"parent": story::WORKSPACE, "contact": {"display_name": "Ada"}});
    let peer = certificates.caller_as(&Leaf::of_service("pipeline")).await;
    let peer = suite.client_over(&peer);
    let answer = peer.call("ContactService/CreateContact", create).await;
    let told = refusal(&answer.expect_err("not declared"));
    assert_eq!(told.reason, "PERMISSION_MISSING");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_gets_what_its_token_says_whoevers_connection_it_comes_over() {
    let (suite, realm, certificates) = three().await;
    let connection = certificates.caller_as(&Leaf::of_service("billing")).await;
    let peer = suite.client_over(&connection);
    let attach = json!({"holder": "evil", "holder_epoch": 1, "pipeline_epoch": 1});
    let method = "EntitlementService/AttachHolder";
    let admin = realm.token_of("ada", &json!({"*": ["admin"]}));
    // Where certificates make services, a claim does not.
    for person in [admin, realm.token_of_service("billing")] {
        let answer = peer.bearing(&person).call(method, attach.clone()).await;
        let told = refusal(&answer.expect_err("a person"));
        assert_eq!(told.reason, "PERMISSION_MISSING");
    }
    for (token, reason, _) in realm.bad_tokens(&json!({"secure": ["admin"]})) {
        let refused = peer.bearing(&token).call(method, attach.clone()).await;
        assert_eq!(refusal(&refused.expect_err(reason)).reason, reason);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_and_certificates_of_the_past_end_at_the_handshake() {
    let (suite, realm, certificates) = three().await;
    let token = realm.token_of("ada", &json!({"secure": ["admin"]}));
    let list = json!({"parent": story::WORKSPACE});
    let leaf = Leaf::of_service("billing");
    let theirs = Authority::new("theirs").issue(&leaf);
    let theirs = theirs.write(certificates.folder(), "theirs");
    let theirs = ClientFiles {
        authority: Some(certificates.root().to_owned()),
        pair: Some((theirs.certificate, theirs.key)),
    };
    let theirs = ClientTls::start(theirs, types::Clock::system()).await;
    for caller in [
        theirs.expect("good files"),
        certificates.caller_as(&leaf.expired()).await,
    ] {
        // Not even with a good token.
        let client = suite.client_over(&caller).bearing(&token);
        let answer = client
            .call("ContactService/ListContacts", list.clone())
            .await;
        let status = answer.expect_err("no connection");
        assert_eq!(refusal(&status).reason, "", "{status}");
    }
    let plain = suite.process("contacts").uri.replace("https://", "http://");
    let plain = Client::new(&plain, &plain, &plain)
        .expect("a client")
        .bearing(&token);
    let answer = plain
        .call("ContactService/ListContacts", list.clone())
        .await;
    answer.expect_err("not in the clear");
    let good = suite
        .client_over(&certificates.caller().await)
        .bearing(&token);
    good.call("ContactService/ListContacts", list)
        .await
        .expect("let in");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_one_process_the_services_call_each_other_over_tls_too() {
    let (realm, certificates) = (Realm::new(), Certificates::new());
    for with_tokens in [false, true] {
        let more = |service: &str| {
            if with_tokens {
                arguments(&realm, &certificates, service)
            } else {
                certificates.server(service)
            }
        };
        let suite = Suite::start_with(Engine::Sqlite, Layout::One, &more).await;
        let uri = &suite.process("up").uri;
        assert!(uri.starts_with("https://127.0.0.1:"), "{uri}");
        let client = admin(&suite, &realm, &certificates).await;
        story::told(&client).await;
        // The names of the certificate do not matter to the process itself.
        let pair = certificates.authority.issue(&Leaf {
            hosts: vec!["crm.example", "localhost", "127.0.0.1"],
            ..Leaf::default().expired()
        });
        pair.write(certificates.folder(), "up");
        harness::eventually::eventually("the new one is shown", async || {
            let fresh = admin(&suite, &realm, &certificates).await;
            let list = json!({"parent": story::WORKSPACE});
            match fresh.call("ContactService/ListContacts", list).await {
                Ok(_) => Err("the old one is shown".to_owned()),
                Err(_) => Ok(()),
            }
        })
        .await;
        story::told(&client).await;
    }
}
