//! One connection type over both engines, and the two macros that speak to the engine behind it.
//!
//! Most queries run on [`Conn`] directly: Diesel renders them for the engine at hand. What the
//! derived connection cannot express (`RETURNING` rows, batch inserts, `ON CONFLICT`, row locks)
//! goes through [`each!`](crate::each) and [`locked!`](crate::locked).
//!
//! Invariant: outside this crate nobody matches on the variants; the macros do.

pub use engines::Conn;

mod engines {

    use diesel::{MultiConnection, PgConnection, SqliteConnection};

    /// A connection to either engine.
    ///
    /// Diesel's traits work on it as they do on a single engine's connection. The derived
    /// `establish` must not be used, since it would make a SQLite file of any string: connections
    /// come from a [`Store`](crate::Store).
    #[derive(MultiConnection)]
    pub enum Conn {
        /// An SQLite database file.
        Sqlite(SqliteConnection),
        /// A PostgreSQL session.
        Postgres(PgConnection),
    }
}

/// Runs the same expression on the concrete connection of either engine.
///
/// The tokens are expanded once per engine, so everything compiles that both engines support,
/// `RETURNING`, batch inserts, `ON CONFLICT` and boxed queries included. Both arms must have one
/// type, usually a `QueryResult`.
///
/// ```
/// # use diesel::prelude::*;
/// # diesel::table! { notes (id) { id -> Text, body -> Text } }
/// fn put(conn: &mut store::Conn, id: &str, body: &str) -> QueryResult<usize> {
///     store::each!(conn, |c| diesel::insert_into(notes::table)
///         .values((notes::id.eq(id), notes::body.eq(body)))
///         .on_conflict_do_nothing()
///         .execute(c))
/// }
/// ```
#[macro_export]
macro_rules! each {
    ($conn:expr, |$c:ident| $body:expr) => {
        match $conn {
            $crate::Conn::Sqlite($c) => $body,
            $crate::Conn::Postgres($c) => $body,
        }
    };
}

/// Runs a select that locks the rows it finds: `FOR SHARE`, `FOR UPDATE` or, with `key_share`, `FOR KEY
/// SHARE` on PostgreSQL, the plain select on SQLite, where the write transaction itself keeps every
/// other writer out.
///
/// The finishing call comes after `=>` without its connection; it may carry type arguments. Boxed
/// queries cannot be locked. On PostgreSQL the lock is waited for 1 s at most, then the operation is run
/// again, and ends in [`Error::LockTimeout`](crate::Error::LockTimeout) where time or attempts run out.
///
/// ```
/// # use diesel::prelude::*;
/// # diesel::table! { notes (id) { id -> Text, body -> Text } }
/// fn body_for_change(conn: &mut store::Conn, id: &str) -> QueryResult<Option<String>> {
///     store::locked!(conn, update, notes::table.find(id).select(notes::body) => first::<String>)
///         .optional()
/// }
/// fn pinned(conn: &mut store::Conn) -> QueryResult<Vec<(String, String)>> {
///     store::locked!(conn, share, notes::table.order(notes::id) => load)
/// }
/// ```
#[macro_export]
macro_rules! locked {
    ($conn:expr, share, $query:expr => $finish:ident $(::<$($arg:ty),+>)?) => {
        $crate::locked!(@ $conn, for_share, $query, $finish $(::<$($arg),+>)?)
    };
    ($conn:expr, update, $query:expr => $finish:ident $(::<$($arg:ty),+>)?) => {
        $crate::locked!(@ $conn, for_update, $query, $finish $(::<$($arg),+>)?)
    };
    ($conn:expr, key_share, $query:expr => $finish:ident $(::<$($arg:ty),+>)?) => {
        $crate::locked!(@ $conn, for_key_share, $query, $finish $(::<$($arg),+>)?)
    };
    (@ $conn:expr, $lock:ident, $query:expr, $finish:ident $(::<$($arg:ty),+>)?) => {
        match $conn {
            $crate::Conn::Sqlite(c) => {
                $crate::diesel::RunQueryDsl::$finish$(::<$($arg),+>)?($query, c)
            }
            $crate::Conn::Postgres(c) => $crate::diesel::RunQueryDsl::$finish$(::<$($arg),+>)?(
                $crate::diesel::QueryDsl::$lock($query),
                c,
            ),
        }
    };
}
