//! A pipeline of a few hundred lines: it gives grants, recalls them, fences them, and completes
//! nothing before it is acknowledged. This file is what the tests do with it; `service` answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proto::contacts::v1::Role;
use proto::google::r#type as google;
use proto::pipeline::v1;
use proto::pipeline::v1::entitlement_service_server::EntitlementServiceServer;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::transport::server::TcpIncoming;

use super::{LONG, PARENT};

mod service;

/// The entitlements of a stage, as `free-switch` has them.
fn stage_of(stage: &str) -> (Role, BTreeSet<String>) {
    let prospects = ["promo_material", "private_message", "estimate", "proposal"];
    let everything = ["portal_login", "invoice", "project"];
    let (role, entitlements): (Role, Vec<&str>) = match stage {
        "client" => (
            Role::Client,
            prospects.into_iter().chain(everything).collect(),
        ),
        "lead" => (Role::Lead, prospects.to_vec()),
        "contact" => (Role::Contact, Vec::new()),
        _ => (Role::Unspecified, Vec::new()),
    };
    (role, entitlements.into_iter().map(str::to_owned).collect())
}

#[derive(Clone, Debug, Default)]
struct Position {
    stage: String,
    revision: i64,
    holders: BTreeSet<String>,
    pending: Option<(String, i64)>,
    documents_exist: Option<bool>,
}

/// How it takes calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    Answers,
    /// It refuses every call.
    Down,
    /// It never answers who asks for a grant.
    Mute,
}

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a mishap of its own")]
struct World {
    epoch: i64,
    activation: i64,
    fence_waits: bool,
    ignore_acknowledgements: bool,
    reach: Reach,
    /// The stream of recalls tells of an epoch that is over.
    stream_behind: bool,
    streams: usize,
    legal_name: String,
    display_name: String,
    attached: BTreeMap<String, i64>,
    /// Whoever opens a stream of recalls, as one does who learns the epoch, is kept waiting.
    streams_held: bool,
    streams_waiting: usize,
    positions: BTreeMap<String, Position>,
    acquired: usize,
    acknowledged: Vec<(String, i64)>,
    /// The grant that the next AcquireGrant answers although it is outdated by then.
    late: Option<v1::AcquireGrantResponse>,
}

/// The handle of the tests.
#[derive(Clone)]
pub struct Pipeline {
    world: Arc<Mutex<World>>,
    changed: Arc<Notify>,
    uri: String,
    stop: CancellationToken,
}

