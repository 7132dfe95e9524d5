//! What the lists of all resources have in common: columns against patterns, values and places.
//!
//! Every comparison is byte for byte, so that both engines answer alike. The macros answer boxed
//! conditions, one type for whatever column they are given.

use ::store::Conn;
use ::store::filter::{Comparison, Expr, Pattern, Test};
use diesel::connection::Connection;
use diesel::expression::BoxableExpression;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Integer, Text};

/// The SQL of both engines.
pub(super) type Db = <Conn as Connection>::Backend;

/// A condition on the rows of a source.
pub(super) type Condition<S> = Box<dyn BoxableExpression<S, Db, SqlType = Bool>>;

diesel::define_sql_function! {
    /// The text with each occurrence of the second replaced by the third.
    fn replace(text: Text, from: Text, to: Text) -> Text;
}

diesel::define_sql_function! {
    /// The characters of the text from the place counted from 1.
    fn substr(text: Text, from: Integer) -> Text;
}

diesel::define_sql_function! {
    /// How many characters the text has.
    fn length(text: Text) -> Integer;
}

/// Which rows a checked filter lets pass.
pub(super) fn filtered<S: 'static>(
    filter: &Expr,
    mut of: impl FnMut(&Comparison) -> Condition<S>,
) -> Condition<S> {
    filter.fold(
        &mut of,
        |one| Box::new(diesel::dsl::not(one)),
        |left, right| Box::new(left.and(right)),
        |left, right| Box::new(left.or(right)),
    )
}

/// How a column stands to the value of a sort key.
#[derive(Clone, Copy, Debug)]
pub(super) enum Side {
    Below,
    UpTo,
    At,
    From,
    Above,
}

impl Side {
    /// Beyond the value, the way the list goes.
    pub(super) fn beyond(descending: bool) -> Self {
        if descending { Self::Below } else { Self::Above }
    }

    /// At the value or beyond it: what an index is entered by.
    pub(super) fn from_on(descending: bool) -> Self {
        if descending { Self::UpTo } else { Self::From }
    }
}

/// What the JSON object of a row's labels has in it where the comparison holds; matched with
/// [`contains!`].
///
/// Quotes within keys and values are escaped in JSON, so a quoted key followed by a colon and a
/// quote is found only where it is a key.
pub(super) fn label_needle(comparison: &Comparison) -> String {
    let key = super::json(&comparison.key.as_deref().unwrap_or_default());
    match &comparison.test {
        Test::Text(Pattern::Exact(text)) => format!("{key}:{}", super::json(text)),
        Test::Text(Pattern::Prefix(text)) => {
            let quoted = super::json(text);
            format!("{key}:{}", quoted.strip_suffix('"').unwrap_or(&quoted))
        }
        _ => format!("{key}:\""),
    }
}

/// The pattern of the ids of the contacts of a workspace whose names have a pattern; nothing where none
/// can. Without a slash it is of the id itself.
pub(super) fn contact_ids(workspace: &str, name: &Pattern) -> Option<Pattern> {
    let head = format!("workspaces/{workspace}/contacts/");
    // The part of the name before the id, and what there is of the id.
    let Some((start, id)) = name.text().rsplit_once('/') else {
        return Some(name.clone());
    };
    let id = || id.to_owned();
    let at_its_end = head
        .strip_suffix('/')
        .is_some_and(|head| head.ends_with(start));
    let whole_head = head.strip_suffix('/') == Some(start);
    match name {
        Pattern::Exact(_) if whole_head => Some(Pattern::Exact(id())),
        Pattern::Prefix(_) if whole_head => Some(Pattern::Prefix(id())),
        Pattern::Prefix(text) if head.starts_with(text.as_str()) => {
            Some(Pattern::Prefix(String::new()))
        }
        Pattern::Suffix(_) if at_its_end => Some(Pattern::Exact(id())),
        Pattern::Contains(text) if head.contains(text.as_str()) => {
            Some(Pattern::Contains(String::new()))
        }
        Pattern::Contains(_) if at_its_end => Some(Pattern::Prefix(id())),
        _ => None,
    }
}

/// Whether a text column has a text in it.
macro_rules! contains {
    ($column:expr, $needle:expr) => {
        $crate::store::lists::replace($column, $needle, "").ne($column)
    };
}

/// How a text column stands to a pattern.
macro_rules! text_is {
    ($column:expr, $pattern:expr) => {
        match $pattern {
            Pattern::Exact(text) => Box::new($column.eq(text)) as Condition<_>,
            Pattern::Prefix(text) => match ::store::prefix_end(&text) {
                Some(end) => Box::new($column.ge(text).and($column.lt(end))),
                None => Box::new($column.ge(text)),
            },
            Pattern::Contains(text) if text.is_empty() => Box::new($column.eq($column)),
            Pattern::Contains(text) => Box::new($crate::store::lists::contains!($column, text)),
            Pattern::Suffix(text) => {
                let count = i32::try_from(text.chars().count()).unwrap_or(i32::MAX);
                let length = $crate::store::lists::length($column);
                let end = $crate::store::lists::substr($column, length - (count - 1));
                Box::new(
                    $crate::store::lists::length($column)
                        .ge(count)
                        .and(end.eq(text)),
                )
            }
        }
    };
}

