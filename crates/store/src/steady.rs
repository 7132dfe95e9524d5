//! Statements whose plan is kept, although Diesel would not keep it.
//!
//! Diesel keeps no plan of an UPDATE or of ON CONFLICT DO UPDATE, since their text may differ from
//! call to call with the columns that are set. Ours set the same columns each time. Without a plan
//! each of them costs a second round trip on PostgreSQL, and is parsed and planned anew on SQLite,
//! which takes longer than to carry it out.

use diesel::backend::Backend;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};

/// A statement whose plan the connection keeps, by its text. See [`steady!`](crate::steady).
#[derive(Clone, Copy, Debug)]
pub struct Steady<S>(pub S);

impl<S> QueryId for Steady<S> {
    // The text is the key, so that two texts of one type never share a plan.
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<S, C> RunQueryDsl<C> for Steady<S> {}

impl<S, DB> QueryFragment<DB> for Steady<S>
where
    DB: Backend,
    S: QueryFragment<DB>,
{
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.0.walk_ast(out)
    }

    fn is_safe_to_cache_prepared(&self, _: &DB) -> QueryResult<bool> {
        Ok(true)
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