impl Pipeline {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let uri = format!("http://{}", listener.local_addr().expect("an address"));
        let world = World {
            epoch: 100,
            activation: 1,
            fence_waits: false,
            ignore_acknowledgements: false,
            reach: Reach::Answers,
            stream_behind: false,
            streams: 0,
            legal_name: "Example Ltd".into(),
            display_name: "Ada".into(),
            attached: BTreeMap::new(),
            streams_held: false,
            streams_waiting: 0,
            positions: BTreeMap::new(),
            acquired: 0,
            acknowledged: Vec::new(),
            late: None,
        };
        let pipeline = Self {
            world: Arc::new(Mutex::new(world)),
            changed: Arc::new(Notify::new()),
            uri,
            stop: CancellationToken::new(),
        };
        let (service, stop) = (pipeline.clone(), pipeline.stop.clone());
        tokio::spawn(async move {
            tonic::transport::Server::builder()
                .add_service(EntitlementServiceServer::new(service))
                .serve_with_incoming_shutdown(TcpIncoming::from(listener), stop.cancelled_owned())
                .await
                .expect("the server runs");
        });
        pipeline
    }

    pub fn uri(&self) -> String {
        self.uri.clone()
    }

    fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let changed = change(&mut self.world.lock().expect("no test panicked in here"));
        self.changed.notify_waiters();
        changed
    }

    /// Puts a contact at a stage; nothing may be taken away by it.
    pub fn put(&self, contact: &str, stage: &str) {
        self.change(|world| {
            let position = world.positions.entry(contact.to_owned()).or_default();
            stage.clone_into(&mut position.stage);
            position.revision += 1;
        });
    }

    /// Begins a move that takes away; true where it waits for acknowledgements.
    pub fn demote_begin(&self, contact: &str, stage: &str) -> bool {
        self.change(|world| {
            let position = world.positions.get_mut(contact).expect("a contact");
            position.revision += 1;
            position.documents_exist = None;
            if position.holders.is_empty() {
                stage.clone_into(&mut position.stage);
                return false;
            }
            position.pending = Some((stage.to_owned(), position.revision));
            true
        })
    }

    pub fn is_pending(&self, contact: &str) -> bool {
        self.look(|world| world.positions[contact].pending.is_some())
    }

    fn look<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        look(&self.world.lock().expect("no test panicked in here"))
    }

    /// Moves a contact to a stage that takes away; ready once the move is complete.
    pub async fn demote(&self, contact: &str, stage: &str) {
        if self.demote_begin(contact, stage) {
            let deadline = tokio::time::Instant::now() + LONG;
            while self.is_pending(contact) {
                assert!(
                    tokio::time::Instant::now() < deadline,
                    "the demotion never completed"
                );
                let changed = self.changed.notified();
                let _ = tokio::time::timeout(Duration::from_millis(1), changed).await;
            }
        }
    }

    /// What the acknowledgement of the contact's last recall said.
    pub fn documents_exist(&self, contact: &str) -> Option<bool> {
        self.look(|world| world.positions[contact].documents_exist)
    }

    /// Aborts a move that waits: the stage stays, the holder too.
    pub fn cancel(&self, contact: &str) {
        self.change(|world| {
            let position = world.positions.get_mut(contact).expect("a contact");
            position.pending = None;
            position.revision += 1;
        });
    }

    /// Activates the next policy; ready once every holder has raised its fence.
    pub async fn activate(&self) {
        self.change(|world| {
            world.activation += 1;
            world.fence_waits = !world.attached.is_empty();
        });
        super::eventually("the fence is up", async || {
            !self.look(|world| world.fence_waits)
        })
        .await;
    }

    /// A new life of the database, as after a restore: who holds what is forgotten, and revisions
    /// begin anew.
    pub fn restore(&self) {
        self.change(|world| {
            world.epoch += 1;
            world.activation = 1;
            world.attached.clear();
            for position in world.positions.values_mut() {
                position.holders.clear();
                position.pending = None;
                position.revision = 1;
            }
        });
    }

    /// Keeps whoever opens a stream of recalls waiting, or lets them go on.
    pub fn hold_streams(&self, held: bool) {
        self.change(|world| world.streams_held = held);
    }

    pub fn set_down(&self, down: bool) {
        let reach = if down { Reach::Down } else { Reach::Answers };
        self.change(|world| world.reach = reach);
    }

    pub fn ignore_acknowledgements(&self, ignore: bool) {
        self.change(|world| world.ignore_acknowledgements = ignore);
    }

    /// Never answers who asks for a grant, like a host that swallows what it is sent.
    pub fn set_mute(&self, mute: bool) {
        let reach = if mute { Reach::Mute } else { Reach::Answers };
        self.change(|world| world.reach = reach);
    }

    /// Tells of the epoch before this one on the stream of recalls, as a deposed replica would.
    pub fn set_stream_behind(&self, behind: bool) {
        self.change(|world| world.stream_behind = behind);
    }

    /// How often the stream of recalls was opened.
    pub fn streams(&self) -> usize {
        self.look(|world| world.streams)
    }

    /// How many who open a stream of recalls are kept waiting.
    pub fn streams_waiting(&self) -> usize {
        self.look(|world| world.streams_waiting)
    }

    /// Gives all contacts another legal name.
    pub fn rename(&self, legal_name: &str) {
        self.change(|world| legal_name.clone_into(&mut world.legal_name));
    }

    /// Takes all names from all contacts, as from one of whom only a tax number is known.
    pub fn unname(&self) {
        self.change(|world| {
            world.legal_name.clear();
            world.display_name.clear();
        });
    }

    /// How often a grant was asked for.
    pub fn acquired(&self) -> usize {
        self.look(|world| world.acquired)
    }

    /// How often a recall of the contact was acknowledged.
    pub fn acknowledgements(&self, contact: &str) -> usize {
        self.look(|world| {
            world
                .acknowledged
                .iter()
                .filter(|(name, _)| name == contact)
                .count()
        })
    }

    /// The grant that would be given now is answered to the next AcquireGrant, however late.
    pub fn keep_for_later(&self, contact: &str) {
        self.change(|world| {
            let grant = world.grant(contact);
            world.late = Some(grant);
        });
    }

    /// Ends all connections and answers no more.
    pub fn stop(&self) {
        self.stop.cancel();
    }
}

impl World {
    fn reachable(&self) -> Result<(), Status> {
        if self.reach == Reach::Down {
            Err(Status::unavailable("down"))
        } else {
            Ok(())
        }
    }

    fn grant(&self, contact: &str) -> v1::AcquireGrantResponse {
        let position = &self.positions[contact];
        let (role, entitlements) = stage_of(&position.stage);
        v1::AcquireGrantResponse {
            grant: Some(v1::Grant {
                contact: contact.to_owned(),
                entitlements: entitlements.into_iter().collect(),
                grant_revision: position.revision,
                policy_activation: self.activation,
                policy_revision: format!("{PARENT}/policies/main/revisions/{}", self.activation),
                epoch: self.epoch,
                stage: position.stage.clone(),
                role: role.into(),
                position_revision: position.revision,
            }),
            subject: Some(v1::Subject {
                display_name: self.display_name.clone(),
                legal_name: self.legal_name.clone(),
                postal_addresses: vec![google::PostalAddress {
                    region_code: "DE".into(),
                    locality: "Berlin".into(),
                    ..Default::default()
                }],
                tax_id: "DE123".into(),
                email: "ada@example.com".into(),
            }),
        }
    }

    fn orders(&self, holder: &str) -> v1::WatchRecallsResponse {
        let recalls = self.positions.iter().filter_map(|(contact, position)| {
            let (stage, revision) = position.pending.clone()?;
            if !position.holders.contains(holder) {
                return None;
            }
            let (role, entitlements) = stage_of(&stage);
            Some(v1::Recall {
                contact: contact.clone(),
                grant_revision: revision,
                entitlements: entitlements.into_iter().collect(),
                policy_activation: self.activation,
                stage,
                role: role.into(),
            })
        });
        let fences = self.fence_waits.then(|| v1::Fence {
            workspace: PARENT.into(),
            min_policy_activation: self.activation,
        });
        v1::WatchRecallsResponse {
            recalls: recalls.collect(),
            fences: fences.into_iter().collect(),
            epoch: self.epoch - i64::from(self.stream_behind),
        }
    }
}
