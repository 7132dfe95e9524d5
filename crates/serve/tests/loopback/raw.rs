//! What no well-behaved client sends: requests without an end, and bytes that are no message.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Builder, ResponseFuture, SendRequest};
use http::{HeaderMap, Request};
use prost::Message as _;
use serve::testing::frames;
use serve::{Config, Limits};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tonic::{Code, Status};

use crate::support::{Note, Probe, Running, SERVICE, reason};

const SECOND: Duration = Duration::from_secs(1);

/// The end of a connection.
type Connection = JoinHandle<Result<(), h2::Error>>;

/// HTTP/2 without anything of gRPC's.
pub struct Raw(SendRequest<Bytes>);

impl Raw {
    pub async fn connect(server: &Running) -> Self {
        Self::over(server.address, &Builder::new()).await.0
    }

    /// The same with settings of one's own, and what becomes of the connection.
    pub async fn over(address: SocketAddr, settings: &Builder) -> (Self, Connection) {
        let stream = TcpStream::connect(address).await.expect("listens");
        let greeted = settings.handshake(stream).await;
        let (send, connection) = greeted.expect("speaks HTTP/2");
        (Self(send), tokio::spawn(connection))
    }

    /// Sends the headers of a call, and its body if there is one; without one the request never ends.
    pub async fn send(
        &mut self,
        path: &str,
        timeout: Option<&str>,
        body: Option<Bytes>,
    ) -> (ResponseFuture, h2::SendStream<Bytes>) {
        let mut request = call(path);
        if let Some(timeout) = timeout {
            request = request.header("grpc-timeout", timeout);
        }
        let (answer, mut stream) = self.begin(request).await;
        if let Some(body) = body {
            stream.send_data(body, true).expect("is sent");
        }
        (answer, stream)
    }

    /// Sends the headers of a call as another service of the suite does.
    pub async fn send_as_peer(&mut self, path: &str) -> (ResponseFuture, h2::SendStream<Bytes>) {
        self.send_with(path, "clientele-peer", "billing").await
    }

    /// Sends the headers of a call, one more than usual.
    pub async fn send_with(
        &mut self,
        path: &str,
        name: &str,
        value: &str,
    ) -> (ResponseFuture, h2::SendStream<Bytes>) {
        self.begin(call(path).header(name, value)).await
    }

    async fn begin(
        &mut self,
        request: http::request::Builder,
    ) -> (ResponseFuture, h2::SendStream<Bytes>) {
        let mut ready = self.0.clone().ready().await.expect("the connection lives");
        let request = request.body(()).expect("a request");
        ready.send_request(request, false).expect("is sent")
    }
}

