//! Who billing is to pipeline, the lives of both databases in which it has attached, and the fences.
//!
//! Invariant: epochs only rise, and nothing that was granted before a rise survives it: what is made in an
//! epoch says so, and is measured against the gate's row, which whoever relies on it has locked.

use std::time::Duration;

use ::store::{Conn, Error, each, locked};
use diesel::prelude::*;
use types::{ContactName, Micros};

use super::schema::{fences, gate, gate_intents};
use crate::domain::grants::{Attachment, Fence, Gate};

/// How long an announcement counts: longer than taking something away lasts. Whoever made an older one
/// did not live to withdraw it, and it must not keep everybody from what nobody takes any more.
pub const ANNOUNCED_MAX: Duration = Duration::from_secs(10);

/// How far ahead of a caller's time an announcement may be: the caller may have waited since, and the
/// clocks of two replicas differ.
const AHEAD_MAX: Duration = Duration::from_mins(1);

/// The one row's key.
pub(super) const ROW: i32 = 1;

/// The id of this database as a holder of grants; made by `new_id` at the first call, kept since.
pub fn holder_ensure(conn: &mut Conn, new_id: &str) -> Result<String, Error> {
    each!(conn, |c| diesel::insert_into(gate::table)
        .values((
            gate::id.eq(ROW),
            gate::holder.eq(new_id),
            gate::holder_epoch.eq(0_i64),
            gate::pipeline_epoch.eq(0_i64),
            gate::attach_time.eq(0_i64),
        ))
        .on_conflict_do_nothing()
        .execute(c))?;
    Ok(gate::table.find(ROW).select(gate::holder).first(conn)?)
}

/// The epochs in which billing has attached; both 0 before the first time.
pub fn attachment(conn: &mut Conn) -> Result<Attachment, Error> {
    let (holder_epoch, pipeline_epoch) = gate::table
        .find(ROW)
        .select((gate::holder_epoch, gate::pipeline_epoch))
        .first(conn)?;
    Ok(Attachment {
        holder_epoch,
        pipeline_epoch,
    })
}

/// The epochs in which billing has attached, kept from rising until the transaction ends; both 0
/// before the first time.
pub(super) fn attachment_pin(conn: &mut Conn) -> Result<Attachment, Error> {
    let (holder_epoch, pipeline_epoch) = locked!(
        conn,
        share,
        gate::table.find(ROW).select((gate::holder_epoch, gate::pipeline_epoch)) => first
    )?;
    Ok(Attachment {
        holder_epoch,
        pipeline_epoch,
    })
}

/// What somebody is about to take something away from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One contact: a recall.
    Contact(ContactName),
    /// All contacts of a workspace, by its id: a fence.
    Workspace(String),
    /// Everybody: another epoch.
    All,
}

impl Scope {
    /// The one workspace that it concerns; none where it concerns them all.
    pub fn workspace(&self) -> Option<&str> {
        match self {
            Self::Contact(name) => Some(&name.workspace),
            Self::Workspace(workspace) => Some(workspace),
            Self::All => None,
        }
    }

    fn key(&self) -> (&str, &str) {
        match self {
            Self::Contact(name) => (&name.workspace, &name.contact),
            Self::Workspace(workspace) => (workspace, ""),
            Self::All => ("", ""),
        }
    }
}

/// Announces that something will be taken away: no use of a grant begins there until
/// [`intent_withdraw`], or for [`ANNOUNCED_MAX`]. To be committed before the transaction that takes it away, which would else
/// wait for ever on PostgreSQL while uses overlap. It is only about being fair: what is right rests
/// on the row locks.
pub fn intent_announce(conn: &mut Conn, scope: &Scope, now: Micros) -> Result<(), Error> {
    let (workspace, contact) = scope.key();
    let announced_again = diesel::update(gate_intents::table.find(scope.key()))
        .set(gate_intents::announce_time.eq(now.0))
        .execute(conn)?;
    if announced_again > 0 {
        return Ok(());
    }
    each!(conn, |c| diesel::insert_into(gate_intents::table)
        .values((
            gate_intents::workspace.eq(workspace),
            gate_intents::contact.eq(contact),
            gate_intents::announce_time.eq(now.0),
        ))
        .on_conflict_do_nothing()
        .execute(c))?;
    Ok(())
}

