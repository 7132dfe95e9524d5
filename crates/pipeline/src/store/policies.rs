//! Policies and their revisions.

use diesel::dsl;
use diesel::expression::BoxableExpression;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use store::filter::{Comparison, Expr, Test};
use store::{Conn, Error, kept_if};
use types::{Micros, PolicyName};

use super::conditions::{like, related};
use super::schema::{policies, policy_revisions as revisions};
use crate::domain::policies::{Policy, PolicyRef, State};

type Row = (
    (String, String, String, i64, i64),
    (i64, String, String, i64),
);

/// Columns of a policy at one of its revisions.
macro_rules! columns {
    () => {
        (
            (
                policies::workspace,
                policies::policy,
                policies::preset,
                policies::revision,
                policies::create_time,
            ),
            (
                revisions::revision,
                revisions::definition,
                revisions::creator,
                revisions::create_time,
            ),
        )
    };
}

/// The policy; its state is for the caller to say.
fn policy(row: Row) -> Result<Policy, Error> {
    let ((workspace, id, preset, _, create_time), (revision, definition, creator, made)) = row;
    let definition = ::policy::Definition::from_json(&definition)
        .map_err(|_| super::corrupt("policy_revisions", &workspace, &id))?;
    Ok(Policy {
        name: PolicyName::new(workspace, id),
        preset,
        revision,
        definition,
        state: State::Inactive,
        create_time: Micros(create_time),
        revision_create_time: Micros(made),
        creator,
    })
}

/// A policy's newest revision number.
pub fn policy_newest(conn: &mut Conn, name: &PolicyName) -> Result<Option<i64>, Error> {
    Ok(policies::table
        .find((&name.workspace, &name.policy))
        .select(policies::revision)
        .first(conn)
        .optional()?)
}

/// A policy's newest revision number, held until the transaction ends.
pub fn policy_lock(conn: &mut Conn, name: &PolicyName) -> Result<Option<i64>, Error> {
    Ok(store::locked!(
        conn,
        update,
        policies::table
            .find((&name.workspace, &name.policy))
            .select(policies::revision) => first
    )
    .optional()?)
}

/// A policy at a revision.
pub fn policy_get(
    conn: &mut Conn,
    workspace: &str,
    reference: &PolicyRef,
) -> Result<Option<Policy>, Error> {
    let row: Option<Row> = policies::table
        .inner_join(
            revisions::table.on(revisions::workspace
                .eq(policies::workspace)
                .and(revisions::policy.eq(policies::policy))),
        )
        .filter(policies::workspace.eq(workspace))
        .filter(policies::policy.eq(&reference.policy))
        .filter(revisions::revision.eq(reference.revision))
        .select(columns!())
        .first(conn)
        .optional()?;
    row.map(policy).transpose()
}

/// A page of a workspace's policies, each at its newest revision, in the order of their ids; those
/// after `after`.
pub fn policies_list(
    conn: &mut Conn,
    workspace: &str,
    filter: Option<&Expr>,
    after: &str,
    limit: i64,
) -> Result<Vec<Policy>, Error> {
    let mut query = joined()
        .into_boxed::<Db>()
        .filter(policies::workspace.eq(workspace))
        .filter(policies::revision.eq(revisions::revision))
        .filter(policies::policy.gt(after))
        .order(policies::policy)
        .limit(limit);
    if let Some(filter) = filter {
        query = query.filter(lowered(filter));
    }
    let query = kept_if(filter.is_none(), query.select(columns!()));
    let rows: Vec<Row> = query.load(conn)?;
    rows.into_iter().map(policy).collect()
}

/// A page of a policy's revisions, the newest first, below `before`.
pub fn revisions_list(
    conn: &mut Conn,
    name: &PolicyName,
    filter: Option<&Expr>,
    before: i64,
    limit: i64,
) -> Result<Vec<Policy>, Error> {
    let mut query = joined()
        .into_boxed::<Db>()
        .filter(policies::workspace.eq(&name.workspace))
        .filter(policies::policy.eq(&name.policy))
        .filter(revisions::revision.lt(before))
        .order(revisions::revision.desc())
        .limit(limit);
    if let Some(filter) = filter {
        query = query.filter(lowered(filter));
    }
    let query = kept_if(filter.is_none(), query.select(columns!()));
    let rows: Vec<Row> = query.load(conn)?;
    rows.into_iter().map(policy).collect()
}

type Db = <Conn as Connection>::Backend;
type On = dsl::And<
    dsl::Eq<revisions::workspace, policies::workspace>,
    dsl::Eq<revisions::policy, policies::policy>,
>;
type Source = dsl::InnerJoinQuerySource<policies::table, revisions::table, On>;
type Condition = Box<dyn BoxableExpression<Source, Db, SqlType = Bool>>;

/// Policies with each of their revisions.
#[dsl::auto_type(no_type_alias)]
fn joined() -> _ {
    let same_workspace = revisions::workspace.eq(policies::workspace);
    let on = same_workspace.and(revisions::policy.eq(policies::policy));
    policies::table.inner_join(revisions::table.on(on))
}

fn lowered(filter: &Expr) -> Condition {
    filter.fold(
        &mut condition,
        |one| Box::new(dsl::not(one)),
        |left, right| Box::new(left.and(right)),
        |left, right| Box::new(left.or(right)),
    )
}

/// The condition of one comparison. The fields and kinds are those of `app::lists::POLICIES`.
fn condition(comparison: &Comparison) -> Condition {
    match (comparison.field, &comparison.test) {
        ("preset", Test::Text(pattern)) => like!(policies::preset, pattern),
        ("creator", Test::Text(pattern)) => like!(revisions::creator, pattern),
        ("create_time", Test::Time(relation, at)) => {
            related!(policies::create_time, relation, at.0)
        }
        ("revision_create_time", Test::Time(relation, at)) => {
            related!(revisions::create_time, relation, at.0)
        }
        // Whatever the declaration does not allow never comes here.
        _ => Box::new(policies::policy.eq("")),
    }
}

/// Inserts a policy without its revision; false where one of this name exists.
pub fn policy_insert(conn: &mut Conn, policy: &Policy) -> Result<bool, Error> {
    let inserted = store::each!(conn, |c| diesel::insert_into(policies::table)
        .values((
            policies::workspace.eq(&policy.name.workspace),
            policies::policy.eq(&policy.name.policy),
            policies::preset.eq(&policy.preset),
            policies::revision.eq(policy.revision),
            policies::create_time.eq(policy.create_time.0),
        ))
        .on_conflict_do_nothing()
        .execute(c))?;
    Ok(inserted == 1)
}

/// Inserts the revision of a policy and makes it the newest one.
pub fn revision_insert(conn: &mut Conn, policy: &Policy) -> Result<(), Error> {
    let definition = policy.definition.to_json().map_err(|_| {
        super::corrupt(
            "policy_revisions",
            &policy.name.workspace,
            &policy.name.policy,
        )
    })?;
    diesel::insert_into(revisions::table)
        .values((
            revisions::workspace.eq(&policy.name.workspace),
            revisions::policy.eq(&policy.name.policy),
            revisions::revision.eq(policy.revision),
            revisions::definition.eq(definition),
            revisions::creator.eq(&policy.creator),
            revisions::create_time.eq(policy.revision_create_time.0),
        ))
        .execute(conn)?;
    diesel::update(policies::table.find((&policy.name.workspace, &policy.name.policy)))
        .set(policies::revision.eq(policy.revision))
        .execute(conn)?;
    Ok(())
}
