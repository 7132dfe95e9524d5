//! A running suite: the binary as its users start it, all in one process or a process a service.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serve::tls::ClientTls;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::client::Client;
use crate::engine::{Databases, Engine, SERVICES};
use crate::realm::Realm;

/// How the suite's services are spread over processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `clientele up`: all in one.
    One,
    /// `clientele serve`: a process for each service.
    Three,
}

/// A suite that runs until it is dropped.
pub struct Suite {
    folder: TempDir,
    databases: Option<Databases>,
    listen: &'static str,
    processes: Vec<Process>,
}

/// One process of a suite.
pub struct Process {
    /// The service it runs; `up` for all of them.
    pub service: &'static str,
    /// Where it listens, the same after each restart.
    pub uri: String,
    arguments: Vec<String>,
    child: Option<Child>,
}

impl Suite {
    /// Starts a suite on fresh databases, which serves everyone on this machine.
    ///
    /// # Panics
    ///
    /// Panics when it does not come up.
    pub async fn start(engine: Engine, layout: Layout) -> Self {
        Self::start_in(engine, layout, None).await
    }

    /// Starts a suite on fresh databases, which serves those whose tokens the realm has signed.
    ///
    /// # Panics
    ///
    /// Panics when it does not come up.
    pub async fn start_in(engine: Engine, layout: Layout, realm: Option<&Realm>) -> Self {
        Self::start_with(engine, layout, &|service| match (realm, service) {
            (Some(realm), "up") => realm.arguments(),
            (Some(realm), service) => realm.arguments_of(service),
            (None, _) => Vec::new(),
        })
        .await
    }

    /// Starts a suite on fresh databases, each of whose processes gets these arguments too: `more` is
    /// asked with the name of its service, or `up`.
    ///
    /// # Panics
    ///
    /// Panics when it does not come up.
    pub async fn start_with(
        engine: Engine,
        layout: Layout,
        more: &dyn Fn(&str) -> Vec<String>,
    ) -> Self {
        Self::start_on("127.0.0.1:0", engine, layout, more).await
    }

    /// The same, each of whose processes listens on this address first.
    ///
    /// # Panics
    ///
    /// Panics when it does not come up.
    pub async fn start_on(
        listen: &'static str,
        engine: Engine,
        layout: Layout,
        more: &dyn Fn(&str) -> Vec<String>,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let databases = (engine == Engine::Postgres).then(Databases::create);
        let mut suite = Self {
            folder,
            databases,
            listen,
            processes: Vec::new(),
        };
        match layout {
            Layout::One => suite.start_one(more).await,
            Layout::Three => suite.start_three(more).await,
        }
        suite
    }

