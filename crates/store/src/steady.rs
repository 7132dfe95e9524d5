//! Statements whose plan is kept although Diesel would not keep it, and the other way round.
//!
//! Diesel keeps no plan of an UPDATE or of ON CONFLICT DO UPDATE, since their text may differ from
//! call to call with the columns that are set. Ours set the same columns each time, and to parse
//! and plan one anew takes longer than to carry it out, on both engines.
//!
//! Of all else it keeps the plan of every text for as long as the connection lives, and so does
//! PostgreSQL. Whoever may write filters could have both keep as many as they like.

use diesel::backend::Backend;
use diesel::internal::derives::multiconnection::AstPassHelper as _;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryBuilder as _, QueryFragment, QueryId};
use diesel::sqlite::Sqlite;

/// A statement whose plan the connection keeps, by its text. See [`steady!`](crate::steady).
#[derive(Clone, Copy, Debug)]
pub struct Steady<S>(pub S);

impl<S> QueryId for Steady<S> {
    // The text is the key, so that two texts of one type never share a plan.
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<S, C> RunQueryDsl<C> for Steady<S> {}

impl<S: Query> Query for Steady<S> {
    type SqlType = S::SqlType;
}

impl<S: QueryFragment<Pg>> QueryFragment<Pg> for Steady<S> {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        walk_opaque(&self.0, out, &Pg)
    }
}

impl<S: QueryFragment<Sqlite>> QueryFragment<Sqlite> for Steady<S> {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        walk_opaque(&self.0, out, &Sqlite)
    }
}

/// Gives a statement's text and its values away, and nothing else: a statement that walked the pass
/// by itself would mark itself as one whose plan is not to be kept. Diesel asks through references,
/// where overriding the question itself has no effect.
fn walk_opaque<'b, S, DB>(
    statement: &'b S,
    mut out: AstPass<'_, 'b, DB>,
    backend: &'b DB,
) -> QueryResult<()>
where
    DB: Backend,
    DB::QueryBuilder: Default,
    S: QueryFragment<DB>,
{
    if let Some((values, lookup)) = out.bind_collector() {
        return statement.collect_binds(values, lookup, backend);
    }
    let mut text = DB::QueryBuilder::default();
    statement.to_sql(&mut text, backend)?;
    out.push_sql(&text.finish());
    Ok(())
}

/// The query, whose plan is kept only if `kept`: not where its text depends on what a caller asks
/// for, such as a filter, so that there may be any number of texts.
///
/// ```
/// # use diesel::prelude::*;
/// # diesel::table! { notes (id) { id -> Text, body -> Text } }
/// fn list(conn: &mut store::Conn, words: &[&str]) -> QueryResult<Vec<(String, String)>> {
///     let mut query = notes::table.into_boxed();
///     for word in words {
///         query = query.filter(notes::body.ne(word));
///     }
///     store::kept_if(words.is_empty(), query).load(conn)
/// }
/// ```
pub fn kept_if<Q>(kept: bool, query: Q) -> KeptIf<Q> {
    KeptIf { kept, query }
}

/// See [`kept_if`].
#[derive(Clone, Copy, Debug)]
pub struct KeptIf<Q> {
    kept: bool,
    query: Q,
}

impl<Q> QueryId for KeptIf<Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q, C> RunQueryDsl<C> for KeptIf<Q> {}

impl<Q: Query> Query for KeptIf<Q> {
    type SqlType = Q::SqlType;
}

impl<DB: Backend, Q: QueryFragment<DB>> QueryFragment<DB> for KeptIf<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.query.walk_ast(out.reborrow())?;
        if !self.kept {
            out.unsafe_to_cache_prepared();
        }
        Ok(())
    }
}

/// A statement without parameters that is only its text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fixed(pub &'static str);

impl QueryId for Fixed {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<C> RunQueryDsl<C> for Fixed {}

impl<DB: Backend> QueryFragment<DB> for Fixed {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql(self.0);
        Ok(())
    }
}

/// How many rows [`all!`](crate::all) sends in one statement at most. Each number of rows has a plan of
/// its own.
#[doc(hidden)]
pub const ROWS_MAX: usize = 16;

