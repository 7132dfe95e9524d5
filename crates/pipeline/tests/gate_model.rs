//! The gate, model-checked: one contact, pipeline and one holder of grants (billing), over a network
//! that delays, repeats, reorders and loses messages, with crashes on either side.
//!
//! What a contact is entitled to is a level here: 0 nothing, 1 proposals, 2 proposals and invoices. A
//! demotion goes from 2 to 1, a removal to 0.
//!
//! Everything that a service keeps in its database is one struct here and changes in one step, as a
//! transaction does. Messages stay in the network once sent, so each may arrive at any time, any
//! number of times, or never. Six ways to get the protocol wrong are each caught with a
//! counterexample, which shows that the model could see them.
//!
//! Invariant: what billing acts on, pipeline entitles to, and billing is a registered holder of it.

use stateright::{Checker, Model, Property};

/// A way to get the protocol wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mutant {
    /// The protocol as it is.
    None,
    /// Billing keeps no tombstone, so a grant that was under way when it was recalled comes to life.
    NoTombstone,
    /// Pipeline forgets whom it gave a grant.
    NoHolder,
    /// Billing acknowledges first and narrows the grant afterwards.
    AcknowledgeBeforeRevoking,
    /// Pipeline takes any acknowledgement for the one it waits for.
    AcknowledgementOfAnyRevision,
    /// Giving up a move forgets the holder, who may not have heard of the recall yet.
    AbortWithoutHolder,
    /// Pipeline completes a move when nobody answers.
    TimeoutCompletes,
}

/// Pipeline's database, as far as one contact is concerned.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Pipeline {
    /// Whether there is a position.
    present: bool,
    /// What the stage entitles to.
    level: u8,
    /// Per contact, rising, never used twice.
    grant_revision: u8,
    /// Whether billing is registered as a holder.
    holder: bool,
    /// The move that waits: the level it leads to, with the revision of its recall.
    pending: Option<(u8, u8)>,
    /// The number of the policy activation in force.
    activation: u8,
    /// Whether the next activation waits for its fence.
    activating: bool,
}

/// Billing's copy of a grant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Grant {
    revision: u8,
    activation: u8,
    level: u8,
}

/// Billing's database, and the one thing that it only remembers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Billing {
    grant: Option<Grant>,
    /// The highest recall that was told; nothing below it is taken over.
    tombstone: u8,
    /// The lowest activation whose grants may be used.
    fence: u8,
    /// What is still to be done for a recall; lost in a crash.
    unfinished: Option<Recall>,
}

/// An order to narrow a grant to a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Recall {
    revision: u8,
    level: u8,
}

/// What travels; a message that was sent can arrive at any time from then on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Message {
    Granted {
        revision: u8,
        activation: u8,
        level: u8,
    },
    Recall(Recall),
    RecallAcknowledged(u8),
    Fence(u8),
    FenceAcknowledged(u8),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    pipeline: Pipeline,
    billing: Billing,
    /// Sorted, without repetitions.
    network: Vec<Message>,
    /// Whether an invoice was ever accepted that pipeline no longer stood for.
    wrong_invoice: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Promote,
    Demote,
    Delete,
    Undelete,
    Cancel,
    TimeOut,
    Activate,
    CancelActivation,
    TellRecall,
    TellFence,
    Acquire,
    Finish,
    BillingCrash,
    Issue,
    Deliver(Message),
}

/// The protocol, right or with one thing wrong, within bounds that keep the states countable.
struct Gate {
    mutant: Mutant,
    revision_max: u8,
    activation_max: u8,
}

impl Billing {
    /// What billing would accept documents for now.
    fn level(&self) -> u8 {
        self.grant
            .as_ref()
            .filter(|grant| grant.activation >= self.fence)
            .map_or(0, |grant| grant.level)
    }

    /// Takes over a grant unless something later is known already.
    fn take(&mut self, offered: Grant, mutant: Mutant) {
        let newer = self.grant.as_ref().is_none_or(|held| {
            (held.revision, held.activation) <= (offered.revision, offered.activation)
        });
        let recalled = offered.revision < self.tombstone && mutant != Mutant::NoTombstone;
        if newer && !recalled {
            self.grant = Some(offered);
        }
    }

    /// Narrows the grant as a recall says, and remembers the recall for good.
    fn narrow(&mut self, recall: Recall, mutant: Mutant) {
        if mutant != Mutant::NoTombstone {
            self.tombstone = self.tombstone.max(recall.revision);
        }
        if let Some(grant) = self.grant.as_mut()
            && grant.revision < recall.revision
        {
            grant.revision = recall.revision;
            grant.level = grant.level.min(recall.level);
        }
    }
}

