//! Positions.

#[cfg(test)]
mod update_tests;

use std::collections::BTreeSet;

use diesel::prelude::*;
use policy::company::Kind;
use store::{Beyond, Columns, Conn, Error, Steady};
use types::{ContactName, Micros, Role};

use super::schema::{positions as table, workspaces};
use super::workspaces::Workspace;
use crate::domain::policies::PolicyRef;
use crate::domain::positions::{Position, State, kind_name, kind_of};
use crate::domain::transitions::role_name;

/// A row as it is stored.
#[derive(Queryable, Insertable, AsChangeset)]
#[diesel(table_name = table)]
#[diesel(primary_key(workspace, contact))]
pub(super) struct Row {
    workspace: String,
    contact: String,
    kind: String,
    stage: String,
    role: String,
    state: String,
    revision: i64,
    change: i64,
    activation: i64,
    policy: String,
    policy_revision: i64,
    enter_time: i64,
    head_hash: Vec<u8>,
    sealed_revision: i64,
    grant_revision: i64,
    facts_time: i64,
    refusal: String,
    documents_exist: bool,
}

impl TryFrom<Row> for Position {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let wrong = || super::corrupt("positions", &row.workspace, &row.contact);
        let role = match row.role.as_str() {
            "" => None,
            role => Some(role.parse::<Role>().map_err(|_| wrong())?),
        };
        Ok(Self {
            kind: kind_of(&row.kind).ok_or_else(wrong)?,
            state: State::of(&row.state).ok_or_else(wrong)?,
            head: super::hash_of(row.head_hash.clone()).ok_or_else(wrong)?,
            name: ContactName::new(row.workspace, row.contact),
            stage: (!row.stage.is_empty()).then_some(row.stage),
            role,
            revision: row.revision,
            change: row.change,
            activation: row.activation,
            policy: PolicyRef::new(row.policy, row.policy_revision),
            entered: Micros(row.enter_time),
            sealed_revision: row.sealed_revision,
            grant_revision: row.grant_revision,
            facts_time: Micros(row.facts_time),
            refusal: row.refusal,
            documents_exist: row.documents_exist,
        })
    }
}

impl From<&Position> for Row {
    fn from(position: &Position) -> Self {
        Self {
            workspace: position.name.workspace.clone(),
            contact: position.name.contact.clone(),
            kind: kind_name(position.kind).to_owned(),
            stage: position.stage.clone().unwrap_or_default(),
            role: role_name(position.role),
            state: position.state.as_str().to_owned(),
            revision: position.revision,
            change: position.change,
            activation: position.activation,
            policy: position.policy.policy.clone(),
            policy_revision: position.policy.revision,
            enter_time: position.entered.0,
            head_hash: position.head.to_vec(),
            sealed_revision: position.sealed_revision,
            grant_revision: position.grant_revision,
            facts_time: position.facts_time.0,
            refusal: position.refusal.clone(),
            documents_exist: position.documents_exist,
        }
    }
}

/// The position and the state of its workspace, in one query; `None` where either is not there.
pub fn position_get(
    conn: &mut Conn,
    name: &ContactName,
) -> Result<Option<(Position, Workspace)>, Error> {
    let row: Option<(Row, i64, i64)> = store::each!(conn, |c| table::table
        .inner_join(workspaces::table.on(workspaces::workspace.eq(table::workspace)))
        .filter(table::workspace.eq(&name.workspace))
        .filter(table::contact.eq(&name.contact))
        .select((
            table::all_columns,
            workspaces::activation,
            workspaces::activating,
        ))
        .first(c))
    .optional()?;
    row.map(|(row, activation, activating)| {
        let workspace = Workspace {
            activation,
            activating: (activating > 0).then_some(activating),
        };
        Position::try_from(row).map(|position| (position, workspace))
    })
    .transpose()
}

/// The position, held until the transaction ends.
pub fn position_lock(conn: &mut Conn, name: &ContactName) -> Result<Option<Position>, Error> {
    let row: Option<Row> = store::locked!(
        conn,
        update,
        table::table.find((&name.workspace, &name.contact)) => first
    )
    .optional()?;
    row.map(Position::try_from).transpose()
}

