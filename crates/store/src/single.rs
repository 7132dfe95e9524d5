//! Creates in one statement: rows, change log and idempotency keys.
//!
//! Five statements cost five round trips on PostgreSQL. [`create`] sends them as one, with the rows
//! and the key as `WITH` parts of the log's insert, and so more than doubles what a create can do.
//! Most of what remains is not the rows but the statement and its commit, so [`create_all`] does
//! several creates at once. On SQLite, where a statement costs no round trip, they run one after the
//! other.

use std::collections::HashMap;

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, InsertStatement, Query, QueryFragment, QueryId};
use diesel::query_dsl::methods::ExecuteDsl;
use diesel::query_source::QuerySource;
use diesel::sql_types::{BigInt, Text};
use types::Micros;

use crate::change_log::{LogPosition, NewChange, append};
use crate::context::{self, KeyFate};
use crate::idempotency::{Claim, Keep, Key, RequestHash, Stored, claim_complete};
use crate::{Columns, Conn, Error};

/// The idempotency key of a create, with its answer, which is known beforehand.
#[derive(Clone, Copy, Debug)]
pub struct Completed<'a> {
    /// The key.
    pub key: &'a Key,
    /// The request's fingerprint.
    pub hash: &'a RequestHash,
    /// The answer.
    pub answer: &'a Stored,
    /// The present.
    pub now: Micros,
    /// How long the key is kept.
    pub keep: Keep,
}

/// A create besides its rows.
#[derive(Clone, Copy, Debug)]
pub struct Create<'a> {
    /// Its key; `None` for one that acts each time.
    pub key: Option<Completed<'a>>,
    /// Its change. Of creates that are done together each has an event id of its own.
    pub change: NewChange<'a>,
}

/// What a create did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// It wrote everything; the change's position.
    At(LogPosition),
    /// The key was there, or a row of the create was being written elsewhere, which may be the key's.
    /// Nothing was written. Claim the key in a transaction of several statements
    /// ([`idempotency::claim`](crate::idempotency::claim)): that tells, and takes a key whose time is
    /// over out of the way.
    KeyTaken,
}

/// Rows to insert: a Diesel insert statement, or a tuple of up to four. Those of several creates may
/// write themselves as [`Columns`].
pub trait Rows {
    /// Inserts them one after the other.
    fn insert(self, conn: &mut SqliteConnection) -> QueryResult<()>;

    /// Writes each insert as `name AS (INSERT ...), `, a part of one statement.
    fn walk<'b>(&'b self, out: AstPass<'_, 'b, Pg>) -> QueryResult<()>;
}

/// Inserts `rows`, logs `change` and stores the key, all or nothing. The one statement of a
/// [`Store::write_single`](crate::Store::write_single), also usable in a write transaction.
///
/// A taken key answers [`Created::KeyTaken`] (within a transaction of PostgreSQL, which is spoilt
/// then, the closure must answer `Err`). Any other row that exists: [`Error::UniqueViolation`].
/// Without a key, while a row is being written elsewhere: [`Error::LockTimeout`], after which the
/// store runs it again.
///
/// ```
/// # use diesel::prelude::*;
/// # diesel::table! { notes (id) { id -> Text, body -> Text } }
/// # fn make(conn: &mut store::Conn, change: &store::change_log::NewChange<'_>) -> Result<(), store::Error> {
/// let row = diesel::insert_into(notes::table).values((notes::id.eq("a"), notes::body.eq("text")));
/// store::single::create(conn, None, change, row)?;
/// # Ok(())
/// # }
/// ```
pub fn create<R>(
    conn: &mut Conn,
    key: Option<Completed<'_>>,
    change: &NewChange<'_>,
    rows: R,
) -> Result<Created, Error>
where
    R: Rows,
{
    let create = Create {
        key,
        change: *change,
    };
    Ok(match create_all(conn, &[create], rows)? {
        Some(positions) => positions
            .into_iter()
            .next()
            .map(Created::At)
            .ok_or_else(lost)?,
        None => Created::KeyTaken,
    })
}

