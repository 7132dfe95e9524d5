//! The hot path: a contact with all it is looked up by, the change and the idempotency key, on
//! PostgreSQL in one statement.

use ::store::change_log::NewChange;
use ::store::single::{self, Completed, Created, Rows};
use ::store::{Conn, Error, each};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::AstPass;
use diesel::sql_types::{Array, Text};
use diesel::sqlite::SqliteConnection;

use super::row::{Keys, terms_of};
use super::{contact_external_ids, contact_terms, contacts};
use crate::domain::contacts::Contact;
use crate::domain::facts::ExternalId;

/// The columns of a contact's row.
macro_rules! contact_values {
    ($contact:ident, $keys:ident) => {
        (
            contacts::workspace.eq(&$contact.name.workspace),
            contacts::contact.eq(&$contact.name.contact),
            contacts::kind.eq($contact.facts.kind.as_str()),
            contacts::state.eq($contact.state.as_str()),
            contacts::revision.eq($contact.revision),
            contacts::display_key.eq(&$keys.display),
            contacts::given_key.eq(&$keys.given),
            contacts::family_key.eq(&$keys.family),
            contacts::company.eq(&$contact.facts.company),
            contacts::owner.eq(&$contact.facts.owner),
            contacts::relationship_kinds.eq(&$keys.relationship_kinds),
            contacts::source_channel.eq($contact.facts.source.channel.as_str()),
            contacts::source_campaign.eq(&$contact.facts.source.campaign),
            contacts::ready_to_buy.eq($contact.facts.ready_to_buy),
            contacts::document.eq(&$keys.document),
            contacts::creator.eq(&$contact.creator),
            contacts::updater.eq(&$contact.updater),
            contacts::create_time.eq($contact.create_time.0),
            contacts::update_time.eq($contact.update_time.0),
            contacts::merged_into.eq(&$contact.merged_into),
        )
    };
}

/// Inserts a contact, logs the change and completes the key; the only statement of its operation.
///
/// Errors: a violation of the primary key of `contacts` where the id is taken, of
/// `contact_external_ids` where another contact has one of the external ids.
pub fn contact_create(
    conn: &mut Conn,
    contact: &Contact,
    key: Option<Completed<'_>>,
    change: &NewChange<'_>,
) -> Result<Created, Error> {
    let keys = Keys::of(contact)?;
    let terms = terms_of(contact);
    let rows = ContactRows {
        contact,
        row: diesel::insert_into(contacts::table).values(contact_values!(contact, keys)),
        fields: terms.iter().map(|(field, _)| field.as_str()).collect(),
        terms: terms.iter().map(|(_, term)| term.as_str()).collect(),
        systems: contact
            .facts
            .external_ids
            .iter()
            .map(|id| id.system.as_str())
            .collect(),
        ids: contact
            .facts
            .external_ids
            .iter()
            .map(|id| id.id.as_str())
            .collect(),
    };
    single::create(conn, key, change, rows)
}

/// The rows of one contact. On PostgreSQL the terms and ids go as arrays, so that the statement has
/// one text however many there are.
struct ContactRows<'a, R> {
    contact: &'a Contact,
    row: R,
    fields: Vec<&'a str>,
    terms: Vec<&'a str>,
    systems: Vec<&'a str>,
    ids: Vec<&'a str>,
}

impl<R: Rows> Rows for ContactRows<'_, R> {
    fn insert(self, conn: &mut SqliteConnection) -> QueryResult<()> {
        self.row.insert(conn)?;
        let (workspace, contact) = (&self.contact.name.workspace, &self.contact.name.contact);
        for (field, term) in self.fields.iter().zip(&self.terms) {
            diesel::insert_into(contact_terms::table)
                .values((
                    contact_terms::workspace.eq(workspace),
                    contact_terms::field.eq(field),
                    contact_terms::term.eq(term),
                    contact_terms::contact.eq(contact),
                ))
                .execute(conn)?;
        }
        for (system, id) in self.systems.iter().zip(&self.ids) {
            diesel::insert_into(contact_external_ids::table)
                .values((
                    contact_external_ids::workspace.eq(workspace),
                    contact_external_ids::system.eq(system),
                    contact_external_ids::external_id.eq(id),
                    contact_external_ids::contact.eq(contact),
                ))
                .execute(conn)?;
        }
        Ok(())
    }

    fn walk<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.row.walk(out.reborrow())?;
        out.push_sql(
            "terms AS (INSERT INTO contact_terms (workspace, contact, field, term) SELECT ",
        );
        self.walk_name(out.reborrow())?;
        walk_pairs(&self.fields, &self.terms, out.reborrow())?;
        out.push_sql(
            "ids AS (INSERT INTO contact_external_ids (workspace, contact, system, external_id) \
             SELECT ",
        );
        self.walk_name(out.reborrow())?;
        walk_pairs(&self.systems, &self.ids, out.reborrow())
    }
}

impl<R> ContactRows<'_, R> {
    fn walk_name<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_bind_param::<Text, String>(&self.contact.name.workspace)?;
        out.push_sql(", ");
        out.push_bind_param::<Text, String>(&self.contact.name.contact)
    }
}

fn walk_pairs<'b>(
    left: &'b Vec<&str>,
    right: &'b Vec<&str>,
    mut out: AstPass<'_, 'b, Pg>,
) -> QueryResult<()> {
    out.push_sql(", l, r FROM unnest(");
    out.push_bind_param::<Array<Text>, Vec<&str>>(left)?;
    out.push_sql(", ");
    out.push_bind_param::<Array<Text>, Vec<&str>>(right)?;
    out.push_sql(") AS pairs (l, r)), ");
    Ok(())
}

/// Inserts what a contact is looked up by, for one whose row is there.
pub(super) fn index_insert(
    conn: &mut Conn,
    workspace: &str,
    contact: &str,
    terms: &[(String, String)],
    ids: &[ExternalId],
) -> Result<(), Error> {
    for (field, term) in terms {
        each!(conn, |c| diesel::insert_into(contact_terms::table)
            .values((
                contact_terms::workspace.eq(workspace),
                contact_terms::field.eq(field),
                contact_terms::term.eq(term),
                contact_terms::contact.eq(contact),
            ))
            .execute(c))?;
    }
    for id in ids {
        each!(conn, |c| diesel::insert_into(contact_external_ids::table)
            .values((
                contact_external_ids::workspace.eq(workspace),
                contact_external_ids::system.eq(&id.system),
                contact_external_ids::external_id.eq(&id.id),
                contact_external_ids::contact.eq(contact),
            ))
            .execute(c))?;
    }
    Ok(())
}
