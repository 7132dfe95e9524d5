//! A contact as its rows hold it.

use std::collections::BTreeSet;

use ::store::Error;
use diesel::prelude::*;
use types::{ContactName, Micros, Role};

use super::{contact_positions, contacts};
use crate::domain::contacts::{Contact, ShownPosition, State};
use crate::domain::emails::EmailAddress;
use crate::domain::facts::{Facts, folded};

/// What is read of a contact.
#[derive(Queryable)]
pub(super) struct ContactRow {
    workspace: String,
    contact: String,
    state: String,
    revision: i64,
    document: String,
    creator: String,
    updater: String,
    create_time: i64,
    update_time: i64,
    delete_time: Option<i64>,
    purge_time: Option<i64>,
    merged_into: String,
    position: Option<(String, String, i64)>,
}

/// Contacts with where they stand.
#[diesel::dsl::auto_type]
pub(super) fn joined() -> _ {
    contacts::table.left_join(
        contact_positions::table.on(contact_positions::workspace
            .eq(contacts::workspace)
            .and(contact_positions::contact.eq(contacts::contact))),
    )
}

/// The columns of a [`ContactRow`], of [`joined`].
#[diesel::dsl::auto_type]
pub(super) fn columns() -> _ {
    (
        contacts::workspace,
        contacts::contact,
        contacts::state,
        contacts::revision,
        contacts::document,
        contacts::creator,
        contacts::updater,
        contacts::create_time,
        contacts::update_time,
        contacts::delete_time,
        contacts::purge_time,
        contacts::merged_into,
        (
            contact_positions::stage,
            contact_positions::role,
            contact_positions::revision,
        )
            .nullable(),
    )
}

impl TryFrom<ContactRow> for Contact {
    type Error = Error;

    fn try_from(row: ContactRow) -> Result<Self, Error> {
        let name = ContactName::new(row.workspace, row.contact);
        let corrupt = || Error::Corrupt {
            table: "contacts",
            id: name.to_string(),
        };
        let facts: Facts = serde_json::from_str(&row.document).map_err(|_| corrupt())?;
        let state = State::from_word(&row.state).ok_or_else(corrupt)?;
        let position = match row.position {
            None => ShownPosition::default(),
            Some((position, role, revision)) => ShownPosition {
                stage: position,
                role: match role.as_str() {
                    "" => None,
                    named => Some(named.parse::<Role>().map_err(|_| corrupt())?),
                },
                revision,
            },
        };
        Ok(Self {
            facts,
            state,
            revision: row.revision,
            creator: row.creator,
            updater: row.updater,
            create_time: Micros(row.create_time),
            update_time: Micros(row.update_time),
            delete_time: row.delete_time.map(Micros),
            purge_time: row.purge_time.map(Micros),
            merged_into: row.merged_into,
            position,
            name,
        })
    }
}

/// The columns that are made of a contact's facts.
pub(super) struct Keys {
    pub(super) display: String,
    pub(super) given: String,
    pub(super) family: String,
    pub(super) relationship_kinds: String,
    pub(super) document: String,
}

impl Keys {
    pub(super) fn of(contact: &Contact) -> Result<Self, Error> {
        let facts = &contact.facts;
        let document = serde_json::to_string(facts).map_err(|_| Error::Corrupt {
            table: "contacts",
            id: contact.name.to_string(),
        })?;
        let mut kinds = String::new();
        for kind in &facts.relationship_kinds {
            kinds.extend(["|", kind.as_str(), "|"]);
        }
        Ok(Self {
            display: folded(&facts.shown_name()),
            given: folded(&facts.given_name),
            family: folded(&facts.family_name),
            relationship_kinds: kinds,
            document,
        })
    }
}

/// What a contact is looked up by: pairs of field and term, each once.
pub(super) fn terms_of(contact: &Contact) -> Vec<(String, String)> {
    let facts = &contact.facts;
    let emails = facts
        .emails
        .iter()
        .map(|email| ("email".to_owned(), email_term(&email.address)));
    let phones = facts
        .phones
        .iter()
        .map(|phone| ("phone".to_owned(), phone.lookup_key()));
    let labels = facts
        .labels
        .iter()
        .map(|(key, value)| (label_field(key), value.clone()));
    let all: BTreeSet<(String, String)> = emails.chain(phones).chain(labels).collect();
    all.into_iter().collect()
}

/// The form in which addresses are compared.
pub(super) fn email_term(address: &str) -> String {
    EmailAddress::parse(address).map_or_else(|_| folded(address), |found| found.lookup_key())
}

/// The field under which a label's value stands.
pub(super) fn label_field(key: &str) -> String {
    format!("label:{key}")
}
