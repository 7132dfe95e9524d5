//! HTTP/2 by hand (RFC 9113), for what no library lets its users send.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::Running;

/// What every connection begins with.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The largest frame that the server has said it takes.
pub const FRAME_MAX: usize = 16 * 1024;

/// The kinds of frames.
pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

/// Flags of HEADERS and CONTINUATION, and of DATA and HEADERS.
pub const END_HEADERS: u8 = 4;
pub const END_STREAM: u8 = 1;

/// The setting of the window that streams begin with.
const INITIAL_WINDOW_SIZE: u8 = 4;

/// How long a client that floods waits until the server takes more of it: longer than a busy machine may
/// let it wait.
const BLOCKED: Duration = Duration::from_secs(2);
/// What the system keeps for a client that does not read.
const RECEIVED: u32 = 16 * 1024;
/// How often a client that reads nothing looks whether it is still connected.
const LOOK: Duration = Duration::from_millis(50);

/// A frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    let stream = stream.to_be_bytes();
    [&length[1..], &[kind, flags], &stream, payload].concat()
}

/// The SETTINGS with this window for each stream.
pub fn settings(window: u32) -> Vec<u8> {
    let payload = [&[0, INITIAL_WINDOW_SIZE], &window.to_be_bytes()[..]].concat();
    frame(SETTINGS, 0, 0, &payload)
}

/// The headers of a call (RFC 7541): indices of the static table, and texts as they are.
pub fn call(path: &str) -> Vec<u8> {
    let text = |text: &str| {
        let length = u8::try_from(text.len()).expect("short");
        assert!(length < 127, "fits into one byte");
        [&[length], text.as_bytes()].concat()
    };
    [
        // :method POST, :scheme http
        &[0x83, 0x86][..],
        // :path and :authority
        &[0x04],
        &text(path),
        &[0x01],
        &text("test"),
        // content-type, which is number 31
        &[0x0f, 0x10],
        &text("application/grpc"),
        &[0x00],
        &text("te"),
        &text("trailers"),
    ]
    .concat()
}

/// A connection that sends what it likes.
pub struct Hostile(TcpStream);

impl Hostile {
    /// Connects and says nothing.
    pub async fn connect(server: &Running) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        // What it does not read soon fills what the system keeps for it.
        socket.set_recv_buffer_size(RECEIVED).expect("is set");
        Self(socket.connect(server.address).await.expect("listens"))
    }

    /// Connects and begins as everybody does, with a large window for each stream.
    pub async fn greet(server: &Running) -> Self {
        let mut hostile = Self::connect(server).await;
        let greeting = [PREFACE, &settings(i32::MAX.unsigned_abs())].concat();
        assert!(hostile.send(&greeting).await, "the server greets");
        hostile
    }

    /// Sends these bytes; false where the server has closed the connection, or takes nothing more.
    pub async fn send(&mut self, bytes: &[u8]) -> bool {
        let sent = tokio::time::timeout(BLOCKED, self.0.write_all(bytes)).await;
        matches!(sent, Ok(Ok(())))
    }

    /// Sends these bytes up to so many times, until the server takes no more. Reads nothing.
    pub async fn flood(&mut self, bytes: &[u8], times: usize) {
        for _ in 0..times {
            if !self.send(bytes).await {
                return;
            }
        }
    }

    /// Waits until the server has closed the connection, and reads what it says.
    pub async fn ended(&mut self) {
        let mut bytes = vec![0; FRAME_MAX];
        while matches!(self.0.read(&mut bytes).await, Ok(1..)) {}
    }

    /// The same without reading anything.
    pub async fn broken(&mut self) {
        // Bytes that come for a closed connection are answered with its reset.
        loop {
            match self.0.try_write(&[0]) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}
