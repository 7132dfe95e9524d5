//! Workspaces: they exist once they are named, and say which activation is in force.

use diesel::prelude::*;
use store::{Conn, Error};
use types::Micros;

use super::schema::workspaces as table;

/// Which activation is in force in a workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workspace {
    /// The number of the activation in force.
    pub activation: i64,
    /// The number of the activation that waits for its fence, if one does.
    pub activating: Option<i64>,
}

type Row = (i64, i64);

fn workspace((activation, activating): Row) -> Workspace {
    Workspace {
        activation,
        activating: (activating > 0).then_some(activating),
    }
}

/// The workspace, if it was named before.
pub fn workspace_get(conn: &mut Conn, id: &str) -> Result<Option<Workspace>, Error> {
    let row: Option<Row> = table::table
        .find(id)
        .select((table::activation, table::activating))
        .first(conn)
        .optional()?;
    Ok(row.map(workspace))
}

/// The workspace, held so that no activation comes in between: what every decision begins with.
pub fn workspace_share(conn: &mut Conn, id: &str) -> Result<Option<Workspace>, Error> {
    let row: Option<Row> = store::locked!(
        conn,
        share,
        table::table.find(id).select((table::activation, table::activating)) => first
    )
    .optional()?;
    Ok(row.map(workspace))
}

/// The same where no activation waits for its fence; while one does, nothing is held and nothing
/// answered.
pub fn workspace_share_if_calm(conn: &mut Conn, id: &str) -> Result<Option<Workspace>, Error> {
    let row: Option<Row> = store::locked!(
        conn,
        share,
        table::table
            .find(id)
            .filter(table::activating.eq(0))
            .select((table::activation, table::activating)) => first
    )
    .optional()?;
    Ok(row.map(workspace))
}

/// The workspace, held against every decision: what an activation begins with.
pub fn workspace_lock(conn: &mut Conn, id: &str) -> Result<Option<Workspace>, Error> {
    let row: Option<Row> = store::locked!(
        conn,
        update,
        table::table.find(id).select((table::activation, table::activating)) => first
    )
    .optional()?;
    Ok(row.map(workspace))
}

/// Creates the workspace under activation 1; false where somebody else just did.
pub fn workspace_insert(conn: &mut Conn, id: &str, now: Micros) -> Result<bool, Error> {
    let inserted = store::each!(conn, |c| diesel::insert_into(table::table)
        .values((
            table::workspace.eq(id),
            table::activation.eq(1),
            table::activating.eq(0),
            table::create_time.eq(now.0),
        ))
        .on_conflict_do_nothing()
        .execute(c))?;
    Ok(inserted == 1)
}

/// Sets which activation is in force and which one waits. The row is locked.
pub fn workspace_update(conn: &mut Conn, id: &str, state: Workspace) -> Result<(), Error> {
    diesel::update(table::table.find(id))
        .set((
            table::activation.eq(state.activation),
            table::activating.eq(state.activating.unwrap_or(0)),
        ))
        .execute(conn)?;
    Ok(())
}
