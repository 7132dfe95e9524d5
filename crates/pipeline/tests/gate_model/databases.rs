//! What each service keeps in its database, as far as one contact is concerned, and what it does to it
//! in one transaction.

use crate::LEVEL_MAX;

/// A way to get the protocol wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
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
    /// Pipeline counts billing as attached before it has confirmed the present epoch.
    AttachedBeforeConfirmed,
    /// Billing goes on to use a grant of an earlier epoch.
    GrantOfEarlierEpoch,
}

/// The lives of both databases in which billing has attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Attachment {
    pub holder_epoch: u8,
    pub pipeline_epoch: u8,
}

/// A move that waits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pending {
    /// The level it leads to.
    pub level: u8,
    /// The revision of its recall.
    pub revision: u8,
    /// Whether billing has acknowledged it.
    pub acknowledged: bool,
}

/// Pipeline's database.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pipeline {
    /// Which life of the database it is.
    pub epoch: u8,
    /// What billing said when it last attached.
    pub attached: Attachment,
    /// Whether there is a position.
    pub present: bool,
    /// What the stage entitles to.
    pub level: u8,
    /// Per contact, rising, never used twice in an epoch.
    pub grant_revision: u8,
    /// Whether billing is registered as a holder.
    pub holder: bool,
    /// The move that waits.
    pub pending: Option<Pending>,
    /// The number of the policy activation in force.
    pub activation: u8,
    /// Whether the next activation waits, and if so, whether its fence is acknowledged by whom it was
    /// put to.
    pub activating: Option<bool>,
    /// Not kept by pipeline, but what it has answered in this epoch: that somebody is no client any
    /// more.
    pub lowered: bool,
}

/// Billing's copy of a grant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Grant {
    pub revision: u8,
    pub activation: u8,
    pub level: u8,
    /// The epochs it was given in.
    pub given: Attachment,
}

/// A mark that counts in one epoch of pipeline's database only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Mark {
    pub epoch: u8,
    pub number: u8,
}

/// Billing's database, and the one thing that it only remembers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Billing {
    /// Which life of the database it is.
    pub epoch: u8,
    /// The epochs in which it has attached.
    pub attached: Attachment,
    pub grant: Option<Grant>,
    /// The highest recall that was told; nothing below it is taken over.
    pub tombstone: Mark,
    /// The lowest activation whose grants may be used.
    pub fence: Mark,
    /// What is still to be done for a recall; lost in a crash.
    pub unfinished: Option<Recall>,
}

/// An order to narrow a grant to a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Recall {
    pub epoch: u8,
    pub revision: u8,
    pub level: u8,
}

impl Mark {
    /// What it says in this epoch.
    fn of(self, epoch: u8) -> u8 {
        if self.epoch == epoch { self.number } else { 0 }
    }

    /// Raises it; one of another epoch counts from 0.
    pub fn raise(&mut self, epoch: u8, number: u8) {
        *self = Self {
            epoch,
            number: self.of(epoch).max(number),
        };
    }
}

impl Pipeline {
    /// Whether billing has confirmed the present epoch; until then it may hold what is forgotten here.
    pub fn is_attached(&self) -> bool {
        self.attached.pipeline_epoch == self.epoch
    }

    /// Begins a move that takes something away, in place of one that waits.
    pub fn begin(&mut self, level: u8) {
        self.grant_revision += 1;
        self.pending = Some(Pending {
            level,
            revision: self.grant_revision,
            acknowledged: false,
        });
        self.settle();
    }

    /// Gives up the move that waits.
    pub fn cancel(&mut self, mutant: Mutant) {
        self.pending = None;
        self.grant_revision += 1;
        self.holder &= mutant != Mutant::AbortWithoutHolder;
    }

    /// Completes what waits for nobody any more.
    pub fn settle(&mut self) {
        if !self.is_attached() {
            return;
        }
        let holder = self.holder;
        if self
            .pending
            .as_ref()
            .is_some_and(|pending| pending.acknowledged || !holder)
        {
            self.complete();
        }
        if self.activating == Some(true) {
            self.activate();
        }
    }

