//! Grants: what may be done without asking pipeline, and the proof of it that documents need.
//!
//! Invariant: [`grant_hold`] is the only source of [`Held`], and [`Held`] the only thing that is
//! [`Entitled`]. It borrows the transaction that has locked the fence and the grant, and whoever
//! writes the document gets its connection from it.
//!
//! The compiler keeps it. A draft is made under a held grant:
//!
//! ```
//! # use billing::domain::grants::{Grant, Invoice, Project};
//! # use billing::domain::invoices::{Content, Draft, draft};
//! # use billing::store::grants::{Held, grant_hold};
//! fn accept(conn: &mut store::Conn, content: Content, epoch: i64) -> Option<Draft> {
//!     let held = grant_hold::<Invoice>(conn, &content.contact, epoch).ok()??;
//!     draft(content, &held).ok()
//! }
//! ```
//!
//! Not without one, be it that pipeline has just given it:
//!
//! ```compile_fail,E0277
//! # use billing::domain::grants::{Grant, Invoice, Project};
//! # use billing::domain::invoices::{Content, Draft, draft};
//! fn accept(grant: Grant, content: Content) -> Option<Draft> {
//!     draft(content, &grant).ok()
//! }
//! ```
//!
//! Not under a grant for something else:
//!
//! ```compile_fail,E0277
//! # use billing::domain::grants::{Grant, Invoice, Project};
//! # use billing::domain::invoices::{Content, Draft, draft};
//! # use billing::store::grants::{Held, grant_hold};
//! fn accept(conn: &mut store::Conn, content: Content, epoch: i64) -> Option<Draft> {
//!     let held = grant_hold::<Project>(conn, &content.contact, epoch).ok()??;
//!     draft(content, &held).ok()
//! }
//! ```
//!
//! Not under one that has outlived its transaction:
//!
//! ```compile_fail
//! # use billing::domain::grants::Invoice;
//! # use billing::store::grants::{Held, grant_hold};
//! fn keep(conn: &mut store::Conn, contact: &types::ContactName) -> Option<Held<'static, Invoice>> {
//!     grant_hold::<Invoice>(conn, contact, 1).ok()?
//! }
//! ```
//!
//! Nor by a proof of one's own:
//!
//! ```compile_fail,E0277
//! # use billing::domain::grants::{Grant, Invoice};
//! # use billing::store::grants::Entitled;
//! struct Mine(Grant);
//! impl Entitled<Invoice> for Mine {
//!     fn grant(&self) -> &Grant {
//!         &self.0
//!     }
//! }
//! ```

use std::collections::BTreeSet;
use std::marker::PhantomData;

use ::store::{Conn, Error, each, locked};
use diesel::prelude::*;
use types::{ContactName, Micros, Role};

use super::gate::{attachment_pin, fence_pin};
use super::schema::{assignments, fences, gate_intents, grants, invoices};
use super::{from_json, json};
use crate::domain::grants::{
    Attachment, Entitlement, Gate, Grant, Recall, Slot, SlotState, Stale, install, permits,
    recalled,
};

mod sealed {
    /// Nobody outside this file can name it, so nobody else can be entitled.
    pub trait Sealed {}
}

/// Proof that a contact is entitled to `E` for as long as it lives. Only [`Held`] is.
pub trait Entitled<E>: sealed::Sealed {
    /// The grant it rests on.
    fn grant(&self) -> &Grant;
}

/// A grant that entitles to `E`, locked until the transaction ends: no recall is acknowledged, and
/// no fence raised, before what is done under it is committed.
#[derive(Debug)]
pub struct Held<'tx, E> {
    tx: Tx<'tx>,
    grant: Grant,
    entitlement: PhantomData<fn() -> E>,
}

/// The borrowed transaction; a connection can't be shown.
struct Tx<'tx>(&'tx mut Conn);

impl std::fmt::Debug for Tx<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tx")
    }
}

impl<E> sealed::Sealed for Held<'_, E> {}

impl<E: Entitlement> Entitled<E> for Held<'_, E> {
    fn grant(&self) -> &Grant {
        &self.grant
    }
}

impl<E> Held<'_, E> {
    /// The transaction that holds the grant.
    pub fn conn(&mut self) -> &mut Conn {
        self.tx.0
    }
}

/// Holds the contact's grant for `E` until the transaction ends; none where there is no grant that
/// may be used for it now, which only pipeline can change. `holder_epoch` is the present epoch of
/// this database. Where somebody has announced to take it away it counts as gone.
pub fn grant_hold<'tx, E: Entitlement>(
    conn: &'tx mut Conn,
    contact: &ContactName,
    holder_epoch: i64,
) -> Result<Option<Held<'tx, E>>, Error> {
    let announced = gate_intents::table
        .filter(gate_intents::workspace.eq_any(["", contact.workspace.as_str()]))
        .filter(gate_intents::contact.eq_any(["", contact.contact.as_str()]));
    let found: Option<(i64, i64, i64, Row)> = locked!(
        conn,
        share,
        fences::table
            .inner_join(grants::table.on(grants::workspace.eq(fences::workspace)))
            .filter(fences::workspace.eq(&contact.workspace))
            .filter(grants::contact.eq(&contact.contact))
            .filter(diesel::dsl::not(diesel::dsl::exists(announced)))
            .select((
                fences::holder_epoch,
                fences::pipeline_epoch,
                fences::min_policy_activation,
                grants::all_columns,
            )) => first
    )
    .optional()?;
    let Some((attached_in, epoch, min_policy_activation, row)) = found else {
        return Ok(None);
    };
    let slot = slot_of(row)?;
    let gate = Gate {
        epoch,
        min_policy_activation,
    };
    if attached_in != holder_epoch || !permits(&slot, gate, E::KEY) {
        return Ok(None);
    }
    Ok(Some(Held {
        tx: Tx(conn),
        grant: slot.grant,
        entitlement: PhantomData,
    }))
}

