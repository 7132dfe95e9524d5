//! Where a page goes on, as one comparison that an index is entered by.

use std::marker::PhantomData;

use diesel::expression::{
    AppearsOnTable, AsExpression, Expression, SelectableExpression, ValidGrouping, is_aggregate,
};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment};
use diesel::sql_types::{Bool, SingleValue, SqlType};

use crate::Conn;

type Db = <Conn as Connection>::Backend;
type Part = Box<dyn QueryFragment<Db> + Send>;

/// The rows of the source `S` after a place in an order of one direction: `(a, b) > (?, ?)`, or `<`
/// where it descends.
///
/// Both engines take such a comparison of rows as the beginning of a range of their index, with all
/// its columns. `a > ? OR a = ? AND b > ?` says the same, but the index is entered by `a` at best,
/// and so all rows that share its value are read for every page. No column may be null.
///
/// ```
/// # use diesel::prelude::*;
/// # diesel::table! { notes (id) { id -> Text, body -> Text } }
/// fn after(conn: &mut store::Conn, body: &str, id: &str) -> QueryResult<Vec<String>> {
///     let place = store::Beyond::new(false)
///         .key(notes::body, body.to_owned())
///         .key(notes::id, id.to_owned());
///     notes::table
///         .filter(place)
///         .order((notes::body, notes::id))
///         .select(notes::id)
///         .limit(50)
///         .load(conn)
/// }
/// ```
pub struct Beyond<S> {
    columns: Vec<Part>,
    values: Vec<Part>,
    descending: bool,
    source: PhantomData<fn() -> S>,
}

impl<S> Beyond<S> {
    /// A place without keys; give it those of the order, at least one, in their sequence.
    #[must_use]
    pub fn new(descending: bool) -> Self {
        Self {
            columns: Vec::new(),
            values: Vec::new(),
            descending,
            source: PhantomData,
        }
    }

    /// The next key of the order, with its value at the place.
    #[must_use]
    pub fn key<C, V>(mut self, column: C, value: V) -> Self
    where
        C: SelectableExpression<S> + QueryFragment<Db> + Send + 'static,
        C::SqlType: SqlType + SingleValue,
        V: AsExpression<C::SqlType>,
        V::Expression: QueryFragment<Db> + Send + 'static,
    {
        self.columns.push(Box::new(column));
        self.values.push(Box::new(value.as_expression()));
        self
    }
}

impl<S> Expression for Beyond<S> {
    type SqlType = Bool;
}

// Only columns that can be selected from the source come in.
impl<S> SelectableExpression<S> for Beyond<S> {}

impl<S> AppearsOnTable<S> for Beyond<S> {}

impl<S> ValidGrouping<()> for Beyond<S> {
    type IsAggregate = is_aggregate::No;
}

impl<S> diesel::query_builder::QueryId for Beyond<S> {
    // The text depends on the keys, so statements are cached by their text.
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<S> QueryFragment<Db> for Beyond<S> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Db>) -> QueryResult<()> {
        walk_row(&self.columns, out.reborrow())?;
        out.push_sql(if self.descending { " < " } else { " > " });
        walk_row(&self.values, out)
    }
}

fn walk_row<'b>(parts: &'b [Part], mut out: AstPass<'_, 'b, Db>) -> QueryResult<()> {
    let mut before = "(";
    for part in parts {
        out.push_sql(before);
        part.walk_ast(out.reborrow())?;
        before = ", ";
    }
    out.push_sql(")");
    Ok(())
}
