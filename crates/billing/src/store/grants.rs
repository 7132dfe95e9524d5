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
//! fn accept(conn: &mut store::Conn, content: Content, epoch: i64, now: types::Micros) -> Option<Draft> {
//!     let held = grant_hold::<Invoice>(conn, &content.contact, epoch, now).ok()??;
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
//! fn accept(conn: &mut store::Conn, content: Content, epoch: i64, now: types::Micros) -> Option<Draft> {
//!     let held = grant_hold::<Project>(conn, &content.contact, epoch, now).ok()??;
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
//!     grant_hold::<Invoice>(conn, contact, 1, types::Micros(0)).ok()?
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

use std::marker::PhantomData;

use ::store::{Conn, Error, locked};
use diesel::prelude::*;
use types::{ContactName, Micros};

use super::gate::{self, attachment_pin, fence_pin};
use super::schema::{
    assignments, fences, gate as attached, gate_intents, grants, invoices, subjects,
};
use crate::domain::grants::{
    Attachment, Entitlement, Gate, Grant, Recall, SlotState, Stale, install, permits, recalled,
};

mod slots;

use slots::{Row, Told, slot_for_change, slot_of, slot_save, subject_forget, subject_tell, told};
pub use slots::{slot_get, subject_renew};

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
    told_time: Micros,
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
    /// When pipeline was asked who the contact is: what it has told is no older.
    #[must_use]
    pub fn told_time(&self) -> Micros {
        self.told_time
    }

    /// The transaction that holds the grant.
    pub fn conn(&mut self) -> &mut Conn {
        self.tx.0
    }
}

/// Holds the contact's grant for `E` until the transaction ends; none where there is no grant that
/// may be used for it now, which only pipeline can change. `holder_epoch` is the present epoch of
/// this database. Where somebody has announced lately to take it away it counts as gone.
pub fn grant_hold<'tx, E: Entitlement>(
    conn: &'tx mut Conn,
    contact: &ContactName,
    holder_epoch: i64,
    now: Micros,
) -> Result<Option<Held<'tx, E>>, Error> {
    let (after, before) = gate::announced_between(now);
    let announced = gate_intents::table
        .filter(gate_intents::announce_time.gt(after.0))
        .filter(gate_intents::announce_time.lt(before.0))
        .filter(gate_intents::workspace.eq_any(["", contact.workspace.as_str()]))
        .filter(gate_intents::contact.eq_any(["", contact.contact.as_str()]));
    // Locked in the order of the tables, as everywhere; the subject is read without a lock.
    let found: Option<(i64, i64, i64, i64, Row, Told)> = locked!(
        conn,
        share,
        attached::table
            .inner_join(fences::table.on(attached::id.eq(gate::ROW)))
            .inner_join(grants::table.on(grants::workspace.eq(fences::workspace)))
            .filter(fences::workspace.eq(&contact.workspace))
            .filter(grants::contact.eq(&contact.contact))
            .filter(diesel::dsl::not(diesel::dsl::exists(announced)))
            .select((
                attached::holder_epoch,
                attached::pipeline_epoch,
                fences::min_policy_activation,
                fences::pipeline_epoch,
                grants::all_columns,
                told!(),
            )) => first
    )
    .optional()?;
    let Some((attached_in, pipeline_epoch, level, raised_in, row, told)) = found else {
        return Ok(None);
    };
    let attached = Attachment {
        holder_epoch: attached_in,
        pipeline_epoch,
    };
    let told_time = Micros(told.1.unwrap_or_default());
    let slot = slot_of(row, told)?;
    let gate = Gate::new(attached, level, raised_in);
    if attached.holder_epoch != holder_epoch || !permits(&slot, gate, E::KEY) {
        return Ok(None);
    }
    Ok(Some(Held {
        tx: Tx(conn),
        grant: slot.grant,
        told_time,
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

/// Installs a grant as pipeline gave it, unless it was overtaken. `asked` is when pipeline was asked, and
/// `holder_epoch` the epoch of this database at that time, which must be the one it has attached in.
pub fn grant_install(
    conn: &mut Conn,
    offered: &Grant,
    holder_epoch: i64,
    asked: Micros,
) -> Result<Installed, Error> {
    let attached = attachment_pin(conn)?;
    if attached.holder_epoch != holder_epoch {
        return Ok(Installed::Stale(Stale::Epoch));
    }
    let gate = fence_pin(conn, &offered.contact.workspace, attached)?;
    // Where there is no row yet there is nothing to lock: the insert below settles who was first.
    loop {
        let slot = slot_for_change(conn, &offered.contact)?;
        let next = match install(slot.as_ref(), gate, offered.clone()) {
            Ok(next) => next,
            Err(stale) => return Ok(Installed::Stale(stale)),
        };
        if slot_save(conn, slot.is_some(), &next, asked)? {
            subject_tell(conn, &offered.contact, &offered.subject, asked)?;
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
        let next = recalled(slot.as_ref(), attached, recall);
        if slot.as_ref() == Some(&next) || slot_save(conn, slot.is_some(), &next, now)? {
            if next.state == SlotState::Revoked {
                subject_forget(conn, &recall.contact)?;
            }
            return Ok(true);
        }
    }
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