    /// Writes the move that waited: the second transaction.
    pub fn complete(&mut self) {
        if let Some(pending) = self.pending.take() {
            self.lower(pending.level);
            self.holder &= pending.level > 0;
            self.present = pending.level > 0;
        }
    }

    /// Puts the next policy in force, under which every stage entitles to less.
    fn activate(&mut self) {
        self.activation += 1;
        self.activating = None;
        self.lower(self.level.min(1));
        if let Some(pending) = &mut self.pending {
            pending.level = pending.level.min(1);
        }
    }

    fn lower(&mut self, level: u8) {
        self.level = level;
        self.lowered = level < LEVEL_MAX;
    }

    /// Registers billing as attached, where it has confirmed the present epoch and is not an earlier
    /// life of itself.
    pub fn attach(&mut self, said: Attachment, mutant: Mutant) {
        let confirmed =
            said.pipeline_epoch == self.epoch || mutant == Mutant::AttachedBeforeConfirmed;
        if confirmed && said.holder_epoch >= self.attached.holder_epoch {
            self.attached = Attachment {
                holder_epoch: said.holder_epoch,
                pipeline_epoch: self.epoch,
            };
            self.settle();
        }
    }

    /// The next life: what was written since the backup is lost.
    pub fn restore(&mut self, backup: Self) {
        let epoch = self.epoch + 1;
        *self = Self {
            epoch,
            lowered: false,
            ..backup
        };
    }
}

impl Billing {
    /// What billing would accept documents for now.
    pub fn level(&self, mutant: Mutant) -> u8 {
        let present = |grant: &&Grant| {
            let in_epoch = grant.given == self.attached && self.attached.holder_epoch == self.epoch;
            in_epoch || mutant == Mutant::GrantOfEarlierEpoch
        };
        let fence = self.fence.of(self.attached.pipeline_epoch);
        self.grant
            .as_ref()
            .filter(present)
            .filter(|grant| grant.activation >= fence)
            .map_or(0, |grant| grant.level)
    }

    /// Takes over a grant unless it is of other epochs or something later is known already.
    pub fn take(&mut self, offered: Grant, mutant: Mutant) {
        let known = offered.given == self.attached && self.attached.holder_epoch == self.epoch;
        let newer = self.grant.as_ref().is_none_or(|held| {
            held.given != offered.given
                || (held.revision, held.activation) <= (offered.revision, offered.activation)
        });
        let tombstone = self.tombstone.of(offered.given.pipeline_epoch);
        let recalled = offered.revision < tombstone && mutant != Mutant::NoTombstone;
        if known && newer && !recalled {
            self.grant = Some(offered);
        }
    }

    /// Narrows the grant as a recall says, and remembers the recall for good.
    pub fn narrow(&mut self, recall: Recall, mutant: Mutant) {
        if mutant != Mutant::NoTombstone {
            self.tombstone.raise(recall.epoch, recall.revision);
        }
        if let Some(grant) = self.grant.as_mut()
            && grant.given == self.attached
            && grant.revision < recall.revision
        {
            grant.revision = recall.revision;
            grant.level = grant.level.min(recall.level);
        }
    }

    /// Whether an order of this epoch of pipeline's is for billing as it is now.
    pub fn obeys(&self, epoch: u8) -> bool {
        self.attached.pipeline_epoch == epoch && self.attached.holder_epoch == self.epoch
    }

    /// Revokes whatever is of other epochs than its own present one and this one of pipeline's; what
    /// it may tell pipeline then.
    pub fn confirm(&mut self, pipeline_epoch: u8) -> Attachment {
        self.attached = Attachment {
            holder_epoch: self.epoch,
            pipeline_epoch: self.attached.pipeline_epoch.max(pipeline_epoch),
        };
        self.attached
    }

    /// The next life: what was written since the backup is lost.
    pub fn restore(&mut self, backup: Self) {
        let epoch = self.epoch + 1;
        *self = Self {
            epoch,
            unfinished: None,
            ..backup
        };
    }
}
