//! Bodies that come slowly, or never to their end: what has come of them is memory.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderMap;
use prost::Message as _;
use serve::{Concurrency, Config};
use tonic::{Request, Status};

use crate::raw::{Raw, framed, probe};
use crate::support::{Note, Probe, Running, call, reason};

/// What bodies may take that have not come to their end.
const MAX: usize = 256 * 1024;
/// Half of a body, and so long that three of them are too many.
const HALF: usize = 100 * 1024;

fn note(bytes: usize) -> Note {
    Note {
        text: "x".repeat(bytes),
        ..Note::default()
    }
}

/// The first of these bytes of a message that is twice as long.
fn half(bytes: usize) -> Bytes {
    framed(&note(2 * bytes).encode_to_vec()).slice(..bytes)
}

#[tokio::test]
async fn bodies_that_do_not_end_take_only_so_much_and_keep_no_small_call_out() {
    let config = Config {
        concurrency: Concurrency {
            body_bytes_max: MAX,
            ..Concurrency::default()
        },
        ..Config::on_free_port()
    };
    let server = Running::start(config, Probe::default()).await;
    let mut raw = Raw::connect(&server).await;
    let mut open = Vec::new();
    for _ in 0..2 {
        let (answer, mut body) = raw.send(&probe("Echo"), Some("30S"), None).await;
        body.send_data(half(HALF), false).expect("is sent");
        open.push((answer, body));
    }
    let (refused, mut third) = raw.send(&probe("Echo"), None, None).await;
    third.send_data(half(HALF), false).expect("is sent");
    let refused = refused.await.expect("answered");
    let headers: &HeaderMap = refused.headers();
    let status = Status::from_header_map(headers).expect("a refusal");
    assert_eq!(reason(&status), "OVERLOADED", "{status}");
    assert!(proto::status::retry_after(&status).is_some());
    let channel = server.channel().await;
    let small = call(channel.clone(), "Echo", Request::new(note(10_000))).await;
    small.expect("what is small is not counted");
    let mut large = Request::new(note(HALF));
    let status = call(channel.clone(), "Echo", large).await;
    let status = status.expect_err("there is no memory");
    assert_eq!(reason(&status), "OVERLOADED", "{status}");
    large = Request::new(note(HALF));
    let peer = "billing".parse().expect("a value");
    large.metadata_mut().insert("clientele-peer", peer);
    let peers = call(channel.clone(), "Echo", large).await;
    peers.expect("there is some for peers");
    // The first comes to its end after all, and the second is given up.
    let (answer, mut body) = open.remove(0);
    let rest = framed(&note(2 * HALF).encode_to_vec()).slice(HALF..);
    body.send_data(rest, true).expect("is sent");
    drop(open);
    let begun = Instant::now();
    while let Err(status) = call(channel.clone(), "Echo", Request::new(note(HALF))).await {
        assert_eq!(reason(&status), "OVERLOADED", "{status}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{status}");
    }
    drop(answer);
}
