//! No token, a bad one, too little permission, the wrong service.

use harness::client::{Client, refusal};
use harness::engine::Engine;
use harness::eventually::{PATIENCE, eventually};
use harness::realm::{Realm, claims};
use harness::suite::{Layout, Suite};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tonic::Status;
use tonic_health::pb::health_check_response::ServingStatus;

use crate::requests::{filled, methods, policy};

/// Calls every method with names of `workspace` and gives what each is refused with.
async fn walk(
    client: &Client,
    workspace: &str,
) -> Vec<(&'static proto::Method, Result<(), Status>)> {
    let mut answers = Vec::new();
    for method in methods() {
        let request = filled(&method, &mut |_| workspace.to_owned());
        answers.push((policy(&method), client.send(&method, request).await));
    }
    assert!(answers.len() > 50, "every method is walked");
    answers
}

async fn start() -> (Suite, Realm, Client) {
    let realm = Realm::new();
    let suite = Suite::start_in(Engine::Sqlite, Layout::One, Some(&realm)).await;
    let client = suite.client();
    (suite, realm, client)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_method_answers_a_stranger() {
    let (_suite, realm, client) = start().await;
    for (method, answer) in walk(&client, "home").await {
        let told = refusal(&answer.expect_err(method.path));
        assert_eq!(
            (&*told.code, &*told.reason),
            ("UNAUTHENTICATED", "TOKEN_MISSING"),
            "{}",
            method.path
        );
        assert_eq!(told.metadata["scheme"], "bearer");
    }
    for (token, reason, problem) in realm.bad_tokens(&json!({"home": ["admin"]})) {
        for (method, answer) in walk(&client.bearing(&token), "home").await {
            let told = refusal(&answer.expect_err(method.path));
            let found = (&*told.code, &*told.reason);
            assert_eq!(
                found,
                ("UNAUTHENTICATED", reason),
                "{} {problem}",
                method.path
            );
            let told = told.metadata.get("problem").map_or("", String::as_str);
            assert_eq!(told, problem, "{}", method.path);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_method_needs_the_permission_that_it_declares() {
    let (_suite, realm, client) = start().await;
    let nobody = client.bearing(&realm.token_of("ada", &json!({"home": ["nothing"]})));
    for (method, answer) in walk(&nobody, "home").await {
        let told = refusal(&answer.expect_err(method.path));
        assert_eq!(
            (&*told.code, &*told.reason),
            ("PERMISSION_DENIED", "PERMISSION_MISSING"),
            "{}",
            method.path
        );
        assert_eq!(told.metadata["permission"], method.permission);
    }
    let admin = client.bearing(&realm.token_of("ada", &json!({"home": ["admin"]})));
    for (method, answer) in walk(&admin, "home").await {
        let reason = answer.err().map(|status| refusal(&status).reason);
        let refused = reason.as_deref() == Some("PERMISSION_MISSING");
        assert_eq!(refused, method.internal, "{}: {reason:?}", method.path);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_calls_what_is_declared_for_it_and_nobody_calls_in_its_name() {
    let (_suite, realm, client) = start().await;
    for service in ["contacts", "pipeline", "billing"] {
        let peer = client.bearing(&realm.token_of_service(service));
        for (method, answer) in walk(&peer, "home").await {
            let reason = answer.err().map(|status| refusal(&status).reason);
            let refused = reason.as_deref() == Some("PERMISSION_MISSING");
            let declared = method.callers.contains(&service);
            assert_eq!(refused, !declared, "{service} {}: {reason:?}", method.path);
            assert_ne!(reason.as_deref(), Some("TOKEN_INVALID"));
        }
    }
    // The name by which peers know each other on loopback proves nothing here.
    let request = json!({"holder": "evil", "holder_epoch": 1, "pipeline_epoch": 1});
    let named = [("clientele-peer", "billing")];
    let method = "EntitlementService/AttachHolder";
    let stranger = client.call_with(method, request.clone(), &named).await;
    assert_eq!(
        refusal(&stranger.err().expect("refused")).reason,
        "TOKEN_MISSING"
    );
    let admin = client.bearing(&realm.token_of("ada", &json!({"*": ["admin"]})));
    let person = admin.call_with(method, request.clone(), &named).await;
    assert_eq!(
        refusal(&person.err().expect("refused")).reason,
        "PERMISSION_MISSING"
    );
    let forged = [named[0], ("authorization", "Clientele-Process AAAA")];
    let secret = client.call_with(method, request, &forged).await;
    assert_eq!(
        refusal(&secret.err().expect("refused")).reason,
        "TOKEN_INVALID"
    );
    let all = json!({"parent": "workspaces/-"});
    for method in [
        "ContactService/WatchContacts",
        "PositionService/WatchTransitions",
    ] {
        let refused = admin
            .open(method, all.clone())
            .await
            .err()
            .expect("refused");
        assert_eq!(refusal(&refused).reason, "RESOURCE_NOT_FOUND", "{method}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_of_a_peer_opens_no_internal_rpc_of_one_process_without_tokens_either() {
    let suite = Suite::start(Engine::Sqlite, Layout::One).await;
    let client = suite.client();
    let request = json!({"holder": "evil", "holder_epoch": 1, "pipeline_epoch": 1});
    for headers in [
        &[("clientele-peer", "billing")][..],
        &[
            ("clientele-peer", "billing"),
            ("authorization", "Clientele-Process AAAA"),
        ],
    ] {
        let method = "EntitlementService/AttachHolder";
        let answer = client.call_with(method, request.clone(), headers).await;
        let told = refusal(&answer.err().expect("refused"));
        assert_eq!(told.reason, "PERMISSION_MISSING");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_stream_outlives_its_token() {
    let (_suite, realm, client) = start().await;
    let roles = json!({"home": ["admin"]});
    let import = client
        .bearing(&realm.token_of("ada", &roles))
        .call(
            "TransferService/CreateImport",
            json!({"parent": "workspaces/home", "import": {"format": "FORMAT_CSV"}}),
        )
        .await
        .expect("an import");
    for (method, request) in [
        (
            "ContactService/WatchContacts",
            json!({"parent": "workspaces/home", "now": true}),
        ),
        (
            "TransferService/WatchImport",
            json!({"name": import["import"]["name"]}),
        ),
    ] {
        // Over in five seconds: clocks may differ by thirty.
        let mut claims = claims("ada", &roles);
        claims["exp"] = json!(claims["nbf"].as_i64().expect("a minute ago") + 35);
        let short = client.bearing(&realm.token(&claims));
        let mut stream = short.open(method, request).await.expect("opens");
        let ended = async {
            loop {
                match stream.next().await {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("{method} must end with a reason"),
                    Err(status) => return refusal(&status),
                }
            }
        };
        let told = tokio::time::timeout(PATIENCE, ended).await;
        let told = told.unwrap_or_else(|_| panic!("{method} goes on"));
        let found = (&*told.code, &*told.reason);
        assert_eq!(found, ("UNAUTHENTICATED", "TOKEN_EXPIRED"), "{method}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_answers_everyone_and_reflection_only_who_is_known() {
    let (suite, realm, _) = start().await;
    let uri = suite.process("up").uri.clone();
    let channel = tonic::transport::Endpoint::from_shared(uri).expect("a URI");
    let channel = channel.connect().await.expect("the suite listens");
    let mut health = tonic_health::pb::health_client::HealthClient::new(channel.clone());
    for service in ["", "clientele.contacts.v1.ContactService"] {
        let request = tonic_health::pb::HealthCheckRequest {
            service: service.to_owned(),
        };
        let answer = health
            .check(request)
            .await
            .expect("health answers")
            .into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving);
    }
    let mut reflection =
        tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient::new(channel);
    let ask = |token: Option<String>| {
        let mut request = tonic::Request::new(tokio_stream::iter([reflection_request()]));
        if let Some(token) = token {
            let header = format!("Bearer {token}").parse().expect("a header");
            request.metadata_mut().insert("authorization", header);
        }
        request
    };
    let refused = reflection
        .server_reflection_info(ask(None))
        .await
        .expect_err("no token");
    assert_eq!(refusal(&refused).reason, "TOKEN_MISSING");
    let token = realm.token_of("ada", &json!({}));
    reflection
        .server_reflection_info(ask(Some(token)))
        .await
        .expect("answers who is known");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_is_ready_when_the_issuer_has_told_its_keys_and_stays_so_without_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let realm = Realm::new().at(&format!("http://{address}/keys"));
    let keys = realm.key_set();
    // Connections wait until somebody accepts them: the issuer is there and does not answer yet.
    let suite = Suite::start_in(Engine::Sqlite, Layout::One, Some(&realm)).await;
    let client = suite.client();
    let admin = client.bearing(&realm.token_of("ada", &json!({"home": ["admin"]})));
    let list = || {
        admin.call(
            "ContactService/ListContacts",
            json!({"parent": "workspaces/home"}),
        )
    };
    let early = refusal(&list().await.expect_err("no token can be judged"));
    assert_eq!(
        (&*early.code, &*early.reason),
        ("UNAVAILABLE", "UPSTREAM_UNAVAILABLE")
    );
    let channel = tonic::transport::Endpoint::from_shared(suite.process("up").uri.clone());
    let channel = channel.expect("a URI").connect_lazy();
    let mut health = tonic_health::pb::health_client::HealthClient::new(channel);
    let mut status = async |service: &str| {
        let service = service.to_owned();
        let request = tonic_health::pb::HealthCheckRequest { service };
        let answer = health.check(request).await.expect("health answers");
        answer.into_inner().status()
    };
    assert_eq!(status("").await, ServingStatus::Serving, "alive");
    let contacts = "clientele.contacts.v1.ContactService";
    assert_eq!(status(contacts).await, ServingStatus::NotServing);
    let issuer = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let length = keys.len();
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{keys}");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    eventually("the keys are there", async || {
        list().await.map_err(|status| status.to_string())
    })
    .await;
    assert_eq!(status(contacts).await, ServingStatus::Serving);
    issuer.abort();
    for _ in 0..20 {
        list().await.expect("the last good keys stay");
    }
    let unknown = realm
        .bad_tokens(&json!({}))
        .into_iter()
        .find(|(_, _, problem)| *problem == "key");
    let stranger = client.bearing(&unknown.expect("a token").0);
    let request = json!({"parent": "workspaces/home"});
    let refused = stranger.call("ContactService/ListContacts", request).await;
    assert_eq!(
        refusal(&refused.expect_err("no such key")).reason,
        "TOKEN_INVALID"
    );
    list().await.expect("the last good keys stay");
}

fn reflection_request() -> tonic_reflection::pb::v1::ServerReflectionRequest {
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    tonic_reflection::pb::v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    }
}