impl State {
    fn send(&mut self, message: Message) {
        if let Err(place) = self.network.binary_search(&message) {
            self.network.insert(place, message);
        }
    }

    /// Writes the move that waited: the second transaction.
    fn complete(&mut self) {
        if let Some((level, _)) = self.pipeline.pending.take() {
            self.pipeline.level = level;
            self.pipeline.holder &= level > 0;
            self.pipeline.present = level > 0;
        }
    }

    /// Begins a move that takes something away, in place of one that waits: at once where nobody
    /// holds a grant.
    fn begin(&mut self, level: u8) {
        self.pipeline.grant_revision += 1;
        self.pipeline.pending = Some((level, self.pipeline.grant_revision));
        if !self.pipeline.holder {
            self.complete();
        }
    }

    /// Puts the next policy in force, under which every stage entitles to less.
    fn activate(&mut self) {
        self.pipeline.activation += 1;
        self.pipeline.activating = false;
        self.pipeline.level = self.pipeline.level.min(1);
        self.pipeline.pending = self
            .pipeline
            .pending
            .map(|(to, recall)| (to.min(1), recall));
    }

    fn deliver(&mut self, message: Message, mutant: Mutant) {
        match message {
            Message::Granted {
                revision,
                activation,
                level,
            } => {
                let offered = Grant {
                    revision,
                    activation,
                    level,
                };
                self.billing.take(offered, mutant);
            }
            Message::Recall(recall) => {
                if mutant == Mutant::AcknowledgeBeforeRevoking {
                    self.send(Message::RecallAcknowledged(recall.revision));
                } else {
                    self.billing.narrow(recall, mutant);
                }
                self.billing.unfinished = Some(recall);
            }
            Message::RecallAcknowledged(revision) => {
                let awaited = self.pipeline.pending.is_some_and(|(_, recall)| {
                    recall == revision || mutant == Mutant::AcknowledgementOfAnyRevision
                });
                if awaited {
                    self.complete();
                }
            }
            Message::Fence(activation) => {
                self.billing.fence = self.billing.fence.max(activation);
                self.send(Message::FenceAcknowledged(activation));
            }
            Message::FenceAcknowledged(activation) => {
                if self.pipeline.activating && activation == self.pipeline.activation + 1 {
                    self.activate();
                }
            }
        }
    }

    /// What is left to do for a recall after billing's transaction.
    fn finish(&mut self, mutant: Mutant) {
        if let Some(recall) = self.billing.unfinished.take() {
            if mutant == Mutant::AcknowledgeBeforeRevoking {
                self.billing.narrow(recall, mutant);
            } else {
                self.send(Message::RecallAcknowledged(recall.revision));
            }
        }
    }
}

impl Gate {
    fn pipeline_actions(&self, pipeline: &Pipeline, actions: &mut Vec<Action>) {
        let room = pipeline.grant_revision < self.revision_max;
        let settled = pipeline.pending.is_none() && !pipeline.activating;
        if room && settled && pipeline.present {
            actions.push(if pipeline.level == LEVEL_MAX {
                Action::Demote
            } else {
                Action::Promote
            });
        }
        let leaving = matches!(pipeline.pending, Some((0, _)));
        if room && pipeline.present && !leaving {
            actions.push(Action::Delete);
        }
        if settled && !pipeline.present {
            actions.push(Action::Undelete);
        }
        if room && pipeline.pending.is_some() && !leaving {
            actions.push(Action::Cancel);
        }
        if pipeline.pending.is_some() {
            actions.push(Action::TellRecall);
            if self.mutant == Mutant::TimeoutCompletes {
                actions.push(Action::TimeOut);
            }
        }
        if !pipeline.activating && pipeline.activation < self.activation_max {
            actions.push(Action::Activate);
        }
        if pipeline.activating {
            actions.push(Action::TellFence);
            if pipeline.activation + 2 <= self.activation_max {
                actions.push(Action::CancelActivation);
            }
        }
        if settled {
            actions.push(Action::Acquire);
        }
    }
}

