//! The epoch: which life of the database this is.
//!
//! A failover or a restore may lose what was acknowledged before. Whatever refers to the database's
//! history (log positions, consistency tokens, grants) therefore carries the epoch's number, which
//! changes with the database's system id, its timeline, and the restore counter that
//! `clientele epoch bump` raises after a restore.
//!
//! Invariant: numbers grow, and two lives never share one: a new number is the instant at which it
//! was taken (UTC microseconds), or one more than the last if the clock stands behind it.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use types::Micros;

use crate::schema::database_state;
use crate::{Conn, Error};

/// One life of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Epoch {
    /// Grows with each life; compare by this.
    pub number: i64,
    /// PostgreSQL's system identifier; on SQLite a random number given at creation.
    pub system_id: String,
    /// PostgreSQL's timeline; 0 on SQLite.
    pub timeline: i64,
    /// How often the database was declared restored.
    pub restores: i64,
}

/// The epoch as stored, read in the running transaction.
pub fn current(conn: &mut Conn) -> Result<Epoch, Error> {
    let (number, system_id, timeline, restores) = database_state::table
        .find(1)
        .select((
            database_state::epoch,
            database_state::system_id,
            database_state::timeline,
            database_state::restores,
        ))
        .first(conn)?;
    Ok(Epoch {
        number,
        system_id,
        timeline,
        restores,
    })
}

/// Declares the database restored: the next epoch begins. To be called in a write transaction,
/// before any service uses the restored database.
pub fn bump(conn: &mut Conn, now: Micros) -> Result<Epoch, Error> {
    wait_for_writers(conn)?;
    let old = locked_row(conn)?.ok_or_else(|| Error::database("the epoch row is missing"))?;
    let new = Epoch {
        number: next_number(old.number, now),
        restores: old.restores + 1,
        ..old
    };
    save(conn, &new)?;
    Ok(new)
}

/// Makes the stored epoch match the database's identity, in a transaction of its own.
pub(crate) fn reconcile(conn: &mut Conn, now: Micros) -> Result<Epoch, Error> {
    let identity = identity(conn)?;
    if let Ok(stored) = current(conn)
        && identity.as_ref().is_none_or(|id| id.matches(&stored))
    {
        return Ok(stored);
    }
    conn.transaction(|conn| {
        wait_for_writers(conn)?;
        let Some(stored) = locked_row(conn)? else {
            return begin(conn, identity.unwrap_or_else(Identity::random), now);
        };
        let Some(identity) = identity.filter(|identity| !identity.matches(&stored)) else {
            return Ok(stored);
        };
        let new = Epoch {
            number: next_number(stored.number, now),
            system_id: identity.system_id,
            timeline: identity.timeline,
            restores: stored.restores,
        };
        save(conn, &new)?;
        tracing::warn!(
            epoch = new.number,
            timeline = new.timeline,
            "a new epoch begins"
        );
        Ok(new)
    })
}

#[derive(QueryableByName)]
struct Identity {
    #[diesel(sql_type = Text)]
    system_id: String,
    #[diesel(sql_type = BigInt)]
    timeline: i64,
}

impl Identity {
    fn random() -> Self {
        Self {
            system_id: rand::random::<u64>().to_string(),
            timeline: 0,
        }
    }

    fn matches(&self, epoch: &Epoch) -> bool {
        self.system_id == epoch.system_id && self.timeline == epoch.timeline
    }
}

/// What PostgreSQL says about itself. SQLite has no identity but the stored one.
fn identity(conn: &mut Conn) -> Result<Option<Identity>, Error> {
    let Conn::Postgres(c) = conn else {
        return Ok(None);
    };
    // The timeline is the first eight hexadecimal digits of the name of the current WAL file.
    let identity = diesel::sql_query(
        "SELECT (SELECT system_identifier::text FROM pg_control_system()) AS system_id, \
         ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint AS timeline",
    )
    .get_result(c)?;
    Ok(Some(identity))
}

/// Waits until nobody has a change to the log that is not committed, and keeps writers out until the
/// transaction ends. Of an epoch that is over everything counts as committed: a follower that had
/// read beyond it would never see a change that was logged in it later.
fn wait_for_writers(conn: &mut Conn) -> Result<(), Error> {
    if let Conn::Postgres(c) = conn {
        diesel::sql_query("LOCK TABLE change_log IN SHARE ROW EXCLUSIVE MODE").execute(c)?;
    }
    Ok(())
}

fn locked_row(conn: &mut Conn) -> Result<Option<Epoch>, Error> {
    let row: Option<(i64, String, i64, i64)> = crate::locked!(
        conn,
        update,
        database_state::table.find(1).select((
            database_state::epoch,
            database_state::system_id,
            database_state::timeline,
            database_state::restores,
        )) => first
    )
    .optional()?;
    Ok(row.map(|(number, system_id, timeline, restores)| Epoch {
        number,
        system_id,
        timeline,
        restores,
    }))
}

fn begin(conn: &mut Conn, identity: Identity, now: Micros) -> Result<Epoch, Error> {
    let first = Epoch {
        number: next_number(0, now),
        system_id: identity.system_id,
        timeline: identity.timeline,
        restores: 0,
    };
    crate::each!(conn, |c| diesel::insert_into(database_state::table)
        .values((
            database_state::id.eq(1),
            database_state::epoch.eq(first.number),
            database_state::system_id.eq(&first.system_id),
            database_state::timeline.eq(first.timeline),
            database_state::restores.eq(first.restores),
            database_state::pruned_epoch.eq(0),
            database_state::pruned_tx.eq(0),
            database_state::pruned_id.eq(0),
        ))
        .on_conflict_do_nothing()
        .execute(c))?;
    current(conn)
}

fn save(conn: &mut Conn, epoch: &Epoch) -> Result<(), Error> {
    diesel::update(database_state::table.find(1))
        .set((
            database_state::epoch.eq(epoch.number),
            database_state::system_id.eq(&epoch.system_id),
            database_state::timeline.eq(epoch.timeline),
            database_state::restores.eq(epoch.restores),
        ))
        .execute(conn)?;
    Ok(())
}

fn next_number(last: i64, now: Micros) -> i64 {
    now.0.max(last + 1)
}