/// When an announcement must have been made to count at `now`: after the first, before the second.
pub(super) fn announced_between(now: Micros) -> (Micros, Micros) {
    (now.minus(ANNOUNCED_MAX), now.plus(AHEAD_MAX))
}

/// Withdraws what was announced: in the transaction that has taken it away, or after that failed.
pub fn intent_withdraw(conn: &mut Conn, scope: &Scope) -> Result<(), Error> {
    diesel::delete(gate_intents::table.find(scope.key())).execute(conn)?;
    Ok(())
}

/// Withdraws whatever was announced by one who did not live to carry it out.
pub fn intents_clear(conn: &mut Conn) -> Result<(), Error> {
    diesel::delete(gate_intents::table).execute(conn)?;
    Ok(())
}

/// Attaches. A higher epoch than before, of either database, voids every grant, and one of pipeline's
/// every fence, since pipeline counts anew: they carry the epochs they were made in and are compared
/// with this row. A lower one is an old message and changes nothing. Answers what holds now.
///
/// Waits for everybody who uses a grant, since they hold this row.
pub fn attachment_raise(
    conn: &mut Conn,
    offered: Attachment,
    now: Micros,
) -> Result<Attachment, Error> {
    let (holder_epoch, pipeline_epoch) = locked!(
        conn,
        update,
        gate::table.find(ROW).select((gate::holder_epoch, gate::pipeline_epoch)) => first
    )?;
    let held = Attachment {
        holder_epoch,
        pipeline_epoch,
    };
    let raised = Attachment {
        holder_epoch: held.holder_epoch.max(offered.holder_epoch),
        pipeline_epoch: held.pipeline_epoch.max(offered.pipeline_epoch),
    };
    if raised != held {
        diesel::update(gate::table.find(ROW))
            .set((
                gate::holder_epoch.eq(raised.holder_epoch),
                gate::pipeline_epoch.eq(raised.pipeline_epoch),
                gate::attach_time.eq(now.0),
            ))
            .execute(conn)?;
    }
    Ok(raised)
}

/// Raises a workspace's fence, never lowers it within an epoch of pipeline's database. Waits for those
/// who use the workspace's grants. False where billing is attached in other epochs than `attached`, and
/// nothing was done.
pub fn fence_raise(conn: &mut Conn, fence: &Fence, attached: Attachment) -> Result<bool, Error> {
    if attachment_pin(conn)? != attached {
        return Ok(false);
    }
    fence_ensure(conn, &fence.workspace, attached)?;
    let lower = fences::min_policy_activation.lt(fence.min_policy_activation);
    let older = fences::pipeline_epoch.lt(attached.pipeline_epoch);
    diesel::update(fences::table.find(&fence.workspace).filter(lower.or(older)))
        .set((
            fences::min_policy_activation.eq(fence.min_policy_activation),
            fences::pipeline_epoch.eq(attached.pipeline_epoch),
        ))
        .execute(conn)?;
    Ok(true)
}

/// What the workspace's grants are measured against, kept from rising until the transaction ends, as
/// `attached` must be by [`attachment_pin`]. The fence is made where there is none.
pub(super) fn fence_pin(
    conn: &mut Conn,
    workspace: &str,
    attached: Attachment,
) -> Result<Gate, Error> {
    let pinned = |conn: &mut Conn| -> Result<Option<(i64, i64)>, Error> {
        let row = locked!(
            conn,
            share,
            fences::table
                .find(workspace)
                .select((fences::min_policy_activation, fences::pipeline_epoch)) => first
        );
        Ok(row.optional()?)
    };
    let mut found = pinned(conn)?;
    if found.is_none() {
        fence_ensure(conn, workspace, attached)?;
        found = pinned(conn)?;
    }
    let (level, raised_in) = found.unwrap_or_default();
    Ok(Gate::new(attached, level, raised_in))
}

fn fence_ensure(conn: &mut Conn, workspace: &str, attached: Attachment) -> Result<(), Error> {
    each!(conn, |c| diesel::insert_into(fences::table)
        .values((
            fences::workspace.eq(workspace),
            fences::min_policy_activation.eq(0_i64),
            fences::pipeline_epoch.eq(attached.pipeline_epoch),
        ))
        .on_conflict_do_nothing()
        .execute(c))?;
    Ok(())
}
