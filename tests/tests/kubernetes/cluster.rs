//! A cluster's stand-in: pods as processes of the binary, with the arguments, the environment and the
//! probes that the production overlay gives them, and in front of each service an address that leads to
//! its pods.
//!
//! Only what a machine must have otherwise is put in place of what is written: paths, ports, addresses,
//! Secrets.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use harness::certificates::Certificates;
use harness::client::Client;
use harness::engine::{Databases, Engine, ROLE, SERVICES};
use harness::eventually::eventually;
use harness::realm::Realm;
use harness::suite::binary;
use serde_json::json;
use serve::testing::authority::spiffe;
use serve::testing::{AUDIENCE, ISSUER};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::objects::{Objects, list, text};
use crate::servers::Servers;

/// The workspace that callers may enter.
pub const WORKSPACE: &str = "workspaces/secure";

/// Services, their databases, and who may call.
pub struct Cluster {
    objects: Objects,
    realm: Realm,
    certificates: Certificates,
    databases: Option<Databases>,
    bus: Option<Servers>,
    doors: BTreeMap<&'static str, Door>,
}

/// A running pod.
pub struct Pod {
    /// Where it listens.
    pub port: u16,
    process: Child,
}

/// The address of a service: a new connection goes to one of its pods.
struct Door {
    port: u16,
    pods: Arc<Mutex<Vec<u16>>>,
    turned_away: Arc<AtomicU64>,
}

impl Door {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let pods: Arc<Mutex<Vec<u16>>> = Arc::default();
        let turned_away: Arc<AtomicU64> = Arc::default();
        let (known, counted) = (Arc::clone(&pods), Arc::clone(&turned_away));
        tokio::spawn(async move {
            while let Ok((mut caller, _)) = listener.accept().await {
                let pod = {
                    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
                    if known.is_empty() {
                        continue;
                    }
                    known.rotate_left(1);
                    known[0]
                };
                let counted = Arc::clone(&counted);
                tokio::spawn(async move {
                    let Ok(mut pod) = TcpStream::connect(("127.0.0.1", pod)).await else {
                        counted.fetch_add(1, Ordering::Relaxed);
                        return;
                    };
                    let _ = tokio::io::copy_bidirectional(&mut caller, &mut pod).await;
                });
            }
        });
        Self {
            port,
            pods,
            turned_away,
        }
    }
}

impl Cluster {
    /// Databases with the schema that the migration Jobs make, and no pod yet.
    pub async fn new(engine: Engine) -> Self {
        let mut cluster = Self {
            objects: Objects::render("production"),
            realm: Realm::new(),
            certificates: Certificates::new(),
            databases: (engine == Engine::Postgres).then(Databases::create),
            bus: None,
            doors: BTreeMap::new(),
        };
        for service in SERVICES {
            cluster.certificates.renew(service);
            cluster.doors.insert(service, Door::open().await);
        }
        for service in SERVICES {
            let mut job = cluster.command("Job", &format!("{service}-migrate"), service, [0, 0]);
            let migrated = job.status().await.expect("the binary");
            assert!(migrated.success(), "{service} migrates");
        }
        cluster
    }

    /// The same with the servers of the bus; none where there is no `nats-server` to test with. In a
    /// cluster without them events wait.
    pub async fn with_bus(engine: Engine) -> Option<Self> {
        let mut cluster = Self::new(engine).await;
        cluster.bus = Some(Servers::start(&cluster.objects, &cluster.certificates).await?);
        Some(cluster)
    }

    /// The servers of the bus.
    pub fn bus(&self) -> Option<&Servers> {
        self.bus.as_ref()
    }

    /// Starts a pod of a service, and waits until its probes are content.
    pub async fn start(&self, service: &str) -> Pod {
        let (port, health) = (free_port().await, free_port().await);
        let mut command = self.command("Deployment", service, service, [port, health]);
        let process = command.spawn().expect("the binary");
        let deployment = self.objects.get("Deployment", service).expect("is there");
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        for kind in ["startupProbe", "livenessProbe", "readinessProbe"] {
            let asked = text(&container[kind]["grpc"]["service"]);
            eventually(kind, async || probe(health, asked).await).await;
        }
        Pod { port, process }
    }

    /// Lets new connections to the service go to these pods.
    pub fn lead(&self, service: &str, pods: &[&Pod]) {
        let known = &self.doors[service].pods;
        let ports = pods.iter().map(|pod| pod.port).collect();
        *known.lock().unwrap_or_else(PoisonError::into_inner) = ports;
    }

    /// How many connections were led to a pod that took none any more.
    pub fn turned_away(&self) -> u64 {
        let doors = self.doors.values();
        doors
            .map(|door| door.turned_away.load(Ordering::Relaxed))
            .sum()
    }

    /// Somebody who may do everything in the workspace.
    pub async fn caller(&self) -> Client {
        let uri = |service| format!("https://localhost:{}", self.doors[service].port);
        let (contacts, pipeline, billing) = (uri("contacts"), uri("pipeline"), uri("billing"));
        let tls = self.certificates.caller().await;
        let client = Client::over(&tls, &contacts, &pipeline, &billing).expect("a client");
        let roles = json!({"secure": ["admin"]});
        client.bearing(&self.realm.token_of("ada", &roles))
    }

