//! The pieces of imports' files, and what became of their rows.
//!
//! Whatever removes many rows does so in slices: each call is a part, to be repeated in transactions
//! of their own.

use ::store::filter::{Comparison, Expr, Test};
use ::store::{Conn, Error, each, kept_if};
use diesel::dsl;
use diesel::expression::BoxableExpression;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use types::ImportName;

use super::relations::related;
use super::schema::{import_chunks, import_keys, import_rows};
use crate::domain::facts::ExternalId;
use crate::domain::imports::{Outcome, RowReport};

/// How many rows are removed at once, and how many pieces of a file.
const SLICE: i64 = 2_000;
const PIECES: i64 = 8;

/// Adds a piece of the file.
pub fn chunk_insert(
    conn: &mut Conn,
    name: &ImportName,
    offset: i64,
    data: &[u8],
) -> Result<(), Error> {
    each!(conn, |c| diesel::insert_into(import_chunks::table)
        .values((
            import_chunks::workspace.eq(&name.workspace),
            import_chunks::import.eq(&name.import),
            import_chunks::byte_offset.eq(offset),
            import_chunks::data.eq(data),
        ))
        .execute(c))?;
    Ok(())
}

/// The beginning of the file: at least `most` bytes, where it has as many.
pub fn head(conn: &mut Conn, name: &ImportName, most: usize) -> Result<Vec<u8>, Error> {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let pieces: Vec<Vec<u8>> = import_chunks::table
        .filter(import_chunks::workspace.eq(&name.workspace))
        .filter(import_chunks::import.eq(&name.import))
        .filter(import_chunks::byte_offset.lt(most))
        .order(import_chunks::byte_offset)
        .select(import_chunks::data)
        .load(conn)?;
    Ok(pieces.concat())
}

/// The piece of the file that begins at or before `offset`, with where it begins.
pub fn chunk_at(
    conn: &mut Conn,
    name: &ImportName,
    offset: i64,
) -> Result<Option<(i64, Vec<u8>)>, Error> {
    Ok(import_chunks::table
        .filter(import_chunks::workspace.eq(&name.workspace))
        .filter(import_chunks::import.eq(&name.import))
        .filter(import_chunks::byte_offset.le(offset))
        .order(import_chunks::byte_offset.desc())
        .select((import_chunks::byte_offset, import_chunks::data))
        .first(conn)
        .optional()?)
}

/// Removes some pieces of an import's file; answers whether there was any.
pub fn chunks_delete(conn: &mut Conn, name: &ImportName) -> Result<bool, Error> {
    let offsets: Vec<i64> = import_chunks::table
        .filter(import_chunks::workspace.eq(&name.workspace))
        .filter(import_chunks::import.eq(&name.import))
        .select(import_chunks::byte_offset)
        .order(import_chunks::byte_offset)
        .limit(PIECES)
        .load(conn)?;
    for offset in &offsets {
        let key = (&name.workspace, &name.import, offset);
        diesel::delete(import_chunks::table.find(key)).execute(conn)?;
    }
    Ok(!offsets.is_empty())
}

/// Stores what became of rows of a run.
pub fn rows_insert(
    conn: &mut Conn,
    name: &ImportName,
    run: i64,
    reports: &[RowReport],
) -> Result<(), Error> {
    let mut problems = Vec::with_capacity(reports.len());
    for report in reports {
        problems.push(
            serde_json::to_string(&report.problems).map_err(|_| Error::Corrupt {
                table: "import_rows",
                id: name.to_string(),
            })?,
        );
    }
    let rows: Vec<_> = reports
        .iter()
        .zip(&problems)
        .map(|(report, problems)| {
            (
                import_rows::workspace.eq(&name.workspace),
                import_rows::import.eq(&name.import),
                import_rows::run.eq(run),
                import_rows::row_number.eq(report.row),
                import_rows::outcome.eq(report.outcome.as_str()),
                import_rows::contact.eq(&report.contact),
                import_rows::problems.eq(problems),
                import_rows::display_name.eq(&report.display_name),
            )
        })
        .collect();
    each!(conn, |c| diesel::insert_into(import_rows::table)
        .values(&rows)
        .execute(c))?;
    Ok(())
}

/// Which rows of an import's run, from where on.
#[derive(Clone, Debug)]
pub struct RowList {
    /// The import.
    pub name: ImportName,
    /// The run.
    pub run: i64,
    /// Which of its rows.
    pub filter: Option<Expr>,
    /// The number of the last row before the page; 0 for the beginning.
    pub after: i64,
    /// How many at most.
    pub limit: i64,
}

type Db = <Conn as Connection>::Backend;
type Condition = Box<dyn BoxableExpression<import_rows::table, Db, SqlType = Bool>>;

