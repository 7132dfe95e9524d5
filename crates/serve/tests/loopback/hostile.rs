//! Clients that mean harm, frame by frame: while each is at it and after it a good client is served, and
//! everything that it took is there again.

use std::time::{Duration, Instant};

use serve::testing::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, PREFACE, RST_STREAM, SETTINGS,
    WINDOW_UPDATE, call as headers, frame, settings,
};
use serve::{Concurrency, Config, Limits, Server};
use tokio::net::TcpSocket;
use tokio::sync::{Mutex, MutexGuard};
use tokio::task::JoinSet;
use tonic::Request;
use tonic::transport::Channel;

use crate::frames::{FRAME_MAX, Hostile};
use crate::overload::watch;
use crate::raw::{framed, probe};
use crate::support::{Note, Probe, Running, call};

/// How long the server waits for a client that says or reads nothing, in these tests.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a good client may wait: no time at all, but for what a busy machine takes.
const PROMPTLY: Duration = Duration::from_secs(3);
/// What the system keeps of answers that a client does not read.
const UNSENT: u32 = 16 * 1024;
/// By when a client that means harm is gone.
const GONE: Duration = Duration::from_secs(30);
const CALLS: usize = 4;
const STREAMS: usize = 4;
/// How much more memory the whole process may have at the end, the other tests' included.
const MEMORY_MAX: u64 = 96 * 1024 * 1024;
/// Far more than anything that is limited.
const MANY: usize = 5_000;

/// These tests take turns: what one does to the machine is not to be taken for what another does.
static TURN: Mutex<()> = Mutex::const_new(());

/// A server with few places, all of which are free.
struct Victim {
    server: Running,
    good: Channel,
    memory: u64,
    _turn: MutexGuard<'static, ()>,
}

impl Victim {
    async fn start() -> Self {
        Self::start_with(Limits {
            unread_timeout_ms: patience_ms(),
            ..Limits::default()
        })
        .await
    }

    async fn start_with(limits: Limits) -> Self {
        let config = Config {
            limits,
            concurrency: Concurrency {
                calls_max: CALLS,
                critical_max: 0,
                streams_max: STREAMS,
                ..Concurrency::default()
            },
            ..Config::on_free_port()
        };
        let turn = TURN.lock().await;
        let socket = TcpSocket::new_v4().expect("a socket");
        // Connections have what their listener has.
        socket.set_send_buffer_size(UNSENT).expect("is set");
        socket.bind(config.listen).expect("loopback binds");
        let listener = socket.listen(64).expect("listens");
        let server = Server::from_listener(listener, config).expect("loopback");
        let server = Running::run(server, Probe::default());
        let good = server.channel().await;
        let victim = Self {
            server,
            good,
            memory: memory(),
            _turn: turn,
        };
        victim.serves().await;
        victim
    }

    /// A good client is served at once.
    async fn serves(&self) {
        let echo = call(self.good.clone(), "Echo", Request::new(Note::default()));
        let answer = tokio::time::timeout(PROMPTLY, echo).await;
        answer.expect("in time").expect("answers");
    }

    /// Nothing that the attack took is missing.
    async fn stays_whole(self) {
        self.serves().await;
        let begun = Instant::now();
        let mut streams = Vec::new();
        while streams.len() < STREAMS {
            streams.extend(watch(self.good.clone()).await.ok());
            assert!(begun.elapsed() < GONE, "{} streams", streams.len());
        }
        let mut held = JoinSet::new();
        for _ in 0..CALLS {
            let good = self.good.clone();
            held.spawn(call(good, "Hold", Request::new(Note::default())));
            self.server.probe.held.notified().await;
        }
        while !held.is_empty() {
            self.server.probe.release.notify_one();
            let answer = held.join_next().await.expect("there is one");
            answer.expect("no panic").expect("all places are free");
        }
        let grown = memory().saturating_sub(self.memory);
        assert!(grown < MEMORY_MAX, "{grown} bytes more");
    }
}

fn patience_ms() -> u64 {
    u64::try_from(PATIENCE.as_millis()).expect("short")
}

/// The memory that this process has, in bytes.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("is told");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let text = line.expect("is told").trim().trim_end_matches(" kB");
    text.parse::<u64>().expect("a number") * 1024
}

/// The connection ends of itself, whether or not its client reads.
async fn gone(end: impl Future<Output = ()>) {
    let ended = tokio::time::timeout(GONE, end).await;
    ended.expect("the server ends the connection");
}

