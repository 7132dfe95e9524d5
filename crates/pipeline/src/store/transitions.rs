//! Transitions: inserted, never changed.

use diesel::prelude::*;
use store::{Beyond, Conn, Error};
use types::{ContactName, Micros};

use super::schema::transitions as table;
use crate::domain::policies::PolicyRef;
use crate::domain::transitions::{Move, Transition};

#[derive(Queryable, Insertable)]
#[diesel(table_name = table)]
pub(super) struct Row {
    workspace: String,
    contact: String,
    revision: i64,
    from_stage: String,
    to_stage: String,
    from_role: String,
    to_role: String,
    skip: bool,
    cause: String,
    actor: String,
    reason: String,
    note: String,
    note_digest: Vec<u8>,
    trigger_id: String,
    activity: String,
    decision: String,
    policy: String,
    policy_revision: i64,
    activation: i64,
    effective_time: i64,
    record_time: i64,
    previous_hash: Vec<u8>,
    hash: Vec<u8>,
}

impl TryFrom<Row> for Transition {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let wrong = || super::corrupt("transitions", &row.workspace, &row.contact);
        Ok(Self {
            note_digest: super::hash_of(row.note_digest.clone()).ok_or_else(wrong)?,
            previous_hash: super::hash_of(row.previous_hash.clone()).ok_or_else(wrong)?,
            hash: super::hash_of(row.hash.clone()).ok_or_else(wrong)?,
            contact: ContactName::new(row.workspace, row.contact),
            revision: row.revision,
            moved: Move {
                from: row.from_stage,
                to: row.to_stage,
                from_role: row.from_role,
                to_role: row.to_role,
                skip: row.skip,
                cause: row.cause,
                actor: row.actor,
                reason: row.reason,
                note: row.note,
                trigger: row.trigger_id,
                activity: row.activity,
                effective_time: row.effective_time,
            },
            decision: row.decision,
            policy: PolicyRef::new(row.policy, row.policy_revision),
            activation: row.activation,
            record_time: Micros(row.record_time),
        })
    }
}

impl From<&Transition> for Row {
    fn from(new: &Transition) -> Self {
        let moved = new.moved.clone();
        Self {
            workspace: new.contact.workspace.clone(),
            contact: new.contact.contact.clone(),
            revision: new.revision,
            from_stage: moved.from,
            to_stage: moved.to,
            from_role: moved.from_role,
            to_role: moved.to_role,
            skip: moved.skip,
            cause: moved.cause,
            actor: moved.actor,
            reason: moved.reason,
            note: moved.note,
            note_digest: new.note_digest.to_vec(),
            trigger_id: moved.trigger,
            activity: moved.activity,
            decision: new.decision.clone(),
            policy: new.policy.policy.clone(),
            policy_revision: new.policy.revision,
            activation: new.activation,
            effective_time: moved.effective_time,
            record_time: new.record_time.0,
            previous_hash: new.previous_hash.to_vec(),
            hash: new.hash.to_vec(),
        }
    }
}

/// Appends transitions to their contacts' histories.
pub fn transitions_insert<'a>(
    conn: &mut Conn,
    new: impl IntoIterator<Item = &'a Transition>,
) -> Result<(), Error> {
    let rows: Vec<Row> = new.into_iter().map(Row::from).collect();
    store::all!(conn, rows, |some| diesel::insert_into(table::table)
        .values(some))?;
    Ok(())
}

/// One transition.
pub fn transition_get(
    conn: &mut Conn,
    contact: &ContactName,
    revision: i64,
) -> Result<Option<Transition>, Error> {
    let row: Option<Row> = table::table
        .find((&contact.workspace, &contact.contact, revision))
        .first(conn)
        .optional()?;
    row.map(Transition::try_from).transpose()
}

/// The newest transition that had taken effect at `time`.
pub fn transition_at(
    conn: &mut Conn,
    contact: &ContactName,
    time: Micros,
) -> Result<Option<Transition>, Error> {
    let row: Option<Row> = table::table
        .filter(table::workspace.eq(&contact.workspace))
        .filter(table::contact.eq(&contact.contact))
        .filter(table::effective_time.le(time.0))
        .order(table::revision.desc())
        .first(conn)
        .optional()?;
    row.map(Transition::try_from).transpose()
}

/// What these decisions moved these contacts of one workspace by, in the order of the contacts and
/// their histories.
pub fn transitions_decided(
    conn: &mut Conn,
    workspace: &str,
    contacts: &[String],
    decisions: &[&str],
) -> Result<Vec<Transition>, Error> {
    let rows: Vec<Row> = table::table
        .filter(table::workspace.eq(workspace))
        .filter(table::contact.eq_any(contacts))
        .filter(table::decision.eq_any(decisions))
        .order((table::contact, table::revision))
        .load(conn)?;
    rows.into_iter().map(Transition::try_from).collect()
}

/// At most `limit` transitions of a workspace after one, by its contact and revision, up to those of
/// the contact `through` or to the last, in the order of the contacts and their histories.
pub fn transitions_after(
    conn: &mut Conn,
    workspace: &str,
    (contact, revision): (&str, i64),
    through: Option<&str>,
    limit: i64,
) -> Result<Vec<Transition>, Error> {
    let beyond = Beyond::new(false)
        .key(table::contact, contact.to_owned())
        .key(table::revision, revision);
    let mut query = table::table
        .into_boxed()
        .filter(table::workspace.eq(workspace.to_owned()))
        .filter(beyond)
        .order((table::contact, table::revision))
        .limit(limit);
    if let Some(through) = through {
        query = query.filter(table::contact.le(through.to_owned()));
    }
    let rows: Vec<Row> = query.load(conn)?;
    rows.into_iter().map(Transition::try_from).collect()
}

/// The hashes of these rows of a contact's history, with their revisions, in no order.
pub fn transition_hashes(
    conn: &mut Conn,
    contact: &ContactName,
    revisions: &[i64],
) -> Result<Vec<(i64, Vec<u8>)>, Error> {
    Ok(table::table
        .filter(table::workspace.eq(&contact.workspace))
        .filter(table::contact.eq(&contact.contact))
        .filter(table::revision.eq_any(revisions))
        .select((table::revision, table::hash))
        .load(conn)?)
}
