//! Listing contacts.

use prost::Message as _;
use proto::contacts::v1;
use store::filter::{self, Comparison, Expr, Field, FilterError, Kind as FieldKind, Pattern, Test};
use store::order;
use store::pages::{self, Key, PageToken};
use types::Deadline;

use super::super::{App, Freshness};
use crate::domain::contacts::State;
use crate::domain::facts::{Channel, Kind, RelationshipKind, digits};
use crate::error::Error;
use crate::store::contacts::{self as rows, ContactList, SortKey};
use crate::wire::contacts::message;

/// How many bytes a page has at most, as long as it has one contact: clients read 4 MiB.
pub(in crate::app) const PAGE_BYTES_MAX: usize = 3 * 1024 * 1024;

/// What ListContacts was given.
#[derive(Clone, Debug)]
pub struct ListInput {
    /// The workspace's id.
    pub workspace: String,
    /// How many at most, as asked for.
    pub page_size: i32,
    /// Where to go on.
    pub page_token: String,
    /// Which contacts.
    pub filter: String,
    /// In which order.
    pub order_by: String,
    /// Deleted ones too.
    pub show_deleted: bool,
}

/// What contacts can be filtered by. `store::contacts` knows what each means.
const FILTER_FIELDS: &[Field] = &[
    Field::one("kind", FieldKind::Word(Kind::WORDS)),
    Field::one("display_name", FieldKind::Text),
    Field::one("given_name", FieldKind::Text),
    Field::one("family_name", FieldKind::Text),
    Field::one("email", FieldKind::Text),
    Field::one("phone", FieldKind::Text),
    Field::one("company", FieldKind::Text),
    Field::one("owner", FieldKind::Text),
    Field::one("stage", FieldKind::Text),
    Field::one(
        "role",
        FieldKind::Word(&["UNSPECIFIED", "CONTACT", "LEAD", "PROSPECT", "CLIENT"]),
    ),
    Field::one("state", FieldKind::Word(State::WORDS)),
    Field::one("source.channel", FieldKind::Word(Channel::WORDS)),
    Field::one("source.campaign", FieldKind::Text),
    Field::many(
        "relationship_kinds",
        FieldKind::Word(RelationshipKind::WORDS),
    ),
    Field::map("labels"),
    Field::map("external_ids"),
    Field::one("ready_to_buy", FieldKind::Bool),
    Field::one("create_time", FieldKind::Time),
    Field::one("update_time", FieldKind::Time),
];

/// What contacts can be sorted by: each has an index that pages are read from in order. There is none
/// by `stage`, which other rows hold: the pipeline service lists positions by it.
const ORDER_FIELDS: &[&str] = &[
    "create_time",
    "update_time",
    "display_name",
    "family_name",
    "owner",
];

/// A filter of contacts, read.
pub fn contact_filter(text: &str) -> Result<Option<Expr>, Error> {
    let expr = filter::parse(text, FILTER_FIELDS)?;
    let wrong = expr
        .as_ref()
        .and_then(|expr| expr.fold(&mut comparison_fault, |one| one, Option::or, Option::or));
    match wrong {
        None => Ok(expr),
        Some((field, problem)) => Err(Error::from(FilterError {
            offset: text.find(field).unwrap_or_default(),
            field: field.to_owned(),
            problem: problem.to_owned(),
        })),
    }
}

/// What would be compared with something else than it says: the field, and what is right.
fn comparison_fault(comparison: &Comparison) -> Option<(&'static str, &'static str)> {
    let problem = match (comparison.field, &comparison.test) {
        ("company", Test::Text(Pattern::Exact(_))) => return None,
        ("company", Test::Text(_)) => "must be the name of a contact, without `*`",
        ("phone", Test::Text(text)) if text.text().is_empty() => return None,
        ("phone", Test::Text(text)) if digits(text.text()).is_empty() => "must have digits",
        _ => return None,
    };
    Some((comparison.field, problem))
}

impl ListInput {
    /// Everything that is wrong with it.
    pub fn faults(&self) -> Vec<Error> {
        let filter = contact_filter(&self.filter).err();
        let order = order_of(&self.order_by).err();
        let place = PageToken::decode(&self.page_token, &self.args_hash()).err();
        let list = [filter, order, place.map(Error::from)];
        list.into_iter().flatten().collect()
    }

    /// What must stay the same from page to page.
    fn args_hash(&self) -> [u8; 16] {
        let shown = if self.show_deleted { "deleted" } else { "" };
        pages::args_hash(&[
            "ListContacts",
            &self.workspace,
            &self.filter,
            &self.order_by,
            shown,
        ])
    }
}

impl App {
    /// Lists contacts; the token of the next page, empty at the end. A page that would be too large
    /// for its readers is shorter than was asked for.
    pub async fn list_contacts(
        &self,
        input: ListInput,
        freshness: &Freshness,
        deadline: Deadline,
    ) -> Result<(Vec<v1::Contact>, String), Error> {
        let args_hash = input.args_hash();
        let size = pages::page_size(input.page_size)?;
        let list = ContactList {
            filter: contact_filter(&input.filter)?,
            order: order_of(&input.order_by)?,
            after: PageToken::decode(&input.page_token, &args_hash)?,
            workspace: input.workspace,
            show_deleted: input.show_deleted,
            limit: size + 1,
        };
        self.await_freshness(freshness, deadline).await?;
        let found =
            self.store
                .within(&list.workspace)
                .read("contacts.list", deadline, move |conn| {
                    rows::contacts_list(conn, &list)
                });
        let found = found.await?;
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let (mut page, mut page_bytes, mut after) = (Vec::new(), 0, None);
        for (contact, keys) in found {
            let contact = message(&contact);
            page_bytes += contact.encoded_len();
            let is_full = page.len() == size || (!page.is_empty() && page_bytes > PAGE_BYTES_MAX);
            if let (true, Some(after)) = (is_full, after) {
                return Ok((page, page_token(args_hash, after)));
            }
            page.push(contact);
            after = Some(keys);
        }
        Ok((page, String::new()))
    }
}

fn order_of(order_by: &str) -> Result<Vec<(SortKey, bool)>, Error> {
    let keys = order::parse(order_by, ORDER_FIELDS)?;
    if keys.is_empty() {
        return Ok(vec![(SortKey::CreateTime, false)]);
    }
    Ok(keys
        .into_iter()
        .map(|key| {
            let sort = match key.field {
                "update_time" => SortKey::UpdateTime,
                "display_name" => SortKey::DisplayName,
                "family_name" => SortKey::FamilyName,
                "owner" => SortKey::Owner,
                _ => SortKey::CreateTime,
            };
            (sort, key.descending)
        })
        .collect())
}

pub(in crate::app) fn page_token(args_hash: [u8; 16], keys: Vec<Key>) -> String {
    PageToken { args_hash, keys }.encode()
}
