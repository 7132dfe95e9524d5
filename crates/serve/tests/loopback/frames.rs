//! A client that sends whatever frames it likes, and reads as it likes.

use std::io::ErrorKind;
use std::time::Duration;

use serve::testing::frames::{PREFACE, settings};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::Running;

/// The largest frame that the server has said it takes.
pub const FRAME_MAX: usize = 16 * 1024;

/// How long a client that floods waits until the server takes more of it: longer than a busy machine may
/// let it wait.
const BLOCKED: Duration = Duration::from_secs(2);
/// What the system keeps for a client that does not read.
const RECEIVED: u32 = 16 * 1024;
/// How often a client that reads nothing looks whether it is still connected.
const LOOK: Duration = Duration::from_millis(50);

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
