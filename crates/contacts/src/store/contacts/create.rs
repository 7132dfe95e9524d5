//! The hot path: contacts with all they are looked up by, their changes and idempotency keys, on
//! PostgreSQL in one statement.

use ::store::change_log::{LogPosition, NewChange};
use ::store::single::{self, Completed, Create, Created, Rows};
use ::store::{Columns, Conn, Error, each};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::AstPass;
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

/// Inserts the terms of a contact, on the connection of one engine.
macro_rules! terms_insert {
    ($conn:expr, $workspace:expr, $contact:expr, $terms:expr) => {
        for (field, term) in $terms {
            diesel::insert_into(contact_terms::table)
                .values((
                    contact_terms::workspace.eq($workspace),
                    contact_terms::field.eq(field),
                    contact_terms::term.eq(term),
                    contact_terms::contact.eq($contact),
                ))
                .execute($conn)?;
        }
    };
}

/// Inserts the external ids of a contact, on the connection of one engine.
macro_rules! external_ids_insert {
    ($conn:expr, $workspace:expr, $contact:expr, $ids:expr) => {
        for id in $ids {
            diesel::insert_into(contact_external_ids::table)
                .values((
                    contact_external_ids::workspace.eq($workspace),
                    contact_external_ids::system.eq(&id.system),
                    contact_external_ids::external_id.eq(&id.id),
                    contact_external_ids::contact.eq($contact),
                ))
                .execute($conn)?;
        }
    };
}

/// A contact to insert, with its change and its completed key.
pub struct NewContact<'a> {
    /// The contact.
    pub contact: &'a Contact,
    /// The key of the call; `None` for one that acts each time.
    pub key: Option<Completed<'a>>,
    /// The change, with an event id of its own.
    pub change: NewChange<'a>,
}

/// Inserts a contact, logs the change and completes the key; the only statement of its operation.
///
/// Errors: a violation of the primary key of `contacts` where the id is taken, of
/// `contact_external_ids` where another contact has one of the external ids.
pub fn contact_create(conn: &mut Conn, new: NewContact<'_>) -> Result<Created, Error> {
    let id = new.contact.name.to_string();
    let Some(positions) = contacts_create(conn, &[new])? else {
        return Ok(Created::KeyTaken);
    };
    let at = positions.into_iter().next().map(Created::At);
    at.ok_or(Error::Corrupt {
        table: "change_log",
        id,
    })
}

/// The same for several contacts, all of them or none: the positions of their changes, in their
/// order. `None` where a key was taken: the operation must not succeed then, unless there is only one.
pub fn contacts_create(
    conn: &mut Conn,
    new: &[NewContact<'_>],
) -> Result<Option<Vec<LogPosition>>, Error> {
    let rows: Vec<Row<'_>> = new.iter().map(Row::of).collect::<Result<_, _>>()?;
    let creates: Vec<Create<'_>> = new
        .iter()
        .map(|new| Create {
            key: new.key,
            change: new.change,
        })
        .collect();
    single::create_all(conn, &creates, ContactRows::of(&rows))
}

/// A contact with what its row and its terms are made of.
struct Row<'a> {
    contact: &'a Contact,
    keys: Keys,
    terms: Vec<(String, String)>,
}

impl<'a> Row<'a> {
    fn of(new: &NewContact<'a>) -> Result<Self, Error> {
        Ok(Self {
            contact: new.contact,
            keys: Keys::of(new.contact)?,
            terms: terms_of(new.contact),
        })
    }

    fn insert(&self, conn: &mut SqliteConnection) -> QueryResult<()> {
        let Self {
            contact,
            keys,
            terms,
        } = self;
        diesel::insert_into(contacts::table)
            .values(contact_values!(contact, keys))
            .execute(conn)?;
        let (workspace, id) = (&contact.name.workspace, &contact.name.contact);
        terms_insert!(conn, workspace, id, terms);
        external_ids_insert!(conn, workspace, id, &contact.facts.external_ids);
        Ok(())
    }
}

/// The rows of contacts. On PostgreSQL they go column by column, so that the statement has one text
/// however many contacts, terms and ids there are.
struct ContactRows<'a> {
    rows: &'a [Row<'a>],
    contacts: Columns<'a>,
    terms: Columns<'a>,
    ids: Columns<'a>,
}