impl Model for Gate {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            pipeline: Pipeline {
                present: true,
                level: LEVEL_MAX,
                grant_revision: 1,
                holder: false,
                pending: None,
                activation: 1,
                activating: false,
            },
            billing: Billing {
                grant: None,
                tombstone: 0,
                fence: 0,
                unfinished: None,
            },
            network: Vec::new(),
            wrong_invoice: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.pipeline_actions(&state.pipeline, actions);
        if state.billing.unfinished.is_some() {
            actions.extend([Action::Finish, Action::BillingCrash]);
        }
        if state.billing.level() == LEVEL_MAX && !state.wrong_invoice {
            actions.push(Action::Issue);
        }
        actions.extend(state.network.iter().copied().map(Action::Deliver));
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Promote => {
                state.pipeline.level += 1;
                state.pipeline.grant_revision += 1;
            }
            Action::Demote => state.begin(1),
            Action::Delete => state.begin(0),
            Action::Undelete => state.pipeline.present = true,
            Action::Cancel => {
                state.pipeline.pending = None;
                state.pipeline.grant_revision += 1;
                if self.mutant == Mutant::AbortWithoutHolder {
                    state.pipeline.holder = false;
                }
            }
            Action::TimeOut => state.complete(),
            Action::Activate => {
                if state.pipeline.holder {
                    state.pipeline.activating = true;
                } else {
                    state.activate();
                }
            }
            // Billing may have raised its fence already, so the policy that stays in force gets a
            // number that passes it.
            Action::CancelActivation => {
                state.pipeline.activating = false;
                state.pipeline.activation += 2;
            }
            Action::TellRecall => {
                let (level, revision) = state.pipeline.pending?;
                state.send(Message::Recall(Recall { revision, level }));
            }
            Action::TellFence => state.send(Message::Fence(state.pipeline.activation + 1)),
            Action::Acquire => {
                state.pipeline.holder = self.mutant != Mutant::NoHolder;
                state.send(Message::Granted {
                    revision: state.pipeline.grant_revision,
                    activation: state.pipeline.activation,
                    level: state.pipeline.level,
                });
            }
            Action::Finish => state.finish(self.mutant),
            Action::BillingCrash => state.billing.unfinished = None,
            Action::Issue => state.wrong_invoice = state.pipeline.level < LEVEL_MAX,
            Action::Deliver(message) => state.deliver(message, self.mutant),
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("billing ACTIVE => entitled and held", |_, state: &State| {
                let level = state.billing.level();
                level == 0 || (level <= state.pipeline.level && state.pipeline.holder)
            }),
            Property::always("no invoice after a demotion", |_, state: &State| {
                !state.wrong_invoice
            }),
            Property::sometimes("a grant is used", |_, state: &State| {
                state.billing.level() == LEVEL_MAX
            }),
            Property::sometimes("a narrowed grant is used", |_, state: &State| {
                state.billing.level() == 1 && state.billing.tombstone > 0
            }),
            Property::sometimes("a removal completes", |_, state: &State| {
                state.billing.tombstone > 0 && !state.pipeline.present
            }),
            Property::sometimes("a fence completes", |_, state: &State| {
                state.billing.fence > 1 && state.pipeline.activation > 1
            }),
            Property::sometimes(
                "a grant passes a fence that was given up",
                |_, state: &State| {
                    state.pipeline.activation == 3
                        && state.billing.fence == 2
                        && state.billing.level() == LEVEL_MAX
                },
            ),
            Property::sometimes("a grant is used after a recall", |_, state: &State| {
                state.billing.level() == LEVEL_MAX && state.billing.tombstone > 0
            }),
        ]
    }
}

const LEVEL_MAX: u8 = 2;

fn gate(mutant: Mutant) -> Gate {
    Gate {
        mutant,
        revision_max: 4,
        activation_max: 3,
    }
}

#[test]
fn the_gate_holds() {
    let checker = gate(Mutant::None).checker().threads(2).spawn_bfs().join();
    checker.assert_properties();
    println!("{} states", checker.unique_state_count());
}

#[test]
fn every_mutant_is_caught() {
    for mutant in [
        Mutant::NoTombstone,
        Mutant::NoHolder,
        Mutant::AcknowledgeBeforeRevoking,
        Mutant::AcknowledgementOfAnyRevision,
        Mutant::AbortWithoutHolder,
        Mutant::TimeoutCompletes,
    ] {
        let checker = gate(mutant)
            .checker()
            .finish_when(stateright::HasDiscoveries::AnyFailures)
            .spawn_bfs()
            .join();
        let path = checker
            .discovery("billing ACTIVE => entitled and held")
            .or_else(|| checker.discovery("no invoice after a demotion"));
        let steps = path.map(stateright::Path::into_actions);
        assert!(steps.is_some(), "{mutant:?} was not caught");
        println!("{mutant:?}: {steps:?}");
    }
}
