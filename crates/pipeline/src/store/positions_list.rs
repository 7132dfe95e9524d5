//! The list of positions: filter, order and place as one query.
//!
//! While an activation is being mapped, rows are still in the words of earlier policies. What a
//! filter asks of stage and role is therefore asked of every stage that there is, as it is shown,
//! and looked up in the rows by the stages that answered yes.

use ::store::filter::{Comparison, Expr, Pattern, Relation, Test};
use ::store::pages::Key;
use ::store::{Beyond, Conn, Error, kept_if};
use diesel::dsl;
use diesel::expression::BoxableExpression;
use diesel::prelude::*;
use diesel::sql_types::Bool;

use super::positions::Row;
use super::schema::positions as table;
use crate::domain::activations::Lineage;
use crate::domain::positions::Position;

/// What a list can be sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortKey {
    /// `enter_time`.
    EnterTime,
    /// `stage`, as it is stored.
    Stage,
}

/// Which positions, in which order, from where on.
#[derive(Clone, Debug)]
pub struct PositionList {
    /// The workspace.
    pub workspace: String,
    /// Which of its positions.
    pub filter: Option<Expr>,
    /// The order: keys with whether the largest comes first. The contact's id breaks ties, in the
    /// direction of the last key.
    pub order: Vec<(SortKey, bool)>,
    /// The keys and the contact's id of the last position before the page.
    pub after: Option<Vec<Key>>,
    /// How many at most.
    pub limit: i64,
}

type Db = <Conn as Connection>::Backend;
type Condition = Box<dyn BoxableExpression<table::table, Db, SqlType = Bool>>;
type Query<'a> = dsl::IntoBoxed<'a, table::table, Db>;

/// One page of a list, each position with the keys by which the next page begins after it.
///
/// Errors: [`Error::PageTokenInvalid`] where `after` does not fit the order.
pub fn positions_list(
    conn: &mut Conn,
    list: &PositionList,
    lineage: &Lineage,
) -> Result<Vec<(Position, Vec<Key>)>, Error> {
    // Other lists have too many forms for their plans to be kept.
    let is_plain = list.filter.is_none() && list.order.len() == 1;
    let rows: Vec<Row> = kept_if(is_plain, query(list, lineage)?).load(conn)?;
    rows.into_iter()
        .map(|row| {
            let position = Position::try_from(row)?;
            let keys = keys_of(&position, &list.order);
            Ok((position, keys))
        })
        .collect()
}

fn query<'a>(list: &'a PositionList, lineage: &Lineage) -> Result<Query<'a>, Error> {
    let mut query = table::table
        .into_boxed::<Db>()
        .filter(table::workspace.eq(&list.workspace))
        .limit(list.limit);
    if let Some(filter) = &list.filter {
        query = query.filter(filter.fold(
            &mut |comparison| condition(comparison, &list.workspace, lineage),
            |one| Box::new(dsl::not(one)),
            |left, right| Box::new(left.and(right)),
            |left, right| Box::new(left.or(right)),
        ));
    }
    if let Some(after) = &list.after {
        query = query.filter(place(&list.order, after)?);
    }
    for (key, descending) in &list.order {
        query = match (key, descending) {
            (SortKey::EnterTime, false) => query.then_order_by(table::enter_time.asc()),
            (SortKey::EnterTime, true) => query.then_order_by(table::enter_time.desc()),
            (SortKey::Stage, false) => query.then_order_by(table::stage.asc()),
            (SortKey::Stage, true) => query.then_order_by(table::stage.desc()),
        };
    }
    Ok(if ties_descend(&list.order) {
        query.then_order_by(table::contact.desc())
    } else {
        query.then_order_by(table::contact.asc())
    })
}

fn ties_descend(order: &[(SortKey, bool)]) -> bool {
    order.last().is_some_and(|(_, descending)| *descending)
}

fn keys_of(position: &Position, order: &[(SortKey, bool)]) -> Vec<Key> {
    let key = |(key, _): &(SortKey, bool)| match key {
        SortKey::EnterTime => Key::Int(position.entered.0),
        SortKey::Stage => Key::Text(position.stage.clone().unwrap_or_default()),
    };
    let id = Key::Text(position.name.contact.clone());
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

/// The rows after the place with these keys.
fn place(order: &[(SortKey, bool)], after: &[Key]) -> Result<Condition, Error> {
    let [keys @ .., Key::Text(id)] = after else {
        return Err(Error::PageTokenInvalid);
    };
    if keys.len() != order.len() {
        return Err(Error::PageTokenInvalid);
    }
    let descends = ties_descend(order);
    if order.iter().all(|(_, descending)| *descending == descends) {
        return row_place(order, keys, id);
    }
    let mut whole: Condition = if descends {
        Box::new(table::contact.lt(id.clone()))
    } else {
        Box::new(table::contact.gt(id.clone()))
    };
    for ((key, descending), value) in order.iter().zip(keys).rev() {
        let further = compared(*key, beyond(*descending), value)?;
        let at = compared(*key, Side::At, value)?;
        whole = Box::new(further.or(at.and(whole)));
    }
    // The first key alone is what an index is entered by.
    if let (Some((key, descending)), Some(value)) = (order.first(), keys.first()) {
        whole = Box::new(compared(*key, from_on(*descending), value)?.and(whole));
    }
    Ok(whole)
}

/// The rows after the place with these keys, all of which go one way.
fn row_place(order: &[(SortKey, bool)], keys: &[Key], id: &str) -> Result<Condition, Error> {
    let mut place = Beyond::<table::table>::new(ties_descend(order));
    for ((key, _), value) in order.iter().zip(keys) {
        place = match (key, value) {
            (SortKey::EnterTime, Key::Int(value)) => place.key(table::enter_time, *value),
            (SortKey::Stage, Key::Text(value)) => place.key(table::stage, value.clone()),
            _ => return Err(Error::PageTokenInvalid),
        };
    }
    Ok(Box::new(place.key(table::contact, id.to_owned())))
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
        (SortKey::EnterTime, Key::Int(value)) => against!(table::enter_time, *value),
        (SortKey::Stage, Key::Text(value)) => against!(table::stage, value.clone()),
        _ => return Err(Error::PageTokenInvalid),
    })
}