/// Inserts the position of a contact that was never opened, if there is none; holds it either way.
pub fn position_ensure(conn: &mut Conn, unopened: &Position) -> Result<Position, Error> {
    let held = positions_ensure(conn, std::slice::from_ref(unopened))?;
    held.into_iter().next().ok_or_else(|| {
        let name = &unopened.name;
        super::corrupt("positions", &name.workspace, &name.contact)
    })
}

/// The same for contacts of one workspace, in the order of their ids, in which they are held.
pub fn positions_ensure(conn: &mut Conn, unopened: &[Position]) -> Result<Vec<Position>, Error> {
    let held = positions_lock(conn, unopened)?;
    if held.len() == unopened.len() {
        return Ok(held);
    }
    let known: BTreeSet<&str> = held.iter().map(|held| held.name.contact.as_str()).collect();
    let new: Vec<&Position> = unopened
        .iter()
        .filter(|unopened| !known.contains(unopened.name.contact.as_str()))
        .collect();
    let rows: Vec<Row> = new.iter().map(|new| Row::from(*new)).collect();
    let inserted = store::all!(conn, rows, |some| diesel::insert_into(table::table)
        .values(some)
        .on_conflict_do_nothing())?;
    if inserted < new.len() {
        // Somebody else has just inserted one of them.
        return positions_lock(conn, unopened);
    }
    let mut all: Vec<Position> = held.into_iter().chain(new.into_iter().cloned()).collect();
    all.sort_by(|left, right| left.name.contact.cmp(&right.name.contact));
    Ok(all)
}

/// The positions of these contacts of one workspace that have a row, in the order of their ids, held
/// until the transaction ends.
fn positions_lock(conn: &mut Conn, of: &[Position]) -> Result<Vec<Position>, Error> {
    let [first, rest @ ..] = of else {
        return Ok(Vec::new());
    };
    if rest.is_empty() {
        return Ok(position_lock(conn, &first.name)?.into_iter().collect());
    }
    let contacts: Vec<&str> = of.iter().map(|one| one.name.contact.as_str()).collect();
    let rows: Vec<Row> = store::locked!(
        conn,
        update,
        table::table
            .filter(table::workspace.eq(&first.name.workspace))
            .filter(table::contact.eq_any(&contacts))
            .order(table::contact) => load
    )?;
    rows.into_iter().map(Position::try_from).collect()
}

/// Writes a position back. It is locked, and its newest transition is written.
pub fn position_update(conn: &mut Conn, position: &Position) -> Result<(), Error> {
    let row = Row::from(position);
    let at = table::table.find((&position.name.workspace, &position.name.contact));
    store::steady!(conn, diesel::update(at).set(&row))?;
    Ok(())
}

/// The same for several, each of another contact: on PostgreSQL as one statement.
pub fn positions_update(conn: &mut Conn, positions: &[&Position]) -> Result<(), Error> {
    match conn {
        Conn::Postgres(conn) if positions.len() > 1 => {
            let rows: Vec<Row> = positions.iter().map(|one| Row::from(*one)).collect();
            let update = columns_of(&rows).update(&["workspace", "contact"]);
            Steady(update).execute(conn)?;
            Ok(())
        }
        conn => positions
            .iter()
            .try_for_each(|position| position_update(conn, position)),
    }
}

fn columns_of(rows: &[Row]) -> Columns<'_> {
    let text = |of: fn(&Row) -> &str| rows.iter().map(of);
    let number = |of: fn(&Row) -> i64| rows.iter().map(of);
    Columns::of("positions")
        .text("workspace", text(|row| &row.workspace))
        .text("contact", text(|row| &row.contact))
        .text("kind", text(|row| &row.kind))
        .text("stage", text(|row| &row.stage))
        .text("role", text(|row| &row.role))
        .text("state", text(|row| &row.state))
        .big_int("revision", number(|row| row.revision))
        .big_int("change", number(|row| row.change))
        .big_int("activation", number(|row| row.activation))
        .text("policy", text(|row| &row.policy))
        .big_int("policy_revision", number(|row| row.policy_revision))
        .big_int("enter_time", number(|row| row.enter_time))
        .binary("head_hash", rows.iter().map(|row| &row.head_hash[..]))
        .big_int("sealed_revision", number(|row| row.sealed_revision))
        .big_int("grant_revision", number(|row| row.grant_revision))
        .big_int("facts_time", number(|row| row.facts_time))
        .text("refusal", text(|row| &row.refusal))
        .bool(
            "documents_exist",
            rows.iter().map(|row| row.documents_exist),
        )
}

