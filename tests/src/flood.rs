//! A client that costs next to nothing, so that what is measured is the server: frames of one call, made
//! once and sent over and over.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serve::testing::frames::{
    DATA, END_HEADERS, END_STREAM, HEAD, HEADERS, PING, PREFACE, RST_STREAM, SETTINGS,
    WINDOW_UPDATE, call, frame, message, settings,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// The code of a stream that is reset because there are too many.
const REFUSED: [u8; 4] = 7_u32.to_be_bytes();
/// How often calls that have become due are sent.
const TICK: Duration = Duration::from_millis(2);
/// How long the last answers may take.
const LAST: Duration = Duration::from_secs(5);

/// One call, which is made over and over.
#[derive(Clone, Debug)]
pub struct Call {
    headers: Vec<u8>,
    body: Vec<u8>,
}

impl Call {
    /// The call of a method with this request.
    pub fn new(path: &str, encoded: &[u8]) -> Self {
        Self {
            headers: call(path),
            body: message(encoded),
        }
    }

    fn frames(&self, stream: u32) -> Vec<u8> {
        let mut frames = frame(HEADERS, END_HEADERS, stream, &self.headers);
        frames.extend(frame(DATA, END_STREAM, stream, &self.body));
        frames
    }
}

/// What came of calls.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Calls that were sent.
    pub sent: u64,
    /// Those that were served.
    pub served: u64,
    /// Those that were refused.
    pub refused: u64,
    /// How long it took, in seconds.
    pub seconds: f64,
}

impl Tally {
    /// Calls served in a second.
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
    pub fn per_second(&self) -> f64 {
        self.served as f64 / self.seconds
    }

    /// Of all connections together, which have taken the same time.
    pub fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.served += other.served;
        self.refused += other.refused;
        self.seconds = self.seconds.max(other.seconds);
    }
}

/// Keeps `at_once` calls going on a connection for `span`.
///
/// # Panics
///
/// Panics where the server ends the connection.
pub async fn closed(server: SocketAddr, call: Call, at_once: u32, span: Duration) -> Tally {
    let (mut answers, mut line) = open(server, call).await;
    let (begun, mut tally) = (Instant::now(), Tally::default());
    line.send(at_once).await;
    while begun.elapsed() < span {
        let before = tally.served + tally.refused;
        answers.next(&mut tally).await;
        let answered = tally.served + tally.refused - before;
        line.send(u32::try_from(answered).expect("few")).await;
    }
    tally.sent = line.sent;
    tally.seconds = begun.elapsed().as_secs_f64();
    tally
}

/// Makes so many calls a second on a connection for `span`, whatever becomes of them.
///
/// # Panics
///
/// Panics where the server ends the connection, or answers the last calls far too late.
pub async fn steady(server: SocketAddr, call: Call, per_second: f64, span: Duration) -> Tally {
    let (mut answers, mut line) = open(server, call).await;
    let begun = Instant::now();
    let sending = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(TICK);
        let mut due = 0.0;
        let mut before = begun;
        while begun.elapsed() < span {
            let now = ticks.tick().await.into_std();
            due += per_second * now.saturating_duration_since(before).as_secs_f64();
            before = now;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "few, and never below none"
            )]
            let calls = due as u32;
            line.send(calls).await;
            due -= f64::from(calls);
        }
        line
    });
    let mut tally = Tally::default();
    while !sending.is_finished() {
        answers.next(&mut tally).await;
    }
    let line = sending.await.expect("no panic");
    let last = async {
        while tally.served + tally.refused < line.sent {
            answers.next(&mut tally).await;
        }
    };
    let answered = tokio::time::timeout(LAST, last).await;
    answered.expect("each call is answered");
    tally.sent = line.sent;
    tally.seconds = begun.elapsed().as_secs_f64();
    tally
}

async fn open(server: SocketAddr, call: Call) -> (Answers, Line) {
    let stream = TcpStream::connect(server).await.expect("listens");
    stream.set_nodelay(true).expect("is set");
    let (read, mut write) = stream.into_split();
    let window = 0x7fff_0000_u32;
    let window = frame(WINDOW_UPDATE, 0, 0, &window.to_be_bytes());
    let greeting = [PREFACE, &settings(1 << 20), &window].concat();
    write.write_all(&greeting).await.expect("is sent");
    let line = Line {
        write,
        call,
        sent: 0,
    };
    let answers = Answers {
        read,
        buffer: Vec::with_capacity(1 << 16),
        begun: HashSet::new(),
    };
    (answers, line)
}

/// The way to the server.
struct Line {
    write: OwnedWriteHalf,
    call: Call,
    sent: u64,
}

impl Line {
    async fn send(&mut self, calls: u32) {
        let mut frames = Vec::new();
        for _ in 0..calls {
            let stream = u32::try_from(2 * self.sent + 1).expect("far fewer than 2^30");
            frames.extend(self.call.frames(stream));
            self.sent += 1;
        }
        self.write.write_all(&frames).await.expect("is sent");
    }
}

/// The way back.
struct Answers {
    read: OwnedReadHalf,
    buffer: Vec<u8>,
    /// The streams whose answers have begun.
    begun: HashSet<u32>,
}

impl Answers {
    /// Counts what has come.
    async fn next(&mut self, tally: &mut Tally) {
        let read = self.read.read_buf(&mut self.buffer).await;
        assert!(read.expect("lives") > 0, "the server has hung up");
        let mut begin = 0;
        while let Some(head) = self.buffer.get(begin..begin + HEAD) {
            let number = |bytes: &[u8]| bytes.iter().fold(0, |n, byte| n << 8 | u32::from(*byte));
            let (length, kind, flags) = (number(&head[..3]), head[3], head[4]);
            let stream = number(&head[5..]);
            let end = begin + HEAD + usize::try_from(length).expect("short");
            if end > self.buffer.len() {
                break;
            }
            let is_refused = kind == RST_STREAM && self.buffer[begin + HEAD..end] == REFUSED;
            begin = end;
            if is_refused {
                tally.refused += 1;
            } else {
                self.count(kind, flags, stream, tally);
            }
        }
        self.buffer.drain(..begin);
    }

    /// An answer that is nothing but a status is a refusal.
    fn count(&mut self, kind: u8, flags: u8, stream: u32, tally: &mut Tally) {
        let ends = flags & END_STREAM != 0;
        match kind {
            HEADERS if !ends => {
                self.begun.insert(stream);
            }
            HEADERS if self.begun.remove(&stream) => tally.served += 1,
            HEADERS => tally.refused += 1,
            // A stream that was answered may be reset for the rest of its request.
            DATA | SETTINGS | PING | WINDOW_UPDATE | RST_STREAM => {}
            other => panic!("the server sends a frame of kind {other}"),
        }
    }
}
