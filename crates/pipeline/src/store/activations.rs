//! Policy activations and the fences that they wait for.

use std::collections::BTreeMap;

use diesel::dsl;
use diesel::expression::{BoxableExpression, SqlLiteral};
use diesel::prelude::*;
use diesel::sql_types::Bool;
use serde::de::DeserializeOwned;
use store::filter::{Comparison, Expr, Test};
use store::{Conn, Error, kept_if};
use types::Micros;

use super::conditions::{like, related};
use super::schema::{fences, policy_activations as table, workspace_holders};
use crate::domain::activations::{Activation, Impact, State};
use crate::domain::policies::PolicyRef;

#[derive(Queryable, Insertable)]
#[diesel(table_name = table)]
struct Row {
    workspace: String,
    number: i64,
    policy: String,
    revision: i64,
    previous_policy: String,
    previous_revision: i64,
    previous_number: i64,
    stage_map: String,
    state: String,
    position_count: i64,
    move_count: i64,
    stay_count: i64,
    gain_counts: String,
    loss_counts: String,
    mapped_count: i64,
    fenced: bool,
    actor: String,
    create_time: i64,
    active_time: Option<i64>,
    end_time: Option<i64>,
}

impl TryFrom<Row> for Activation {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let wrong = || {
            super::corrupt(
                "policy_activations",
                &row.workspace,
                &row.number.to_string(),
            )
        };
        Ok(Self {
            number: row.number,
            policy: PolicyRef::new(row.policy.as_str(), row.revision),
            previous: PolicyRef::new(row.previous_policy.as_str(), row.previous_revision),
            previous_number: row.previous_number,
            stage_map: read(&row.stage_map).ok_or_else(wrong)?,
            state: State::of(&row.state).ok_or_else(wrong)?,
            impact: Impact {
                positions: row.position_count,
                moves: row.move_count,
                stays: row.stay_count,
                gains: read(&row.gain_counts).ok_or_else(wrong)?,
                losses: read(&row.loss_counts).ok_or_else(wrong)?,
            },
            mapped_count: row.mapped_count,
            fenced: row.fenced,
            create_time: Micros(row.create_time),
            active_time: row.active_time.map(Micros),
            end_time: row.end_time.map(Micros),
            actor: row.actor,
            workspace: row.workspace,
        })
    }
}

fn read<T: DeserializeOwned>(json: &str) -> Option<BTreeMap<String, T>> {
    serde_json::from_str(json).ok()
}

/// Writes a new activation.
pub fn activation_insert(conn: &mut Conn, new: &Activation) -> Result<(), Error> {
    let json = |map: &dyn erased::Json| map.json();
    let row = Row {
        workspace: new.workspace.clone(),
        number: new.number,
        policy: new.policy.policy.clone(),
        revision: new.policy.revision,
        previous_policy: new.previous.policy.clone(),
        previous_revision: new.previous.revision,
        previous_number: new.previous_number,
        stage_map: json(&new.stage_map),
        state: new.state.as_str().to_owned(),
        position_count: new.impact.positions,
        move_count: new.impact.moves,
        stay_count: new.impact.stays,
        gain_counts: json(&new.impact.gains),
        loss_counts: json(&new.impact.losses),
        mapped_count: new.mapped_count,
        fenced: new.fenced,
        actor: new.actor.clone(),
        create_time: new.create_time.0,
        active_time: new.active_time.map(|time| time.0),
        end_time: new.end_time.map(|time| time.0),
    };
    diesel::insert_into(table::table)
        .values(&row)
        .execute(conn)?;
    Ok(())
}

/// Maps of texts and numbers as JSON, which cannot fail.
mod erased {
    use std::collections::BTreeMap;

    pub trait Json {
        fn json(&self) -> String;
    }

    impl<T: serde::Serialize> Json for BTreeMap<String, T> {
        fn json(&self) -> String {
            serde_json::to_string(self).unwrap_or_default()
        }
    }
}

