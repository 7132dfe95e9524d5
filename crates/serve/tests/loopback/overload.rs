//! More calls than a server takes on: who is refused, how fast, and what goes on all the same.

use std::time::{Duration, Instant};

use prost::Message as _;
use serve::{Concurrency, Config, Limits};
use tokio::task::JoinSet;
use tonic::transport::Channel;
use tonic::{Code, Request, Status, Streaming};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_prost::ProstCodec;

use crate::raw::{Raw, framed, probe};
use crate::support::{Note, Probe, Running, call, open, reason};

async fn start(concurrency: Concurrency) -> Running {
    let config = Config {
        concurrency,
        ..Config::on_free_port()
    };
    Running::start(config, Probe::default()).await
}

fn few() -> Concurrency {
    Concurrency {
        calls_max: 2,
        queue_max: 2,
        streams_max: 4,
        ..Concurrency::default()
    }
}

#[tokio::test]
async fn a_crowd_is_refused_at_once_and_health_answers() {
    let server = start(few()).await;
    let channel = server.channel().await;
    let mut crowd = JoinSet::new();
    for _ in 0..100 {
        let channel = channel.clone();
        crowd.spawn(call(channel, "Hold", Request::new(Note::default())));
    }
    // Those that wait are refused too, for nobody finishes.
    for _ in 0..98 {
        let answer = crowd.join_next().await.expect("there are more");
        let status = answer.expect("no panic").expect_err("refused");
        assert_eq!(status.code(), Code::Unavailable, "{status}");
        assert_eq!(reason(&status), "OVERLOADED");
        assert!(proto::status::retry_after(&status).is_some());
    }
    let mut health = HealthClient::new(server.channel().await);
    let check = HealthCheckRequest::default();
    health.check(check).await.expect("always answers");
    server.probe.release.notify_waiters();
    while let Some(answer) = crowd.join_next().await {
        answer.expect("no panic").expect("has its place");
    }
}

#[tokio::test]
async fn calls_whose_bodies_never_come_take_nobodys_place() {
    let server = start(few()).await;
    let mut raw = Raw::connect(&server).await;
    let mut open = Vec::new();
    for _ in 0..50 {
        open.push(raw.send(&probe("Echo"), None, None).await);
    }
    // The server takes the frames of a connection in their order, so all of those have begun.
    let note = Note {
        text: "complete".to_owned(),
        ..Note::default()
    };
    let body = framed(&note.encode_to_vec());
    let (answer, _) = raw.send(&probe("Echo"), None, Some(body)).await;
    let answer = answer.await.expect("answered");
    assert!(
        !answer.headers().contains_key("grpc-status"),
        "it is served"
    );
    // Those that come late are served as well.
    for (_, stream) in &mut open {
        stream.send_data(framed(&[]), true).expect("is sent");
    }
    for (answer, _) in open {
        let answer = answer.await.expect("answered");
        let refused = answer.headers().contains_key("grpc-status");
        assert!(!refused, "{:?}", answer.headers());
    }
}

#[tokio::test]
async fn a_crowd_whose_bodies_never_come_keeps_no_peer_out() {
    /// How many calls of a service may wait for their bodies, before only those of peers may.
    const ASIDE_MAX: usize = 1024;
    let limits = Limits {
        streams_per_connection_max: 2048,
        ..Limits::default()
    };
    let config = Config {
        concurrency: few(),
        limits,
        ..Config::on_free_port()
    };
    let server = Running::start(config, Probe::default()).await;
    let mut raw = Raw::connect(&server).await;
    let mut open = Vec::new();
    for _ in 0..ASIDE_MAX {
        open.push(raw.send(&probe("Echo"), None, None).await);
    }
    let (refused, _open) = raw.send(&probe("Echo"), None, None).await;
    let refused = refused.await.expect("answered");
    assert!(refused.headers().contains_key("grpc-status"), "is full");
    let (answer, mut stream) = raw.send_as_peer(&probe("Echo")).await;
    // The server has begun with it when it answers what comes behind.
    let (echo, _) = raw.send(&probe("Echo"), None, Some(framed(&[]))).await;
    echo.await.expect("answered");
    stream.send_data(framed(&[]), true).expect("is sent");
    let answer = answer.await.expect("answered");
    let refused = answer.headers().contains_key("grpc-status");
    assert!(!refused, "{:?}", answer.headers());
}

#[tokio::test]
async fn open_streams_take_no_place_of_calls() {
    let server = start(few()).await;
    let channel = server.channel().await;
    let mut streams = Vec::new();
    for _ in 0..4 {
        streams.push(open(channel.clone(), "WatchNotes").await);
    }
    call(channel.clone(), "Echo", Request::new(Note::default()))
        .await
        .expect("there is a place");
    let status = watch(channel.clone()).await.expect_err("no more streams");
    assert_eq!(reason(&status), "OVERLOADED", "{status}");
    streams.pop();
    let begun = Instant::now();
    while let Err(status) = watch(channel.clone()).await {
        assert_eq!(reason(&status), "OVERLOADED", "{status}");
        assert!(begun.elapsed() < Duration::from_secs(5), "a place is free");
    }
}

/// Opens a stream that may be refused.
pub async fn watch(channel: Channel) -> Result<Streaming<Note>, Status> {
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.expect("connected");
    let path = probe("WatchNotes").parse().expect("a path");
    let request = Request::new(Note::default());
    let codec = ProstCodec::<Note, Note>::default();
    let opened = grpc.server_streaming(request, path, codec).await?;
    Ok(opened.into_inner())
}
