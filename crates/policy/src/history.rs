//! The history of a contact, sealed: each row carries the hash of the row before it.
//!
//! Invariant: the hashes depend on what a row says and on nothing else, neither the engine that
//! stores it nor the version of a serializer. A change to the byte form below is a new tag.

use sha2::{Digest, Sha256};
use types::{Micros, Role};

use crate::decide::{Position, Transition};

/// A SHA-256.
pub type Hash = [u8; 32];

/// What stands before the first row.
pub const GENESIS: Hash = [0; 32];

const ROW_TAG: &[u8] = b"clientele.transition.v1\0";
const CHECKPOINT_TAG: &[u8] = b"clientele.checkpoint.v1\0";

/// One row of a contact's history, as it is sealed.
///
/// The note is free text and may be erased; the row keeps its digest, so that the chain still
/// holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransitionRow {
    /// The contact's name.
    pub contact: String,
    /// The position's revision after the move; rows count from 1 without a gap.
    pub revision: i64,
    /// The stage that was left.
    pub from: Option<String>,
    /// The stage that was entered.
    pub to: Option<String>,
    /// The role that was left, by its name.
    pub from_role: Option<String>,
    /// The role that was entered.
    pub to_role: Option<String>,
    /// Whether it passed over a stage.
    pub skip: bool,
    /// The cause, by its name.
    pub cause: String,
    /// Who made it.
    pub actor: String,
    /// The reason.
    pub reason: String,
    /// [`digest`] of the note.
    pub note_digest: Hash,
    /// The trigger that fired.
    pub trigger: Option<String>,
    /// The activity that it fired on.
    pub activity: Option<String>,
    /// The policy revision, by its name.
    pub policy_revision: String,
    /// The decision's id, which all rows share that it wrote.
    pub decision: String,
    /// The number of the activation of the policy revision.
    pub activation: i64,
    /// When it took effect.
    pub effective_time: Micros,
    /// When it was decided.
    pub record_time: Micros,
}

/// What a row says of the decision that wrote it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The decision's id.
    pub decision: String,
    /// The policy revision it was made under, by its name.
    pub policy_revision: String,
    /// The number of the activation of that revision.
    pub activation: i64,
}

/// A row and the hash that was stored with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedRow {
    /// The row.
    pub row: TransitionRow,
    /// The hash of the row before it, as stored.
    pub previous_hash: Hash,
    /// Its own hash, as stored.
    pub hash: Hash,
}

/// The end of a history that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The hash of the last row; [`GENESIS`] without rows.
    pub hash: Hash,
    /// The revision of the last row; 0 without rows.
    pub revision: i64,
    /// The stage after it.
    pub stage: Option<String>,
    /// Its effective time.
    pub entered: Micros,
}

/// The first row that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("row {index} (revision {revision}): {why}")]
pub struct FirstBroken {
    /// Its place, from 0.
    pub index: usize,
    /// Its revision.
    pub revision: i64,
    /// What is wrong with it.
    pub why: Break,
}

/// What can be wrong with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Break {
    /// The row belongs to another contact.
    #[error("it belongs to another contact")]
    Contact,
    /// Its revision is not the one after the row before.
    #[error("its revision does not follow the row before")]
    Revision,
    /// It does not begin where the row before ended.
    #[error("it does not begin where the row before ended")]
    Fold,
    /// It does not carry the hash of the row before.
    #[error("it does not carry the hash of the row before")]
    Chain,
    /// What it says does not have its hash.
    #[error("what it says does not have its hash")]
    Hash,
}

impl TransitionRow {
    /// The row of a transition that was decided for `contact`.
    #[must_use]
    pub fn new(contact: &str, origin: &Origin, transition: &Transition) -> Self {
        let role = |role: Option<Role>| role.map(|role| role.as_str().to_owned());
        Self {
            contact: contact.to_owned(),
            revision: transition.revision,
            from: transition.from.clone(),
            to: transition.to.clone(),
            from_role: role(transition.from_role),
            to_role: role(transition.to_role),
            skip: transition.skip,
            cause: transition.cause.as_str().to_owned(),
            actor: transition.actor.clone(),
            reason: transition.reason.clone(),
            note_digest: digest(&transition.note),
            trigger: transition.trigger.clone(),
            activity: transition.activity.clone(),
            policy_revision: origin.policy_revision.clone(),
            decision: origin.decision.clone(),
            activation: origin.activation,
            effective_time: transition.effective_time,
            record_time: transition.record_time,
        }
    }
}

/// The digest of a free text: what a row keeps of a note.
#[must_use]
pub fn digest(text: &str) -> Hash {
    Sha256::digest(text.as_bytes()).into()
}

/// The hash of a row that follows a row with `previous_hash`.
#[must_use]
pub fn row_hash(previous_hash: &Hash, row: &TransitionRow) -> Hash {
    Sha256::digest(canonical_bytes(previous_hash, row)).into()
}

