//! The service's words in the change log, and the tokens of places in it.

use prost::Message as _;
use proto::contacts::v1;
use store::change_log::{LogPosition, NewChange};
use types::{Micros, Service, Token, TokenKind};

use super::Call;
use crate::domain::contacts::{Change, Contact};

#[cfg(test)]
/// What the kinds of a contact's changes begin with.
pub(super) const CONTACT_PREFIX: &str = "contact.";

/// The kind of a contact's change in the log.
pub(super) fn log_kind(change: Change) -> &'static str {
    match change {
        Change::Created => "contact.created",
        Change::Updated => "contact.updated",
        Change::Deleting => "contact.deleting",
        Change::Deleted => "contact.deleted",
        Change::Undeleted => "contact.undeleted",
        Change::PositionRecorded => "contact.position_recorded",
        Change::Purged => "contact.purged",
    }
}

/// The change of a kind in the log.
pub(super) fn change_of(kind: &str) -> Option<Change> {
    Change::ALL
        .iter()
        .copied()
        .find(|change| log_kind(*change) == kind)
}

/// A contact's entry in the log, with what it borrows.
pub(super) struct Entry {
    pub(super) kind: Change,
    pub(super) resource: String,
    pub(super) payload: Vec<u8>,
    pub(super) paths: String,
    pub(super) event_id: String,
}

impl Entry {
    pub(super) fn of(kind: Change, message: &v1::Contact, event_id: &str) -> Self {
        Self {
            kind,
            resource: message.name.clone(),
            payload: message.encode_to_vec(),
            paths: String::new(),
            event_id: event_id.to_owned(),
        }
    }

    pub(super) fn change<'a>(
        &'a self,
        contact: &'a Contact,
        call: &'a Call,
        now: Micros,
    ) -> NewChange<'a> {
        NewChange {
            workspace: &contact.name.workspace,
            kind: log_kind(self.kind),
            resource: &self.resource,
            revision: contact.revision,
            payload: &self.payload,
            paths: &self.paths,
            actor: &call.actor,
            request_id: &call.request_id,
            event_id: &self.event_id,
            record_time: now,
        }
    }
}

/// "At least as fresh as this place."
pub(super) fn consistency_token(at: LogPosition) -> String {
    token(TokenKind::Consistency, at).to_string()
}

/// "Go on after this place", whatever is watched.
pub fn resume_token(at: LogPosition) -> String {
    resume_place(at).to_string()
}

/// The place after which a Watch goes on.
pub(super) fn resume_place(at: LogPosition) -> Token {
    token(TokenKind::Resume, at)
}

fn token(kind: TokenKind, at: LogPosition) -> Token {
    Token {
        kind,
        service: Service::Contacts,
        epoch: at.epoch,
        tx: at.tx,
        id: at.id,
    }
}

/// The place that a token speaks of.
pub(super) fn place(token: &Token) -> LogPosition {
    LogPosition {
        epoch: token.epoch,
        tx: token.tx,
        id: token.id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_has_its_own_kind() {
        for change in Change::ALL {
            assert!(log_kind(*change).starts_with(CONTACT_PREFIX));
            assert_eq!(change_of(log_kind(*change)), Some(*change));
        }
        assert_eq!(change_of("import.created"), None);
    }
}