/// The same for several creates, whose `rows` go together: all of them or nothing. Answers the
/// positions of their changes in their order; `None` where one of the keys was taken, or a row was
/// being written elsewhere, after which the closure must answer `Err` unless there is only one create.
pub fn create_all<R>(
    conn: &mut Conn,
    creates: &[Create<'_>],
    rows: R,
) -> Result<Option<Vec<LogPosition>>, Error>
where
    R: Rows,
{
    let has_key = creates.iter().any(|create| create.key.is_some());
    if has_key {
        context::set_key(KeyFate::Written);
    }
    let inserted = match conn {
        Conn::Postgres(c) => Statement::of(creates, rows).get_results::<Inserted>(c),
        Conn::Sqlite(_) => return one_by_one(conn, creates, rows),
    };
    match inserted.map_err(Error::from) {
        Ok(inserted) => {
            let positions: HashMap<String, LogPosition> = inserted
                .into_iter()
                .map(|(event_id, epoch, tx, id)| (event_id, LogPosition { epoch, tx, id }))
                .collect();
            if let Some(last) = positions.values().max() {
                context::set_appended(*last);
            }
            let position = |create: &Create<'_>| positions.get(create.change.event_id).copied();
            let all: Option<Vec<_>> = creates.iter().map(position).collect();
            all.ok_or_else(lost).map(Some)
        }
        Err(Error::UniqueViolation { constraint, .. }) if constraint == "idempotency_keys_pkey" => {
            Ok(None)
        }
        Err(Error::LockTimeout) if has_key || creates.len() > 1 => {
            // That is an answer: to wait again would hold all of them up.
            context::set_key(KeyFate::Taken);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn lost() -> Error {
    Error::database("a create is not in the log that was written with it")
}

fn one_by_one<R: Rows>(
    conn: &mut Conn,
    creates: &[Create<'_>],
    rows: R,
) -> Result<Option<Vec<LogPosition>>, Error> {
    for completed in creates.iter().filter_map(|create| create.key) {
        let Completed {
            key,
            hash,
            answer,
            now,
            keep,
        } = completed;
        if claim_complete(conn, key, hash, now, keep, answer)? != Claim::Fresh {
            return Ok(None);
        }
    }
    if let Conn::Sqlite(c) = conn {
        rows.insert(c)?;
    }
    let mut positions = Vec::with_capacity(creates.len());
    for create in creates {
        positions.push(append(conn, &create.change)?);
    }
    Ok(Some(positions))
}

impl<T, U, Op, Ret> Rows for InsertStatement<T, U, Op, Ret>
where
    T: QuerySource,
    Self: ExecuteDsl<SqliteConnection> + QueryFragment<Pg>,
{
    fn insert(self, conn: &mut SqliteConnection) -> QueryResult<()> {
        ExecuteDsl::execute(self, conn).map(|_| ())
    }

    fn walk<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("part_a AS (");
        self.walk_ast(out.reborrow())?;
        out.push_sql("), ");
        Ok(())
    }
}

macro_rules! tuples {
    ($($part:ident $index:tt),+) => {
        impl<$($part),+> Rows for ($($part,)+)
        where
            $($part: ExecuteDsl<SqliteConnection> + QueryFragment<Pg>,)+
        {
            fn insert(self, conn: &mut SqliteConnection) -> QueryResult<()> {
                $(ExecuteDsl::execute(self.$index, conn)?;)+
                Ok(())
            }

            fn walk<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
                $(
                    out.push_sql(concat!("part_", stringify!($index), " AS ("));
                    self.$index.walk_ast(out.reborrow())?;
                    out.push_sql("), ");
                )+
                Ok(())
            }
        }
    };
}

tuples!(A 0);
tuples!(A 0, B 1);
tuples!(A 0, B 1, C 2);
tuples!(A 0, B 1, C 2, D 3);

/// event_id, epoch, tx, id.
type Inserted = (String, i64, i64, i64);

struct Statement<'a, R> {
    rows: R,
    keys: Columns<'a>,
    changes: Columns<'a>,
}

impl<'a, R> Statement<'a, R> {
    fn of(creates: &'a [Create<'a>], rows: R) -> Self {
        let keys: Vec<&Completed<'a>> = creates.iter().filter_map(|c| c.key.as_ref()).collect();
        let changes = || creates.iter().map(|create| &create.change);
        Self {
            rows,
            keys: Columns::of("idempotency_keys")
                .text("workspace", keys.iter().map(|c| c.key.workspace.as_str()))
                .text("principal", keys.iter().map(|c| c.key.principal.as_str()))
                .text("method", keys.iter().map(|c| c.key.method.as_str()))
                .text("request_id", keys.iter().map(|c| c.key.request_id.as_str()))
                .binary("request_hash", keys.iter().map(|c| c.hash.0.as_slice()))
                .text("resource", keys.iter().map(|c| c.answer.resource.as_str()))
                .big_int("revision", keys.iter().map(|c| c.answer.revision))
                .binary(
                    "response",
                    keys.iter().map(|c| c.answer.response.as_slice()),
                )
                .big_int("create_time", keys.iter().map(|c| c.now.0))
                .big_int_or_none("expire_time", keys.iter().map(|c| c.keep.until(c.now))),
            changes: Columns::of("change_log")
                .text("workspace", changes().map(|c| c.workspace))
                .text("kind", changes().map(|c| c.kind))
                .text("resource", changes().map(|c| c.resource))
                .big_int("revision", changes().map(|c| c.revision))
                .binary("payload", changes().map(|c| c.payload))
                .text("paths", changes().map(|c| c.paths))
                .text("actor", changes().map(|c| c.actor))
                .text("request_id", changes().map(|c| c.request_id))
                .text("event_id", changes().map(|c| c.event_id))
                .big_int("record_time", changes().map(|c| c.record_time.0)),
        }
    }
}

impl<R> Query for Statement<'_, R> {
    type SqlType = (Text, BigInt, BigInt, BigInt);
}

impl<R, C> RunQueryDsl<C> for Statement<'_, R> {}

impl<R> QueryId for Statement<'_, R> {
    // The text is that of the rows, whose type may stand for several.
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<R: Rows> QueryFragment<Pg> for Statement<'_, R> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("WITH ");
        self.rows.walk(out.reborrow())?;
        out.push_sql("key AS (");
        self.keys.walk_insert(out.reborrow())?;
        out.push_sql(
            "), epoch AS (SELECT epoch FROM database_state WHERE id = 1) \
             INSERT INTO change_log (epoch, ",
        );
        self.changes.walk_names(&mut out);
        out.push_sql(") SELECT epoch.epoch, changes.* FROM epoch, ");
        self.changes.walk_rows(out.reborrow())?;
        out.push_sql(" AS changes RETURNING event_id, epoch, tx, id");
        Ok(())
    }
}
