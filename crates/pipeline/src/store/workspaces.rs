//! Workspaces: they exist once they are named, and say which activation is in force.

use diesel::dsl::{Filter, Find, Gt, exists, not};
use diesel::prelude::*;
use store::{Conn, Error};
use types::Micros;

use super::schema::{workspace_intents as intents, workspaces as table};

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
/// Nothing is held and nothing answered while somebody is about to hold it against decisions.
pub fn workspace_share(conn: &mut Conn, id: &str, now: Micros) -> Result<Option<Workspace>, Error> {
    let row: Option<Row> = store::locked!(
        conn,
        share,
        table::table
            .find(id)
            .filter(not(exists(announced(id, now))))
            .select((table::activation, table::activating)) => first
    )
    .optional()?;
    Ok(row.map(workspace))
}

/// The same where no activation waits for its fence; while one does, nothing is held and nothing
/// answered.
pub fn workspace_share_if_calm(
    conn: &mut Conn,
    id: &str,
    now: Micros,
) -> Result<Option<Workspace>, Error> {
    let row: Option<Row> = store::locked!(
        conn,
        share,
        table::table
            .find(id)
            .filter(table::activating.eq(0))
            .filter(not(exists(announced(id, now))))
            .select((table::activation, table::activating)) => first
    )
    .optional()?;
    Ok(row.map(workspace))
}

/// Announces that somebody will hold the workspace against decisions: none begins until
/// [`intent_withdraw`], or until the announcement has run out, since who made it may not live. To be
/// committed before the transaction that holds it, which would else wait for ever on PostgreSQL while
/// decisions overlap. It is only about being fair: what is right rests on the row locks.
pub fn intent_announce(conn: &mut Conn, id: &str, until: Micros) -> Result<(), Error> {
    store::each!(conn, |c| diesel::insert_into(intents::table)
        .values((intents::workspace.eq(id), intents::until_time.eq(until.0)))
        .on_conflict(intents::workspace)
        .do_update()
        .set(intents::until_time.eq(until.0))
        .execute(c))?;
    Ok(())
}

/// Withdraws what was announced: in the transaction that holds the workspace, or after that failed.
pub fn intent_withdraw(conn: &mut Conn, id: &str) -> Result<(), Error> {
    diesel::delete(intents::table.find(id)).execute(conn)?;
    Ok(())
}

/// Whether somebody is about to hold the workspace against decisions.
pub fn intent_stands(conn: &mut Conn, id: &str, now: Micros) -> Result<bool, Error> {
    let found: Option<String> = announced(id, now)
        .select(intents::workspace)
        .first(conn)
        .optional()?;
    Ok(found.is_some())
}

type Announced<'a> = Filter<Find<intents::table, &'a str>, Gt<intents::until_time, i64>>;

fn announced(id: &str, now: Micros) -> Announced<'_> {
    intents::table
        .find(id)
        .filter(intents::until_time.gt(now.0))
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::time::Duration;

    use store::Store;
    use store::testing::{engines, open, soon};

    use super::*;

    const ID: &str = "default";
    const NOW: Micros = Micros(1);
    const SHARERS: usize = 8;

    #[derive(Default)]
    struct Decisions {
        stop: AtomicBool,
        held: AtomicUsize,
    }

    /// Holds the workspace in shares for a while, again and again.
    async fn decide(store: Store, decisions: Arc<Decisions>) {
        while !decisions.stop.load(Ordering::SeqCst) {
            let share = store.across().write("workspace.share", soon(), |conn| {
                let held = workspace_share_if_calm(conn, ID, NOW)?;
                std::thread::sleep(Duration::from_millis(20));
                Ok::<_, Error>(held)
            });
            if share.await.expect("nobody holds it for long").is_some() {
                decisions.held.fetch_add(1, Ordering::SeqCst);
            }
        }
    }

    /// Waits until so many more decisions were made.
    async fn more(decisions: &Decisions, count: usize) {
        let enough = decisions.held.load(Ordering::SeqCst) + count;
        let until = soon();
        while decisions.held.load(Ordering::SeqCst) < enough {
            assert!(!until.expired(), "no decisions are made");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn whoever_announces_it_gets_a_workspace_that_is_always_shared() {
        for engine in engines() {
            let url = engine.fresh_url().await;
            let store = open(&url, &crate::MIGRATIONS);
            let created = store.across().write("workspace.create", soon(), |conn| {
                workspace_insert(conn, ID, NOW)
            });
            assert!(created.await.expect("created"));
            let decisions = Arc::new(Decisions::default());
            let mut sharers = Vec::new();
            for _ in 0..SHARERS {
                sharers.push(tokio::spawn(decide(store.clone(), Arc::clone(&decisions))));
            }
            for _ in 0..3 {
                more(&decisions, 8).await;
                let announced = store.across().write("workspace.announce", soon(), |conn| {
                    intent_announce(conn, ID, Micros(2))
                });
                announced.await.expect("announced");
                let before = decisions.held.load(Ordering::SeqCst);
                let locked = store.across().write("workspace.lock", soon(), |conn| {
                    intent_withdraw(conn, ID)?;
                    workspace_lock(conn, ID)
                });
                assert!(locked.await.expect("it is had").is_some());
                // Only those that were under way come to an end before.
                let ended = decisions.held.load(Ordering::SeqCst) - before;
                assert!(ended <= SHARERS, "{ended} decisions came first");
            }
            decisions.stop.store(true, Ordering::SeqCst);
            for sharer in sharers {
                sharer.await.expect("it ends");
            }
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_announcement_runs_out() {
        for engine in engines() {
            let url = engine.fresh_url().await;
            let store = open(&url, &crate::MIGRATIONS);
            let seen = store.across().write("workspace.share", soon(), |conn| {
                workspace_insert(conn, ID, NOW)?;
                intent_announce(conn, ID, Micros(5))?;
                intent_announce(conn, ID, Micros(4))?;
                let before = workspace_share(conn, ID, Micros(3))?;
                let stands = intent_stands(conn, ID, Micros(3))?;
                Ok::<_, Error>((before, stands, workspace_share(conn, ID, Micros(4))?))
            });
            let (before, stands, after) = seen.await.expect("the database answers");
            assert!(before.is_none() && stands && after.is_some());
        }
    }
}
