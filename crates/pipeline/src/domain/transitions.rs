//! Moves: decided, and then written for ever.

use policy::Cause;
use policy::history::{self, Hash, SealedRow, TransitionRow};
use serde::{Deserialize, Serialize};
use types::{ContactName, Micros, Role, TransitionName};

use super::policies::PolicyRef;

/// A move that was decided. Also the stored form of one that waits for grants to be given back, so
/// an absent text is an empty one, as in the rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// The stage that is left; empty for an opening.
    pub from: String,
    /// The stage that is entered; empty where the position is closed.
    pub to: String,
    /// The role that is left.
    pub from_role: String,
    /// The role that is entered.
    pub to_role: String,
    /// Whether a stage of the funnel is passed over.
    pub skip: bool,
    /// What brought it about: a name of [`policy::Cause`].
    pub cause: String,
    /// Who made it.
    pub actor: String,
    /// The reason given.
    pub reason: String,
    /// The note given.
    pub note: String,
    /// The trigger that fired.
    pub trigger: String,
    /// The activity that it fired on.
    pub activity: String,
    /// When it takes effect, in UTC microseconds.
    pub effective_time: i64,
}

impl Move {
    /// Whether the contact goes away by it: it is deleted or merged.
    pub fn is_removal(&self) -> bool {
        [Cause::Deletion, Cause::Merge]
            .iter()
            .any(|cause| cause.as_str() == self.cause)
    }
}

impl From<&policy::Transition> for Move {
    fn from(decided: &policy::Transition) -> Self {
        Self {
            from: decided.from.clone().unwrap_or_default(),
            to: decided.to.clone().unwrap_or_default(),
            from_role: role_name(decided.from_role),
            to_role: role_name(decided.to_role),
            skip: decided.skip,
            cause: decided.cause.as_str().to_owned(),
            actor: decided.actor.clone(),
            reason: decided.reason.clone(),
            note: decided.note.clone(),
            trigger: decided.trigger.clone().unwrap_or_default(),
            activity: decided.activity.clone().unwrap_or_default(),
            effective_time: decided.effective_time.0,
        }
    }
}

/// Something that a decision caused besides moving: it is written down once, for whoever carries it
/// out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// Makes it happen once per contact.
    pub id: String,
    /// `WORK_ITEM`, `OPPORTUNITY`, `ENROLMENT`, `SUGGESTION`, `REFUSED` or `OPENING_REFUSED`.
    pub kind: String,
    /// What there is to say about it.
    pub payload: serde_json::Value,
}

impl From<&policy::Effect> for Effect {
    fn from(caused: &policy::Effect) -> Self {
        use serde_json::json;
        let (kind, payload) = match caused {
            policy::Effect::WorkItem {
                stage,
                message,
                due,
                ..
            } => (
                "WORK_ITEM",
                json!({"stage": stage, "message": message, "due_time": due.map(|due| due.0)}),
            ),
            policy::Effect::Opportunity {
                stage,
                message,
                due,
                ..
            } => (
                "OPPORTUNITY",
                json!({"stage": stage, "message": message, "due_time": due.map(|due| due.0)}),
            ),
            policy::Effect::Enrolment {
                stage, sequence, ..
            } => ("ENROLMENT", json!({"stage": stage, "sequence": sequence})),
            policy::Effect::Suggestion {
                trigger,
                to,
                message,
                ..
            } => (
                "SUGGESTION",
                json!({"trigger": trigger, "to": to, "message": message}),
            ),
            policy::Effect::Refused {
                trigger,
                to,
                refusal,
                ..
            } => (
                "REFUSED",
                json!({"trigger": trigger, "to": to, "message": refusal.to_string()}),
            ),
        };
        Self {
            id: caused.key().to_owned(),
            kind: kind.to_owned(),
            payload,
        }
    }
}

/// A role's name in rows; empty for none.
pub fn role_name(role: Option<Role>) -> String {
    role.map(|role| role.as_str().to_owned())
        .unwrap_or_default()
}

