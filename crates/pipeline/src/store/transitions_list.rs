//! The list of transitions: a contact's in their order, or a workspace's as they were recorded.

use ::store::filter::{Comparison, Expr, Test};
use ::store::pages::Key;
use ::store::{Beyond, Conn, Error, kept_if};
use diesel::dsl;
use diesel::expression::BoxableExpression;
use diesel::prelude::*;
use diesel::sql_types::Bool;

use super::conditions::{like, related};
use super::schema::transitions as table;
use super::transitions::Row;
use crate::domain::transitions::Transition;

/// Which transitions, from where on.
#[derive(Clone, Debug)]
pub struct TransitionList {
    /// The workspace.
    pub workspace: String,
    /// The contact; all of them where none is named.
    pub contact: Option<String>,
    /// Which of them.
    pub filter: Option<Expr>,
    /// The keys of the last transition before the page.
    pub after: Option<Vec<Key>>,
    /// How many at most.
    pub limit: i64,
}

type Db = <Conn as Connection>::Backend;
type Condition = Box<dyn BoxableExpression<table::table, Db, SqlType = Bool>>;
type Query<'a> = dsl::IntoBoxed<'a, table::table, Db>;

/// One page of a list, each transition with the keys by which the next page begins after it.
///
/// Errors: [`Error::PageTokenInvalid`] where `after` does not fit.
pub fn transitions_list(
    conn: &mut Conn,
    list: &TransitionList,
) -> Result<Vec<(Transition, Vec<Key>)>, Error> {
    let rows: Vec<Row> = kept_if(list.filter.is_none(), query(list)?).load(conn)?;
    rows.into_iter()
        .map(|row| {
            let transition = Transition::try_from(row)?;
            let keys = match list.contact {
                Some(_) => vec![Key::Int(transition.revision)],
                None => vec![
                    Key::Int(transition.record_time.0),
                    Key::Text(transition.contact.contact.clone()),
                    Key::Int(transition.revision),
                ],
            };
            Ok((transition, keys))
        })
        .collect()
}

fn query(list: &TransitionList) -> Result<Query<'_>, Error> {
    let mut query = table::table
        .into_boxed::<Db>()
        .filter(table::workspace.eq(&list.workspace))
        .limit(list.limit);
    if let Some(filter) = &list.filter {
        query = query.filter(filter.fold(
            &mut condition,
            |one| Box::new(dsl::not(one)),
            |left, right| Box::new(left.and(right)),
            |left, right| Box::new(left.or(right)),
        ));
    }
    if let Some(contact) = &list.contact {
        query = query
            .filter(table::contact.eq(contact))
            .order(table::revision.asc());
        return match list.after.as_deref() {
            None => Ok(query),
            Some([Key::Int(revision)]) => Ok(query.filter(table::revision.gt(*revision))),
            Some(_) => Err(Error::PageTokenInvalid),
        };
    }
    query = query.order((
        table::record_time.asc(),
        table::contact.asc(),
        table::revision.asc(),
    ));
    match list.after.as_deref() {
        None => Ok(query),
        Some([Key::Int(time), Key::Text(contact), Key::Int(revision)]) => {
            let beyond = Beyond::new(false)
                .key(table::record_time, *time)
                .key(table::contact, contact.clone())
                .key(table::revision, *revision);
            Ok(query.filter(beyond))
        }
        Some(_) => Err(Error::PageTokenInvalid),
    }
}

/// The condition of one comparison. The fields and kinds are those of `app::lists::TRANSITIONS`.
fn condition(comparison: &Comparison) -> Condition {
    match (comparison.field, &comparison.test) {
        ("from_stage", Test::Text(pattern)) => like!(table::from_stage, pattern),
        ("to_stage", Test::Text(pattern)) => like!(table::to_stage, pattern),
        ("actor", Test::Text(pattern)) => like!(table::actor, pattern),
        ("to_role", Test::Word("UNSPECIFIED")) => Box::new(table::to_role.eq("")),
        ("to_role", Test::Word(word)) => Box::new(table::to_role.eq(*word)),
        ("cause", Test::Word(word)) => {
            Box::new(table::cause.eq_any(crate::wire::transitions::causes(word)))
        }
        ("effective_time", Test::Time(relation, at)) => {
            related!(table::effective_time, relation, at.0)
        }
        ("record_time", Test::Time(relation, at)) => related!(table::record_time, relation, at.0),
        // Whatever the declaration does not allow never comes here.
        _ => Box::new(table::contact.eq("")),
    }
}