/// What became of an offered grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Installed {
    /// It may be used from now on, as far as it goes.
    Yes,
    /// It came too late; ask again.
    Stale(Stale),
}

/// Installs a grant as pipeline gave it, unless it was overtaken. `holder_epoch` is the epoch of
/// this database when the grant was asked for, which must be the one it has attached in.
pub fn grant_install(
    conn: &mut Conn,
    offered: &Grant,
    holder_epoch: i64,
    now: Micros,
) -> Result<Installed, Error> {
    let attached = attachment_pin(conn)?;
    if attached.holder_epoch != holder_epoch {
        return Ok(Installed::Stale(Stale::Epoch));
    }
    let epoch = attached.pipeline_epoch;
    let min_policy_activation = fence_pin(conn, &offered.contact.workspace, attached)?;
    let contact = offered.contact.clone();
    // Where there is no row yet there is nothing to lock: the insert below settles who was first.
    loop {
        let slot = slot_for_change(conn, &contact)?;
        let gate = Gate {
            epoch,
            min_policy_activation,
        };
        let next = match install(slot.as_ref(), gate, offered.clone()) {
            Ok(next) => next,
            Err(stale) => return Ok(Installed::Stale(stale)),
        };
        if slot_save(conn, slot.is_some(), &next, now)? {
            return Ok(Installed::Yes);
        }
    }
}

/// Narrows or revokes a contact's grant, waiting for those who use it. False where billing is
/// attached in other epochs than `attached`, and nothing was done.
pub fn grant_recall(
    conn: &mut Conn,
    recall: &Recall,
    attached: Attachment,
    now: Micros,
) -> Result<bool, Error> {
    if attachment_pin(conn)? != attached {
        return Ok(false);
    }
    loop {
        let slot = slot_for_change(conn, &recall.contact)?;
        let next = recalled(slot.as_ref(), attached.pipeline_epoch, recall);
        if slot.as_ref() == Some(&next) || slot_save(conn, slot.is_some(), &next, now)? {
            return Ok(true);
        }
    }
}

/// What is kept about a contact.
pub fn slot_get(conn: &mut Conn, contact: &ContactName) -> Result<Option<Slot>, Error> {
    let row: Option<Row> = grants::table
        .find((&contact.workspace, &contact.contact))
        .select(grants::all_columns)
        .first(conn)
        .optional()?;
    row.map(slot_of).transpose()
}

/// Whether an invoice was ever issued to the contact, or the contact assigned to a project.
pub fn documents_exist(conn: &mut Conn, contact: &ContactName) -> Result<bool, Error> {
    let issued = invoices::table
        .filter(invoices::workspace.eq(&contact.workspace))
        .filter(invoices::contact.eq(&contact.contact))
        .filter(invoices::state.eq("ISSUED"));
    let assigned = assignments::table
        .filter(assignments::workspace.eq(&contact.workspace))
        .filter(assignments::contact.eq(&contact.contact));
    Ok(
        diesel::select(diesel::dsl::exists(issued)).get_result(conn)?
            || diesel::select(diesel::dsl::exists(assigned)).get_result(conn)?,
    )
}

fn slot_for_change(conn: &mut Conn, contact: &ContactName) -> Result<Option<Slot>, Error> {
    let row: Option<Row> = locked!(
        conn,
        update,
        grants::table
            .find((&contact.workspace, &contact.contact))
            .select(grants::all_columns) => first
    )
    .optional()?;
    row.map(slot_of).transpose()
}

/// Writes the slot; false where another transaction has made the row that was not there.
fn slot_save(conn: &mut Conn, exists: bool, slot: &Slot, now: Micros) -> Result<bool, Error> {
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
struct Row {
    workspace: String,
    contact: String,
    entitlements: String,
    grant_revision: i64,
    policy_activation: i64,
    policy_revision: String,
    epoch: i64,
    state: String,
    tombstone: i64,
    stage: String,
    role: String,
    subject: String,
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
        epoch: grant.epoch,
        state: match slot.state {
            SlotState::Active => "ACTIVE".to_owned(),
            SlotState::Revoked => "REVOKED".to_owned(),
        },
        tombstone: slot.tombstone,
        stage: grant.stage.clone(),
        role: grant.role.map(Role::as_str).unwrap_or_default().to_owned(),
        subject: json(&grant.subject),
        update_time: now.0,
    }
}

fn slot_of(row: Row) -> Result<Slot, Error> {
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
    Ok(Slot {
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
            epoch: row.epoch,
            stage: row.stage,
            role,
            subject: from_json(&row.subject, TABLE, || contact.to_string())?,
            contact,
        },
    })
}
