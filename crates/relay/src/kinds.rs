//! The kinds of events: what each service's change log calls them, and the message that tells of each.
//!
//! Data is what a Watch of the service sends of the same change, so that a team with the bus and one
//! without it are told the same.

mod billing;
mod contacts;
mod pipeline;

use store::change_log::Change;
use types::Service;

/// A kind of event.
pub struct Kind {
    /// Whose change log it is in.
    pub service: Service,
    /// What the log calls it, such as `contact.created`.
    pub name: &'static str,
    /// The full name of the message in its data, such as `clientele.contacts.v1.ContactChange`.
    pub message: &'static str,
    /// The contact it is about, where the change tells; not where it can't be read.
    pub(crate) contact: fn(&Change) -> Option<String>,
    /// The message, encoded; none where the change can't be read.
    pub(crate) data: fn(&Change) -> Option<Vec<u8>>,
}

impl Kind {
    /// The event's type, such as `dev.clientele.contacts.contact.created.v1`.
    pub fn event_type(&self) -> String {
        format!("dev.clientele.{}.{}.v1", word(self.service), self.name)
    }
}

/// All kinds of events, by service.
pub fn kinds() -> impl Iterator<Item = &'static Kind> {
    [contacts::KINDS, pipeline::KINDS, billing::KINDS]
        .into_iter()
        .flatten()
}

/// The kind that a service's log calls so.
pub(crate) fn kind(service: Service, name: &str) -> Option<&'static Kind> {
    kinds().find(|kind| kind.service == service && kind.name == name)
}

/// What a service is called in types, sources and subjects.
pub(crate) fn word(service: Service) -> &'static str {
    match service {
        Service::Contacts => "contacts",
        Service::Pipeline => "pipeline",
        Service::Billing => "billing",
    }
}

/// The encoded message of a change: the resource afterwards, and what the log says besides.
macro_rules! told {
    ($change:ident, $message:ident { $($field:ident: $value:expr),* $(,)? }) => {
        Some(
            $message {
                $($field: $value,)*
                actor: $change.actor.clone(),
                request_id: $change.request_id.clone(),
                event_id: $change.event_id.clone(),
                record_time: Some(proto::convert::timestamp_to_wire($change.record_time)),
            }
            .encode_to_vec(),
        )
    };
}
use told;

/// The paths of a change, as messages have them.
fn paths(change: &Change) -> Vec<String> {
    let paths = change.paths.split(',').filter(|path| !path.is_empty());
    paths.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_kind_has_a_type_of_its_own_and_a_message_that_exists() {
        let types: BTreeSet<String> = kinds().map(Kind::event_type).collect();
        assert_eq!(types.len(), kinds().count());
        for kind in kinds() {
            let package = format!("clientele.{}.v1.", word(kind.service));
            assert!(kind.message.starts_with(&package), "{}", kind.message);
            let known = proto::pool().get_message_by_name(kind.message);
            assert!(known.is_some(), "{}", kind.message);
        }
    }

    #[test]
    fn the_documentation_lists_every_type_with_its_message_and_no_other() {
        let text = include_str!("../../../docs/events.md");
        let listed: BTreeSet<&str> = text
            .lines()
            .filter(|line| line.starts_with("| `dev.clientele."))
            .map(|line| line.rsplit_once(" | ").map_or(line, |(row, _)| row))
            .collect();
        let rows: Vec<String> = kinds()
            .map(|kind| format!("| `{}` | `{}`", kind.event_type(), kind.message))
            .collect();
        assert_eq!(listed, rows.iter().map(String::as_str).collect());
    }
}
