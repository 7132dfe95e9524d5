//! Imports, the pieces of their files, and what became of their rows.

use std::collections::BTreeMap;

use ::store::pages::Key;
use ::store::{Conn, Error, each, locked};
use diesel::prelude::*;
use types::{ImportName, Micros};

use super::schema::{import_chunks, import_keys, import_rows, imports};
use crate::domain::facts::ExternalId;
use crate::domain::imports::{Counts, Format, Import, Outcome, RowReport, State};

#[derive(Queryable)]
struct ImportRow {
    workspace: String,
    import: String,
    revision: i64,
    format: String,
    state: String,
    dry_run: bool,
    no_header: bool,
    mapping: String,
    requested_stage: String,
    default_region: String,
    run: i64,
    uploaded_bytes: i64,
    total_rows: i64,
    done_rows: i64,
    created_rows: i64,
    matched_rows: i64,
    refused_rows: i64,
    program: String,
    applied_mapping: String,
    unused_columns: String,
    failure: String,
    actor: String,
    create_time: i64,
    start_time: Option<i64>,
    end_time: Option<i64>,
}

impl TryFrom<ImportRow> for Import {
    type Error = Error;

    fn try_from(row: ImportRow) -> Result<Self, Error> {
        let name = ImportName::new(row.workspace.clone(), row.import.clone()).to_string();
        let corrupt = || Error::Corrupt {
            table: "imports",
            id: name.clone(),
        };
        let map = |json: &str| -> Result<BTreeMap<String, String>, Error> {
            serde_json::from_str(json).map_err(|_| corrupt())
        };
        Ok(Self {
            revision: row.revision,
            format: Format::from_word(&row.format).ok_or_else(corrupt)?,
            state: State::from_word(&row.state).ok_or_else(corrupt)?,
            dry_run: row.dry_run,
            no_header: row.no_header,
            mapping: map(&row.mapping)?,
            requested_stage: row.requested_stage,
            default_region: row.default_region,
            run: row.run,
            uploaded_bytes: row.uploaded_bytes,
            total_rows: row.total_rows,
            counts: Counts {
                done: row.done_rows,
                created: row.created_rows,
                matched: row.matched_rows,
                refused: row.refused_rows,
            },
            program: row.program,
            applied_mapping: map(&row.applied_mapping)?,
            unused_columns: serde_json::from_str(&row.unused_columns).map_err(|_| corrupt())?,
            failure: row.failure,
            actor: row.actor,
            create_time: Micros(row.create_time),
            start_time: row.start_time.map(Micros),
            end_time: row.end_time.map(Micros),
            workspace: row.workspace,
            id: row.import,
        })
    }
}

/// The columns that change, of an update or an insert.
macro_rules! values {
    ($import:ident, $mapping:ident, $applied:ident, $unused:ident) => {
        (
            imports::revision.eq($import.revision),
            imports::format.eq($import.format.as_str()),
            imports::state.eq($import.state.as_str()),
            imports::dry_run.eq($import.dry_run),
            imports::no_header.eq($import.no_header),
            imports::mapping.eq(&$mapping),
            imports::requested_stage.eq(&$import.requested_stage),
            imports::default_region.eq(&$import.default_region),
            imports::run.eq($import.run),
            imports::uploaded_bytes.eq($import.uploaded_bytes),
            imports::total_rows.eq($import.total_rows),
            imports::done_rows.eq($import.counts.done),
            imports::created_rows.eq($import.counts.created),
            imports::matched_rows.eq($import.counts.matched),
            imports::refused_rows.eq($import.counts.refused),
            imports::program.eq(&$import.program),
            imports::applied_mapping.eq(&$applied),
            imports::unused_columns.eq(&$unused),
            imports::failure.eq(&$import.failure),
            imports::actor.eq(&$import.actor),
            imports::create_time.eq($import.create_time.0),
            imports::start_time.eq($import.start_time.map(|at| at.0)),
            imports::end_time.eq($import.end_time.map(|at| at.0)),
        )
    };
}

fn json<T: serde::Serialize>(value: &T, import: &Import) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|_| Error::Corrupt {
        table: "imports",
        id: import.name().to_string(),
    })
}

/// Inserts an import.
pub fn import_insert(conn: &mut Conn, import: &Import) -> Result<(), Error> {
    let mapping = json(&import.mapping, import)?;
    let applied = json(&import.applied_mapping, import)?;
    let unused = json(&import.unused_columns, import)?;
    each!(conn, |c| diesel::insert_into(imports::table)
        .values((
            imports::workspace.eq(&import.workspace),
            imports::import.eq(&import.id),
            values!(import, mapping, applied, unused),
        ))
        .execute(c))?;
    Ok(())
}

/// Writes an import whose row this transaction has locked.
pub fn import_update(conn: &mut Conn, import: &Import) -> Result<(), Error> {
    let mapping = json(&import.mapping, import)?;
    let applied = json(&import.applied_mapping, import)?;
    let unused = json(&import.unused_columns, import)?;
    diesel::update(imports::table.find((&import.workspace, &import.id)))
        .set(values!(import, mapping, applied, unused))
        .execute(conn)?;
    Ok(())
}

/// The import of this name.
pub fn import_get(conn: &mut Conn, name: &ImportName) -> Result<Option<Import>, Error> {
    let row: Option<ImportRow> = imports::table
        .find((&name.workspace, &name.import))
        .first(conn)
        .optional()?;
    row.map(Import::try_from).transpose()
}

