//! The NATS servers of the production overlay as processes, with the configuration, the environment and
//! the probes that stand there.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use async_nats::{Client, ConnectError, ConnectOptions, Event};
use harness::certificates::Certificates;
use harness::eventually::eventually;
use relay::testing::NATS_SERVER;
use serve::testing::authority::spiffe;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

use crate::objects::{Objects, list, root, text};

/// Who may read and do everything, beside those of the overlay.
pub const READER: &str = "reader";

/// Who consumes events, as the README has it.
pub const CONSUMER: &str = "newsletter";

/// Servers that know each other.
pub struct Servers {
    _folder: TempDir,
    port: u16,
    authority: PathBuf,
    certificates: PathBuf,
    _processes: Vec<Child>,
}

/// The ports of a server, in the order in which its configuration has them.
struct Ports {
    client: u16,
    monitor: u16,
    cluster: u16,
}

impl Ports {
    async fn free() -> Self {
        let listen = || TcpListener::bind("127.0.0.1:0");
        // All at once, so that they differ.
        let held = [listen().await, listen().await, listen().await];
        let [client, monitor, cluster] = held.map(|listener| {
            let listener = listener.expect("a port");
            listener.local_addr().expect("its address").port()
        });
        Self {
            client,
            monitor,
            cluster,
        }
    }
}

impl Servers {
    /// Starts as many as the overlay has, and waits until their probes are content; none where there is
    /// no `nats-server` to test with.
    pub async fn start(objects: &Objects, certificates: &Certificates) -> Option<Self> {
        let program = std::env::var_os(NATS_SERVER).filter(|path| !path.is_empty())?;
        certificates.renew("nats");
        certificates.renew(READER);
        certificates.renew(CONSUMER);
        let set = objects.get("StatefulSet", "nats").expect("the servers");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut ports = Vec::new();
        for _ in 0..set["spec"]["replicas"].as_u64().expect("a number") {
            ports.push(Ports::free().await);
        }
        let mut processes = Vec::new();
        for index in 0..ports.len() {
            let home = folder.path().join(format!("nats-{index}"));
            std::fs::create_dir(&home).expect("a folder");
            let written = configuration(objects);
            let placed = placed(written, &home, certificates.folder(), &ports, index);
            std::fs::write(home.join("nats.conf"), placed).expect("a file");
            let log = std::fs::File::create(home.join("log")).expect("a file");
            let started = Command::new(&program)
                .arg("--config")
                .arg(home.join("nats.conf"))
                .env("POD_NAME", format!("nats-{index}"))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(log)
                .kill_on_drop(true)
                .spawn();
            processes.push(started.expect("nats-server"));
        }
        let container = &set["spec"]["template"]["spec"]["containers"][0];
        for (index, ports) in ports.iter().enumerate() {
            for kind in ["startupProbe", "livenessProbe", "readinessProbe"] {
                let path = text(&container[kind]["httpGet"]["path"]);
                let log = folder.path().join(format!("nats-{index}/log"));
                eventually(kind, async || {
                    let answer = probe(ports.monitor, path).await;
                    let said = || std::fs::read_to_string(&log).unwrap_or_default();
                    answer.map_err(|error| format!("{error}\n{}", said()))
                })
                .await;
            }
        }
        Some(Self {
            _folder: folder,
            port: ports[0].client,
            authority: certificates.root().to_owned(),
            certificates: certificates.folder().to_owned(),
            _processes: processes,
        })
    }

    /// Where clients connect.
    pub fn url(&self) -> String {
        format!("tls://localhost:{}", self.port)
    }

    /// Connects with the certificate of this name and answers on its own inbox; `tell` hears what the
    /// server says.
    pub async fn connect(
        &self,
        name: &str,
        tell: impl Fn(Event) + Send + Sync + 'static,
    ) -> Result<Client, ConnectError> {
        let file = |ending: &str| self.certificates.join(format!("{name}.{ending}"));
        let options = ConnectOptions::new()
            .add_client_certificate(file("pem"), file("key"))
            .custom_inbox_prefix(inbox(name))
            .event_callback(move |event| {
                tell(event);
                async {}
            });
        self.connect_with(options).await
    }

    /// Connects without a certificate.
    pub async fn connect_as_nobody(&self) -> Result<Client, ConnectError> {
        self.connect_with(ConnectOptions::new()).await
    }

    async fn connect_with(&self, options: ConnectOptions) -> Result<Client, ConnectError> {
        let options = options.add_root_certificates(self.authority.clone());
        options.connect(self.url()).await
    }
}

/// What the subjects begin with on which a user is answered.
pub fn inbox(user: &str) -> String {
    format!("_INBOX_{user}")
}

/// The user that the README shows for a consumer.
fn consumer() -> String {
    let readme = std::fs::read_to_string(root().join("k8s/README.md")).expect("the README");
    let block = readme.split("```conf\n").nth(1);
    let block = block.and_then(|block| block.split("```").next());
    block.expect("a user in the README").to_owned()
}

/// The configuration that the overlay gives the servers.
fn configuration(objects: &Objects) -> String {
    let set = objects.get("StatefulSet", "nats").expect("the servers");
    let mut volumes = list(&set["spec"]["template"]["spec"]["volumes"]).iter();
    let map = volumes.find_map(|volume| volume["configMap"]["name"].as_str());
    let map = objects.get("ConfigMap", map.expect("a configuration"));
    text(&map.expect("a ConfigMap")["data"]["nats.conf"]).to_owned()
}

/// The configuration with what stands on this machine in place of what is in the cluster, and two users
/// more.
fn placed(
    written: String,
    home: &Path,
    certificates: &Path,
    ports: &[Ports],
    index: usize,
) -> String {
    let file = |name: &str| certificates.join(name).display().to_string();
    let own = |name: &str| home.join(name).display().to_string();
    let here = |port: u16| format!("127.0.0.1:{port}");
    let reader = format!("{{ user: \"{}\" }}", spiffe(READER));
    let users = format!("users: [\n{reader}\n{}", consumer());
    let mut places = vec![
        ("users: [\n", users),
        ("spiffe://cluster.local/ns/clientele/sa/", spiffe("")),
        ("/etc/nats-tls/tls.crt", file("nats.pem")),
        ("/etc/nats-tls/tls.key", file("nats.key")),
        ("/etc/nats-tls/ca.crt", file("ca.pem")),
        ("/var/run/nats/nats.pid", own("pid")),
        ("\"/data\"", format!("\"{}\"", own("data"))),
        ("0.0.0.0:4222", here(ports[index].client)),
        ("0.0.0.0:8222", here(ports[index].monitor)),
        ("0.0.0.0:6222", here(ports[index].cluster)),
    ]
    .into_iter()
    .map(|(written, place)| (written.to_owned(), place))
    .collect::<Vec<_>>();
    for (index, ports) in ports.iter().enumerate() {
        let written = format!("nats-{index}.nats-headless:6222");
        places.push((written, format!("localhost:{}", ports.cluster)));
    }
    places.into_iter().fold(written, |text, (written, place)| {
        assert!(text.contains(&written), "{written} is in the configuration");
        text.replace(&written, &place)
    })
}

/// Asks what the kubelet asks.
async fn probe(port: u16, path: &str) -> Result<(), String> {
    let asked = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        let request = format!("GET {path} HTTP/1.0\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = asked.await.map_err(|error| error.to_string())?;
    match answer.lines().next() {
        Some(status) if status.contains(" 200 ") => Ok(()),
        _ => Err(answer),
    }
}
