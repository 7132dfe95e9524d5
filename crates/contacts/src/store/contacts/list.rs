//! The list of contacts: filter, order and place as one query.
//!
//! Pages go on by key. Where the keys go different ways the first one is compared twice, once alone:
//! that is what an index is entered by, where the whole condition with its `OR` would be checked row
//! by row from the beginning.

mod conditions;
mod narrow;

use ::store::filter::Expr;
use ::store::pages::Key;
use ::store::{Beyond, Conn, Error, kept_if};
use conditions::condition;
use diesel::dsl;
use diesel::expression::BoxableExpression;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};
use narrow::{Narrow, Plain};

use super::row::{ContactRow, columns, joined};
use super::{contact_positions, contacts};
use crate::domain::contacts::{Contact, State};
use crate::domain::facts::folded;

/// What a list can be sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortKey {
    /// `create_time`.
    CreateTime,
    /// `update_time`.
    UpdateTime,
    /// `display_name`, without regard to case.
    DisplayName,
    /// `family_name`, without regard to case.
    FamilyName,
    /// `owner`.
    Owner,
}

/// Which contacts, in which order, from where on.
#[derive(Clone, Debug)]
pub struct ContactList {
    /// The workspace.
    pub workspace: String,
    /// Which of its contacts.
    pub filter: Option<Expr>,
    /// Deleted ones too.
    pub show_deleted: bool,
    /// The order: keys with whether the largest comes first. The id breaks ties, in the direction
    /// of the last key. Never empty.
    pub order: Vec<(SortKey, bool)>,
    /// The keys and the id of the last contact before the page.
    pub after: Option<Vec<Key>>,
    /// How many at most.
    pub limit: i64,
}

pub(super) type Db = <Conn as Connection>::Backend;
type On = dsl::And<
    dsl::Eq<contact_positions::workspace, contacts::workspace>,
    dsl::Eq<contact_positions::contact, contacts::contact>,
>;
type Source = dsl::LeftJoinQuerySource<contacts::table, contact_positions::table, On>;
type Condition = Box<dyn BoxableExpression<Source, Db, SqlType = Bool>>;
pub(super) type Query<'a> = dsl::IntoBoxed<'a, dsl::Select<joined, columns>, Db>;

/// One page of a list, each contact with the keys by which the next page begins after it.
///
/// Errors: [`Error::PageTokenInvalid`] where `after` does not fit the order.
pub fn contacts_list(
    conn: &mut Conn,
    list: &ContactList,
) -> Result<Vec<(Contact, Vec<Key>)>, Error> {
    // Other lists have too many forms for their plans to be kept.
    let is_plain = list.filter.is_none() && list.order.len() == 1;
    let rows: Vec<ContactRow> = kept_if(is_plain, query(list)?).load(conn)?;
    rows.into_iter()
        .map(|row| {
            let contact = Contact::try_from(row)?;
            let keys = keys_of(&contact, &list.order);
            Ok((contact, keys))
        })
        .collect()
}

pub(super) fn query(list: &ContactList) -> Result<Query<'_>, Error> {
    let mut query = joined()
        .select(columns())
        .into_boxed::<Db>()
        .filter(contacts::workspace.eq(&list.workspace))
        .limit(list.limit);
    if !list.show_deleted {
        query = query.filter(contacts::state.ne(State::Deleted.as_str()));
    }
    if let Some(filter) = &list.filter {
        query = query.filter(filter.fold(
            &mut |comparison| condition(&list.workspace, comparison),
            |one| Box::new(dsl::not(one)),
            |left, right| Box::new(left.and(right)),
            |left, right| Box::new(left.or(right)),
        ));
    }
    let narrow = Narrow::of(list);
    if let Some(after) = &list.after {
        query = query.filter(place(&list.order, after, narrow)?);
    }
    for (key, descending) in &list.order {
        query = ordered(query, *key, *descending, narrow);
    }
    Ok(if ties_descend(&list.order) {
        query.then_order_by(contacts::contact.desc())
    } else {
        query.then_order_by(contacts::contact.asc())
    })
}

/// Ties go the way of the last key, so that an index over key and id serves both directions.
fn ties_descend(order: &[(SortKey, bool)]) -> bool {
    order.last().is_some_and(|(_, descending)| *descending)
}