/// The positions of these contacts of one workspace that have a row, in no order.
pub fn positions_of(
    conn: &mut Conn,
    workspace: &str,
    contacts: &[String],
) -> Result<Vec<Position>, Error> {
    let rows: Vec<Row> = table::table
        .filter(table::workspace.eq(workspace))
        .filter(table::contact.eq_any(contacts))
        .load(conn)?;
    rows.into_iter().map(Position::try_from).collect()
}

/// How many stand where: by activation, stage and kind. Whoever has no position is left out.
pub fn positions_count(
    conn: &mut Conn,
    workspace: &str,
) -> Result<Vec<(i64, String, Kind, i64)>, Error> {
    let rows: Vec<(i64, String, String, i64)> = table::table
        .filter(table::workspace.eq(workspace))
        .filter(table::stage.ne(""))
        .group_by((table::activation, table::stage, table::kind))
        .select((
            table::activation,
            table::stage,
            table::kind,
            diesel::dsl::count_star(),
        ))
        .load(conn)?;
    rows.into_iter()
        .map(|(activation, stage, kind, count)| {
            let kind =
                kind_of(&kind).ok_or_else(|| super::corrupt("positions", workspace, &kind))?;
            Ok((activation, stage, kind, count))
        })
        .collect()
}

/// Contacts whose position is still expressed under an earlier activation, in the order of their
/// ids. Whoever is REVOKING comes when that is over.
pub fn positions_lagging(
    conn: &mut Conn,
    workspace: &str,
    activation: i64,
    limit: i64,
) -> Result<Vec<String>, Error> {
    Ok(table::table
        .filter(table::workspace.eq(workspace))
        .filter(table::activation.lt(activation))
        .filter(table::state.ne(State::Revoking.as_str()))
        .order(table::contact)
        .limit(limit)
        .select(table::contact)
        .load(conn)?)
}

/// Whether any position is still expressed under an earlier activation.
pub fn positions_lag(conn: &mut Conn, workspace: &str, activation: i64) -> Result<bool, Error> {
    let lagging: Option<String> = table::table
        .filter(table::workspace.eq(workspace))
        .filter(table::activation.lt(activation))
        .select(table::contact)
        .first(conn)
        .optional()?;
    Ok(lagging.is_some())
}

/// The earliest activation that any position of the workspace is expressed under.
pub fn positions_oldest_activation(conn: &mut Conn, workspace: &str) -> Result<Option<i64>, Error> {
    Ok(table::table
        .filter(table::workspace.eq(workspace))
        .select(diesel::dsl::min(table::activation))
        .first(conn)?)
}

/// The first workspace after `after` with histories that grew since they were sealed.
pub fn workspace_unsealed(conn: &mut Conn, after: &str) -> Result<Option<String>, Error> {
    // Asked for one by one, for a DISTINCT reads all that is unsealed.
    Ok(table::table
        .filter(table::workspace.gt(after))
        .filter(table::revision.gt(table::sealed_revision))
        .order(table::workspace)
        .select(table::workspace)
        .first(conn)
        .optional()?)
}

/// Contacts of a workspace whose histories grew since they were sealed, in the order of their ids.
pub fn positions_unsealed(
    conn: &mut Conn,
    workspace: &str,
    limit: i64,
) -> Result<Vec<String>, Error> {
    Ok(table::table
        .filter(table::workspace.eq(workspace))
        .filter(table::revision.gt(table::sealed_revision))
        .order(table::contact)
        .limit(limit)
        .select(table::contact)
        .load(conn)?)
}

/// Positions of a workspace in the order of their ids, after `after`: for snapshots and checks.
pub fn positions_after(
    conn: &mut Conn,
    workspace: Option<&str>,
    after: (&str, &str),
    limit: i64,
) -> Result<Vec<Position>, Error> {
    let query = table::table.into_boxed();
    let query = match workspace {
        Some(workspace) => query
            .filter(table::workspace.eq(workspace.to_owned()))
            .filter(table::contact.gt(after.1.to_owned())),
        None => query.filter(
            Beyond::new(false)
                .key(table::workspace, after.0.to_owned())
                .key(table::contact, after.1.to_owned()),
        ),
    };
    let rows: Vec<Row> = query
        .order((table::workspace, table::contact))
        .limit(limit)
        .load(conn)?;
    rows.into_iter().map(Position::try_from).collect()
}
