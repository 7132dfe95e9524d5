//! The protocol as a model: what may happen next.

use stateright::{Model, Property};

use crate::LEVEL_MAX;
use crate::databases::{Attachment, Billing, Grant, Mark, Mutant, Pipeline, Recall};
use crate::properties;

/// What travels; a message that was sent can arrive at any time from then on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Message {
    Granted {
        given: Attachment,
        revision: u8,
        activation: u8,
        level: u8,
    },
    Recall(Recall),
    RecallAcknowledged {
        epoch: u8,
        revision: u8,
    },
    Fence {
        epoch: u8,
        activation: u8,
    },
    FenceAcknowledged {
        epoch: u8,
        activation: u8,
    },
    /// The first word of a stream of recalls: pipeline's epoch.
    Epoch(u8),
    Attach(Attachment),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub pipeline: Pipeline,
    pub billing: Billing,
    pub pipeline_backup: Option<Pipeline>,
    pub billing_backup: Option<Billing>,
    /// Sorted, without repetitions.
    pub network: Vec<Message>,
    /// Whether an invoice was ever accepted that pipeline no longer stood for.
    pub wrong_invoice: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
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
    TellEpoch,
    Acquire,
    Finish,
    BillingCrash,
    Issue,
    PipelineBackup,
    PipelineRestore,
    BillingBackup,
    BillingRestore,
    Deliver(Message),
}

/// The protocol, right or with one thing wrong, within bounds that keep the states countable.
pub struct Gate {
    pub mutant: Mutant,
    pub revision_max: u8,
    pub activation_max: u8,
    /// How many lives pipeline's database has.
    pub pipeline_epoch_max: u8,
    /// How many lives billing's database has.
    pub billing_epoch_max: u8,
}

impl State {
    /// A client whom nobody acts upon yet; billing has attached.
    fn first() -> Self {
        let attached = Attachment {
            holder_epoch: 1,
            pipeline_epoch: 1,
        };
        Self {
            pipeline: Pipeline {
                epoch: 1,
                attached,
                present: true,
                level: LEVEL_MAX,
                grant_revision: 1,
                holder: false,
                pending: None,
                activation: 1,
                activating: None,
                lowered: false,
            },
            billing: Billing {
                epoch: 1,
                attached,
                grant: None,
                tombstone: Mark::default(),
                fence: Mark::default(),
                unfinished: None,
            },
            pipeline_backup: None,
            billing_backup: None,
            network: vec![Message::Attach(attached)],
            wrong_invoice: false,
        }
    }

    fn send(&mut self, message: Message) {
        if let Err(place) = self.network.binary_search(&message) {
            self.network.insert(place, message);
        }
    }

    fn deliver(&mut self, message: Message, mutant: Mutant) {
        let (pipeline, billing) = (&mut self.pipeline, &mut self.billing);
        match message {
            Message::Granted {
                given,
                revision,
                activation,
                level,
            } => {
                let offered = Grant {
                    revision,
                    activation,
                    level,
                    given,
                };
                billing.take(offered, mutant);
            }
            Message::Recall(recall) if billing.obeys(recall.epoch) => {
                billing.unfinished = Some(recall);
                if mutant == Mutant::AcknowledgeBeforeRevoking {
                    self.acknowledge(recall);
                } else {
                    billing.narrow(recall, mutant);
                }
            }
            Message::RecallAcknowledged { epoch, revision } if epoch == pipeline.epoch => {
                if let Some(pending) = &mut pipeline.pending {
                    pending.acknowledged |= pending.revision == revision
                        || mutant == Mutant::AcknowledgementOfAnyRevision;
                    pipeline.settle();
                }
            }
            Message::Fence { epoch, activation } if billing.obeys(epoch) => {
                billing.fence.raise(epoch, activation);
                self.send(Message::FenceAcknowledged { epoch, activation });
            }
            Message::FenceAcknowledged { epoch, activation } => {
                let awaited = epoch == pipeline.epoch && activation == pipeline.activation + 1;
                if awaited && pipeline.activating.is_some() {
                    pipeline.activating = Some(true);
                    pipeline.settle();
                }
            }
            Message::Epoch(epoch) => {
                let attached = billing.confirm(epoch);
                self.send(Message::Attach(attached));
            }
            Message::Attach(said) => pipeline.attach(said, mutant),
            // Of an epoch that is over.
            Message::Recall(_) | Message::RecallAcknowledged { .. } | Message::Fence { .. } => {}
        }
    }

    fn acknowledge(&mut self, recall: Recall) {
        self.send(Message::RecallAcknowledged {
            epoch: recall.epoch,
            revision: recall.revision,
        });
    }

    /// What is left to do for a recall after billing's transaction.
    fn finish(&mut self, mutant: Mutant) {
        if let Some(recall) = self.billing.unfinished.take() {
            if mutant == Mutant::AcknowledgeBeforeRevoking {
                self.billing.narrow(recall, mutant);
            } else {
                self.acknowledge(recall);
            }
        }
    }

