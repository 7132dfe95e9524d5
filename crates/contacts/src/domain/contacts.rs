//! A contact: its facts, and what the service itself keeps about it.

use std::time::Duration;

use types::{ContactName, Micros, Role, etag};

use super::facts::Facts;
use super::words::words;

/// How long a deleted contact can be undeleted.
pub const UNDELETE_SPAN: Duration = Duration::from_hours(30 * 24);

words!(
    /// Whether a contact is there.
    State {
        "There." Active = "ACTIVE",
        "Deletion was accepted, the pipeline service has not confirmed it yet." Deleting = "DELETING",
        "Deleted; may be undeleted until it is purged." Deleted = "DELETED",
        "Being merged into another contact." Merging = "MERGING",
        "Merged into another contact." Merged = "MERGED",
    }
);

words!(
    /// What happened to a contact; the change log keeps these words.
    Change {
        "It was created." Created = "CREATED",
        "Fields of it were changed." Updated = "UPDATED",
        "Its deletion was accepted." Deleting = "DELETING",
        "It was deleted." Deleted = "DELETED",
        "It was undeleted." Undeleted = "UNDELETED",
        "The stage shown on it was changed by the pipeline service." PositionRecorded = "POSITION_RECORDED",
        "It was removed for good." Purged = "PURGED",
    }
);

/// A person, company or group in the directory.
#[derive(Clone, Debug, PartialEq)]
pub struct Contact {
    /// The resource name.
    pub name: ContactName,
    /// What is known about it.
    pub facts: Facts,
    /// Whether it is there.
    pub state: State,
    /// Counts its changes from 1; a change of stage does not count.
    pub revision: i64,
    /// The principal that created it.
    pub creator: String,
    /// The principal that changed it last.
    pub updater: String,
    /// When it was created.
    pub create_time: Micros,
    /// When it was changed last. Rises with every change, whatever the clocks of the processes that
    /// made them say: whoever reads the contact tells by it which of two readings is the later one.
    pub update_time: Micros,
    /// When it was deleted.
    pub delete_time: Option<Micros>,
    /// From when on it can't be undeleted any more.
    pub purge_time: Option<Micros>,
    /// The id of the contact it was merged into; empty for none.
    pub merged_into: String,
    /// Where it stands, as last told by the pipeline service.
    pub position: ShownPosition,
}

/// Where a contact stands, for display and filters only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShownPosition {
    /// The stage; empty until the position is open.
    pub stage: String,
    /// The stage's role.
    pub role: Option<Role>,
    /// The position's revision; 0 until it is open.
    pub revision: i64,
}

impl Contact {
    /// A contact that is created now.
    pub fn created(name: ContactName, facts: Facts, actor: &str, now: Micros) -> Self {
        Self {
            name,
            facts,
            state: State::Active,
            revision: 1,
            creator: actor.to_owned(),
            updater: actor.to_owned(),
            create_time: now,
            update_time: now,
            delete_time: None,
            purge_time: None,
            merged_into: String::new(),
            position: ShownPosition::default(),
        }
    }

    /// The entity tag of this revision.
    pub fn etag(&self) -> String {
        etag(&self.name.to_string(), self.revision)
    }

    /// The same contact with other facts.
    #[must_use]
    pub fn updated(mut self, facts: Facts, actor: &str, now: Micros) -> Self {
        self.facts = facts;
        self.touched(actor, now)
    }

    /// The same contact in another state; deletion and its end keep their times.
    #[must_use]
    pub fn moved_to(mut self, state: State, actor: &str, now: Micros) -> Self {
        self.state = state;
        let deleted = state == State::Deleted;
        self.delete_time = deleted.then_some(now);
        self.purge_time = deleted.then(|| now.plus(UNDELETE_SPAN));
        self.touched(actor, now)
    }

    fn touched(mut self, actor: &str, now: Micros) -> Self {
        self.revision += 1;
        actor.clone_into(&mut self.updater);
        self.update_time = now.max(Micros(self.update_time.0.saturating_add(1)));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_is_later_than_the_one_before_whatever_the_clock_says() {
        let name = ContactName::new("w", "ada");
        let ahead = Contact::created(name, Facts::default(), "local", Micros(1_000));
        let behind = ahead.updated(Facts::default(), "local", Micros(10));
        assert_eq!(behind.update_time, Micros(1_001));
        let gone = behind.moved_to(State::Deleting, "local", Micros(10));
        assert_eq!(gone.update_time, Micros(1_002));
    }

    #[test]
    fn deletion_sets_its_times_and_undeletion_clears_them() {
        let name = ContactName::new("w", "ada");
        let contact = Contact::created(name, Facts::default(), "local", Micros(1));
        let gone = contact
            .clone()
            .moved_to(State::Deleted, "pipeline", Micros(2));
        assert_eq!((gone.revision, gone.delete_time), (2, Some(Micros(2))));
        assert_eq!(gone.purge_time, Some(Micros(2).plus(UNDELETE_SPAN)));
        let back = gone.clone().moved_to(State::Active, "local", Micros(3));
        assert_eq!((back.delete_time, back.purge_time), (None, None));
        assert_ne!(gone.etag(), back.etag());
    }
}
