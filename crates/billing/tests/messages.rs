//! Grants, recalls and fences as messages that come late, twice, out of order or never: whatever
//! arrives, billing permits nothing that pipeline has taken away.
//!
//! Pipeline's side is the shortest one that keeps its promises; both sides' own code is not involved
//! but for the functions under test.

use std::collections::BTreeSet;

use billing::domain::grants::{Attachment, Gate, Grant, Recall, Slot, install, permits, recalled};
use billing::domain::invoices::Party;
use proptest::prelude::*;
use types::{ContactName, Role};

const INVOICE: &str = "invoice";

#[derive(Clone, Debug)]
enum Message {
    Grant(Box<Grant>),
    Recall(Recall),
    Fence(i64),
}

/// Both sides, and what travels between them.
struct World {
    client: bool,
    revision: i64,
    holder: bool,
    pending: Option<i64>,
    activation: i64,
    activating: bool,
    messages: Vec<Message>,
    slot: Option<Slot>,
    gate: Gate,
}

/// The one life of both databases.
fn attached() -> Attachment {
    Attachment {
        holder_epoch: 1,
        pipeline_epoch: 1,
    }
}

impl World {
    fn new() -> Self {
        Self {
            client: true,
            revision: 1,
            holder: false,
            pending: None,
            activation: 1,
            activating: false,
            messages: Vec::new(),
            slot: None,
            gate: Gate::new(attached(), 0, 1),
        }
    }

    fn entitlements(client: bool) -> BTreeSet<String> {
        let keys: &[&str] = if client {
            &["estimate", INVOICE]
        } else {
            &["estimate"]
        };
        keys.iter().map(|key| (*key).to_owned()).collect()
    }

    fn contact() -> ContactName {
        ContactName::new("default", "ada")
    }

    /// What the two sides do by themselves, by number.
    fn step(&mut self, choice: u8, pick: usize) {
        match choice {
            0 if self.pending.is_none() && !self.activating => self.acquire(),
            1 if self.pending.is_none() && self.client => self.demote(),
            2 if self.pending.is_none() && !self.client => {
                self.client = true;
                self.revision += 1;
            }
            3 if self.pending.is_some() => {
                // Cancelled: the stage stays, the holder too.
                self.pending = None;
                self.revision += 1;
            }
            4 if !self.activating && self.pending.is_none() => {
                self.activation += 1;
                self.activating = self.holder;
            }
            5 => self.tell_again(),
            _ => self.deliver(pick),
        }
    }

    fn acquire(&mut self) {
        self.holder = true;
        self.messages.push(Message::Grant(Box::new(Grant {
            contact: Self::contact(),
            entitlements: Self::entitlements(self.client),
            revision: self.revision,
            policy_activation: self.activation,
            policy_revision: String::new(),
            epoch: 1,
            stage: String::new(),
            role: Some(Role::Client),
            subject: Party::default(),
        })));
    }

    fn demote(&mut self) {
        self.revision += 1;
        if self.holder {
            self.pending = Some(self.revision);
        } else {
            self.client = false;
        }
    }

    fn tell_again(&mut self) {
        if let Some(revision) = self.pending {
            self.messages.push(Message::Recall(Recall {
                contact: Self::contact(),
                revision,
                entitlements: Self::entitlements(false),
                policy_activation: self.activation,
                stage: String::new(),
                role: Some(Role::Lead),
            }));
        }
        if self.activating {
            self.messages.push(Message::Fence(self.activation));
        }
    }

    /// One of the messages arrives, and stays to arrive again.
    fn deliver(&mut self, pick: usize) {
        if self.messages.is_empty() {
            return;
        }
        let message = self.messages[pick % self.messages.len()].clone();
        match message {
            Message::Grant(grant) => {
                if let Ok(slot) = install(self.slot.as_ref(), self.gate, *grant) {
                    self.slot = Some(slot);
                }
            }
            Message::Recall(recall) => {
                self.slot = Some(recalled(self.slot.as_ref(), attached(), &recall));
                // The acknowledgement, taken for exactly this recall.
                if self.pending == Some(recall.revision) {
                    self.pending = None;
                    self.client = false;
                    self.revision += 1;
                }
            }
            Message::Fence(level) => {
                self.gate.min_policy_activation = self.gate.min_policy_activation.max(level);
                self.activating &= level != self.activation;
            }
        }
    }

    fn permitted(&self) -> bool {
        self.slot
            .as_ref()
            .is_some_and(|slot| permits(slot, self.gate, INVOICE))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5000))]

    #[test]
    fn billing_permits_nothing_that_was_taken_away(
        steps in prop::collection::vec((0_u8..10, any::<usize>()), 1..80),
    ) {
        let mut world = World::new();
        for (choice, pick) in steps {
            world.step(choice, pick);
            if world.permitted() {
                prop_assert!(world.client, "permitted after the demotion was complete");
                prop_assert!(world.holder, "permitted without pipeline knowing");
                let slot = world.slot.as_ref().expect("a slot permits");
                let fenced = slot.grant.policy_activation < world.activation;
                prop_assert!(!fenced || world.activating, "permitted below a fence that is up");
            }
        }
    }

    #[test]
    fn a_fresh_answer_is_always_usable_in_the_end(
        steps in prop::collection::vec((0_u8..10, any::<usize>()), 1..80),
    ) {
        let mut world = World::new();
        for (choice, pick) in steps {
            world.step(choice, pick);
        }
        // Everything that waits is told and carried out; then a client can be invoiced at once.
        while world.pending.is_some() || world.activating {
            world.tell_again();
            for place in 0..world.messages.len() {
                world.deliver(place);
            }
        }
        if !world.client {
            world.step(2, 0);
        }
        world.acquire();
        world.deliver(world.messages.len() - 1);
        prop_assert!(world.permitted());
    }
}
