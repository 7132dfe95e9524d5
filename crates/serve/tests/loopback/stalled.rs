//! Clients that open no window for what they are sent: HTTP/2 keeps it for them, but not for ever.

use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::{Builder, ResponseFuture};
use http::HeaderMap;
use prost::Message as _;
use serve::{Concurrency, Config, Limits};
use tonic::{Code, Request, Status};

use crate::overload::watch;
use crate::raw::{Raw, framed, probe};
use crate::support::{Note, Probe, Running, call, reason};

/// How long clients may leave unread what they are sent, in these tests.
const PATIENCE: Duration = Duration::from_secs(3);
const STREAMS: usize = 8;
const LARGE: usize = 100 * 1024;

async fn start() -> Running {
    let config = Config {
        limits: Limits {
            unread_timeout_ms: u64::try_from(PATIENCE.as_millis()).expect("short"),
            ..Limits::default()
        },
        concurrency: Concurrency {
            streams_max: STREAMS,
            answer_bytes_max: 2 * LARGE,
            ..Concurrency::default()
        },
        ..Config::on_free_port()
    };
    Running::start(config, Probe::default()).await
}

fn note(bytes: usize) -> Note {
    Note {
        text: "x".repeat(bytes),
        ..Note::default()
    }
}

fn body(bytes: usize) -> Bytes {
    framed(&note(bytes).encode_to_vec())
}

/// The status of an answer that is nothing else; `None` for one that has begun.
async fn refusal(answer: ResponseFuture) -> Option<Status> {
    let answer = answer.await.expect("answered");
    let headers: &HeaderMap = answer.headers();
    // Whoever lets go of an answer has the server let go of it too.
    let refused = Status::from_header_map(headers);
    if refused.is_none() {
        std::mem::forget(answer);
    }
    refused
}

#[tokio::test]
async fn who_reads_nothing_is_let_go_with_all_that_it_holds() {
    let server = start().await;
    let mut windowless = Builder::new();
    windowless.initial_window_size(0);
    let (mut raw, connection) = Raw::over(server.address, &windowless).await;
    for _ in 0..STREAMS {
        let (answer, _) = raw
            .send(&probe("WatchNotes"), None, Some(framed(&[])))
            .await;
        assert!(refusal(answer).await.is_none(), "there is a place");
    }
    let mut unread = 0;
    let refused = loop {
        let (answer, _) = raw.send(&probe("Echo"), None, Some(body(LARGE))).await;
        match refusal(answer).await {
            Some(status) => break status,
            None => unread += 1,
        }
    };
    assert_eq!(reason(&refused), "OVERLOADED", "{refused}");
    assert_eq!(unread, 1, "the rest of the memory is for others");
    let channel = server.channel().await;
    let small = call(channel.clone(), "Echo", Request::new(note(10))).await;
    small.expect("what is small needs no memory");
    let no_place = watch(channel.clone()).await.expect_err("no place");
    assert_eq!(reason(&no_place), "OVERLOADED", "{no_place}");
    let ended = tokio::time::timeout(10 * PATIENCE, connection).await;
    let _ = ended.expect("the server ends it").expect("no panic");
    let begun = Instant::now();
    let mut streams = Vec::new();
    while streams.len() < STREAMS {
        match watch(channel.clone()).await {
            Ok(stream) => streams.push(stream),
            Err(status) => assert_eq!(reason(&status), "OVERLOADED", "{status}"),
        }
        assert!(begun.elapsed() < 10 * PATIENCE, "the places are free");
    }
    let large = call(channel, "Echo", Request::new(note(LARGE))).await;
    assert_eq!(large.expect("there is memory").get_ref().text.len(), LARGE);
}

#[tokio::test]
async fn answers_that_are_small_but_many_are_counted_too() {
    const SMALL: usize = 10 * 1024;
    let server = start().await;
    let mut windowless = Builder::new();
    windowless.initial_window_size(0);
    let (mut raw, _connection) = Raw::over(server.address, &windowless).await;
    let mut unread = 0;
    let refused = loop {
        let (answer, _) = raw.send(&probe("Echo"), None, Some(body(SMALL))).await;
        match refusal(answer).await {
            Some(status) => break status,
            None => unread += SMALL,
        }
        assert!(unread < 3 * LARGE, "what lies there has no end");
    };
    assert_eq!(reason(&refused), "OVERLOADED", "{refused}");
    let echo = call(server.channel().await, "Echo", Request::new(note(SMALL))).await;
    echo.expect("whoever reads is served");
}

#[tokio::test]
async fn who_reads_slowly_gets_everything() {
    /// Read in one go, then a pause.
    const WINDOW: u32 = 8 * 1024;
    const PAUSE: Duration = Duration::from_millis(50);
    let server = start().await;
    let mut narrow = Builder::new();
    narrow.initial_window_size(WINDOW);
    let (mut raw, connection) = Raw::over(server.address, &narrow).await;
    let begun = Instant::now();
    for method in ["Echo", "WatchFlood"] {
        let (answer, _) = raw.send(&probe(method), None, Some(body(LARGE))).await;
        let mut notes = answer.await.expect("answered").into_body();
        let mut read = 0;
        // A stream is read for longer than anything may be left unread.
        while read < LARGE || (method != "Echo" && begun.elapsed() < 2 * PATIENCE) {
            let piece = notes.data().await.expect("there is more");
            let count = piece.expect("the stream lives").len();
            read += count;
            tokio::time::sleep(PAUSE).await;
            let taken = notes.flow_control().release_capacity(count);
            taken.expect("was taken");
        }
    }
    assert!(!connection.is_finished());
    // Who has read everything may be silent.
    let (answer, _) = raw.send(&probe("Fail"), None, Some(framed(&[]))).await;
    let status = refusal(answer).await.expect("the connection lives");
    assert_eq!(status.code(), Code::Internal);
}