/// The import of this name, locked until the transaction ends.
pub fn import_lock(conn: &mut Conn, name: &ImportName) -> Result<Option<Import>, Error> {
    let key = imports::table.find((&name.workspace, &name.import));
    let row: Option<ImportRow> = locked!(conn, update, key => first).optional()?;
    row.map(Import::try_from).transpose()
}

/// A page of a workspace's imports, the newest first.
pub fn imports_list(
    conn: &mut Conn,
    workspace: &str,
    after: Option<&[Key]>,
    limit: i64,
) -> Result<Vec<Import>, Error> {
    let mut query = imports::table
        .filter(imports::workspace.eq(workspace.to_owned()))
        .order((imports::create_time.desc(), imports::import.desc()))
        .limit(limit)
        .into_boxed();
    if let Some(after) = after {
        let [Key::Int(create_time), Key::Text(id)] = after else {
            return Err(Error::PageTokenInvalid);
        };
        query = query.filter(imports::create_time.le(*create_time)).filter(
            imports::create_time
                .lt(*create_time)
                .or(imports::import.lt(id.clone())),
        );
    }
    let rows: Vec<ImportRow> = query.load(conn)?;
    rows.into_iter().map(Import::try_from).collect()
}

/// The names of all imports that run, in all workspaces, the oldest first.
pub fn imports_running(conn: &mut Conn) -> Result<Vec<ImportName>, Error> {
    names(
        imports::table
            .filter(imports::state.eq(State::Running.as_str()))
            .order(imports::create_time)
            .select((imports::workspace, imports::import))
            .load(conn)?,
    )
}

/// At most `limit` imports that were created before `before` and do not run.
pub fn imports_old(conn: &mut Conn, before: Micros, limit: i64) -> Result<Vec<ImportName>, Error> {
    names(
        imports::table
            .filter(imports::create_time.lt(before.0))
            .filter(imports::state.ne(State::Running.as_str()))
            .select((imports::workspace, imports::import))
            .limit(limit)
            .load(conn)?,
    )
}

#[expect(clippy::unnecessary_wraps, reason = "it ends functions that fail")]
fn names(rows: Vec<(String, String)>) -> Result<Vec<ImportName>, Error> {
    Ok(rows
        .into_iter()
        .map(|(workspace, import)| ImportName::new(workspace, import))
        .collect())
}

/// Removes an import with its file and rows.
pub fn import_delete(conn: &mut Conn, name: &ImportName) -> Result<(), Error> {
    diesel::delete(imports::table.find((&name.workspace, &name.import))).execute(conn)?;
    Ok(())
}

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

/// Removes the file of an import.
pub fn chunks_delete(conn: &mut Conn, name: &ImportName) -> Result<(), Error> {
    diesel::delete(
        import_chunks::table
            .filter(import_chunks::workspace.eq(&name.workspace))
            .filter(import_chunks::import.eq(&name.import)),
    )
    .execute(conn)?;
    Ok(())
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
        problems.push(serde_json::to_string(&report.problems).map_err(|_| Error::Corrupt {
            table: "import_rows",
            id: name.to_string(),
        })?);
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
    each!(conn, |c| diesel::insert_into(import_rows::table).values(&rows).execute(c))?;
    Ok(())
}

/// A page of what became of a run's rows, in the order of the file.
pub fn rows_list(
    conn: &mut Conn,
    name: &ImportName,
    run: i64,
    refused_only: bool,
    after: i64,
    limit: i64,
) -> Result<Vec<RowReport>, Error> {
    let mut query = import_rows::table
        .filter(import_rows::workspace.eq(name.workspace.clone()))
        .filter(import_rows::import.eq(name.import.clone()))
        .filter(import_rows::run.eq(run))
        .filter(import_rows::row_number.gt(after))
        .order(import_rows::row_number)
        .select((
            import_rows::row_number,
            import_rows::outcome,
            import_rows::contact,
            import_rows::problems,
            import_rows::display_name,
        ))
        .limit(limit)
        .into_boxed();
    if refused_only {
        query = query.filter(import_rows::outcome.eq(Outcome::Refused.as_str()));
    }
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

/// Removes what became of the rows of the runs before `run`, with what dry runs noted.
pub fn rows_of_earlier_runs_delete(
    conn: &mut Conn,
    name: &ImportName,
    run: i64,
) -> Result<(), Error> {
    diesel::delete(
        import_rows::table
            .filter(import_rows::workspace.eq(&name.workspace))
            .filter(import_rows::import.eq(&name.import))
            .filter(import_rows::run.lt(run)),
    )
    .execute(conn)?;
    diesel::delete(
        import_keys::table
            .filter(import_keys::workspace.eq(&name.workspace))
            .filter(import_keys::import.eq(&name.import))
            .filter(import_keys::run.lt(run)),
    )
    .execute(conn)?;
    Ok(())
}

/// Whether an earlier row of this dry run would have created a contact with this key.
pub fn key_exists(
    conn: &mut Conn,
    name: &ImportName,
    run: i64,
    id: &ExternalId,
) -> Result<bool, Error> {
    let found: Option<i64> = import_keys::table
        .find((&name.workspace, &name.import, run, &id.system, &id.id))
        .select(import_keys::row_number)
        .first(conn)
        .optional()?;
    Ok(found.is_some())
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
