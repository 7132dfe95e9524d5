//! Imports. The pieces of their files and what became of their rows lie in `import_files`.

use std::collections::BTreeMap;

use ::store::filter::{Comparison, Expr, Test};
use ::store::pages::Key;
use ::store::{Beyond, Conn, Error, each, kept_if, locked};
use diesel::dsl;
use diesel::expression::BoxableExpression;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use types::{ImportName, Micros};

use super::relations::related;
use super::schema::{import_chunks, imports};
use crate::domain::imports::{Counts, Format, Import, State};

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

/// Which imports, from where on.
#[derive(Clone, Debug)]
pub struct ImportList {
    /// The workspace.
    pub workspace: String,
    /// Which of its imports.
    pub filter: Option<Expr>,
    /// Whether the newest come first.
    pub newest_first: bool,
    /// Creation time and id of the last import before the page.
    pub after: Option<Vec<Key>>,
    /// How many at most.
    pub limit: i64,
}

type Db = <Conn as Connection>::Backend;
type Condition = Box<dyn BoxableExpression<imports::table, Db, SqlType = Bool>>;

/// A page of a workspace's imports, by the time of their creation.
///
/// Errors: [`Error::PageTokenInvalid`] where `after` is no place in this list.
pub fn imports_list(conn: &mut Conn, list: &ImportList) -> Result<Vec<Import>, Error> {
    let mut query = imports::table
        .into_boxed::<Db>()
        .filter(imports::workspace.eq(&list.workspace))
        .limit(list.limit);
    if let Some(filter) = &list.filter {
        query = query.filter(filter.fold(
            &mut condition,
            |one| Box::new(dsl::not(one)),
            |left, right| Box::new(left.and(right)),
            |left, right| Box::new(left.or(right)),
        ));
    }
    let at = match list.after.as_deref() {
        None => None,
        Some([Key::Int(create_time), Key::Text(id)]) => Some((*create_time, id)),
        Some(_) => return Err(Error::PageTokenInvalid),
    };
    if let Some((at, id)) = at {
        query = query.filter(
            Beyond::new(list.newest_first)
                .key(imports::create_time, at)
                .key(imports::import, id.clone()),
        );
    }
    query = if list.newest_first {
        query.order((imports::create_time.desc(), imports::import.desc()))
    } else {
        query.order((imports::create_time.asc(), imports::import.asc()))
    };
    let rows: Vec<ImportRow> = kept_if(list.filter.is_none(), query).load(conn)?;
    rows.into_iter().map(Import::try_from).collect()
}

/// The condition of one comparison. The fields and kinds are those of `app::import_lists`.
fn condition(comparison: &Comparison) -> Condition {
    match (comparison.field, &comparison.test) {
        ("state", Test::Word(word)) => Box::new(imports::state.eq(*word)),
        ("format", Test::Word(word)) => Box::new(imports::format.eq(*word)),
        ("dry_run", Test::Bool(value)) => Box::new(imports::dry_run.eq(*value)),
        ("create_time", Test::Time(relation, at)) => {
            related!(imports::create_time, relation, at.0)
        }
        // Whatever the declaration does not allow never comes here.
        _ => Box::new(imports::import.eq("")),
    }
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

/// At most `limit` imports that will never run again and whose file is still there.
pub fn imports_with_useless_file(conn: &mut Conn, limit: i64) -> Result<Vec<ImportName>, Error> {
    let ended = [State::Succeeded, State::Failed, State::Cancelled].map(State::as_str);
    let piece = import_chunks::table
        .filter(import_chunks::workspace.eq(imports::workspace))
        .filter(import_chunks::import.eq(imports::import));
    names(
        imports::table
            .filter(imports::state.eq_any(ended))
            .filter(dsl::exists(piece))
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
