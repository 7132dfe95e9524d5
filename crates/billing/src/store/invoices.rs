//! Invoices: one row is one document.
//!
//! Invariant: a new invoice is written through [`Held`], in the transaction that has locked the grant;
//! an issued one is made of a [`Ready`], which only a held grant makes. Only drafts are ever updated.

use std::collections::{BTreeMap, BTreeSet};

use ::store::{Conn, Error, locked};
use diesel::prelude::*;
use types::{InvoiceName, Micros};

use super::grants::Held;
use super::schema::{invoice_series, invoices};
use super::series::{self, Head};
use crate::domain::chain;
use crate::domain::grants;
use crate::domain::invoices::{Draft, Invoice, Ready, Seal};
use crate::domain::numbers::{InvoiceNumber, Series};

mod list;
mod row;

pub use list::{FIELDS, InvoicePage, InvoiceQuery, ORDER, invoice_list};
use row::Row;

/// Stores a new draft. Errors: `UniqueViolation` where the name is taken.
pub fn invoice_insert(
    held: &mut Held<'_, grants::Invoice>,
    draft: Draft,
    name: InvoiceName,
    creator: &str,
    now: Micros,
) -> Result<Invoice, Error> {
    let invoice = draft.named(name, creator.to_owned(), now);
    diesel::insert_into(invoices::table)
        .values(Row::of(&invoice))
        .execute(held.conn())?;
    Ok(invoice)
}

/// One invoice.
pub fn invoice_get(conn: &mut Conn, name: &InvoiceName) -> Result<Option<Invoice>, Error> {
    let row: Option<Row> = invoices::table
        .find((&name.workspace, &name.invoice))
        .select(invoices::all_columns)
        .first(conn)
        .optional()?;
    row.map(Row::into_invoice).transpose()
}

/// One invoice, locked until the transaction ends.
pub fn invoice_get_for_change(
    conn: &mut Conn,
    name: &InvoiceName,
) -> Result<Option<Invoice>, Error> {
    let row: Option<Row> = locked!(
        conn,
        update,
        invoices::table
            .find((&name.workspace, &name.invoice))
            .select(invoices::all_columns) => first
    )
    .optional()?;
    row.map(Row::into_invoice).transpose()
}

/// Whether there is an invoice of this name.
pub fn invoice_exists(conn: &mut Conn, name: &InvoiceName) -> Result<bool, Error> {
    let row = invoices::table.find((&name.workspace, &name.invoice));
    Ok(diesel::select(diesel::dsl::exists(row)).get_result(conn)?)
}

/// Stores a changed draft that the transaction has locked.
pub fn invoice_update(conn: &mut Conn, invoice: &Invoice) -> Result<(), Error> {
    let row = Row::of(invoice);
    let stored = invoices::table.find((&row.workspace, &row.invoice));
    diesel::update(stored).set(&row).execute(conn)?;
    Ok(())
}

/// Several invoices, locked until the transaction ends, in the order of their ids; those that do not
/// exist are left out.
pub fn invoice_list_for_change(
    conn: &mut Conn,
    workspace: &str,
    ids: &[String],
) -> Result<Vec<Invoice>, Error> {
    let rows: Vec<Row> = locked!(
        conn,
        update,
        invoices::table
            .filter(invoices::workspace.eq(workspace))
            .filter(invoices::invoice.eq_any(ids))
            .order(invoices::invoice)
            .select(invoices::all_columns) => load
    )?;
    rows.into_iter().map(Row::into_invoice).collect()
}

/// Gives invoices of one workspace their numbers and hashes and freezes them, in this order. They
/// were made ready in this transaction, which has locked them and their grants.
///
/// The counters are locked as late as possible and in one order: from here on, issues of the same
/// series and year wait.
pub fn invoice_issue(conn: &mut Conn, ready: Vec<Ready>) -> Result<Vec<Invoice>, Error> {
    let Some(workspace) = ready.first().map(|first| first.name().workspace.clone()) else {
        return Ok(Vec::new());
    };
    let mut heads: BTreeMap<Series, Head> = BTreeMap::new();
    let wanted: BTreeSet<&Series> = ready.iter().map(Ready::series).collect();
    for series in wanted {
        heads.insert(series.clone(), series::head_lock(conn, &workspace, series)?);
    }
    let mut issued = Vec::with_capacity(ready.len());
    for ready in ready {
        let Some(head) = heads.get_mut(ready.series()) else {
            continue;
        };
        let invoice = seal(ready, head);
        invoice_update(conn, &invoice)?;
        issued.push(invoice);
    }
    for (series, head) in &heads {
        series::head_advance(conn, &workspace, series, head)?;
    }
    Ok(issued)
}