/// Writes how far an activation is.
pub fn activation_update(conn: &mut Conn, changed: &Activation) -> Result<(), Error> {
    diesel::update(table::table.find((&changed.workspace, changed.number)))
        .set((
            table::state.eq(changed.state.as_str()),
            table::mapped_count.eq(changed.mapped_count),
            table::active_time.eq(changed.active_time.map(|time| time.0)),
            table::end_time.eq(changed.end_time.map(|time| time.0)),
        ))
        .execute(conn)?;
    Ok(())
}

/// The activation with this number.
pub fn activation_get(
    conn: &mut Conn,
    workspace: &str,
    number: i64,
) -> Result<Option<Activation>, Error> {
    let row: Option<Row> = table::table
        .find((workspace, number))
        .first(conn)
        .optional()?;
    row.map(Activation::try_from).transpose()
}

/// The highest number that was given in the workspace.
pub fn activation_last_number(conn: &mut Conn, workspace: &str) -> Result<i64, Error> {
    let last: Option<i64> = table::table
        .filter(table::workspace.eq(workspace))
        .select(dsl::max(table::number))
        .first(conn)?;
    Ok(last.unwrap_or(0))
}

/// Activations of a workspace below `before`, the newest first.
pub fn activations_list(
    conn: &mut Conn,
    workspace: &str,
    filter: Option<&Expr>,
    before: i64,
    limit: i64,
) -> Result<Vec<Activation>, Error> {
    let mut query = table::table
        .into_boxed::<Db>()
        .filter(table::workspace.eq(workspace))
        .filter(table::number.lt(before))
        .order(table::number.desc())
        .limit(limit);
    if let Some(filter) = filter {
        query = query.filter(filter.fold(
            &mut condition,
            |one| Box::new(dsl::not(one)),
            |left, right| Box::new(left.and(right)),
            |left, right| Box::new(left.or(right)),
        ));
    }
    let rows: Vec<Row> = kept_if(filter.is_none(), query).load(conn)?;
    rows.into_iter().map(Activation::try_from).collect()
}

type Db = <Conn as Connection>::Backend;
type Condition = Box<dyn BoxableExpression<table::table, Db, SqlType = Bool>>;

/// The condition of one comparison. The fields and kinds are those of `app::lists::ACTIVATIONS`.
fn condition(comparison: &Comparison) -> Condition {
    match (comparison.field, &comparison.test) {
        ("state", Test::Word(word)) => Box::new(table::state.eq(*word)),
        ("actor", Test::Text(pattern)) => like!(table::actor, pattern),
        ("create_time", Test::Time(relation, at)) => related!(table::create_time, relation, at.0),
        // Whatever the declaration does not allow never comes here.
        _ => Box::new(table::number.eq(0)),
    }
}

/// The condition of the index `policy_activations_unfinished`, in its own words: SQLite does not see
/// that a bound state fulfils it.
fn unfinished() -> SqlLiteral<Bool> {
    dsl::sql("policy_activations.state IN ('ACTIVATING', 'MAPPING')")
}

/// Activations in force whose positions are still being rewritten, of all workspaces, after `after`:
/// workspace and number.
pub fn activations_mapping(
    conn: &mut Conn,
    after: (&str, i64),
    limit: i64,
) -> Result<Vec<(String, i64)>, Error> {
    Ok(table::table
        .filter(
            table::workspace
                .gt(after.0)
                .or(table::workspace.eq(after.0).and(table::number.gt(after.1))),
        )
        .filter(table::state.eq(State::Mapping.as_str()))
        .filter(unfinished())
        .order((table::workspace, table::number))
        .select((table::workspace, table::number))
        .limit(limit)
        .load(conn)?)
}

