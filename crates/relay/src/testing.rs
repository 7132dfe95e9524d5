//! A private NATS server for tests, with JetStream: with the feature `testing`.

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use std::time::{Duration, Instant};

use async_nats::jetstream;
use bytes::Bytes;
use tempfile::TempDir;

use crate::settings::Settings;

/// The variable that holds the path of the `nats-server` to test with; `./dev test` sets it.
pub const NATS_SERVER: &str = "CLIENTELE_TEST_NATS_SERVER";

/// How long a server may take to listen.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server of one's own, in a temporary folder on a free port.
pub struct NatsServer {
    program: PathBuf,
    folder: TempDir,
    port: u16,
    /// Lines of the configuration file beyond the usual ones.
    more: String,
    child: Option<Child>,
}

/// An event as the stream has it.
#[derive(Clone, Debug)]
pub struct Received {
    /// Where it was published.
    pub subject: String,
    /// `ce-id`.
    pub id: String,
    /// `ce-type`.
    pub event_type: String,
    /// `ce-subject`: the resource.
    pub resource: String,
    /// `ce-sequence`: the resource's revision.
    pub revision: i64,
    /// The data.
    pub data: Bytes,
}

impl NatsServer {
    /// Starts one; none, which is said in one line, where [`NATS_SERVER`] is not set.
    ///
    /// # Panics
    ///
    /// Panics when it does not start.
    pub fn start() -> Option<Self> {
        Self::start_with("")
    }

    /// The same with more lines in its configuration file.
    ///
    /// # Panics
    ///
    /// Panics when it does not start.
    #[expect(clippy::expect_used, reason = "a test cannot go on without its server")]
    pub fn start_with(more: &str) -> Option<Self> {
        static SAY: Once = Once::new();
        let Some(program) = std::env::var_os(NATS_SERVER).filter(|path| !path.is_empty()) else {
            // Not by eprintln!, which the test runner would keep to itself.
            SAY.call_once(|| {
                let line = format!("{NATS_SERVER} is not set: tests with NATS are left out\n");
                drop(std::io::stderr().write_all(line.as_bytes()));
            });
            return None;
        };
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = free.local_addr().expect("its number").port();
        drop(free);
        let mut server = Self {
            program: program.into(),
            folder: TempDir::new().expect("a temporary folder"),
            port,
            more: more.to_owned(),
            child: None,
        };
        server.restart();
        Some(server)
    }

    /// Where it listens, now and after each restart.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Everything that is in the stream [`Settings::STREAM`], in its order; nothing where the server or
    /// the stream is not there.
    ///
    /// # Panics
    ///
    /// Panics when what is there is no event.
    #[expect(clippy::expect_used, reason = "a test fails by panicking")]
    pub async fn received(&self) -> Vec<Received> {
        let Ok(client) = async_nats::connect(self.url()).await else {
            return Vec::new();
        };
        let Ok(stream) = jetstream::new(client).get_stream(Settings::STREAM).await else {
            return Vec::new();
        };
        let mut all = Vec::new();
        for sequence in 1..=stream.cached_info().state.last_sequence {
            let message = stream.get_raw_message(sequence).await.expect("a message");
            let header = |name: &str| {
                let value = message.headers.get(name).expect("a header of the event");
                value.as_str().to_owned()
            };
            all.push(Received {
                subject: message.subject.to_string(),
                id: header("ce-id"),
                event_type: header("ce-type"),
                resource: header("ce-subject"),
                revision: header("ce-sequence").parse().expect("a number"),
                data: message.payload.clone(),
            });
        }
        all
    }

    /// Ends it at once (`kill -9`). What it has stored stays.
    ///
    /// # Panics
    ///
    /// Panics when it can't be ended.
    #[expect(clippy::expect_used, reason = "a test cannot go on without its server")]
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("a server that can be killed");
            child.wait().expect("an ended server");
        }
    }

    /// Starts it again, on the same port with what it has stored.
    ///
    /// # Panics
    ///
    /// Panics when it does not start.
    #[expect(
        clippy::expect_used,
        clippy::panic,
        reason = "a test cannot go on without its server"
    )]
    pub fn restart(&mut self) {
        self.kill();
        let folder = self.folder.path();
        let configuration = folder.join("server.conf");
        let text = format!(
            "listen: \"127.0.0.1:{}\"\njetstream {{ store_dir: \"{}\" }}\n{}\n",
            self.port,
            folder.join("store").display(),
            self.more
        );
        std::fs::write(&configuration, text).expect("a configuration file");
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(folder.join("server.log"))
            .expect("a log file");
        let child = Command::new(&self.program)
            .arg("-c")
            .arg(&configuration)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("nats-server");
        self.child = Some(child);
        let started = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            if started.elapsed() > PATIENCE {
                let log = std::fs::read_to_string(folder.join("server.log")).unwrap_or_default();
                panic!("nats-server does not listen:\n{log}");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
    }
}