/// The invoice with the number and hash that follow `head`, which moves on to it.
fn seal(ready: Ready, head: &mut Head) -> Invoice {
    head.sequence += 1;
    let mut invoice = ready.numbered(head.sequence);
    head.hash = Row::of(&invoice).hash_after(&head.hash).to_vec();
    if let Some(Seal { hash, .. }) = &mut invoice.seal {
        hash.clone_from(&head.hash);
    }
    invoice
}

/// What is wrong with the issued invoices of a series and year, at the first place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Break {
    /// The number that is missing or whose document was changed.
    pub sequence: i64,
    /// What was found there, as a sentence.
    pub problem: &'static str,
}

/// How many invoices are read at once while verifying; each may be as large as a message.
const VERIFY_SLICE: i64 = 50;

/// Checks numbers and hashes of a series and year after `checked`, a slice at a time: the new place,
/// or the first break. The walk begins with no invoice checked and ends when it has reached `head`.
pub fn invoice_verify_slice(
    conn: &mut Conn,
    workspace: &str,
    series: &Series,
    checked: &Head,
    head: &Head,
) -> Result<Result<Head, Break>, Error> {
    let rows: Vec<Row> = invoices::table
        .filter(invoices::workspace.eq(workspace))
        .filter(invoices::series.eq(&series.series))
        .filter(invoices::year.eq(series.year))
        .filter(invoices::sequence.gt(checked.sequence))
        .filter(invoices::sequence.le(head.sequence))
        .order(invoices::sequence)
        .limit(VERIFY_SLICE)
        .select(invoices::all_columns)
        .load(conn)?;
    let mut at = checked.clone();
    if rows.is_empty() {
        let problem = "the last invoices are missing";
        return Ok(Err(Break {
            sequence: at.sequence + 1,
            problem,
        }));
    }
    for row in rows {
        let sequence = at.sequence + 1;
        let broken = |problem| Ok(Err(Break { sequence, problem }));
        if row.sequence != Some(sequence) {
            return broken("the invoice is missing");
        }
        let hash = row.hash_after(&at.hash);
        if row.hash.as_deref() != Some(&hash) {
            return broken("the document or its hash was changed");
        }
        at = Head {
            sequence,
            hash: hash.to_vec(),
        };
    }
    if at.sequence == head.sequence && at.hash != head.hash {
        let problem = "the chain does not end where the counter says";
        return Ok(Err(Break {
            sequence: at.sequence,
            problem,
        }));
    }
    Ok(Ok(at))
}

/// The first issued invoice of a workspace, or of the series and year asked for, whose number no counter
/// has given: beyond the last one, or of a series and year without a counter.
pub fn invoice_uncounted(
    conn: &mut Conn,
    workspace: &str,
    series: Option<&str>,
    year: Option<i32>,
) -> Result<Option<InvoiceNumber>, Error> {
    let counter = invoice_series::workspace
        .eq(invoices::workspace)
        .and(invoice_series::series.eq(invoices::series))
        .and(invoice_series::year.nullable().eq(invoices::year));
    let last = invoice_series::last_sequence.nullable();
    let mut query = invoices::table
        .left_join(invoice_series::table.on(counter))
        .filter(invoices::workspace.eq(workspace))
        .filter(last.is_null().or(invoices::sequence.gt(last)))
        .filter(invoices::sequence.is_not_null())
        .order((invoices::series, invoices::year, invoices::sequence))
        .select((invoices::series, invoices::year, invoices::sequence))
        .limit(1)
        .into_boxed();
    if let Some(series) = series {
        query = query.filter(invoices::series.eq(series));
    }
    if let Some(year) = year {
        query = query.filter(invoices::year.eq(year));
    }
    let found: Option<(String, Option<i32>, Option<i64>)> = query.first(conn).optional()?;
    Ok(found.map(|(series, year, sequence)| InvoiceNumber {
        series: Series {
            series,
            year: year.unwrap_or_default(),
        },
        sequence: sequence.unwrap_or_default(),
    }))
}

/// Where every chain begins.
#[must_use]
pub fn chain_start() -> Head {
    Head {
        sequence: 0,
        hash: chain::GENESIS.to_vec(),
    }
}