/// A page of what became of a run's rows, in the order of the file.
pub fn rows_list(conn: &mut Conn, list: &RowList) -> Result<Vec<RowReport>, Error> {
    let name = &list.name;
    let mut query = import_rows::table
        .into_boxed::<Db>()
        .filter(import_rows::workspace.eq(&name.workspace))
        .filter(import_rows::import.eq(&name.import))
        .filter(import_rows::run.eq(list.run))
        .filter(import_rows::row_number.gt(list.after))
        .order(import_rows::row_number)
        .limit(list.limit);
    if let Some(filter) = &list.filter {
        query = query.filter(filter.fold(
            &mut condition,
            |one| Box::new(dsl::not(one)),
            |left, right| Box::new(left.and(right)),
            |left, right| Box::new(left.or(right)),
        ));
    }
    let query = query.select((
        import_rows::row_number,
        import_rows::outcome,
        import_rows::contact,
        import_rows::problems,
        import_rows::display_name,
    ));
    let query = kept_if(list.filter.is_none(), query);
    let rows: Vec<(i64, String, String, String, String)> = query.load(conn)?;
    rows.into_iter()
        .map(|(row, outcome, contact, problems, display_name)| {
            let corrupt = || Error::Corrupt {
                table: "import_rows",
                id: format!("{name} row {row}"),
            };
            Ok(RowReport {
                row,
                outcome: Outcome::from_word(&outcome).ok_or_else(corrupt)?,
                contact,
                problems: serde_json::from_str(&problems).map_err(|_| corrupt())?,
                display_name,
            })
        })
        .collect()
}

/// The condition of one comparison. The fields and kinds are those of `app::import_lists`.
fn condition(comparison: &Comparison) -> Condition {
    match (comparison.field, &comparison.test) {
        ("outcome", Test::Word(word)) => Box::new(import_rows::outcome.eq(*word)),
        ("row", Test::Int(relation, row)) => related!(import_rows::row_number, relation, *row),
        // Whatever the declaration does not allow never comes here.
        _ => Box::new(import_rows::row_number.eq(0)),
    }
}

/// Removes some of what became of the rows of the runs before `run`, with what those runs noted;
/// answers whether there was any.
pub fn rows_before_delete(conn: &mut Conn, name: &ImportName, run: i64) -> Result<bool, Error> {
    let rows: Option<(i64, i64)> = import_rows::table
        .filter(import_rows::workspace.eq(&name.workspace))
        .filter(import_rows::import.eq(&name.import))
        .filter(import_rows::run.lt(run))
        .order((import_rows::run, import_rows::row_number))
        .select((import_rows::run, import_rows::row_number))
        .first(conn)
        .optional()?;
    if let Some((run, first)) = rows {
        diesel::delete(
            import_rows::table
                .filter(import_rows::workspace.eq(&name.workspace))
                .filter(import_rows::import.eq(&name.import))
                .filter(import_rows::run.eq(run))
                .filter(import_rows::row_number.lt(first + SLICE)),
        )
        .execute(conn)?;
    }
    let keys: Vec<(i64, String, String)> = import_keys::table
        .filter(import_keys::workspace.eq(&name.workspace))
        .filter(import_keys::import.eq(&name.import))
        .filter(import_keys::run.lt(run))
        .select((
            import_keys::run,
            import_keys::system,
            import_keys::external_id,
        ))
        .limit(SLICE)
        .load(conn)?;
    for (run, system, id) in &keys {
        let key = (&name.workspace, &name.import, run, system, id);
        diesel::delete(import_keys::table.find(key)).execute(conn)?;
    }
    Ok(rows.is_some() || !keys.is_empty())
}

/// The earlier row of this dry run that would have created a contact with this key.
pub fn key_row(
    conn: &mut Conn,
    name: &ImportName,
    run: i64,
    id: &ExternalId,
) -> Result<Option<i64>, Error> {
    let row = import_keys::table
        .find((&name.workspace, &name.import, run, &id.system, &id.id))
        .select(import_keys::row_number)
        .first(conn)
        .optional()?;
    Ok(row)
}

/// Notes the keys of a contact that a row of this dry run would create.
pub fn keys_insert(
    conn: &mut Conn,
    name: &ImportName,
    run: i64,
    row: i64,
    ids: &[ExternalId],
) -> Result<(), Error> {
    for id in ids {
        each!(conn, |c| diesel::insert_into(import_keys::table)
            .values((
                import_keys::workspace.eq(&name.workspace),
                import_keys::import.eq(&name.import),
                import_keys::run.eq(run),
                import_keys::system.eq(&id.system),
                import_keys::external_id.eq(&id.id),
                import_keys::row_number.eq(row),
            ))
            .on_conflict_do_nothing()
            .execute(c))?;
    }
    Ok(())
}
