//! Who billing is to pipeline, the lives of both databases in which it has attached, and the fences.
//!
//! Invariant: epochs only rise, and nothing that was granted before a rise survives it.

use ::store::{Conn, Error, each, locked};
use diesel::prelude::*;
use types::{ContactName, Micros};

use super::schema::{fences, gate, gate_intents, grants};
use crate::domain::grants::{Attachment, Fence};

/// The one row's key.
const ROW: i32 = 1;

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
    fn key(&self) -> (&str, &str) {
        match self {
            Self::Contact(name) => (&name.workspace, &name.contact),
            Self::Workspace(workspace) => (workspace, ""),
            Self::All => ("", ""),
        }
    }
}

/// Announces that something will be taken away: no use of a grant begins there until
/// [`intent_withdraw`]. To be committed before the transaction that takes it away, which would else
/// wait for ever on PostgreSQL while uses overlap. It is only about being fair: what is right rests
/// on the row locks.
pub fn intent_announce(conn: &mut Conn, scope: &Scope) -> Result<(), Error> {
    let (workspace, contact) = scope.key();
    each!(conn, |c| diesel::insert_into(gate_intents::table)
        .values((
            gate_intents::workspace.eq(workspace),
            gate_intents::contact.eq(contact)
        ))
        .on_conflict_do_nothing()
        .execute(c))?;
    Ok(())
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

/// Attaches. A higher epoch than before, of either database, revokes every grant; one of pipeline's
/// also lowers every fence, since pipeline counts anew. A lower one is an old message and changes
/// nothing. Answers what holds now.
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
    if raised == held {
        return Ok(held);
    }
    diesel::update(gate::table.find(ROW))
        .set((
            gate::holder_epoch.eq(raised.holder_epoch),
            gate::pipeline_epoch.eq(raised.pipeline_epoch),
            gate::attach_time.eq(now.0),
        ))
        .execute(conn)?;
    // Fences first, as everywhere: whoever uses a grant locks the fence before the grant.
    diesel::update(fences::table.filter(fences::pipeline_epoch.lt(raised.pipeline_epoch)))
        .set(fences::min_policy_activation.eq(0))
        .execute(conn)?;
    diesel::update(fences::table)
        .set((
            fences::holder_epoch.eq(raised.holder_epoch),
            fences::pipeline_epoch.eq(raised.pipeline_epoch),
        ))
        .execute(conn)?;
    diesel::update(grants::table.filter(grants::state.eq("ACTIVE")))
        .set((grants::state.eq("REVOKED"), grants::update_time.eq(now.0)))
        .execute(conn)?;
    Ok(raised)
}

/// Raises a workspace's fence, never lowers it. Waits for those who use the workspace's grants.
/// False where billing is attached in other epochs than `attached`, and nothing was done.
pub fn fence_raise(conn: &mut Conn, fence: &Fence, attached: Attachment) -> Result<bool, Error> {
    if attachment_pin(conn)? != attached {
        return Ok(false);
    }
    fence_ensure(conn, &fence.workspace, attached)?;
    let row = fences::table
        .find(&fence.workspace)
        .filter(fences::min_policy_activation.lt(fence.min_policy_activation));
    diesel::update(row)
        .set(fences::min_policy_activation.eq(fence.min_policy_activation))
        .execute(conn)?;
    Ok(true)
}

/// The lowest policy activation whose grants may be used in the workspace.
pub fn fence_level(conn: &mut Conn, workspace: &str) -> Result<i64, Error> {
    let level: Option<i64> = fences::table
        .find(workspace)
        .select(fences::min_policy_activation)
        .first(conn)
        .optional()?;
    Ok(level.unwrap_or_default())
}

/// The fence, kept from rising until the transaction ends; made where there is none.
pub(super) fn fence_pin(
    conn: &mut Conn,
    workspace: &str,
    attached: Attachment,
) -> Result<i64, Error> {
    let pinned = |conn: &mut Conn| -> Result<Option<i64>, Error> {
        let row = locked!(
            conn,
            share,
            fences::table.find(workspace).select(fences::min_policy_activation) => first
        );
        Ok(row.optional()?)
    };
    if let Some(level) = pinned(conn)? {
        return Ok(level);
    }
    fence_ensure(conn, workspace, attached)?;
    Ok(pinned(conn)?.unwrap_or_default())
}

fn fence_ensure(conn: &mut Conn, workspace: &str, attached: Attachment) -> Result<(), Error> {
    each!(conn, |c| diesel::insert_into(fences::table)
        .values((
            fences::workspace.eq(workspace),
            fences::min_policy_activation.eq(0_i64),
            fences::holder_epoch.eq(attached.holder_epoch),
            fences::pipeline_epoch.eq(attached.pipeline_epoch),
        ))
        .on_conflict_do_nothing()
        .execute(c))?;
    Ok(())
}
