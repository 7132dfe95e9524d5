//! A create in one statement: rows, change log and idempotency key.
//!
//! Five statements cost five round trips on PostgreSQL. [`create`] sends them as one, with the rows
//! and the key as `WITH` parts of the log's insert, and so more than doubles what a create can do.
//! On SQLite, where a statement costs no round trip, it runs them one after the other.

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, InsertStatement, Query, QueryFragment, QueryId};
use diesel::query_dsl::methods::ExecuteDsl;
use diesel::query_source::QuerySource;
use diesel::sql_types::{BigInt, Binary, Text};
use types::Micros;

use crate::change_log::{LogPosition, NewChange, append};
use crate::context::{self, KeyFate};
use crate::idempotency::{Claim, Keep, Key, RequestHash, Stored, claim_complete};
use crate::{Conn, Error};

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

/// Rows to insert: a Diesel insert statement, or a tuple of up to four.
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
    if key.is_some() {
        context::set_key(KeyFate::Written);
    }
    let inserted = match conn {
        Conn::Postgres(c) => Create {
            expire_time: key.and_then(|key| key.keep.until(key.now)),
            key,
            change,
            rows,
        }
        .get_result::<(i64, i64, i64)>(c)
        .map(|(epoch, tx, id)| LogPosition { epoch, tx, id })
        .map_err(Error::from),
        Conn::Sqlite(_) => return one_by_one(conn, key, change, rows),
    };
    match inserted {
        Ok(position) => {
            context::set_appended(position);
            Ok(Created::At(position))
        }
        Err(Error::UniqueViolation { constraint, .. }) if constraint == "idempotency_keys_pkey" => {
            Ok(Created::KeyTaken)
        }
        Err(Error::LockTimeout) if key.is_some() => Ok(Created::KeyTaken),
        Err(error) => Err(error),
    }
}

fn one_by_one<R: Rows>(
    conn: &mut Conn,
    key: Option<Completed<'_>>,
    change: &NewChange<'_>,
    rows: R,
) -> Result<Created, Error> {
    if let Some(Completed {
        key,
        hash,
        answer,
        now,
        keep,
    }) = key
        && claim_complete(conn, key, hash, now, keep, answer)? != Claim::Fresh
    {
        return Ok(Created::KeyTaken);
    }
    if let Conn::Sqlite(c) = conn {
        rows.insert(c)?;
    }
    append(conn, change).map(Created::At)
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

struct Create<'a, R> {
    key: Option<Completed<'a>>,
    expire_time: Option<i64>,
    change: &'a NewChange<'a>,
    rows: R,
}

impl<R> Query for Create<'_, R> {
    type SqlType = (BigInt, BigInt, BigInt);
}

impl<R, C> RunQueryDsl<C> for Create<'_, R> {}

impl<R> QueryId for Create<'_, R> {
    // With and without a key are two texts, so statements are cached by their text.
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<R: Rows> QueryFragment<Pg> for Create<'_, R> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("WITH ");
        self.rows.walk(out.reborrow())?;
        if let Some(completed) = &self.key {
            walk_key(completed, self.expire_time.as_ref(), out.reborrow())?;
        }
        let change = self.change;
        out.push_sql(
            "epoch AS (SELECT epoch FROM database_state WHERE id = 1) \
             INSERT INTO change_log (epoch, workspace, kind, resource, revision, payload, paths, \
             actor, request_id, event_id, record_time) SELECT epoch.epoch",
        );
        for text in [change.workspace, change.kind, change.resource] {
            out.push_sql(", ");
            out.push_bind_param::<Text, str>(text)?;
        }
        out.push_sql(", ");
        out.push_bind_param::<BigInt, i64>(&change.revision)?;
        out.push_sql(", ");
        out.push_bind_param::<Binary, [u8]>(change.payload)?;
        for text in [
            change.paths,
            change.actor,
            change.request_id,
            change.event_id,
        ] {
            out.push_sql(", ");
            out.push_bind_param::<Text, str>(text)?;
        }
        out.push_sql(", ");
        out.push_bind_param::<BigInt, i64>(&change.record_time.0)?;
        out.push_sql(" FROM epoch RETURNING epoch, tx, id");
        Ok(())
    }
}

fn walk_key<'b>(
    completed: &'b Completed<'_>,
    expire_time: Option<&'b i64>,
    mut out: AstPass<'_, 'b, Pg>,
) -> QueryResult<()> {
    let Completed {
        key,
        hash,
        answer,
        now,
        ..
    } = completed;
    out.push_sql(
        "key AS (INSERT INTO idempotency_keys (workspace, principal, method, request_id, \
         request_hash, resource, revision, response, create_time, expire_time) VALUES (",
    );
    for text in [&key.workspace, &key.principal, &key.method, &key.request_id] {
        out.push_bind_param::<Text, str>(text)?;
        out.push_sql(", ");
    }
    out.push_bind_param::<Binary, [u8]>(&hash.0)?;
    out.push_sql(", ");
    out.push_bind_param::<Text, str>(&answer.resource)?;
    out.push_sql(", ");
    out.push_bind_param::<BigInt, i64>(&answer.revision)?;
    out.push_sql(", ");
    out.push_bind_param::<Binary, [u8]>(&answer.response)?;
    out.push_sql(", ");
    out.push_bind_param::<BigInt, i64>(&now.0)?;
    out.push_sql(", ");
    match expire_time {
        Some(expire_time) => out.push_bind_param::<BigInt, i64>(expire_time)?,
        None => out.push_sql("NULL"),
    }
    out.push_sql(")), ");
    Ok(())
}
