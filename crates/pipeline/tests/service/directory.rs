//! A directory made of memory: contacts, a log of their changes, and what pipeline tells it.

mod server;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use proto::contacts::v1::contact_service_server::ContactServiceServer;
use proto::contacts::v1::{Contact, Email, RecordedPosition, contact};
use proto::convert::timestamp_to_wire;
use proto::errors::v1::Reason;
use proto::status::Refusal;
use tokio::sync::watch;
use tonic::Status;
use types::{Micros, Service, Token, TokenKind};

/// What the directory remembers.
#[derive(Default)]
struct State {
    contacts: BTreeMap<String, Contact>,
    log: Vec<Contact>,
    recorded: BTreeMap<String, RecordedPosition>,
    complete_through: String,
    confirmed: Vec<String>,
    time: i64,
    /// Tokens below are expired.
    pruned: usize,
    /// The next snapshot ends after its first contact.
    breaks: bool,
    /// Contacts that can't be read now.
    broken: Vec<String>,
    /// How often it was restored.
    restores: i64,
}

/// A directory made of memory. Clones share it.
#[derive(Clone)]
pub struct Directory {
    state: Arc<Mutex<State>>,
    changed: Arc<watch::Sender<u64>>,
}

impl Directory {
    pub fn new() -> Self {
        Self {
            state: Arc::default(),
            changed: Arc::new(watch::Sender::new(0)),
        }
    }

    pub fn server(&self) -> ContactServiceServer<Self> {
        ContactServiceServer::new(self.clone())
    }

    fn with<T>(&self, run: impl FnOnce(&mut State) -> T) -> T {
        let done = run(&mut self.state.lock().expect("nobody panicked"));
        self.changed.send_modify(|count| *count += 1);
        done
    }

    /// Puts a contact in, with the time and etag of a change.
    pub fn put(&self, mut contact: Contact) -> Contact {
        self.with(|state| {
            state.time += 1;
            let now = timestamp_to_wire(Micros(1_000_000_000_000_000 + state.time));
            if contact.create_time.is_none() {
                contact.create_time = Some(now);
            }
            contact.update_time = Some(now);
            contact.etag = format!("\"{}\"", state.time);
            if contact.state == 0 {
                contact.state = contact::State::Active as i32;
            }
            state.contacts.insert(contact.name.clone(), contact.clone());
            state.log.push(contact.clone());
            contact
        })
    }

    /// A person with an e-mail address, who asks for a stage.
    pub fn person(&self, name: &str, stage: &str) -> Contact {
        self.put(Contact {
            name: name.to_owned(),
            kind: contact::Kind::Person as i32,
            display_name: "Ada Example".to_owned(),
            emails: vec![Email {
                address: "ada@example.com".to_owned(),
                ..Email::default()
            }],
            requested_stage: stage.to_owned(),
            creator: "local".to_owned(),
            updater: "local".to_owned(),
            ..Contact::default()
        })
    }

    /// Changes a contact that is there.
    pub fn change(&self, name: &str, change: impl FnOnce(&mut Contact)) -> Contact {
        let mut contact = self.get(name).expect("the contact is there");
        change(&mut contact);
        self.put(contact)
    }

    pub fn get(&self, name: &str) -> Option<Contact> {
        self.state
            .lock()
            .expect("nobody panicked")
            .contacts
            .get(name)
            .cloned()
    }

    /// Where pipeline said that a contact stands.
    pub fn recorded(&self, name: &str) -> Option<RecordedPosition> {
        self.state
            .lock()
            .expect("nobody panicked")
            .recorded
            .get(name)
            .cloned()
    }

    pub fn complete_through(&self) -> String {
        self.state
            .lock()
            .expect("nobody panicked")
            .complete_through
            .clone()
    }

    /// Sets the clock back, as a process does whose clock is behind.
    pub fn set_back(&self, micros: i64) {
        self.with(|state| state.time -= micros);
    }

    /// Loses a contact without a trace.
    pub fn lose(&self, name: &str) {
        self.with(|state| state.contacts.remove(name));
    }

    /// Ends the next snapshot after its first contact.
    pub fn break_snapshot(&self) {
        self.with(|state| state.breaks = true);
    }

    /// Whether no snapshot was asked for since [`Self::break_snapshot`].
    pub fn breaks(&self) -> bool {
        self.state.lock().expect("nobody panicked").breaks
    }

    /// Makes a contact unreadable, or readable again.
    pub fn fail(&self, name: &str, fails: bool) {
        self.with(|state| {
            state.broken.retain(|broken| broken != name);
            if fails {
                state.broken.push(name.to_owned());
            }
        });
    }

    fn check(&self, name: &str) -> Result<(), Status> {
        let state = self.state.lock().expect("nobody panicked");
        if state.broken.iter().any(|broken| broken == name) {
            return Err(Status::internal("it can't be read now"));
        }
        Ok(())
    }

    /// Loses where everybody stands, without being restored.
    pub fn lose_positions(&self) {
        self.with(|state| state.recorded.clear());
    }

    /// Goes back to before it was told where anybody stands, as a restored database does.
    pub fn restore(&self) {
        self.with(|state| {
            state.recorded.clear();
            state.restores += 1;
        });
    }

    /// Forgets the log, so that all tokens given out so far are expired.
    pub fn prune(&self) {
        self.with(|state| state.pruned = state.log.len() + 1);
    }

    /// A consistency token as fresh as the directory.
    pub fn token(&self) -> String {
        let state = self.state.lock().expect("nobody panicked");
        token(TokenKind::Consistency, state.restores, state.log.len())
    }
}

fn token(kind: TokenKind, restores: i64, at: usize) -> String {
    Token {
        kind,
        service: Service::Contacts,
        epoch: 1 + restores,
        tx: i64::try_from(at).expect("a small log"),
        id: 0,
    }
    .to_string()
}

fn absent(name: &str) -> Status {
    Refusal::new(Reason::ResourceNotFound, "there is no such contact")
        .metadata("resource", name)
        .into_status()
}