impl<'a> ContactRows<'a> {
    fn of(rows: &'a [Row<'a>]) -> Self {
        let terms = || {
            rows.iter()
                .flat_map(|row| row.terms.iter().map(move |term| (row, term)))
        };
        let ids = || {
            let of = |row: &'a Row<'a>| row.contact.facts.external_ids.iter();
            rows.iter()
                .flat_map(move |row| of(row).map(move |id| (row, id)))
        };
        let workspace = |row: &'a Row<'a>| row.contact.name.workspace.as_str();
        let contact = |row: &'a Row<'a>| row.contact.name.contact.as_str();
        Self {
            rows,
            contacts: contact_columns(rows),
            terms: Columns::of("contact_terms")
                .text("workspace", terms().map(|(row, _)| workspace(row)))
                .text("contact", terms().map(|(row, _)| contact(row)))
                .text("field", terms().map(|(_, (field, _))| field.as_str()))
                .text("term", terms().map(|(_, (_, term))| term.as_str())),
            ids: Columns::of("contact_external_ids")
                .text("workspace", ids().map(|(row, _)| workspace(row)))
                .text("contact", ids().map(|(row, _)| contact(row)))
                .text("system", ids().map(|(_, id)| id.system.as_str()))
                .text("external_id", ids().map(|(_, id)| id.id.as_str())),
        }
    }
}

/// The same columns as those of `contact_values`.
fn contact_columns<'a>(rows: &'a [Row<'a>]) -> Columns<'a> {
    let contacts = || rows.iter().map(|row| row.contact);
    let facts = || contacts().map(|contact| &contact.facts);
    let keys = || rows.iter().map(|row| &row.keys);
    Columns::of("contacts")
        .text("workspace", contacts().map(|c| c.name.workspace.as_str()))
        .text("contact", contacts().map(|c| c.name.contact.as_str()))
        .text("kind", facts().map(|f| f.kind.as_str()))
        .text("state", contacts().map(|c| c.state.as_str()))
        .big_int("revision", contacts().map(|c| c.revision))
        .text("display_key", keys().map(|k| k.display.as_str()))
        .text("given_key", keys().map(|k| k.given.as_str()))
        .text("family_key", keys().map(|k| k.family.as_str()))
        .text("company", facts().map(|f| f.company.as_str()))
        .text("owner", facts().map(|f| f.owner.as_str()))
        .text(
            "relationship_kinds",
            keys().map(|k| k.relationship_kinds.as_str()),
        )
        .text("source_channel", facts().map(|f| f.source.channel.as_str()))
        .text(
            "source_campaign",
            facts().map(|f| f.source.campaign.as_str()),
        )
        .bool("ready_to_buy", facts().map(|f| f.ready_to_buy))
        .text("document", keys().map(|k| k.document.as_str()))
        .text("creator", contacts().map(|c| c.creator.as_str()))
        .text("updater", contacts().map(|c| c.updater.as_str()))
        .big_int("create_time", contacts().map(|c| c.create_time.0))
        .big_int("update_time", contacts().map(|c| c.update_time.0))
        .text("merged_into", contacts().map(|c| c.merged_into.as_str()))
}

impl Rows for ContactRows<'_> {
    fn insert(self, conn: &mut SqliteConnection) -> QueryResult<()> {
        self.rows.iter().try_for_each(|row| row.insert(conn))
    }

    fn walk<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        for (part, columns) in [
            ("contacts AS (", &self.contacts),
            ("terms AS (", &self.terms),
            ("ids AS (", &self.ids),
        ] {
            out.push_sql(part);
            columns.walk_insert(out.reborrow())?;
            out.push_sql("), ");
        }
        Ok(())
    }
}

/// Inserts what a contact is looked up by, for one whose row is there.
pub(super) fn index_insert(
    conn: &mut Conn,
    workspace: &str,
    contact: &str,
    terms: &[(String, String)],
    ids: &[ExternalId],
) -> Result<(), Error> {
    each!(conn, |c| {
        terms_insert!(c, workspace, contact, terms);
        external_ids_insert!(c, workspace, contact, ids);
        Ok(())
    })
}
