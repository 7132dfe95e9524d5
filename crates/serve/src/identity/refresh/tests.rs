//! Keys that come, change and stay away, from a file and from a server.

use std::sync::atomic::{AtomicUsize, Ordering};

use jsonwebtoken::Algorithm;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::identity::keys::Found;
use crate::testing::{Issuer, key_set};

/// How long a condition may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// An HTTP server that answers every request with the same text, or breaks the connection off.
struct Server {
    uri: String,
    answer: Arc<Mutex<Option<String>>>,
    asked: Arc<AtomicUsize>,
}

impl Server {
    async fn start(answer: Option<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let uri = format!("http://{}/keys", listener.local_addr().expect("bound"));
        let (answer, asked) = (Arc::new(Mutex::new(answer)), Arc::<AtomicUsize>::default());
        let (answers, count) = (Arc::clone(&answer), Arc::clone(&asked));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let answer = answers.lock().expect("not poisoned").clone();
                let mut head = vec![0; 4096];
                let _ = stream.read(&mut head).await;
                if let Some(answer) = answer {
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
            }
        });
        Self { uri, answer, asked }
    }

    fn answers(&self, answer: Option<String>) {
        *self.answer.lock().expect("not poisoned") = answer;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn ok(body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}")
}

fn pace(interval_ms: u64, unknown_gap_ms: u64) -> Pace {
    Pace {
        interval: Duration::from_millis(interval_ms),
        retry: Duration::from_millis(10),
        unknown_gap: Duration::from_millis(unknown_gap_ms),
        unknown_wait: PATIENCE,
    }
}

/// The pace of one that is only ever read out of turn.
const NEVER: u64 = 3_600_000;

fn knows(keys: &Keys, id: &str) -> bool {
    keys.current()
        .is_some_and(|(_, set)| matches!(set.find(Some(id), Algorithm::EdDSA), Found::Key(_)))
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn start(source: &str, pace: Pace) -> Result<Keys, KeysError> {
    Keys::start(source.parse().expect("a source"), pace).await
}

fn ed25519(id: &str) -> Issuer {
    Issuer::new(id, Algorithm::EdDSA)
}

#[test]
fn keys_are_read_as_often_as_is_promised() {
    let pace = |source: &str| Pace::of(&source.parse().expect("a source"));
    let url = pace("https://issuer.example/keys");
    assert_eq!(url.interval, Duration::from_mins(5));
    assert_eq!(url.unknown_gap, Duration::from_secs(30));
    assert_eq!(pace("keys.json").interval, Duration::from_secs(10));
}

#[tokio::test]
async fn a_file_must_be_there_and_is_read_again_when_it_changes() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("jwks.json");
    let source = path.display().to_string();
    assert!(start(&source, pace(10, NEVER)).await.is_err());
    std::fs::write(&path, "{}").expect("written");
    assert!(start(&source, pace(10, NEVER)).await.is_err());
    std::fs::write(&path, key_set(&[&ed25519("a")])).expect("written");
    let keys = start(&source, pace(10, NEVER)).await.expect("keys");
    keys.ready().await;
    assert!(knows(&keys, "a"));
    std::fs::write(&path, key_set(&[&ed25519("b")])).expect("written");
    until("the new key is known", || knows(&keys, "b")).await;
    assert!(!knows(&keys, "a"));
    let number = keys.current().expect("keys").0;
    assert_eq!(number, 2, "what says the same is the same set");
    std::fs::write(&path, "half a fi").expect("written");
    keys.read_again().await.expect("few wait");
    assert!(knows(&keys, "b"), "a damaged file changes nothing");
    assert_eq!(keys.current().expect("keys").0, number);
}

#[tokio::test]
async fn a_server_may_come_later_and_its_keys_outlive_it() {
    let server = Server::start(None).await;
    let keys = start(&server.uri, pace(10, NEVER))
        .await
        .expect("may come later");
    assert!(keys.current().is_none());
    server.answers(Some(ok(&key_set(&[&ed25519("a")]))));
    tokio::time::timeout(PATIENCE, keys.ready())
        .await
        .expect("keys");
    let long = format!("{{\"keys\":[],\"x\":\"{}\"}}", "x".repeat(300_000));
    let away = "HTTP/1.1 503 Unavailable\r\ncontent-length: 0\r\n\r\n";
    let elsewhere =
        "HTTP/1.1 302 Found\r\nlocation: http://localhost/\r\ncontent-length: 0\r\n\r\n";
    for outage in [
        None,
        Some(ok("{}")),
        Some(ok("{\"keys\":[]}")),
        Some(ok(&long)),
        Some(away.to_owned()),
        Some(elsewhere.to_owned()),
        Some("no HTTP at all".to_owned()),
    ] {
        server.answers(outage);
        let asked = server.asked();
        until("it is asked twice more", || server.asked() >= asked + 2).await;
        assert!(knows(&keys, "a"), "the last good set stays");
    }
    server.answers(Some(ok(&key_set(&[&ed25519("b")]))));
    until("the new key is known", || knows(&keys, "b")).await;
}

#[tokio::test]
async fn an_unknown_key_has_the_set_read_once_for_all_who_ask() {
    let server = Server::start(Some(ok(&key_set(&[&ed25519("a")])))).await;
    let keys = start(&server.uri, pace(NEVER, NEVER)).await.expect("keys");
    keys.ready().await;
    let asked = server.asked();
    server.answers(Some(ok(&key_set(&[&ed25519("a"), &ed25519("b")]))));
    let all = futures::future::join_all((0..50).map(|_| keys.read_again())).await;
    assert!(
        all.into_iter().all(|read| matches!(read, Ok(true))),
        "all wait for the one reading"
    );
    assert!(knows(&keys, "b"));
    assert_eq!(server.asked(), asked + 1);
    for _ in 0..50 {
        let read = keys.read_again().await.expect("nobody waits");
        assert!(!read, "too soon");
    }
    assert_eq!(server.asked(), asked + 1);
}

#[tokio::test]
async fn after_the_gap_an_unknown_key_has_the_set_read_again() {
    let server = Server::start(Some(ok(&key_set(&[&ed25519("a")])))).await;
    let keys = start(&server.uri, pace(NEVER, 1)).await.expect("keys");
    keys.ready().await;
    let asked = server.asked();
    let deadline = Instant::now() + PATIENCE;
    while server.asked() < asked + 3 {
        assert!(Instant::now() < deadline);
        keys.read_again().await.expect("nobody else waits");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn only_so_many_wait_for_an_unknown_key() {
    let server = Server::start(Some(ok(&key_set(&[&ed25519("a")])))).await;
    let keys = start(&server.uri, pace(NEVER, NEVER)).await.expect("keys");
    keys.ready().await;
    // All begin before the server can answer one of them.
    let all = futures::future::join_all((0..=WAITING_MAX).map(|_| keys.read_again())).await;
    assert!(matches!(all[WAITING_MAX], Err(Crowded)));
    assert!(
        all[..WAITING_MAX]
            .iter()
            .all(|read| matches!(read, Ok(true)))
    );
}
