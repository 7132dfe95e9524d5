//! What billing may rely on: grants, their recall, and the fence of a policy activation.
//!
//! Messages may come late, twice and out of order. Three marks make that harmless: the tombstone (no
//! grant up to this revision is ever installed), the fence (no grant of an older policy activation),
//! and the epochs (no grant of another life of pipeline's or of billing's database). An epoch is only
//! compared: whatever was installed in another one is void as it stands.
//!
//! Invariant: a contact's slot permits something only if pipeline gave a grant for it that it has
//! not recalled since.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use types::{ContactName, Role};

use super::invoices::Party;

/// Something that a stage grants, as a type, so that a grant for one thing is none for another.
pub trait Entitlement {
    /// The key that policies use.
    const KEY: &'static str;
}

/// The entitlement to be invoiced.
#[derive(Debug)]
pub enum Invoice {}

impl Entitlement for Invoice {
    const KEY: &'static str = "invoice";
}

/// The entitlement to be assigned to projects.
#[derive(Debug)]
pub enum Project {}

impl Entitlement for Project {
    const KEY: &'static str = "project";
}

/// What a document remembers of the grant it was accepted under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The grant's revision.
    pub grant_revision: i64,
    /// The policy revision that was active, by resource name.
    pub policy_revision: String,
}

/// A recallable right to act on a contact's entitlements, as pipeline gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The contact.
    pub contact: ContactName,
    /// What it entitles to.
    pub entitlements: BTreeSet<String>,
    /// Per contact, rising, never used twice within an epoch.
    pub revision: i64,
    /// The number of the workspace's policy activation it was given under.
    pub policy_activation: i64,
    /// The policy revision that was active, by resource name.
    pub policy_revision: String,
    /// The epoch of pipeline's database.
    pub epoch: i64,
    /// The stage, for refusals.
    pub stage: String,
    /// The stage's role; none without a position.
    pub role: Option<Role>,
    /// Who the contact is, for the buyer of a document.
    pub subject: Party,
}

impl Grant {
    /// What a document remembers of it.
    #[must_use]
    pub fn evidence(&self) -> Evidence {
        Evidence {
            grant_revision: self.revision,
            policy_revision: self.policy_revision.clone(),
        }
    }
}

/// An order to narrow a contact's grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recall {
    /// The contact.
    pub contact: ContactName,
    /// Any grant below this revision is void.
    pub revision: i64,
    /// What remains.
    pub entitlements: BTreeSet<String>,
    /// The policy activation it was decided under.
    pub policy_activation: i64,
    /// The stage the contact is moved to.
    pub stage: String,
    /// That stage's role.
    pub role: Option<Role>,
}

/// An order to use no grant of an older policy activation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// The workspace's id.
    pub workspace: String,
    /// The lowest activation whose grants may be used.
    pub min_policy_activation: i64,
}

/// Whether a slot's grant may be used at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SlotState {
    /// The entitlements may be used.
    Active,
    /// Nothing may be used; the slot only keeps the tombstone.
    Revoked,
}

/// What billing keeps about one contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The grant, narrowed by the recalls since.
    pub grant: Grant,
    /// The epoch of billing's own database in which it was installed.
    pub holder_epoch: i64,
    /// Whether it may be used.
    pub state: SlotState,
    /// No grant of this epoch up to this revision is ever installed.
    pub tombstone: i64,
}

/// The lives of both databases in which grants may be used.
///
/// A life of pipeline's database that begins after a restore may have forgotten grants it gave; one
/// of billing's may have forgotten recalls it acknowledged. Epochs only rise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attachment {
    /// The epoch of billing's own database.
    pub holder_epoch: i64,
    /// The epoch of pipeline's database.
    pub pipeline_epoch: i64,
}

/// What all grants of a workspace are measured against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gate {
    /// The epochs in which billing has attached.
    pub attached: Attachment,
    /// The fence; one that was raised in an earlier life of pipeline's database counts as 0.
    pub min_policy_activation: i64,
}

