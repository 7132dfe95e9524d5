//! What a unary call meets in the stack: deadlines, panics, faults, sizes, traces.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::support::{Note, Probe, Running, call, open, read_out, reason, request_id, within};
use serve::Config;
use tonic::metadata::MetadataValue;
use tonic::{Code, Request};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

async fn start() -> Running {
    Running::start(Config::on_free_port(), Probe::default()).await
}

/// The client of tonic gives up at its own timer, a margin after the server: on a machine that
/// stalls for longer than the margin it answers for the server. Then the call is made again.
#[tokio::test]
async fn an_expired_deadline_says_so_and_drops_the_handler() {
    let server = start().await;
    let channel = server.channel().await;
    for _ in 0..5 {
        let begun = Instant::now();
        let answer = call(channel.clone(), "Hold", within(Duration::from_secs(1))).await;
        let status = answer.expect_err("nobody releases it");
        if status.code() == Code::DeadlineExceeded {
            assert!(!request_id(&status).is_empty());
            assert!(
                begun.elapsed() < Duration::from_secs(1),
                "{:?}",
                begun.elapsed()
            );
            assert!(server.probe.dropped.load(Ordering::SeqCst));
            return;
        }
        assert_eq!(status.message(), "Timeout expired", "{status}");
    }
    panic!("the client's timer fired first five times");
}

#[tokio::test]
async fn a_call_without_a_timeout_gets_the_default() {
    let config = Config {
        deadline_default_ms: 150,
        ..Config::on_free_port()
    };
    let server = Running::start(config, Probe::default()).await;
    let channel = server.channel().await;
    let answer = call(channel.clone(), "Hold", Request::new(Note::default())).await;
    assert_eq!(answer.expect_err("too late").code(), Code::DeadlineExceeded);
    let seen = call(channel, "Echo", within(Duration::from_secs(9_999)))
        .await
        .expect("answers");
    let left = Duration::from_micros(seen.into_inner().left_us);
    assert!(left <= Duration::from_secs(30), "the cap holds: {left:?}");
}

#[tokio::test]
async fn a_panic_is_internal_and_the_connection_lives() {
    let server = start().await;
    let channel = server.channel().await;
    for _ in 0..3 {
        let status = call(channel.clone(), "Panic", within(Duration::from_secs(5))).await;
        let status = status.expect_err("it panics");
        assert_eq!(status.code(), Code::Internal, "{status}");
        assert!(!request_id(&status).is_empty());
        assert!(!status.message().contains("purpose"), "{status}");
    }
    let (_, status) = read_out(open(channel.clone(), "WatchPanic").await).await;
    assert_eq!(status.code(), Code::Internal, "{status}");
    assert!(!request_id(&status).is_empty());
    call(channel, "Echo", within(Duration::from_secs(5)))
        .await
        .expect("the connection lives");
}

#[tokio::test]
async fn a_fault_names_the_trace_of_its_call() {
    let server = start().await;
    let mut request = within(Duration::from_secs(5));
    request
        .metadata_mut()
        .insert("traceparent", MetadataValue::from_static(TRACEPARENT));
    let status = call(server.channel().await, "Fail", request)
        .await
        .expect_err("it fails");
    assert_eq!(
        (status.code(), status.message()),
        (Code::Internal, "it broke")
    );
    assert_eq!(request_id(&status), TRACE);
}

#[tokio::test]
async fn an_oversized_message_is_refused_as_grpc_says() {
    let server = start().await;
    let text = "x".repeat(5 * 1024 * 1024);
    let request = Request::new(Note {
        text,
        ..Note::default()
    });
    let status = call(server.channel().await, "Echo", request)
        .await
        .expect_err("too large");
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    assert_eq!(reason(&status), "MESSAGE_TOO_LARGE");
    assert_eq!(proto::status::metadata(&status)["limit_bytes"], "4194304");
}

#[tokio::test]
async fn unknown_methods_are_unimplemented() {
    let server = start().await;
    let status = call(
        server.channel().await,
        "Nothing",
        Request::new(Note::default()),
    )
    .await;
    assert_eq!(
        status.expect_err("no such method").code(),
        Code::Unimplemented
    );
}

#[tokio::test]
async fn trace_and_deadline_cross_to_a_peer_which_learns_who_calls() {
    let last = start().await;
    let probe = Probe {
        next: Some(last.peer()),
        ..Probe::default()
    };
    let first = Running::start(Config::on_free_port(), probe).await;

    let timeout = Duration::from_secs(2);
    let mut request = within(timeout);
    request
        .metadata_mut()
        .insert("traceparent", MetadataValue::from_static(TRACEPARENT));
    let seen = call(first.channel().await, "Relay", request)
        .await
        .expect("answers")
        .into_inner();
    assert_eq!(seen.trace_id, TRACE);
    assert!(
        seen.traceparent.starts_with(&format!("00-{TRACE}-")),
        "{}",
        seen.traceparent
    );
    assert_ne!(
        seen.traceparent, TRACEPARENT,
        "the parent is the call between the servers"
    );
    assert!(
        seen.traceparent.ends_with("-01"),
        "what was sampled stays so"
    );
    assert_eq!(seen.peer, "billing");
    // Each server keeps 50 ms of two seconds, and so does the peer channel between them.
    let passed = Duration::from_micros(seen.grpc_timeout_us);
    assert!(passed <= Duration::from_millis(1_900), "{passed:?}");
    assert!(passed > Duration::from_millis(1_400), "{passed:?}");
    assert!(seen.left_us <= seen.grpc_timeout_us - 50_000);
}

#[tokio::test]
async fn a_call_without_a_trace_gets_one_that_its_peers_share() {
    let last = start().await;
    let probe = Probe {
        next: Some(last.peer()),
        ..Probe::default()
    };
    let first = Running::start(Config::on_free_port(), probe).await;
    let request = within(Duration::from_secs(5));
    let seen = call(first.channel().await, "Relay", request)
        .await
        .expect("answers")
        .into_inner();
    assert_ne!(seen.trace_id, "0".repeat(32));
    assert!(seen.traceparent.contains(&seen.trace_id), "{seen:?}");
}