fn ordered(query: Query<'_>, key: SortKey, descending: bool, narrow: Narrow) -> Query<'_> {
    macro_rules! by {
        ($column:expr) => {
            if descending {
                query.then_order_by($column.desc())
            } else {
                query.then_order_by($column.asc())
            }
        };
    }
    if narrow.0 {
        return match key.plain() {
            Plain::Int(key) => by!(dsl::sql::<BigInt>(key)),
            Plain::Text(key) => by!(dsl::sql::<Text>(key)),
        };
    }
    match key {
        SortKey::CreateTime => by!(contacts::create_time),
        SortKey::UpdateTime => by!(contacts::update_time),
        SortKey::DisplayName => by!(contacts::display_key),
        SortKey::FamilyName => by!(contacts::family_key),
        SortKey::Owner => by!(contacts::owner),
    }
}

/// The keys of a contact in this order, its id at the end.
fn keys_of(contact: &Contact, order: &[(SortKey, bool)]) -> Vec<Key> {
    let facts = &contact.facts;
    let key = |(key, _): &(SortKey, bool)| match key {
        SortKey::CreateTime => Key::Int(contact.create_time.0),
        SortKey::UpdateTime => Key::Int(contact.update_time.0),
        SortKey::DisplayName => Key::Text(folded(&facts.shown_name())),
        SortKey::FamilyName => Key::Text(folded(&facts.family_name)),
        SortKey::Owner => Key::Text(facts.owner.clone()),
    };
    let id = Key::Text(contact.name.contact.clone());
    order.iter().map(key).chain([id]).collect()
}

/// How a column stands to the value of a key.
#[derive(Clone, Copy)]
enum Side {
    Below,
    UpTo,
    At,
    From,
    Above,
}

fn beyond(descending: bool) -> Side {
    if descending { Side::Below } else { Side::Above }
}

fn from_on(descending: bool) -> Side {
    if descending { Side::UpTo } else { Side::From }
}

/// The rows after the place with these keys: beyond the first key, or at it and beyond the second,
/// and so on.
fn place(order: &[(SortKey, bool)], after: &[Key], narrow: Narrow) -> Result<Condition, Error> {
    let [keys @ .., Key::Text(id)] = after else {
        return Err(Error::PageTokenInvalid);
    };
    if keys.len() != order.len() {
        return Err(Error::PageTokenInvalid);
    }
    let descends = ties_descend(order);
    if order.iter().all(|(_, descending)| *descending == descends) {
        return row_place(order, keys, id, narrow);
    }
    let mut whole: Condition = if descends {
        Box::new(contacts::contact.lt(id.clone()))
    } else {
        Box::new(contacts::contact.gt(id.clone()))
    };
    for ((key, descending), value) in order.iter().zip(keys).rev() {
        let further = compared(*key, beyond(*descending), value)?;
        let at = compared(*key, Side::At, value)?;
        whole = Box::new(further.or(at.and(whole)));
    }
    if let (Some((key, descending)), Some(value)) = (order.first(), keys.first()) {
        whole = Box::new(compared(*key, from_on(*descending), value)?.and(whole));
    }
    Ok(whole)
}

/// The rows after the place with these keys, all of which go one way.
fn row_place(
    order: &[(SortKey, bool)],
    keys: &[Key],
    id: &str,
    narrow: Narrow,
) -> Result<Condition, Error> {
    let mut place = Beyond::<Source>::new(ties_descend(order));
    for ((key, _), at) in order.iter().zip(keys) {
        if narrow.0 {
            place = match (key.plain(), at) {
                (Plain::Int(key), Key::Int(at)) => place.key(dsl::sql::<BigInt>(key), *at),
                (Plain::Text(key), Key::Text(at)) => place.key(dsl::sql::<Text>(key), at.clone()),
                _ => return Err(Error::PageTokenInvalid),
            };
            continue;
        }
        place = match (key, at) {
            (SortKey::CreateTime, Key::Int(at)) => place.key(contacts::create_time, *at),
            (SortKey::UpdateTime, Key::Int(at)) => place.key(contacts::update_time, *at),
            (SortKey::DisplayName, Key::Text(at)) => place.key(contacts::display_key, at.clone()),
            (SortKey::FamilyName, Key::Text(at)) => place.key(contacts::family_key, at.clone()),
            (SortKey::Owner, Key::Text(at)) => place.key(contacts::owner, at.clone()),
            _ => return Err(Error::PageTokenInvalid),
        };
    }
    Ok(Box::new(place.key(contacts::contact, id.to_owned())))
}

fn compared(key: SortKey, side: Side, value: &Key) -> Result<Condition, Error> {
    macro_rules! against {
        ($column:expr, $value:expr) => {
            match side {
                Side::Below => Box::new($column.lt($value)) as Condition,
                Side::UpTo => Box::new($column.le($value)),
                Side::At => Box::new($column.eq($value)),
                Side::From => Box::new($column.ge($value)),
                Side::Above => Box::new($column.gt($value)),
            }
        };
    }
    Ok(match (key, value) {
        (SortKey::CreateTime, Key::Int(value)) => against!(contacts::create_time, *value),
        (SortKey::UpdateTime, Key::Int(value)) => against!(contacts::update_time, *value),
        (SortKey::DisplayName, Key::Text(value)) => against!(contacts::display_key, value.clone()),
        (SortKey::FamilyName, Key::Text(value)) => against!(contacts::family_key, value.clone()),
        (SortKey::Owner, Key::Text(value)) => against!(contacts::owner, value.clone()),
        _ => return Err(Error::PageTokenInvalid),
    })
}