/// The headers of every call.
fn call(path: &str) -> http::request::Builder {
    Request::post(format!("http://test{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
}

/// The status of an answer that is nothing else.
async fn status(answer: ResponseFuture) -> Status {
    let answer = tokio::time::timeout(5 * SECOND, answer).await;
    let answer = answer.expect("answered in time").expect("answered");
    let headers: &HeaderMap = answer.headers();
    Status::from_header_map(headers).expect("a status in the head")
}

/// A message with the five bytes that gRPC puts before it.
pub fn framed(message: &[u8]) -> Bytes {
    frames::message(message).into()
}

pub fn probe(method: &str) -> String {
    format!("/{SERVICE}/{method}")
}

#[tokio::test]
async fn a_call_whose_request_never_ends_has_an_end() {
    let config = Config {
        deadline_default_ms: 150,
        ..Config::on_free_port()
    };
    let server = Running::start(config, Probe::default()).await;
    let mut raw = Raw::connect(&server).await;
    let health = "/grpc.health.v1.Health/Watch".to_owned();
    for path in [health, probe("WatchNotes"), probe("Export"), probe("Echo")] {
        let (answer, _open) = raw.send(&path, None, None).await;
        let status = status(answer).await;
        assert_eq!(status.code(), Code::DeadlineExceeded, "{path}: {status}");
    }
}

#[tokio::test]
async fn a_stream_that_is_slow_to_open_is_late_and_not_cancelled() {
    let server = Running::start(Config::on_free_port(), Probe::default()).await;
    let mut raw = Raw::connect(&server).await;
    for body in [None, Some(framed(&[]))] {
        let path = probe("WatchNever");
        let (answer, _open) = raw.send(&path, Some("20m"), body).await;
        let status = status(answer).await;
        assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    }
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_streams_that_have_not_opened() {
    let mut server = Running::start(Config::on_free_port(), Probe::default()).await;
    let mut raw = Raw::connect(&server).await;
    let (answer, _open) = raw.send(&probe("WatchNotes"), Some("30S"), None).await;
    // The server takes the frames of a connection in their order.
    let (echo, _) = raw.send(&probe("Echo"), None, Some(framed(&[]))).await;
    echo.await.expect("answered");
    server.stop();
    let status = status(answer).await;
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    assert_eq!(reason(&status), "SHUTTING_DOWN");
    assert!(server.ended().await < 5 * SECOND);
}

#[tokio::test]
async fn what_is_no_message_is_the_callers_fault() {
    let server = Running::start(Config::on_free_port(), Probe::default()).await;
    let mut raw = Raw::connect(&server).await;
    let note = Note {
        text: "what was meant".to_owned(),
        ..Note::default()
    };
    let cut = &note.encode_to_vec()[..5];
    for (body, field, told) in [
        (framed(b"\x0a\x02\xff\xfe"), "text", "UTF-8"),
        (framed(b"\x08\x01"), "text", "wire type"),
        (framed(cut), "text", "text can't be read"),
        (framed(b"\x07"), "", "the message can't be read"),
        (Bytes::new(), "", "there is none"),
        (Bytes::from_static(b"\0\0\0\0\x09\x0a"), "", "ends early"),
        (Bytes::from_static(b"\x07\0\0\0\0"), "", "compression flag"),
        (Bytes::from_static(b"\x01\0\0\0\0"), "", "compressed-flag"),
    ] {
        for method in ["Echo", "WatchNotes"] {
            let (answer, _) = raw.send(&probe(method), None, Some(body.clone())).await;
            let status = status(answer).await;
            assert_eq!(status.code(), Code::InvalidArgument, "{body:?}: {status}");
            assert_eq!(reason(&status), "FIELD_INVALID");
            assert!(status.message().contains(told), "{body:?}: {status}");
            let details = tonic_types::StatusExt::get_error_details(&status);
            let violations = &details.bad_request().expect("names it").field_violations;
            assert_eq!(violations[0].field, field, "{body:?}");
        }
    }
}

#[tokio::test]
async fn the_limits_of_http2_are_in_force() {
    let limits = Limits {
        streams_per_connection_max: 7,
        header_list_bytes_max: 8 * 1024,
        ..Limits::default()
    };
    let config = Config {
        limits,
        ..Config::on_free_port()
    };
    let server = Running::start(config, Probe::default()).await;
    let mut raw = Raw::connect(&server).await;
    let (answer, _) = raw.send(&probe("Echo"), None, Some(framed(&[]))).await;
    answer.await.expect("answers");
    let request = Request::post(format!("http://test{}", probe("Echo")))
        .header("content-type", "application/grpc")
        .header("long", "x".repeat(16 * 1024));
    let request = request.body(()).expect("a request");
    let mut ready = raw.0.clone().ready().await.expect("lives");
    let (answer, _) = ready.send_request(request, true).expect("is sent");
    let refused = match answer.await {
        Ok(answer) => answer.status() == http::StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Err(error) => error.is_reset(),
    };
    assert!(refused, "headers are limited");
    // What the server has announced; clients that do not keep to it have their streams reset.
    assert_eq!(raw.0.current_max_send_streams(), 7);
    let (answer, _) = raw.send(&probe("Echo"), None, Some(framed(&[]))).await;
    answer.await.expect("the connection lives on");
}