/// Puts a fence to everybody who was ever given a grant in the workspace; how many they are.
pub fn fences_insert(conn: &mut Conn, workspace: &str, activation: i64) -> Result<usize, Error> {
    // Held, so that none of them is forgotten with its fence left behind.
    let holders: Vec<String> = store::locked!(
        conn,
        share,
        workspace_holders::table
            .filter(workspace_holders::workspace.eq(workspace))
            .order(workspace_holders::holder)
            .select(workspace_holders::holder) => load
    )?;
    for holder in &holders {
        diesel::insert_into(fences::table)
            .values((
                fences::workspace.eq(workspace),
                fences::activation.eq(activation),
                fences::holder.eq(holder),
                fences::acknowledge_time.eq(None::<i64>),
            ))
            .execute(conn)?;
    }
    Ok(holders.len())
}

/// Notes an acknowledgement; false where none was waited for.
pub fn fence_acknowledge(
    conn: &mut Conn,
    workspace: &str,
    activation: i64,
    holder: &str,
    now: Micros,
) -> Result<bool, Error> {
    let waiting = fences::table
        .find((workspace, activation, holder))
        .filter(fences::acknowledge_time.is_null());
    let changed = diesel::update(waiting)
        .set(fences::acknowledge_time.eq(Some(now.0)))
        .execute(conn)?;
    Ok(changed == 1)
}

/// Whether somebody has not acknowledged the fence of an activation.
pub fn fences_waiting(conn: &mut Conn, workspace: &str, activation: i64) -> Result<bool, Error> {
    let waiting: Option<String> = fences::table
        .filter(fences::workspace.eq(workspace))
        .filter(fences::activation.eq(activation))
        .filter(fences::acknowledge_time.is_null())
        .select(fences::holder)
        .first(conn)
        .optional()?;
    Ok(waiting.is_some())
}

/// The fences that a holder has not acknowledged: workspace and activation.
pub fn fences_of_holder(conn: &mut Conn, holder: &str) -> Result<Vec<(String, i64)>, Error> {
    Ok(fences::table
        .filter(fences::holder.eq(holder))
        .filter(fences::acknowledge_time.is_null())
        .order((fences::workspace, fences::activation))
        .select((fences::workspace, fences::activation))
        .load(conn)?)
}

/// Forgets the fence of an activation that was given up.
pub fn fences_delete(conn: &mut Conn, workspace: &str, activation: i64) -> Result<(), Error> {
    let fence = fences::table
        .filter(fences::workspace.eq(workspace))
        .filter(fences::activation.eq(activation))
        .filter(fences::acknowledge_time.is_null());
    diesel::delete(fence).execute(conn)?;
    Ok(())
}

/// Workspaces after `after` with an activation that waits for its fence, in the order of their ids.
pub fn activations_waiting(conn: &mut Conn, after: &str, limit: i64) -> Result<Vec<String>, Error> {
    Ok(table::table
        .filter(table::workspace.gt(after))
        .filter(table::state.eq(State::Activating.as_str()))
        .filter(unfinished())
        .order(table::workspace)
        .select(table::workspace)
        .limit(limit)
        .load(conn)?)
}

/// Activations after one, up to another, that came into force, in their order.
pub fn activations_between(
    conn: &mut Conn,
    workspace: &str,
    after: i64,
    through: i64,
) -> Result<Vec<Activation>, Error> {
    let rows: Vec<Row> = table::table
        .filter(table::workspace.eq(workspace))
        .filter(table::number.gt(after))
        .filter(table::number.le(through))
        .filter(table::state.eq_any([State::Mapping.as_str(), State::Complete.as_str()]))
        .order(table::number)
        .load(conn)?;
    rows.into_iter().map(Activation::try_from).collect()
}

/// Activations after one that had come into force at a time, in their order.
pub fn activations_until(
    conn: &mut Conn,
    workspace: &str,
    after: i64,
    time: Micros,
) -> Result<Vec<Activation>, Error> {
    let rows: Vec<Row> = table::table
        .filter(table::workspace.eq(workspace))
        .filter(table::number.gt(after))
        .filter(table::active_time.le(time.0))
        .filter(table::state.eq_any([State::Mapping.as_str(), State::Complete.as_str()]))
        .order(table::number)
        .load(conn)?;
    rows.into_iter().map(Activation::try_from).collect()
}
