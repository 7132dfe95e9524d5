//! The rows of a contact's grant: the slot, and who the contact is.

use std::collections::BTreeSet;

use ::store::{Conn, Error, each, locked};
use diesel::prelude::*;
use types::{ContactName, Micros, Role};

use crate::domain::grants::{Grant, Slot, SlotState};
use crate::domain::invoices::Party;
use crate::store::schema::{grants, subjects};
use crate::store::{from_json, json};

/// Who the contact of a grant is, and when it was told; for the select of a query over grants.
macro_rules! told {
    () => {{
        let of_grant = || {
            subjects::table
                .filter(subjects::workspace.eq(grants::workspace))
                .filter(subjects::contact.eq(grants::contact))
        };
        (
            of_grant().select(subjects::party).single_value(),
            of_grant().select(subjects::told_time).single_value(),
        )
    }};
}

/// What [`told!`] answers.
pub(super) type Told = (Option<String>, Option<i64>);

pub(super) use told;

/// What is kept about a contact.
pub fn slot_get(conn: &mut Conn, contact: &ContactName) -> Result<Option<Slot>, Error> {
    let found: Option<(Row, Told)> = grants::table
        .find((&contact.workspace, &contact.contact))
        .select((grants::all_columns, told!()))
        .first(conn)
        .optional()?;
    found.map(|(row, told)| slot_of(row, told)).transpose()
}

/// Notes who the contact of a grant is, as pipeline told it when it was asked at `asked`; what was told
/// later stays, and what was forgotten meanwhile stays so. Locks no grant, so that it never waits for
/// those who use one.
pub fn subject_renew(
    conn: &mut Conn,
    contact: &ContactName,
    subject: &Party,
    asked: Micros,
) -> Result<(), Error> {
    let known = subjects::table
        .find((&contact.workspace, &contact.contact))
        .filter(subjects::told_time.le(asked.0));
    diesel::update(known)
        .set((
            subjects::party.eq(json(subject)),
            subjects::told_time.eq(asked.0),
        ))
        .execute(conn)?;
    Ok(())
}

/// The same for a grant that is installed, whose contact may not be known yet.
pub(super) fn subject_tell(
    conn: &mut Conn,
    contact: &ContactName,
    subject: &Party,
    asked: Micros,
) -> Result<(), Error> {
    let party = json(subject);
    let told = diesel::insert_into(subjects::table)
        .values((
            subjects::workspace.eq(&contact.workspace),
            subjects::contact.eq(&contact.contact),
            subjects::party.eq(&party),
            subjects::told_time.eq(asked.0),
        ))
        .on_conflict((subjects::workspace, subjects::contact))
        .do_update()
        .set((subjects::party.eq(&party), subjects::told_time.eq(asked.0)));
    let told = diesel::query_dsl::methods::FilterDsl::filter(told, subjects::told_time.le(asked.0));
    each!(conn, |c| told.execute(c))?;
    Ok(())
}

/// Forgets who the contact is.
pub(super) fn subject_forget(conn: &mut Conn, contact: &ContactName) -> Result<(), Error> {
    let row = subjects::table.find((&contact.workspace, &contact.contact));
    diesel::delete(row).execute(conn)?;
    Ok(())
}

/// The slot, locked until the transaction ends.
pub(super) fn slot_for_change(
    conn: &mut Conn,
    contact: &ContactName,
) -> Result<Option<Slot>, Error> {
    let found: Option<(Row, Told)> = locked!(
        conn,
        update,
        grants::table
            .find((&contact.workspace, &contact.contact))
            .select((grants::all_columns, told!())) => first
    )
    .optional()?;
    found.map(|(row, told)| slot_of(row, told)).transpose()
}

/// Writes the slot; false where another transaction has made the row that was not there.
pub(super) fn slot_save(
    conn: &mut Conn,
    exists: bool,
    slot: &Slot,
    now: Micros,
) -> Result<bool, Error> {
    let row = row_of(slot, now);
    if exists {
        diesel::update(grants::table.find((&row.workspace, &row.contact)))
            .set(&row)
            .execute(conn)?;
        return Ok(true);
    }
    let inserted = each!(conn, |c| diesel::insert_into(grants::table)
        .values(&row)
        .on_conflict_do_nothing()
        .execute(c))?;
    Ok(inserted == 1)
}

#[derive(Queryable, Insertable, AsChangeset)]
#[diesel(table_name = grants)]
pub(super) struct Row {
    workspace: String,
    contact: String,
    entitlements: String,
    grant_revision: i64,
    policy_activation: i64,
    policy_revision: String,
    holder_epoch: i64,
    pipeline_epoch: i64,
    state: String,
    tombstone: i64,
    stage: String,
    role: String,
    update_time: i64,
}

fn row_of(slot: &Slot, now: Micros) -> Row {
    let grant = &slot.grant;
    Row {
        workspace: grant.contact.workspace.clone(),
        contact: grant.contact.contact.clone(),
        entitlements: json(&grant.entitlements),
        grant_revision: grant.revision,
        policy_activation: grant.policy_activation,
        policy_revision: grant.policy_revision.clone(),
        holder_epoch: slot.holder_epoch,
        pipeline_epoch: grant.epoch,
        state: match slot.state {
            SlotState::Active => "ACTIVE".to_owned(),
            SlotState::Revoked => "REVOKED".to_owned(),
        },
        tombstone: slot.tombstone,
        stage: grant.stage.clone(),
        role: grant.role.map(Role::as_str).unwrap_or_default().to_owned(),
        update_time: now.0,
    }
}

/// The slot of a row and what was told beside it.
pub(super) fn slot_of(row: Row, (party, _): Told) -> Result<Slot, Error> {
    const TABLE: &str = "grants";
    let contact = ContactName::new(row.workspace, row.contact);
    let corrupt = || Error::Corrupt {
        table: TABLE,
        id: contact.to_string(),
    };
    let entitlements: BTreeSet<String> =
        from_json(&row.entitlements, TABLE, || contact.to_string())?;
    let role = match row.role.as_str() {
        "" => None,
        role => Some(role.parse().map_err(|_| corrupt())?),
    };
    let subject = match party {
        Some(party) => from_json(&party, "subjects", || contact.to_string())?,
        None => Party::default(),
    };
    Ok(Slot {
        holder_epoch: row.holder_epoch,
        state: match row.state.as_str() {
            "ACTIVE" => SlotState::Active,
            "REVOKED" => SlotState::Revoked,
            _ => return Err(corrupt()),
        },
        tombstone: row.tombstone,
        grant: Grant {
            entitlements,
            revision: row.grant_revision,
            policy_activation: row.policy_activation,
            policy_revision: row.policy_revision,
            epoch: row.pipeline_epoch,
            stage: row.stage,
            role,
            subject,
            contact,
        },
    })
}