    /// Pipeline answers AcquireGrant, if billing has attached in both present epochs.
    fn acquire(&mut self, mutant: Mutant) {
        let given = Attachment {
            holder_epoch: self.billing.epoch,
            pipeline_epoch: self.pipeline.epoch,
        };
        if self.pipeline.attached != given {
            return;
        }
        self.pipeline.holder = mutant != Mutant::NoHolder;
        self.send(Message::Granted {
            given,
            revision: self.pipeline.grant_revision,
            activation: self.pipeline.activation,
            level: self.pipeline.level,
        });
    }
}

impl Gate {
    fn pipeline_actions(&self, pipeline: &Pipeline, actions: &mut Vec<Action>) {
        let room = pipeline.grant_revision < self.revision_max;
        let settled = pipeline.pending.is_none() && pipeline.activating.is_none();
        if room && settled && pipeline.present {
            actions.push(if pipeline.level == LEVEL_MAX {
                Action::Demote
            } else {
                Action::Promote
            });
        }
        let leaving = pipeline
            .pending
            .as_ref()
            .is_some_and(|pending| pending.level == 0);
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
        if pipeline.activating.is_none() && pipeline.activation < self.activation_max {
            actions.push(Action::Activate);
        }
        if pipeline.activating.is_some() {
            actions.push(Action::TellFence);
            if pipeline.activation + 2 <= self.activation_max {
                actions.push(Action::CancelActivation);
            }
        }
        if settled {
            actions.push(Action::Acquire);
        }
    }

    /// Backups and restores, and the handshake that follows.
    fn epoch_actions(&self, state: &State, actions: &mut Vec<Action>) {
        if self.pipeline_epoch_max + self.billing_epoch_max > 2 {
            actions.push(Action::TellEpoch);
        }
        if state.pipeline.epoch < self.pipeline_epoch_max {
            actions.push(match state.pipeline_backup {
                None => Action::PipelineBackup,
                Some(_) => Action::PipelineRestore,
            });
        }
        if state.billing.epoch < self.billing_epoch_max {
            actions.push(match state.billing_backup {
                None => Action::BillingBackup,
                Some(_) => Action::BillingRestore,
            });
        }
    }
}

impl Model for Gate {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::first()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.pipeline_actions(&state.pipeline, actions);
        self.epoch_actions(state, actions);
        if state.billing.unfinished.is_some() {
            actions.extend([Action::Finish, Action::BillingCrash]);
        }
        if state.billing.level(self.mutant) == LEVEL_MAX && !state.wrong_invoice {
            actions.push(Action::Issue);
        }
        actions.extend(state.network.iter().copied().map(Action::Deliver));
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        let pipeline = &mut state.pipeline;
        match action {
            Action::Promote => {
                pipeline.level += 1;
                pipeline.grant_revision += 1;
                pipeline.lowered &= pipeline.level < LEVEL_MAX;
            }
            Action::Demote => pipeline.begin(1),
            Action::Delete => pipeline.begin(0),
            Action::Undelete => pipeline.present = true,
            Action::Cancel => pipeline.cancel(self.mutant),
            Action::TimeOut => pipeline.complete(),
            Action::Activate => {
                // The fence is put to whoever is known to hold something.
                pipeline.activating = Some(!pipeline.holder);
                pipeline.settle();
            }
            // Billing may have raised its fence already, so the policy that stays in force gets a
            // number that passes it.
            Action::CancelActivation => {
                pipeline.activating = None;
                pipeline.activation += 2;
            }
            Action::TellRecall => {
                let pending = pipeline.pending.as_ref()?;
                let recall = Recall {
                    epoch: pipeline.epoch,
                    revision: pending.revision,
                    level: pending.level,
                };
                state.send(Message::Recall(recall));
            }
            Action::TellFence => {
                let (epoch, activation) = (pipeline.epoch, pipeline.activation + 1);
                state.send(Message::Fence { epoch, activation });
            }
            Action::TellEpoch => {
                let epoch = pipeline.epoch;
                state.send(Message::Epoch(epoch));
            }
            Action::Acquire => state.acquire(self.mutant),
            Action::Finish => state.finish(self.mutant),
            Action::BillingCrash => state.billing.unfinished = None,
            Action::Issue => state.wrong_invoice = pipeline.lowered,
            Action::PipelineBackup => state.pipeline_backup = Some(pipeline.clone()),
            Action::PipelineRestore => pipeline.restore(state.pipeline_backup.take()?),
            Action::BillingBackup => state.billing_backup = Some(state.billing.clone()),
            Action::BillingRestore => state.billing.restore(state.billing_backup.take()?),
            Action::Deliver(message) => state.deliver(message, self.mutant),
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = properties::must_hold();
        if self.activation_max > 2 {
            properties.extend(properties::happens_with_activations());
        }
        if self.pipeline_epoch_max > 1 {
            properties.extend(properties::happens_with_restores());
        }
        properties
    }
}
