//! Moves that wait for grants to be given back: one row per contact.

use std::collections::BTreeSet;

use diesel::dsl::{count_star, exists, min, not};
use diesel::prelude::*;
use store::{Conn, Error};
use types::{ContactName, Micros};

use super::schema::{grant_holders, pending_transitions as table};
use crate::domain::grants::Pending;
use crate::domain::policies::PolicyRef;

#[derive(Queryable, Insertable)]
#[diesel(table_name = table)]
struct Row {
    workspace: String,
    contact: String,
    batch: String,
    decision: String,
    to_stage: String,
    to_role: String,
    moves: String,
    facts: String,
    remaining: String,
    policy: String,
    policy_revision: i64,
    activation: i64,
    recall_revision: i64,
    epoch: i64,
    actor: String,
    request_id: String,
    create_time: i64,
}

impl TryFrom<Row> for Pending {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let wrong = || super::corrupt("pending_transitions", &row.workspace, &row.contact);
        let remaining: BTreeSet<String> =
            serde_json::from_str(&row.remaining).map_err(|_| wrong())?;
        let (moves, effects) = serde_json::from_str(&row.moves).map_err(|_| wrong())?;
        Ok(Self {
            moves,
            effects,
            remaining,
            contact: ContactName::new(row.workspace, row.contact),
            batch: row.batch,
            decision: row.decision,
            facts: row.facts,
            policy: PolicyRef::new(row.policy, row.policy_revision),
            activation: row.activation,
            recall_revision: row.recall_revision,
            epoch: row.epoch,
            actor: row.actor,
            request_id: row.request_id,
            create_time: Micros(row.create_time),
        })
    }
}

/// Writes down a move that waits.
pub fn pending_insert(conn: &mut Conn, new: &Pending) -> Result<(), Error> {
    let json = |text: serde_json::Result<String>| {
        text.map_err(|_| {
            super::corrupt(
                "pending_transitions",
                &new.contact.workspace,
                &new.contact.contact,
            )
        })
    };
    let row = Row {
        workspace: new.contact.workspace.clone(),
        contact: new.contact.contact.clone(),
        batch: new.batch.clone(),
        decision: new.decision.clone(),
        to_stage: new.to_stage().to_owned(),
        to_role: new.to_role().to_owned(),
        moves: json(serde_json::to_string(&(&new.moves, &new.effects)))?,
        facts: new.facts.clone(),
        remaining: json(serde_json::to_string(&new.remaining))?,
        policy: new.policy.policy.clone(),
        policy_revision: new.policy.revision,
        activation: new.activation,
        recall_revision: new.recall_revision,
        epoch: new.epoch,
        actor: new.actor.clone(),
        request_id: new.request_id.clone(),
        create_time: new.create_time.0,
    };
    diesel::insert_into(table::table)
        .values(&row)
        .execute(conn)?;
    Ok(())
}

/// The move of this contact that waits, if one does.
pub fn pending_get(conn: &mut Conn, contact: &ContactName) -> Result<Option<Pending>, Error> {
    let row: Option<Row> = table::table
        .find((&contact.workspace, &contact.contact))
        .first(conn)
        .optional()?;
    row.map(Pending::try_from).transpose()
}

/// The moves of these contacts of one workspace that wait.
pub fn pendings_of(
    conn: &mut Conn,
    workspace: &str,
    contacts: &[String],
) -> Result<Vec<Pending>, Error> {
    let rows: Vec<Row> = table::table
        .filter(table::workspace.eq(workspace))
        .filter(table::contact.eq_any(contacts))
        .load(conn)?;
    rows.into_iter().map(Pending::try_from).collect()
}

/// All moves of a batch, in the order of their contacts.
pub fn pendings_of_batch(
    conn: &mut Conn,
    workspace: &str,
    batch: &str,
) -> Result<Vec<Pending>, Error> {
    let rows: Vec<Row> = table::table
        .filter(table::workspace.eq(workspace))
        .filter(table::batch.eq(batch))
        .order(table::contact)
        .load(conn)?;
    rows.into_iter().map(Pending::try_from).collect()
}

/// Forgets a move that was written or given up.
pub fn pending_delete(conn: &mut Conn, contact: &ContactName) -> Result<(), Error> {
    diesel::delete(table::table.find((&contact.workspace, &contact.contact))).execute(conn)?;
    Ok(())
}

/// The recalls that a holder has not acknowledged, in the order of the contacts. One that cannot be
/// read is left out and keeps waiting: it must not keep the others from being told.
pub fn pendings_of_holder(
    conn: &mut Conn,
    holder: &str,
    limit: i64,
) -> Result<Vec<Pending>, Error> {
    let rows: Vec<Row> = table::table
        .inner_join(
            grant_holders::table.on(grant_holders::workspace
                .eq(table::workspace)
                .and(grant_holders::contact.eq(table::contact))),
        )
        .filter(grant_holders::holder.eq(holder))
        .filter(grant_holders::acknowledged_revision.lt(table::recall_revision))
        .order((table::workspace, table::contact))
        .select(table::all_columns)
        .limit(limit)
        .load(conn)?;
    let read = rows.into_iter().filter_map(|row| {
        Pending::try_from(row)
            .inspect_err(|error| tracing::error!(?error, "a recall can't be told"))
            .ok()
    });
    Ok(read.collect())
}

/// Some batches of all workspaces, after `after`, none of whose recalls waits for an acknowledgement:
/// workspace and batch.
pub fn batches_released(
    conn: &mut Conn,
    after: (&str, &str),
    limit: i64,
) -> Result<Vec<(String, String)>, Error> {
    let member = diesel::alias!(super::schema::pending_transitions as member);
    let workspace = member.field(table::workspace);
    let held = member
        .inner_join(
            grant_holders::table.on(grant_holders::workspace
                .eq(workspace)
                .and(grant_holders::contact.eq(member.field(table::contact)))),
        )
        .filter(workspace.eq(table::workspace))
        .filter(member.field(table::batch).eq(table::batch))
        .filter(member.field(table::recall_revision).ne(0))
        .filter(
            member
                .field(table::recall_revision)
                .ne(grant_holders::acknowledged_revision),
        );
    Ok(table::table
        .filter(
            table::workspace
                .gt(after.0)
                .or(table::workspace.eq(after.0).and(table::batch.gt(after.1))),
        )
        .filter(not(exists(held)))
        .select((table::workspace, table::batch))
        .distinct()
        .order((table::workspace, table::batch))
        .limit(limit)
        .load(conn)?)
}

/// How many moves wait, for whomever.
pub fn pendings_count(conn: &mut Conn) -> Result<i64, Error> {
    Ok(table::table.select(count_star()).first(conn)?)
}

/// Since when the oldest of them waits.
pub fn pendings_oldest(conn: &mut Conn) -> Result<Option<Micros>, Error> {
    let oldest: Option<i64> = table::table.select(min(table::create_time)).first(conn)?;
    Ok(oldest.map(Micros))
}

/// Where waiting moves of a workspace lead: activation and stage. Removals lead nowhere.
pub fn targets(conn: &mut Conn, workspace: &str) -> Result<Vec<(i64, String)>, Error> {
    Ok(table::table
        .filter(table::workspace.eq(workspace))
        .filter(table::to_stage.ne(""))
        .select((table::activation, table::to_stage))
        .load(conn)?)
}