/// Executes a statement for each row of a slice, and answers how many rows it touched: for several
/// rows at once on PostgreSQL, where statements cost round trips, for one after the other on SQLite,
/// where they cost next to nothing. Plans are kept as by [`steady!`](crate::steady).
///
/// ```
/// # use diesel::prelude::*;
/// # diesel::table! { notes (id) { id -> Text, body -> Text } }
/// #[derive(Insertable)]
/// #[diesel(table_name = notes)]
/// struct Row { id: String, body: String }
///
/// fn put(conn: &mut store::Conn, rows: &[Row]) -> QueryResult<usize> {
///     store::all!(conn, rows, |some| diesel::insert_into(notes::table).values(some))
/// }
/// ```
#[macro_export]
macro_rules! all {
    ($conn:expr, $rows:expr, |$some:ident| $statement:expr) => {
        match $conn {
            $crate::Conn::Sqlite(conn) => $rows.iter().try_fold(0, |touched, $some| {
                $crate::diesel::RunQueryDsl::execute($crate::Steady($statement), conn)
                    .map(|more| touched + more)
            }),
            $crate::Conn::Postgres(conn) => {
                $rows
                    .chunks($crate::ROWS_MAX)
                    .try_fold(0, |touched, $some| {
                        $crate::diesel::RunQueryDsl::execute($crate::Steady($statement), conn)
                            .map(|more| touched + more)
                    })
            }
        }
    };
}

/// Executes an UPDATE, or an INSERT with ON CONFLICT DO UPDATE, and keeps its plan for the next
/// time; answers how many rows it touched. For statements that set the same columns at each call.
///
/// ```
/// # use diesel::prelude::*;
/// # diesel::table! { notes (id) { id -> Text, body -> Text } }
/// fn change(conn: &mut store::Conn, id: &str, body: &str) -> QueryResult<usize> {
///     store::steady!(conn, diesel::update(notes::table.find(id)).set(notes::body.eq(body)))
/// }
/// ```
#[macro_export]
macro_rules! steady {
    ($conn:expr, $statement:expr) => {
        $crate::each!($conn, |c| $crate::diesel::RunQueryDsl::execute(
            $crate::Steady($statement),
            c
        ))
    };
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use diesel::connection::InstrumentationEvent;

    use super::*;

    diesel::table! { notes (id) { id -> Text, body -> Text } }

    fn notes_kept() -> (SqliteConnection, Arc<AtomicUsize>) {
        let mut conn = SqliteConnection::establish(":memory:").unwrap();
        diesel::sql_query("CREATE TABLE notes (id TEXT PRIMARY KEY, body TEXT NOT NULL)")
            .execute(&mut conn)
            .unwrap();
        let kept = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&kept);
        conn.set_instrumentation(move |event: InstrumentationEvent<'_>| {
            if let InstrumentationEvent::CacheQuery { .. } = event {
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        (conn, kept)
    }

    #[test]
    fn of_a_list_the_plan_is_kept_but_not_those_of_its_filters() {
        let (conn, kept) = notes_kept();
        let mut conn = crate::Conn::Sqlite(conn);
        let mut list = |terms: usize| {
            let mut query = notes::table.into_boxed();
            for term in 0..terms {
                query = query.filter(notes::body.ne(term.to_string()));
            }
            let found = kept_if(terms == 0, query).load::<(String, String)>(&mut conn);
            assert_eq!(found, Ok(Vec::new()));
        };
        (1..20).for_each(&mut list);
        assert_eq!(kept.load(Ordering::Relaxed), 0);
        list(0);
        list(0);
        assert_eq!(kept.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_plan_is_kept_for_the_statement_and_the_values_are_those_of_the_call() {
        let (mut conn, kept) = notes_kept();
        let put = |conn: &mut SqliteConnection, id: &str, body: &str| {
            let row = (notes::id.eq(id), notes::body.eq(body));
            let statement = diesel::insert_into(notes::table).values(row);
            let statement = statement.on_conflict(notes::id).do_update();
            Steady(statement.set(notes::body.eq(body))).execute(conn)
        };
        for (id, body) in [("a", "one"), ("b", "two"), ("a", "three")] {
            assert_eq!(put(&mut conn, id, body), Ok(1));
        }
        assert_eq!(kept.load(Ordering::Relaxed), 1);
        let rows = notes::table
            .order(notes::id)
            .load::<(String, String)>(&mut conn);
        let expected = [("a", "three"), ("b", "two")].map(|(id, body)| (id.into(), body.into()));
        assert_eq!(rows, Ok(expected.to_vec()));
    }
}
