//! Events of the directory.

use prost::Message as _;
use proto::contacts::v1::contact_change::Kind as ContactKind;
use proto::contacts::v1::import_change::Kind as ImportKind;
use proto::contacts::v1::{Contact, ContactChange, Import, ImportChange};
use store::change_log::Change;
use types::Service;

use super::{Kind, paths, told};

/// All of them.
pub(super) const KINDS: &[Kind] = &[
    of_contact("contact.created", |change| {
        contact(change, ContactKind::Created)
    }),
    of_contact("contact.updated", |change| {
        contact(change, ContactKind::Updated)
    }),
    of_contact("contact.deleting", |change| {
        contact(change, ContactKind::Deleting)
    }),
    of_contact("contact.deleted", |change| {
        contact(change, ContactKind::Deleted)
    }),
    of_contact("contact.undeleted", |change| {
        contact(change, ContactKind::Undeleted)
    }),
    of_contact("contact.position_recorded", |change| {
        contact(change, ContactKind::PositionRecorded)
    }),
    of_contact("contact.purged", |change| {
        contact(change, ContactKind::Purged)
    }),
    of_import("import.created", |change| {
        import(change, ImportKind::Created)
    }),
    of_import("import.started", |change| {
        import(change, ImportKind::Started)
    }),
    of_import("import.ended", |change| import(change, ImportKind::Ended)),
    of_import("import.cancelled", |change| {
        import(change, ImportKind::Cancelled)
    }),
];

const fn of_contact(name: &'static str, data: fn(&Change) -> Option<Vec<u8>>) -> Kind {
    Kind {
        service: Service::Contacts,
        name,
        message: "clientele.contacts.v1.ContactChange",
        contact: |change| Some(change.resource.clone()),
        data,
    }
}

const fn of_import(name: &'static str, data: fn(&Change) -> Option<Vec<u8>>) -> Kind {
    Kind {
        service: Service::Contacts,
        name,
        message: "clientele.contacts.v1.ImportChange",
        contact: |_| None,
        data,
    }
}

fn contact(change: &Change, kind: ContactKind) -> Option<Vec<u8>> {
    told!(
        change,
        ContactChange {
            kind: kind.into(),
            contact: Some(Contact::decode(change.payload.as_slice()).ok()?),
            changed_paths: paths(change),
        }
    )
}

fn import(change: &Change, kind: ImportKind) -> Option<Vec<u8>> {
    told!(
        change,
        ImportChange {
            kind: kind.into(),
            import: Some(Import::decode(change.payload.as_slice()).ok()?),
        }
    )
}