    /// The command of a workload's pods, in the environment that they have and no other.
    fn command(&self, kind: &str, name: &str, service: &str, ports: [u16; 2]) -> Command {
        let object = self.objects.get(kind, name).expect("a workload");
        let container = &object["spec"]["template"]["spec"]["containers"][0];
        let mut command = Command::new(binary());
        let arguments = list(&container["args"]);
        command
            .env_clear()
            .args(arguments.iter().map(text))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true);
        let mut places = self.places(service, ports);
        places.insert("CLIENTELE_DATABASE_URL_FILE", self.secret(kind, service));
        for (setting, written) in self.objects.environment(container) {
            if setting == "CLIENTELE_GRANT_TO" && self.databases.is_none() {
                // SQLite has no roles.
                continue;
            }
            let place = places.get(setting.as_str()).cloned();
            let value = place
                .or(written)
                .expect("a value, or a place of this machine");
            command.env(setting, value);
        }
        command
    }

    /// The file that a workload's Secret is mounted as: a Job is the owner of its database, a service is
    /// not.
    fn secret(&self, kind: &str, service: &str) -> String {
        let folder = self.certificates.folder();
        let url = match &self.databases {
            Some(databases) if kind == "Job" => databases.owner_url(service),
            Some(databases) => databases.url(service),
            None => format!("sqlite:{}", folder.join(format!("{service}.db")).display()),
        };
        let file = folder.join(format!("{service}-{kind}.url"));
        std::fs::write(&file, url).expect("a file");
        file.display().to_string()
    }

    /// What stands on this machine in place of what is in the cluster.
    fn places(&self, service: &str, [port, health]: [u16; 2]) -> BTreeMap<&'static str, String> {
        let file = |name: &str| self.certificates.folder().join(name).display().to_string();
        let uri = |service| format!("https://localhost:{}", self.doors[service].port);
        let nowhere = || "tls://localhost:1".to_owned();
        let bus = self.bus.as_ref().map_or_else(nowhere, Servers::url);
        let keys = self.realm.arguments().swap_remove(1);
        BTreeMap::from([
            ("CLIENTELE_LISTEN", format!("127.0.0.1:{port}")),
            ("CLIENTELE_HEALTH_LISTEN", format!("127.0.0.1:{health}")),
            ("CLIENTELE_TLS_CERTIFICATE", file(&format!("{service}.pem"))),
            ("CLIENTELE_TLS_KEY", file(&format!("{service}.key"))),
            ("CLIENTELE_NATS_URL", bus),
            (
                "CLIENTELE_NATS_CERTIFICATE",
                file(&format!("{service}.pem")),
            ),
            ("CLIENTELE_NATS_KEY", file(&format!("{service}.key"))),
            ("CLIENTELE_NATS_CA", file("ca.pem")),
            ("CLIENTELE_CLIENT_CA", file("ca.pem")),
            ("CLIENTELE_PEER_CA", file("ca.pem")),
            ("CLIENTELE_SERVICE_SAN", spiffe("{service}")),
            ("CLIENTELE_JWKS", keys),
            ("CLIENTELE_ISSUER", ISSUER.to_owned()),
            ("CLIENTELE_AUDIENCE", AUDIENCE.to_owned()),
            ("CLIENTELE_GRANT_TO", ROLE.to_owned()),
            ("CLIENTELE_CONTACTS_URI", uri("contacts")),
            ("CLIENTELE_PIPELINE_URI", uri("pipeline")),
            // Connections of a machine that others test on too, and news that travel faster.
            ("CLIENTELE_POOL_MAX", "4".to_owned()),
            ("CLIENTELE_LAME_DUCK_MS", "2000".to_owned()),
        ])
    }
}

impl Pod {
    /// Asks the process to end (SIGTERM), as the kubelet does.
    pub async fn terminate(&self) {
        let id = self.process.id().expect("a running process").to_string();
        let told = Command::new("kill").args(["-TERM", &id]).status().await;
        assert!(told.expect("kill").success());
    }

    /// Waits for the end of the process, which must be a good one.
    pub async fn ended(mut self) {
        let ended = self.process.wait().await.expect("an ended process");
        assert_eq!(ended.code(), Some(0), "it ends by itself");
    }
}

async fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("its address").port()
}

/// Asks what the kubelet asks.
async fn probe(port: u16, service: &str) -> Result<(), String> {
    let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}")).expect("an address");
    let channel = endpoint.connect().await;
    let service = service.to_owned();
    let answer = HealthClient::new(channel.map_err(|error| error.to_string())?)
        .check(HealthCheckRequest { service })
        .await
        .map_err(|status| status.to_string())?;
    match answer.into_inner().status() {
        ServingStatus::Serving => Ok(()),
        other => Err(format!("{other:?}")),
    }
}