/// The numbers of the streams that a client opens.
fn streams() -> impl Iterator<Item = u32> {
    (1..).step_by(2)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_are_reset_at_once_end_the_connection() {
    let victim = Victim::start().await;
    for method in ["Echo", "Hold", "WatchNotes"] {
        let mut hostile = Hostile::greet(&victim.server).await;
        let mut flood = Vec::new();
        for stream in streams().take(MANY) {
            flood.extend(frame(
                HEADERS,
                END_HEADERS,
                stream,
                &headers(&probe(method)),
            ));
            flood.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
        }
        hostile.flood(&flood, 1).await;
        victim.serves().await;
        gone(hostile.ended()).await;
    }
    victim.stays_whole().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_that_never_end_end_the_connection() {
    let victim = Victim::start().await;
    let mut hostile = Hostile::greet(&victim.server).await;
    let begun = frame(HEADERS, 0, 1, &headers(&probe("Echo")));
    assert!(hostile.send(&begun).await);
    // One more header each, `a: b`, which fills a frame with its repetitions; or none at all.
    let full = [0x00, 1, b'a', 1, b'b'].repeat(FRAME_MAX / 5);
    hostile.flood(&frame(CONTINUATION, 0, 1, &full), MANY).await;
    gone(hostile.ended()).await;
    let mut hostile = Hostile::greet(&victim.server).await;
    assert!(hostile.send(&begun).await);
    let empty = frame(CONTINUATION, 0, 1, &[]).repeat(1_000);
    hostile.flood(&empty, MANY).await;
    victim.serves().await;
    gone(hostile.ended()).await;
    victim.stays_whole().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_that_grow_as_they_are_read_are_refused() {
    let victim = Victim::start().await;
    let mut hostile = Hostile::greet(&victim.server).await;
    // A header of 4,000 bytes goes into the table, and is then named by its number, one byte each time.
    let mut bomb = headers(&probe("Echo"));
    bomb.extend([0x40, 1, b'a', 0x7f, 0xa1, 0x1e]);
    bomb.extend([b'b'; 4_000]);
    bomb.extend([0xbe].repeat(10_000));
    for stream in streams().take(10) {
        hostile
            .send(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &bomb))
            .await;
        victim.serves().await;
    }
    drop(hostile);
    victim.stays_whole().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_for_answers_and_reads_none_is_let_go() {
    let victim = Victim::start().await;
    let mut hostile = Hostile::greet(&victim.server).await;
    let pings = frame(PING, 0, 0, &[0; 8]).repeat(1_000);
    hostile.flood(&pings, MANY).await;
    victim.serves().await;
    gone(hostile.broken()).await;
    // A stream that always has more to say fills whatever it may.
    let mut hostile = Hostile::greet(&victim.server).await;
    let window = frame(WINDOW_UPDATE, 0, 0, &0x7fff_0000_u32.to_be_bytes());
    assert!(hostile.send(&window).await);
    let opened = headers(&probe("WatchFlood"));
    let opened = frame(HEADERS, END_HEADERS, 1, &opened);
    let asked = frame(DATA, END_STREAM, 1, &framed(&[]));
    assert!(hostile.send(&[opened, asked].concat()).await);
    victim.serves().await;
    gone(hostile.broken()).await;
    victim.stays_whole().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_that_change_all_the_time_hold_up_nobody() {
    let victim = Victim::start().await;
    let mut hostile = Hostile::greet(&victim.server).await;
    let changed = [settings(1), settings(u32::from(u16::MAX))].concat();
    let changed = changed.repeat(1_000);
    for _ in 0..10 {
        hostile.flood(&changed, 1).await;
        victim.serves().await;
    }
    drop(hostile);
    victim.stays_whole().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_where_none_may_be_end_the_connection() {
    let victim = Victim::start().await;
    let piece = [0; 1_024];
    let opened = frame(
        HEADERS,
        END_HEADERS | END_STREAM,
        1,
        &headers(&probe("Echo")),
    );
    let on_a_closed = [opened, frame(DATA, 0, 1, &piece)].concat();
    let overflow = frame(WINDOW_UPDATE, 0, 0, &i32::MAX.to_be_bytes());
    for (name, frames) in [
        (
            "data on a stream that is not open",
            frame(DATA, 0, 1, &piece),
        ),
        ("data on a stream that is closed", on_a_closed.repeat(2)),
        (
            "a window that grows by nothing",
            frame(WINDOW_UPDATE, 0, 0, &[0; 4]),
        ),
        ("a window beyond what there is", overflow.repeat(2)),
        (
            "a setting of half a length",
            frame(SETTINGS, 0, 0, &[0, 4, 0]),
        ),
        ("a ping that is too long", frame(PING, 0, 0, &[0; 9])),
        (
            "headers of no table",
            frame(HEADERS, END_HEADERS, 1, &[0xff; 64]),
        ),
        (
            "a frame that is too large",
            frame(DATA, 0, 1, &vec![0; 2 * FRAME_MAX]),
        ),
    ] {
        println!("{name}");
        let mut hostile = Hostile::greet(&victim.server).await;
        hostile.flood(&frames, 1).await;
        victim.serves().await;
        gone(hostile.ended()).await;
    }
    victim.stays_whole().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_begins_and_falls_silent_is_let_go() {
    let victim = Victim::start_with(Limits {
        handshake_timeout_ms: patience_ms(),
        keepalive_interval_ms: patience_ms(),
        keepalive_timeout_ms: patience_ms(),
        ..Limits::default()
    })
    .await;
    let begun = frame(HEADERS, 0, 1, &headers(&probe("Echo")));
    let settled = [PREFACE, &settings(0)].concat();
    let mut silent = Vec::new();
    for (name, beginning) in [
        ("garbage", b"GET / HTTP/1.1\r\nHost: test\r\n\r\n".to_vec()),
        ("long garbage", vec![b'x'; 1_000_000]),
        ("the preface", PREFACE.to_vec()),
        ("settings", settled.clone()),
        ("half a frame", [&settled[..], &begun[..5]].concat()),
        ("half the headers", [settled, begun].concat()),
    ] {
        let mut hostile = Hostile::connect(&victim.server).await;
        hostile.send(&beginning).await;
        victim.serves().await;
        silent.push((name, hostile));
    }
    // They answer no ping.
    for (name, mut hostile) in silent {
        println!("{name}");
        gone(hostile.ended()).await;
    }
    victim.stays_whole().await;
}
