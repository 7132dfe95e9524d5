//! Leases: which replica may run a background task.
//!
//! A lease is held until a moment, renewed well before, and taken over when that moment has passed.
//! Its fencing number grows with each new holder. Because a holder may be slow without knowing it,
//! an effect is made safe by [`hold`] in the effect's own transaction.
//!
//! On PostgreSQL, where replicas meet, moments are those of the server's clock; the argument `now`, the
//! process's, counts on SQLite only. A clock that once ran ahead leaves a lease that would be over
//! in days: one that runs for longer than [`TTL_MAX`] counts as over.

use std::time::Duration;

use diesel::prelude::*;
use types::Micros;

use crate::schema::leases;
use crate::{Conn, Error, clocks};

/// The longest time for which a lease may be taken.
pub const TTL_MAX: Duration = Duration::from_mins(10);

/// A lease as its holder knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The task's name.
    pub name: String,
    /// The holder: unique to a process.
    pub holder: String,
    /// Grows with each new holder.
    pub fencing: i64,
}

/// Takes the lease, for `ttl` of at most [`TTL_MAX`], if it is free, over, or this holder's already; none
/// when somebody else has it. Waits for the transactions that [`hold`] it.
pub fn acquire(
    conn: &mut Conn,
    name: &str,
    holder: &str,
    ttl: Duration,
    now: Micros,
) -> Result<Option<Lease>, Error> {
    debug_assert!(ttl <= TTL_MAX, "{name} is taken for {ttl:?}");
    let now = clocks::shared(conn, now)?;
    let until = now.plus(ttl).0;
    let free_or_own = || {
        let over = leases::expire_time.le(now.0);
        let implausible = leases::expire_time.gt(now.plus(TTL_MAX).0);
        over.or(implausible).or(leases::holder.eq(holder))
    };
    // An update alone would pass by those who hold it, as a renewal does and must.
    let found = leases::table.find(name).select(leases::fencing);
    let _: Option<i64> =
        crate::locked!(conn, update, found.filter(free_or_own()) => first).optional()?;
    let taken = diesel::insert_into(leases::table)
        .values((
            leases::name.eq(name),
            leases::holder.eq(holder),
            leases::fencing.eq(1),
            leases::expire_time.eq(until),
        ))
        .on_conflict(leases::name)
        .do_update()
        .set((
            leases::holder.eq(holder),
            leases::fencing.eq(leases::fencing + 1),
            leases::expire_time.eq(until),
        ));
    let taken = diesel::query_dsl::methods::FilterDsl::filter(taken, free_or_own())
        .returning(leases::fencing);
    let fencing: Option<i64> = crate::each!(conn, |c| taken.get_result(c)).optional()?;
    Ok(fencing.map(|fencing| Lease {
        name: name.to_owned(),
        holder: holder.to_owned(),
        fencing,
    }))
}

/// Prolongs the lease. Errors: [`Error::LeaseLost`] when it is over or somebody else's.
pub fn renew(conn: &mut Conn, lease: &Lease, ttl: Duration, now: Micros) -> Result<(), Error> {
    let now = clocks::shared(conn, now)?;
    let mine = leases::table
        .filter(leases::name.eq(&lease.name))
        .filter(leases::holder.eq(&lease.holder))
        .filter(leases::fencing.eq(lease.fencing))
        .filter(leases::expire_time.gt(now.0));
    let renewed = diesel::update(mine)
        .set(leases::expire_time.eq(now.plus(ttl).0))
        .execute(conn)?;
    found(renewed == 1, lease)
}

/// Makes sure, until the running transaction ends, that nobody else takes the lease, which may be
/// renewed meanwhile. Errors: [`Error::LeaseLost`].
pub fn hold(conn: &mut Conn, lease: &Lease, now: Micros) -> Result<(), Error> {
    let row = leases::table.find(&lease.name);
    let known = (leases::holder, leases::fencing);
    let row: Option<((String, i64), bool)> = match conn {
        Conn::Sqlite(c) => row
            .select((known, leases::expire_time.gt(now.0)))
            .first(c)
            .optional()?,
        Conn::Postgres(c) => row
            .select((known, leases::expire_time.gt(clocks::clock_micros())))
            .for_key_share()
            .first(c)
            .optional()?,
    };
    let mine = row.is_some_and(|((holder, fencing), runs)| {
        holder == lease.holder && fencing == lease.fencing && runs
    });
    found(mine, lease)
}

/// Gives the lease back; nothing happens if it is no longer held.
pub fn release(conn: &mut Conn, lease: &Lease) -> Result<(), Error> {
    let mine = leases::table
        .filter(leases::name.eq(&lease.name))
        .filter(leases::holder.eq(&lease.holder))
        .filter(leases::fencing.eq(lease.fencing));
    diesel::update(mine)
        .set(leases::expire_time.eq(0))
        .execute(conn)?;
    Ok(())
}

fn found(mine: bool, lease: &Lease) -> Result<(), Error> {
    if mine {
        return Ok(());
    }
    Err(Error::LeaseLost {
        name: lease.name.clone(),
    })
}