/// The condition of one comparison. The fields and kinds are those of `app::lists::POSITIONS`.
fn condition(comparison: &Comparison, workspace: &str, lineage: &Lineage) -> Condition {
    match (comparison.field, &comparison.test) {
        ("state", Test::Word(word)) => Box::new(table::state.eq(*word)),
        ("enter_time", Test::Time(relation, at)) => {
            let set = table::stage.ne("");
            match relation {
                Relation::Eq => Box::new(set.and(table::enter_time.eq(at.0))),
                Relation::Lt => Box::new(set.and(table::enter_time.lt(at.0))),
                Relation::Le => Box::new(set.and(table::enter_time.le(at.0))),
                Relation::Gt => Box::new(set.and(table::enter_time.gt(at.0))),
                Relation::Ge => Box::new(set.and(table::enter_time.ge(at.0))),
            }
        }
        ("contact", Test::Text(pattern)) => contact_is(workspace, pattern),
        ("stage", Test::Text(pattern)) => {
            let folded = pattern.folded();
            stands(lineage, |stage| match pattern {
                Pattern::Exact(whole) => stage == whole,
                _ => matches(&folded, &stage.to_lowercase()),
            })
        }
        ("role", Test::Word("UNSPECIFIED")) => stands(lineage, str::is_empty),
        ("role", Test::Word(word)) => stands(lineage, |stage| {
            lineage
                .role(Some(stage))
                .is_some_and(|role| role.as_str() == *word)
        }),
        // Whatever the declaration does not allow never comes here.
        _ => Box::new(table::contact.eq("")),
    }
}

/// A contact by its whole name or by its id; nobody by a name in another workspace. Ids have no
/// capitals; as everywhere, only patterns with a star do not tell them apart.
fn contact_is(workspace: &str, pattern: &Pattern) -> Condition {
    let pattern = match pattern {
        Pattern::Exact(_) => pattern.clone(),
        _ => pattern.folded(),
    };
    let beginning = match &pattern {
        Pattern::Exact(text) | Pattern::Prefix(text) => text.rsplit_once("/contacts/"),
        Pattern::Suffix(_) | Pattern::Contains(_) => None,
    };
    if beginning.is_some_and(|(parent, _)| parent.strip_prefix("workspaces/") != Some(workspace)) {
        return Box::new(table::contact.eq(""));
    }
    let bare = pattern.map(|text| {
        text.rsplit_once("/contacts/")
            .map_or(text, |(_, id)| id)
            .to_owned()
    });
    match bare.like() {
        None => Box::new(table::contact.eq(bare.text().to_owned())),
        Some(like) => Box::new(table::contact.like(like).escape('\\')),
    }
}

fn matches(pattern: &Pattern, text: &str) -> bool {
    match pattern {
        Pattern::Exact(whole) => text == whole,
        Pattern::Prefix(start) => text.starts_with(start.as_str()),
        Pattern::Suffix(end) => text.ends_with(end.as_str()),
        Pattern::Contains(part) => text.contains(part.as_str()),
    }
}

/// Whoever stands, as it is shown, in a stage that passes; the empty stage is no position.
fn stands(lineage: &Lineage, passes: impl Fn(&str) -> bool) -> Condition {
    let under = |number: i64, policy: &policy::Policy| -> Vec<String> {
        policy
            .stages()
            .filter(|stage| passes(&lineage.mapped(number, stage)))
            .map(str::to_owned)
            .collect()
    };
    let active = lineage.active();
    let mut whole: Condition = match lineage.earlier() {
        [] => Box::new(table::stage.eq_any(under(active.number, &active.policy))),
        _ => Box::new(
            table::activation
                .eq(active.number)
                .and(table::stage.eq_any(under(active.number, &active.policy))),
        ),
    };
    for earlier in lineage.earlier() {
        let earlier = &earlier.active;
        whole = Box::new(
            whole.or(table::activation
                .eq(earlier.number)
                .and(table::stage.eq_any(under(earlier.number, &earlier.policy)))),
        );
    }
    if passes("") {
        whole = Box::new(whole.or(table::stage.eq("")));
    }
    whole
}