/// The bytes that are hashed: a tag, the previous hash, then every field in the order of the
/// struct; texts with their length before them, absent ones told from empty ones, numbers big
/// endian.
#[must_use]
pub fn canonical_bytes(previous_hash: &Hash, row: &TransitionRow) -> Vec<u8> {
    let mut bytes = Bytes(Vec::with_capacity(256));
    bytes.0.extend_from_slice(ROW_TAG);
    bytes.0.extend_from_slice(previous_hash);
    bytes.text(&row.contact);
    bytes.number(row.revision);
    bytes.option(row.from.as_deref());
    bytes.option(row.to.as_deref());
    bytes.option(row.from_role.as_deref());
    bytes.option(row.to_role.as_deref());
    bytes.0.push(u8::from(row.skip));
    bytes.text(&row.cause);
    bytes.text(&row.actor);
    bytes.text(&row.reason);
    bytes.0.extend_from_slice(&row.note_digest);
    bytes.option(row.trigger.as_deref());
    bytes.option(row.activity.as_deref());
    bytes.text(&row.policy_revision);
    bytes.text(&row.decision);
    bytes.number(row.activation);
    bytes.number(row.effective_time.0);
    bytes.number(row.record_time.0);
    bytes.0
}

/// Checks one contact's rows, the oldest first: the hash chain, that each row begins where the one
/// before ended, and that revisions count from 1. Names the first row that does not hold.
pub fn verify(rows: &[SealedRow]) -> Result<Head, FirstBroken> {
    let mut head = Head::genesis();
    for (index, sealed) in rows.iter().enumerate() {
        head = head
            .followed_by(&rows[0].row.contact, sealed)
            .map_err(|why| FirstBroken {
                index,
                revision: sealed.row.revision,
                why,
            })?;
    }
    Ok(head)
}

impl Head {
    /// Before the first row.
    #[must_use]
    pub fn genesis() -> Self {
        Self {
            hash: GENESIS,
            revision: 0,
            stage: None,
            entered: Micros::default(),
        }
    }

    /// The end of the history that goes on with `next`, for histories that are too long to be held
    /// whole. All rows are `contact`'s.
    pub fn followed_by(&self, contact: &str, next: &SealedRow) -> Result<Self, Break> {
        let row = &next.row;
        if row.contact != contact {
            return Err(Break::Contact);
        }
        if self.revision.checked_add(1) != Some(row.revision) {
            return Err(Break::Revision);
        }
        if row.from != self.stage {
            return Err(Break::Fold);
        }
        if next.previous_hash != self.hash {
            return Err(Break::Chain);
        }
        if next.hash != row_hash(&self.hash, row) {
            return Err(Break::Hash);
        }
        Ok(Self {
            hash: next.hash,
            revision: row.revision,
            stage: row.to.clone(),
            entered: row.effective_time,
        })
    }

    /// Whether a stored position is the fold of the history.
    #[must_use]
    pub fn agrees(&self, position: &Position) -> bool {
        self.stage == position.stage
            && self.revision == position.revision
            && self.entered == position.entered
    }
}

/// The hash of a workspace's checkpoint: of the checkpoint before, and of where every history
/// ended.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    hasher: Sha256,
    last: Option<String>,
}

/// Contacts come in ascending order of their names, each once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("contacts must come in ascending order, each once")]
pub struct OutOfOrder;

impl Checkpoint {
    /// Begins the checkpoint with this number, after the one with `previous_hash`.
    #[must_use]
    pub fn begin(previous_hash: &Hash, workspace: &str, number: i64) -> Self {
        let mut bytes = Bytes(CHECKPOINT_TAG.to_vec());
        bytes.0.extend_from_slice(previous_hash);
        bytes.text(workspace);
        bytes.number(number);
        Self {
            hasher: Sha256::new_with_prefix(&bytes.0),
            last: None,
        }
    }

    /// Adds where one contact's history ended.
    pub fn add(&mut self, contact: &str, hash: &Hash, revision: i64) -> Result<(), OutOfOrder> {
        if self.last.as_deref().is_some_and(|last| last >= contact) {
            return Err(OutOfOrder);
        }
        let mut bytes = Bytes(Vec::with_capacity(contact.len() + 48));
        bytes.text(contact);
        bytes.0.extend_from_slice(hash);
        bytes.number(revision);
        self.hasher.update(&bytes.0);
        self.last = Some(contact.to_owned());
        Ok(())
    }

    /// The hash over everything that was added.
    #[must_use]
    pub fn finish(self) -> Hash {
        self.hasher.finalize().into()
    }
}

struct Bytes(Vec<u8>);

impl Bytes {
    fn text(&mut self, text: &str) {
        self.0.extend_from_slice(&(text.len() as u64).to_be_bytes());
        self.0.extend_from_slice(text.as_bytes());
    }

    fn option(&mut self, text: Option<&str>) {
        self.0.push(u8::from(text.is_some()));
        if let Some(text) = text {
            self.text(text);
        }
    }

    fn number(&mut self, number: i64) {
        self.0.extend_from_slice(&number.to_be_bytes());
    }
}
