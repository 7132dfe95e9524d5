//! The life of a server: readiness, reflection, rotation, the drain and its end.

use std::time::{Duration, Instant};

use crate::support::{
    Note, Probe, Running, SERVICE, call, descriptors, open, read_out, reason, within,
};
use serve::identity::{Mapping, Settings};
use serve::{Authenticator, Config, Server, Services};
use tonic::transport::Channel;
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

const SECOND: Duration = Duration::from_secs(1);

async fn start() -> Running {
    Running::start(Config::on_free_port(), Probe::default()).await
}

async fn health(channel: Channel, service: &str) -> Result<ServingStatus, Code> {
    let request = HealthCheckRequest {
        service: service.to_owned(),
    };
    let answer = HealthClient::new(channel).check(request).await;
    answer
        .map(|answer| answer.into_inner().status())
        .map_err(|status| status.code())
}

/// Polls until the service has this health.
async fn becomes(channel: &Channel, service: &str, expected: ServingStatus) {
    let until = Instant::now() + 5 * SECOND;
    while health(channel.clone(), service).await != Ok(expected) {
        assert!(
            Instant::now() < until,
            "{service} did not become {expected:?}"
        );
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn readiness_is_set_by_the_service_and_liveness_stays() {
    let server = start().await;
    let channel = server.channel().await;
    for (ready, expected) in [
        (None, ServingStatus::Serving),
        (Some(false), ServingStatus::NotServing),
        (Some(true), ServingStatus::Serving),
    ] {
        if let Some(ready) = ready {
            server.health.set_ready(SERVICE, ready).await;
        }
        assert_eq!(health(channel.clone(), SERVICE).await, Ok(expected));
        assert_eq!(
            health(channel.clone(), "").await,
            Ok(ServingStatus::Serving)
        );
    }
    assert_eq!(
        health(channel, "no.such.Service").await,
        Err(Code::NotFound)
    );
}

async fn reflected(channel: Channel) -> Result<Vec<String>, Code> {
    let ask = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::new(channel);
    let mut answers = client
        .server_reflection_info(futures::stream::iter([ask]))
        .await
        .map_err(|status| status.code())?
        .into_inner();
    let answer = answers
        .message()
        .await
        .expect("answers")
        .expect("one answer");
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("not a list: {answer:?}");
    };
    Ok(list
        .service
        .into_iter()
        .map(|service| service.name)
        .collect())
}

#[tokio::test]
async fn reflection_lists_what_is_served_here_and_can_be_switched_off() {
    let listed = reflected(start().await.channel().await)
        .await
        .expect("on by default");
    for name in [
        SERVICE,
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
    ] {
        assert!(
            listed.iter().any(|service| service == name),
            "{name} in {listed:?}"
        );
    }
    assert!(
        !listed
            .iter()
            .any(|service| service.starts_with("clientele.")),
        "{listed:?}"
    );

    let config = Config {
        reflection: false,
        ..Config::on_free_port()
    };
    let server = Running::start(config, Probe::default()).await;
    assert_eq!(
        reflected(server.channel().await).await,
        Err(Code::Unimplemented)
    );
}

#[tokio::test]
async fn an_endless_stream_is_rotated() {
    let config = Config {
        rotation_ms: 200,
        ..Config::on_free_port()
    };
    let server = Running::start(config, Probe::default()).await;
    for method in ["WatchNotes", "WatchFlood"] {
        let (count, status) = read_out(open(server.channel().await, method).await).await;
        assert!(count >= 1, "{method}");
        assert_eq!(status.code(), Code::Unavailable, "{method}: {status}");
        assert_eq!(reason(&status), "STREAM_ROTATED", "{method}");
    }
    server.probe.release.notify_waiters();
}

#[tokio::test]
async fn readiness_goes_first_and_calls_are_served_until_goaway() {
    let config = Config {
        lame_duck_ms: 60_000,
        ..Config::on_free_port()
    };
    let mut server = Running::start(config, Probe::default()).await;
    let channel = server.channel().await;
    server.stop();
    becomes(&channel, SERVICE, ServingStatus::NotServing).await;
    server.health.set_ready(SERVICE, true).await;
    assert_eq!(
        health(channel.clone(), SERVICE).await,
        Ok(ServingStatus::NotServing)
    );
    assert_eq!(
        health(channel.clone(), "").await,
        Ok(ServingStatus::Serving)
    );
    call(channel, "Echo", within(SECOND))
        .await
        .expect("an old connection is served");
    call(server.channel().await, "Echo", within(SECOND))
        .await
        .expect("and a new one");
}

#[tokio::test]
async fn a_drain_ends_watches_at_once_and_lets_calls_finish() {
    let mut server = start().await;
    let channel = server.channel().await;
    let held = tokio::spawn(call(channel.clone(), "Hold", within(9 * SECOND)));
    server.probe.held.notified().await;
    let mut watches = Vec::new();
    for method in ["WatchNotes", "WatchFlood"] {
        watches.push(open(server.channel().await, method).await);
    }
    let mut export = open(channel.clone(), "Export").await;
    export
        .message()
        .await
        .expect("flows")
        .expect("the first message");
    let health_watch = HealthClient::new(channel)
        .watch(HealthCheckRequest::default())
        .await;
    let mut health_watch = health_watch.expect("opens").into_inner();
    health_watch
        .message()
        .await
        .expect("flows")
        .expect("the first state");

    let begun = Instant::now();
    server.stop();
    for watch in watches {
        let (_, status) = read_out(watch).await;
        assert_eq!(status.code(), Code::Unavailable, "{status}");
        assert_eq!(reason(&status), "SHUTTING_DOWN");
        assert_eq!(proto::status::metadata(&status)["service"], SERVICE);
        assert!(proto::status::retry_after(&status).is_some());
    }
    let ended = health_watch.message().await.expect_err("the stream ends");
    assert_eq!(reason(&ended), "SHUTTING_DOWN");
    assert!(begun.elapsed() < 5 * SECOND, "{:?}", begun.elapsed());
    refused(&server).await;

    // The call and the export still run; both may finish.
    assert!(!held.is_finished());
    server.probe.release.notify_waiters();
    held.await
        .expect("no panic")
        .expect("the call in flight is answered");
    let (count, status) = read_out(export).await;
    assert_eq!((count, status.code()), (1, Code::Ok), "{status}");
    assert!(server.ended().await < 5 * SECOND);
}

/// New connections are refused, at the latest after a moment.
async fn refused(server: &Running) {
    let until = Instant::now() + 5 * SECOND;
    while tokio::net::TcpStream::connect(server.address).await.is_ok() {
        assert!(Instant::now() < until, "the listener is still open");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_outlives_the_grace_is_closed() {
    let config = Config {
        grace_ms: 300,
        ..Config::on_free_port()
    };
    let mut server = Running::start(config, Probe::default()).await;
    let peer = server.peer();
    let held = tokio::spawn(call(peer, "Hold", within(9 * SECOND)));
    server.probe.held.notified().await;
    let export = open(server.channel().await, "Export").await;

    server.stop();
    let (count, status) = read_out(export).await;
    assert_eq!(
        (count, reason(&status).as_str()),
        (1, "SHUTTING_DOWN"),
        "{status}"
    );
    assert!(server.ended().await < 3 * SECOND);
    let status = held.await.expect("no panic").expect_err("cut off");
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    assert_eq!(reason(&status), "UPSTREAM_UNAVAILABLE");
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let server = start().await;
    let config = Config {
        listen: server.address,
        ..Config::default()
    };
    let error = Server::bind(config)
        .await
        .err()
        .expect("in use")
        .to_string();
    assert!(error.contains(&server.address.to_string()), "{error}");
    call(
        server.channel().await,
        "Echo",
        Request::new(Note::default()),
    )
    .await
    .expect("lives on");
}

#[tokio::test]
async fn a_service_that_does_not_say_who_may_call_it_is_not_served() {
    let server = Server::bind(Config::on_free_port()).await.expect("binds");
    let services = Services::new().with(Probe::default());
    let refused = server.run(services, std::future::pending()).await;
    let told = refused.expect_err("no permissions").to_string();
    assert!(
        told.contains(SERVICE) && told.contains("method_policy"),
        "{told}"
    );
}

#[tokio::test]
async fn where_callers_are_told_apart_no_described_service_is_served_either() {
    let settings = Settings {
        keys: "https://127.0.0.1:1/keys".parse().expect("a URL"),
        issuer: "https://issuer.example".to_owned(),
        audience: "clientele".to_owned(),
        nbf_may_be_missing: false,
        mapping: Mapping::default(),
        process: None,
    };
    let authenticator = Authenticator::start(settings, types::Clock::system()).await;
    let server = Server::bind(Config::on_free_port()).await.expect("binds");
    let server = server
        .describe(descriptors())
        .authenticated_by(authenticator.expect("keys may come later"));
    let services = Services::new().with(Probe::default());
    let refused = server.run(services, std::future::pending()).await;
    let told = refused.expect_err("no permissions").to_string();
    assert!(told.contains(&format!("{SERVICE}/")), "{told}");
}