    /// Starts one service and no other, with these arguments.
    ///
    /// # Panics
    ///
    /// Panics when it does not come up.
    pub async fn alone(service: &'static str, more: &[&str]) -> Self {
        let mut suite = Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            databases: None,
            listen: "127.0.0.1:0",
            processes: Vec::new(),
        };
        let arguments = ["serve", service].into_iter().chain(more.iter().copied());
        let arguments = arguments.map(str::to_owned).collect();
        suite.add(service, arguments).await;
        suite
    }

    /// A client of this suite.
    ///
    /// # Panics
    ///
    /// Panics when the suite has no process for a service.
    pub fn client(&self) -> Client {
        let uri = |service| self.process(service).uri.clone();
        Client::new(&uri("contacts"), &uri("pipeline"), &uri("billing")).expect("a client")
    }

    /// A client of this suite, which speaks TLS.
    ///
    /// # Panics
    ///
    /// Panics when the suite has no process for a service.
    pub fn client_over(&self, tls: &ClientTls) -> Client {
        let uri = |service| self.process(service).uri.clone();
        let (contacts, pipeline, billing) = (uri("contacts"), uri("pipeline"), uri("billing"));
        Client::over(tls, &contacts, &pipeline, &billing).expect("a client")
    }

    /// What the process of `service` has logged until now.
    ///
    /// # Panics
    ///
    /// Panics when there is no such log.
    pub fn log(&self, service: &str) -> String {
        let path = self.folder.path().join(format!("{service}.log"));
        std::fs::read_to_string(path).expect("a log")
    }

    /// The process that runs `service`.
    ///
    /// # Panics
    ///
    /// Panics when there is none.
    pub fn process(&self, service: &str) -> &Process {
        let found = self
            .processes
            .iter()
            .find(|p| p.service == service || p.service == "up");
        found.expect("a process for the service")
    }

    /// Ends the process of `service` at once, as a power cut would (`kill -9`).
    pub async fn kill(&mut self, service: &str) {
        let process = self.process_mut(service);
        if let Some(mut child) = process.child.take() {
            child.kill().await.expect("a process that can be killed");
        }
    }

    /// Starts the process of `service` again, at the same address on the same data.
    pub async fn restart(&mut self, service: &str) {
        let folder = self.folder.path().to_owned();
        let listen = self.listen;
        self.process_mut(service).spawn(&folder, listen).await;
    }

    /// Starts another process of `service` on the same database.
    pub async fn replica(&self, service: &str) -> Process {
        let original = self.process(service);
        let mut replica = Process {
            service: original.service,
            uri: String::new(),
            arguments: original.arguments.clone(),
            child: None,
        };
        replica.spawn(self.folder.path(), self.listen).await;
        replica
    }

    /// Asks the process of `service` to end (SIGTERM) and waits until it has; its exit code.
    pub async fn terminate(&mut self, service: &str) -> Option<i32> {
        let mut child = self
            .process_mut(service)
            .child
            .take()
            .expect("a running process");
        let id = child.id().expect("a running process").to_string();
        let told = Command::new("kill")
            .args(["-TERM", &id])
            .status()
            .await
            .expect("kill");
        assert!(told.success());
        child.wait().await.expect("an ended process").code()
    }

    /// The URL of a service's database.
    ///
    /// # Panics
    ///
    /// Panics for a path that is not UTF-8.
    pub fn database_url(&self, service: &str) -> String {
        match &self.databases {
            Some(databases) => databases.url(service),
            None => format!(
                "sqlite:{}",
                self.folder.path().join(format!("{service}.db")).display()
            ),
        }
    }

    /// The databases, where they are on PostgreSQL.
    pub fn databases(&self) -> Option<&Databases> {
        self.databases.as_ref()
    }

    fn process_mut(&mut self, service: &str) -> &mut Process {
        let found = self
            .processes
            .iter_mut()
            .find(|p| p.service == service || p.service == "up");
        found.expect("a process for the service")
    }

    async fn start_one(&mut self, more: &dyn Fn(&str) -> Vec<String>) {
        let mut arguments = vec!["up".to_owned(), "--data-dir".to_owned()];
        arguments.push(self.folder.path().display().to_string());
        if self.databases.is_some() {
            for service in SERVICES {
                arguments.push(format!("--{service}-database-url"));
                arguments.push(self.database_url(service));
            }
        }
        arguments.extend(more("up"));
        self.add("up", arguments).await;
    }

    async fn start_three(&mut self, more: &dyn Fn(&str) -> Vec<String>) {
        for service in SERVICES {
            let mut arguments = vec![
                "serve".to_owned(),
                service.to_owned(),
                "--migrate".to_owned(),
            ];
            arguments.extend(["--database-url".to_owned(), self.database_url(service)]);
            let peer = match service {
                "pipeline" => Some("contacts"),
                "billing" => Some("pipeline"),
                _ => None,
            };
            if let Some(peer) = peer {
                arguments.push(format!("--{peer}-uri"));
                arguments.push(self.process(peer).uri.clone());
            }
            arguments.extend(more(service));
            self.add(service, arguments).await;
        }
    }

    async fn add(&mut self, service: &'static str, arguments: Vec<String>) {
        let mut process = Process {
            service,
            uri: String::new(),
            arguments,
            child: None,
        };
        process.spawn(self.folder.path(), self.listen).await;
        self.processes.push(process);
    }
}

impl Process {
    /// Starts the process and waits for the line that says where it listens: first where it is told,
    /// later always there.
    async fn spawn(&mut self, folder: &Path, listen: &str) {
        let listen = self
            .uri
            .split_once("://")
            .map_or(listen, |(_, address)| address)
            .to_owned();
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(folder.join(format!("{}.log", self.service)))
            .expect("a log file");
        let mut child = Command::new(binary())
            .args(&self.arguments)
            .args(["--listen", &listen])
            .env("CLIENTELE_LOG", "info")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .expect("the clientele binary");
        let stdout = child.stdout.take().expect("its standard output");
        let mut lines = BufReader::new(stdout).lines();
        let announced = tokio::time::timeout(Duration::from_secs(30), async {
            while let Some(line) = lines.next_line().await.expect("a line") {
                if let Some(at) = line.find("http") {
                    return line[at..]
                        .split_whitespace()
                        .next()
                        .unwrap_or_default()
                        .to_owned();
                }
            }
            let log = folder.join(format!("{}.log", self.service));
            let log = std::fs::read_to_string(log).unwrap_or_default();
            panic!("{} ended before it listened:\n{log}", self.service)
        });
        self.uri = announced
            .await
            .expect("the process says where it listens within 30 s");
        // What else it prints is read and dropped, so that it never waits for a reader.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        self.child = Some(child);
    }
}

/// The binary under test: the one named by `CLIENTELE_BIN`, else the one built beside the tests and the bench.
///
/// # Panics
///
/// Panics where there is none yet.
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("CLIENTELE_BIN") {
        return path.into();
    }
    let program = std::env::current_exe().expect("the path of this program");
    let mut folder = program.parent().expect("the program's folder");
    // Tests are built one folder below the programs.
    if folder.ends_with("deps") {
        folder = folder.parent().expect("the folder of the programs");
    }
    let path = folder.join("clientele");
    assert!(
        path.is_file(),
        "the binary is not built: run cargo build --workspace --all-targets"
    );
    path
}
