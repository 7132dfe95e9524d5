//! The counters of invoice numbers, which hold the heads of the hash chains.

use ::store::{Conn, Error, each, locked};
use diesel::prelude::*;

use super::schema::invoice_series;
use crate::domain::chain::GENESIS;
use crate::domain::numbers::Series;

/// The last number of a series and year, and the hash of the invoice that has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// 0 before the first invoice.
    pub sequence: i64,
    /// [`GENESIS`] before the first invoice.
    pub hash: Vec<u8>,
}

/// The head, locked until the transaction ends: numbers of one series and year are given one
/// transaction after the other.
pub fn head_lock(conn: &mut Conn, workspace: &str, series: &Series) -> Result<Head, Error> {
    if let Some(head) = head_locked(conn, workspace, series)? {
        return Ok(head);
    }
    each!(conn, |c| diesel::insert_into(invoice_series::table)
        .values((
            invoice_series::workspace.eq(workspace),
            invoice_series::series.eq(&series.series),
            invoice_series::year.eq(series.year),
            invoice_series::last_sequence.eq(0_i64),
            invoice_series::last_hash.eq(GENESIS.as_slice()),
        ))
        .on_conflict_do_nothing()
        .execute(c))?;
    head_locked(conn, workspace, series)?.ok_or_else(|| Error::Corrupt {
        table: "invoice_series",
        id: format!("{workspace}/{}/{}", series.series, series.year),
    })
}

/// Moves the head on to the invoice that got the next number.
pub fn head_advance(
    conn: &mut Conn,
    workspace: &str,
    series: &Series,
    head: &Head,
) -> Result<(), Error> {
    diesel::update(invoice_series::table.find((workspace, &series.series, series.year)))
        .set((
            invoice_series::last_sequence.eq(head.sequence),
            invoice_series::last_hash.eq(head.hash.as_slice()),
        ))
        .execute(conn)?;
    Ok(())
}

/// The heads of a workspace's series and years, or of those asked for, in their order.
pub fn head_list(
    conn: &mut Conn,
    workspace: &str,
    series: Option<&str>,
    year: Option<i32>,
) -> Result<Vec<(Series, Head)>, Error> {
    let mut query = invoice_series::table
        .filter(invoice_series::workspace.eq(workspace))
        .order((invoice_series::series, invoice_series::year))
        .select((
            invoice_series::series,
            invoice_series::year,
            invoice_series::last_sequence,
            invoice_series::last_hash,
        ))
        .into_boxed();
    if let Some(series) = series {
        query = query.filter(invoice_series::series.eq(series));
    }
    if let Some(year) = year {
        query = query.filter(invoice_series::year.eq(year));
    }
    let rows: Vec<(String, i32, i64, Vec<u8>)> = query.load(conn)?;
    Ok(rows
        .into_iter()
        .map(|(series, year, sequence, hash)| (Series { series, year }, Head { sequence, hash }))
        .collect())
}

fn head_locked(conn: &mut Conn, workspace: &str, series: &Series) -> Result<Option<Head>, Error> {
    let row: Option<(i64, Vec<u8>)> = locked!(
        conn,
        update,
        invoice_series::table
            .find((workspace, &series.series, series.year))
            .select((invoice_series::last_sequence, invoice_series::last_hash)) => first
    )
    .optional()?;
    Ok(row.map(|(sequence, hash)| Head { sequence, hash }))
}