/// How a column stands to a value.
macro_rules! value_is {
    ($column:expr, $relation:expr, $value:expr) => {
        match $relation {
            Relation::Eq => Box::new($column.eq($value)) as Condition<_>,
            Relation::Lt => Box::new($column.lt($value)),
            Relation::Le => Box::new($column.le($value)),
            Relation::Gt => Box::new($column.gt($value)),
            Relation::Ge => Box::new($column.ge($value)),
        }
    };
}

/// On which side of a sort key's value a column lies.
macro_rules! lies {
    ($column:expr, $side:expr, $value:expr) => {
        match $side {
            Side::Below => Box::new($column.lt($value)) as Condition<_>,
            Side::UpTo => Box::new($column.le($value)),
            Side::At => Box::new($column.eq($value)),
            Side::From => Box::new($column.ge($value)),
            Side::Above => Box::new($column.gt($value)),
        }
    };
}

/// Orders a boxed query by a column, in either direction.
macro_rules! then_by {
    ($query:expr, $column:expr, $descending:expr) => {
        if $descending {
            $query.then_order_by($column.desc())
        } else {
            $query.then_order_by($column.asc())
        }
    };
}

/// The rows after the place with the keys `$after`: beyond the first key, or at it and beyond the
/// second, and so on; ties go by the id in `$id`, the way of the last key. Keys that all go one way
/// are compared as one row, with `$key` to add each. Of others the first is compared twice, once
/// alone, because that is what an index is entered by.
macro_rules! after_place {
    ($order:expr, $after:expr, $id:expr, $lies:path, $key:path) => {{
        let order: &[::store::order::Key] = $order;
        let [values @ .., Key::Text(id)] = $after else {
            return Err(Error::PageTokenInvalid);
        };
        if values.len() != order.len() {
            return Err(Error::PageTokenInvalid);
        }
        let descends = order.last().is_some_and(|key| key.descending);
        if order.iter().all(|key| key.descending == descends) {
            let mut place = ::store::Beyond::new(descends);
            for (key, value) in order.iter().zip(values) {
                place = $key(place, key.field, value)?;
            }
            Box::new(place.key($id, id.clone())) as Condition<_>
        } else {
            let mut whole = $crate::store::lists::lies!($id, Side::beyond(descends), id.clone());
            for (key, value) in order.iter().zip(values).rev() {
                let beyond = $lies(key.field, Side::beyond(key.descending), value)?;
                let at = $lies(key.field, Side::At, value)?;
                whole = Box::new(beyond.or(at.and(whole)));
            }
            if let (Some(key), Some(value)) = (order.first(), values.first()) {
                whole =
                    Box::new($lies(key.field, Side::from_on(key.descending), value)?.and(whole));
            }
            whole
        }
    }};
}

pub(super) use {after_place, contains, lies, text_is, then_by, value_is};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_of_names_is_one_of_ids() {
        let of = |text: &str| text.to_owned();
        for (name, expected) in [
            (
                Pattern::Exact(of("workspaces/w/contacts/ada")),
                Some(Pattern::Exact(of("ada"))),
            ),
            (Pattern::Exact(of("workspaces/v/contacts/ada")), None),
            (Pattern::Exact(of("workspaces/w/contacts/x/y")), None),
            (Pattern::Exact(of("ada")), Some(Pattern::Exact(of("ada")))),
            (
                Pattern::Prefix(of("workspaces/w/contacts/a")),
                Some(Pattern::Prefix(of("a"))),
            ),
            (
                Pattern::Prefix(of("workspaces/w/con")),
                Some(Pattern::Prefix(of(""))),
            ),
            (Pattern::Prefix(of("workspaces/w2/")), None),
            (Pattern::Prefix(of("a")), Some(Pattern::Prefix(of("a")))),
            (
                Pattern::Suffix(of("w/contacts/ada")),
                Some(Pattern::Exact(of("ada"))),
            ),
            (Pattern::Suffix(of("v/contacts/ada")), None),
            (Pattern::Suffix(of("da")), Some(Pattern::Suffix(of("da")))),
            (
                Pattern::Contains(of("/contacts/a")),
                Some(Pattern::Prefix(of("a"))),
            ),
            (
                Pattern::Contains(of("/w/")),
                Some(Pattern::Contains(of(""))),
            ),
            (Pattern::Contains(of("/v/")), None),
            (Pattern::Contains(of("d")), Some(Pattern::Contains(of("d")))),
        ] {
            assert_eq!(contact_ids("w", &name), expected, "{name:?}");
        }
    }
}