impl Gate {
    /// The gate as it stands: the fence's level counts only in the epoch of pipeline's database in which
    /// it was raised.
    #[must_use]
    pub fn new(attached: Attachment, fence_level: i64, raised_in: i64) -> Self {
        let stands = raised_in == attached.pipeline_epoch;
        Self {
            attached,
            min_policy_activation: if stands { fence_level } else { 0 },
        }
    }
}

/// Why an offered grant is not installed. Asking again brings a better one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stale {
    /// It is of another epoch than billing is attached to.
    Epoch,
    /// It was given under a policy activation below the fence.
    Fence,
    /// It was recalled before it arrived, or a newer one is there.
    Recalled,
}

/// The slot after `offered` is installed, or why it must not be.
pub fn install(slot: Option<&Slot>, gate: Gate, offered: Grant) -> Result<Slot, Stale> {
    if offered.epoch != gate.attached.pipeline_epoch {
        return Err(Stale::Epoch);
    }
    if offered.policy_activation < gate.min_policy_activation {
        return Err(Stale::Fence);
    }
    let mut tombstone = 0;
    // Revisions of another epoch count from elsewhere and say nothing about this grant.
    if let Some(slot) = slot.filter(|slot| slot.grant.epoch == offered.epoch) {
        if offered.revision <= slot.tombstone || offered.revision < slot.grant.revision {
            return Err(Stale::Recalled);
        }
        tombstone = slot.tombstone;
    }
    Ok(Slot {
        grant: offered,
        holder_epoch: gate.attached.holder_epoch,
        state: SlotState::Active,
        tombstone,
    })
}

/// The slot after a recall, told in the epochs that billing is attached in. A recall that is older
/// than what the slot has seen changes nothing, and none gives life to what is void.
#[must_use]
pub fn recalled(slot: Option<&Slot>, attached: Attachment, recall: &Recall) -> Slot {
    let epoch = attached.pipeline_epoch;
    match slot.filter(|slot| slot.grant.epoch == epoch) {
        Some(slot) if recall.revision <= slot.tombstone => slot.clone(),
        Some(slot) if recall.revision < slot.grant.revision => Slot {
            tombstone: recall.revision,
            ..slot.clone()
        },
        Some(slot) => {
            let held = match slot.state {
                SlotState::Active => slot.grant.entitlements.clone(),
                SlotState::Revoked => BTreeSet::new(),
            };
            let rest: BTreeSet<String> = held.intersection(&recall.entitlements).cloned().collect();
            narrowed(slot.grant.clone(), slot.holder_epoch, rest, recall)
        }
        None => {
            let grant = Grant {
                contact: recall.contact.clone(),
                entitlements: BTreeSet::new(),
                revision: recall.revision,
                policy_activation: recall.policy_activation,
                policy_revision: String::new(),
                epoch,
                stage: recall.stage.clone(),
                role: recall.role,
                subject: Party::default(),
            };
            narrowed(grant, attached.holder_epoch, BTreeSet::new(), recall)
        }
    }
}

fn narrowed(
    grant: Grant,
    holder_epoch: i64,
    entitlements: BTreeSet<String>,
    recall: &Recall,
) -> Slot {
    // Who the contact is need not be known where nothing may be done with it.
    let (state, subject) = if entitlements.is_empty() {
        (SlotState::Revoked, Party::default())
    } else {
        (SlotState::Active, grant.subject)
    };
    Slot {
        grant: Grant {
            entitlements,
            revision: recall.revision,
            stage: recall.stage.clone(),
            role: recall.role,
            subject,
            ..grant
        },
        holder_epoch,
        state,
        tombstone: recall.revision,
    }
}

/// Whether the slot permits `entitlement` now.
#[must_use]
pub fn permits(slot: &Slot, gate: Gate, entitlement: &str) -> bool {
    let installed_in = Attachment {
        holder_epoch: slot.holder_epoch,
        pipeline_epoch: slot.grant.epoch,
    };
    slot.state == SlotState::Active
        && installed_in == gate.attached
        && slot.grant.policy_activation >= gate.min_policy_activation
        && slot.grant.entitlements.contains(entitlement)
}