/// A move as it stands in the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// Whose it is.
    pub contact: ContactName,
    /// The position's revision after it.
    pub revision: i64,
    /// What moved.
    pub moved: Move,
    /// The same for all rows that one decision wrote.
    pub decision: String,
    /// The policy revision it was decided under.
    pub policy: PolicyRef,
    /// The activation of that policy revision.
    pub activation: i64,
    /// When it was recorded.
    pub record_time: Micros,
    /// The digest of the note, which stays when the note is erased.
    pub note_digest: Hash,
    /// The hash of the row before.
    pub previous_hash: Hash,
    /// The hash of this row.
    pub hash: Hash,
}

/// What all transitions of one decision share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The decision's id.
    pub decision: String,
    /// The policy revision it was made under.
    pub policy: PolicyRef,
    /// The activation of that policy revision.
    pub activation: i64,
}

impl Transition {
    /// Seals a move behind the row with `previous_hash`.
    pub fn seal(
        contact: &ContactName,
        previous_hash: Hash,
        revision: i64,
        moved: Move,
        origin: &Origin,
        record_time: Micros,
    ) -> Self {
        let mut sealed = Self {
            contact: contact.clone(),
            revision,
            note_digest: history::digest(&moved.note),
            moved,
            decision: origin.decision.clone(),
            policy: origin.policy.clone(),
            activation: origin.activation,
            record_time,
            previous_hash,
            hash: history::GENESIS,
        };
        sealed.hash = history::row_hash(&previous_hash, &sealed.row());
        sealed
    }

    /// The resource name.
    pub fn name(&self) -> TransitionName {
        let ContactName { workspace, contact } = &self.contact;
        TransitionName::new(workspace, contact, self.revision.to_string())
    }

    /// Whether the note is the one that was sealed, or was erased since.
    pub fn note_holds(&self) -> bool {
        self.moved.note.is_empty() || history::digest(&self.moved.note) == self.note_digest
    }

    /// The row with its hashes, as the engine verifies it.
    pub fn sealed(&self) -> SealedRow {
        SealedRow {
            row: self.row(),
            previous_hash: self.previous_hash,
            hash: self.hash,
        }
    }

    fn row(&self) -> TransitionRow {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let moved = &self.moved;
        TransitionRow {
            contact: self.contact.to_string(),
            revision: self.revision,
            from: some(&moved.from),
            to: some(&moved.to),
            from_role: some(&moved.from_role),
            to_role: some(&moved.to_role),
            skip: moved.skip,
            cause: moved.cause.clone(),
            actor: moved.actor.clone(),
            reason: moved.reason.clone(),
            note_digest: self.note_digest,
            trigger: some(&moved.trigger),
            activity: some(&moved.activity),
            policy_revision: self.policy.name(&self.contact.workspace),
            decision: self.decision.clone(),
            activation: self.activation,
            effective_time: Micros(moved.effective_time),
            record_time: self.record_time,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed() -> Transition {
        let moved = Move {
            from: String::new(),
            to: "lead".into(),
            from_role: String::new(),
            to_role: "LEAD".into(),
            skip: false,
            cause: "OPENING".into(),
            actor: "local".into(),
            reason: String::new(),
            note: "met at a fair".into(),
            trigger: String::new(),
            activity: String::new(),
            effective_time: 5,
        };
        let origin = Origin {
            decision: "d".into(),
            policy: PolicyRef::new("default", 1),
            activation: 1,
        };
        let contact = ContactName::new("default", "ada");
        Transition::seal(&contact, history::GENESIS, 1, moved, &origin, Micros(6))
    }

    #[test]
    fn a_sealed_row_verifies_and_an_altered_one_does_not() {
        let row = sealed();
        assert!(history::verify(&[row.sealed()]).is_ok());
        for alter in [
            (|row: &mut Transition| row.moved.to.push('x')) as fn(&mut Transition),
            |row| row.moved.actor.clear(),
            |row| row.moved.effective_time += 1,
            |row| row.policy.revision += 1,
            |row| row.decision.push('x'),
            |row| row.activation += 1,
            |row| row.record_time.0 += 1,
        ] {
            let mut altered = row.clone();
            alter(&mut altered);
            assert!(history::verify(&[altered.sealed()]).is_err());
        }
    }

    #[test]
    fn an_erased_note_holds_and_another_one_does_not() {
        let mut row = sealed();
        assert!(row.note_holds());
        row.moved.note = "met nowhere".into();
        assert!(!row.note_holds());
        row.moved.note.clear();
        assert!(row.note_holds() && history::verify(&[row.sealed()]).is_ok());
    }
}
