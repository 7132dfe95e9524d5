//! Who is assigned to a project. A row stays when its assignment ends, and serves again when the
//! contact comes back.
//!
//! Invariant: an assignment is written through [`Held`], in the transaction that has locked the
//! grant.

use ::store::filter::{Comparison, Expr, Field, Kind, Pattern, Relation, Test};
use ::store::order;
use ::store::pages::Key;
use ::store::{Beyond, Conn, Error, each, kept_if, locked};
use diesel::prelude::*;
use types::{AssignmentName, Micros};

use crate::domain::grants::{self, Evidence};
use crate::domain::projects::Assignment;
use crate::store::grants::Held;
use crate::store::lists::{
    Condition, Db, Side, after_place, contact_ids, filtered, lies, text_is, then_by, value_is,
};
use crate::store::schema::assignments;

/// What assignments can be filtered by.
pub const ASSIGNMENT_FIELDS: &[Field] = &[
    Field::one("contact", Kind::Text),
    Field::one("role_in_project", Kind::Text),
    Field::one("create_time", Kind::Time),
];

/// What assignments can be sorted by; the first is the list's own order.
pub const ASSIGNMENT_ORDER: &[&str] = &["project", "contact", "create_time"];

/// Stores an assignment; false where the contact is assigned already and nothing was done. Answers
/// its revision.
pub fn assignment_put(
    held: &mut Held<'_, grants::Project>,
    assignment: &Assignment,
) -> Result<Option<i64>, Error> {
    let name = &assignment.name;
    let conn = held.conn();
    let inserted = each!(conn, |c| diesel::insert_into(assignments::table)
        .values(Row::of(assignment, 1))
        .on_conflict_do_nothing()
        .execute(c))?;
    if inserted == 1 {
        return Ok(Some(1));
    }
    let row = assignments::table.find((&name.workspace, &name.project, &name.assignment));
    let (revision, end_time): (i64, Option<i64>) = locked!(
        conn,
        update,
        row.select((assignments::revision, assignments::end_time)) => first
    )?;
    if end_time.is_none() {
        return Ok(None);
    }
    diesel::update(row)
        .set(Row::of(assignment, revision + 1))
        .execute(conn)?;
    Ok(Some(revision + 1))
}

/// An assignment that has not ended.
pub fn assignment_get(conn: &mut Conn, name: &AssignmentName) -> Result<Option<Assignment>, Error> {
    let row: Option<Row> = assignments::table
        .find((&name.workspace, &name.project, &name.assignment))
        .filter(assignments::end_time.is_null())
        .select(assignments::all_columns)
        .first(conn)
        .optional()?;
    Ok(row.map(Row::into_assignment))
}

/// Ends an assignment; none where there is none. Answers it with its revision.
pub fn assignment_end(
    conn: &mut Conn,
    name: &AssignmentName,
    now: Micros,
) -> Result<Option<(Assignment, i64)>, Error> {
    let row: Option<Row> = locked!(
        conn,
        update,
        assignments::table
            .find((&name.workspace, &name.project, &name.assignment))
            .filter(assignments::end_time.is_null())
            .select(assignments::all_columns) => first
    )
    .optional()?;
    let Some(row) = row else { return Ok(None) };
    let revision = row.revision + 1;
    diesel::update(assignments::table.find((&row.workspace, &row.project, &row.contact)))
        .set((
            assignments::end_time.eq(now.0),
            assignments::revision.eq(revision),
        ))
        .execute(conn)?;
    Ok(Some((row.into_assignment(), revision)))
}

/// Which assignments, in which order.
#[derive(Clone, Debug)]
pub struct AssignmentQuery {
    workspace: String,
    project: Option<String>,
    filter: Option<Expr>,
    /// Never without the project; the contact breaks ties.
    order: Vec<order::Key>,
}

impl AssignmentQuery {
    /// The assignments of a workspace, or of one project of it, that pass the filter, in an order that
    /// is not empty. Within it they come by their projects, then contacts.
    #[must_use]
    pub fn new(
        workspace: String,
        project: Option<String>,
        filter: Option<Expr>,
        mut order: Vec<order::Key>,
    ) -> Self {
        let field = "project";
        if order.iter().all(|key| key.field != field) {
            let descending = order.last().is_some_and(|key| key.descending);
            order.push(order::Key { field, descending });
        }
        Self {
            workspace,
            project,
            filter,
            order,
        }
    }
}

/// Assignments, each with the keys by which a list goes on after it.
pub type AssignmentPage = Vec<(Assignment, Vec<Key>)>;

type On = assignments::table;

/// The first `limit` assignments of a list after the one with the keys and the contact in `after`.
/// Errors: `PageTokenInvalid` where these do not fit the order.
pub fn assignment_list(
    conn: &mut Conn,
    list: &AssignmentQuery,
    after: Option<&[Key]>,
    limit: i64,
) -> Result<AssignmentPage, Error> {
    let mut query = assignments::table
        .filter(assignments::workspace.eq(&list.workspace))
        .filter(assignments::end_time.is_null())
        .select(assignments::all_columns)
        .limit(limit)
        .into_boxed::<Db>();
    if let Some(project) = &list.project {
        query = query.filter(assignments::project.eq(project));
    }
    if let Some(filter) = &list.filter {
        query = query.filter(filtered(filter, |comparison| {
            condition(&list.workspace, comparison)
        }));
    }
    if let Some(after) = after {
        query = query.filter(after_place!(
            &list.order,
            after,
            assignments::contact,
            lies_at,
            add_key
        ));
    }
    let mut descending = false;
    for key in &list.order {
        descending = key.descending;
        query = match key.field {
            "contact" => then_by!(query, assignments::contact, descending),
            "create_time" => then_by!(query, assignments::create_time, descending),
            _ => then_by!(query, assignments::project, descending),
        };
    }
    query = then_by!(query, assignments::contact, descending);
    // Its own order, which ends with the contact; others have too many forms.
    let is_plain = list.filter.is_none() && list.order.len() <= 2;
    let rows: Vec<Row> = kept_if(is_plain, query).load(conn)?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let keys = keys_of(&row, &list.order);
            (row.into_assignment(), keys)
        })
        .collect())
}

fn keys_of(row: &Row, order: &[order::Key]) -> Vec<Key> {
    let key = |key: &order::Key| match key.field {
        "contact" => Key::Text(row.contact.clone()),
        "create_time" => Key::Int(row.create_time),
        _ => Key::Text(row.project.clone()),
    };
    order
        .iter()
        .map(key)
        .chain([Key::Text(row.contact.clone())])
        .collect()
}

fn lies_at(field: &str, side: Side, value: &Key) -> Result<Condition<On>, Error> {
    Ok(match (field, value) {
        ("project", Key::Text(value)) => lies!(assignments::project, side, value.clone()),
        ("contact", Key::Text(value)) => lies!(assignments::contact, side, value.clone()),
        ("create_time", Key::Int(value)) => lies!(assignments::create_time, side, *value),
        _ => return Err(Error::PageTokenInvalid),
    })
}

fn add_key(place: Beyond<On>, field: &str, value: &Key) -> Result<Beyond<On>, Error> {
    Ok(match (field, value) {
        ("project", Key::Text(value)) => place.key(assignments::project, value.clone()),
        ("contact", Key::Text(value)) => place.key(assignments::contact, value.clone()),
        ("create_time", Key::Int(value)) => place.key(assignments::create_time, *value),
        _ => return Err(Error::PageTokenInvalid),
    })
}

fn condition(workspace: &str, comparison: &Comparison) -> Condition<On> {
    match (comparison.field, comparison.test.clone()) {
        ("contact", Test::Text(pattern)) => match contact_ids(workspace, &pattern) {
            Some(ids) => text_is!(assignments::contact, ids),
            None => Box::new(assignments::contact.eq("")),
        },
        ("role_in_project", Test::Text(pattern)) => {
            text_is!(assignments::role_in_project, pattern)
        }
        ("create_time", Test::Time(relation, at)) => {
            value_is!(assignments::create_time, relation, at.0)
        }
        // Whatever the declaration does not allow never comes here.
        _ => Box::new(assignments::contact.eq("")),
    }
}

#[derive(Queryable, Insertable, AsChangeset)]
#[diesel(table_name = assignments)]
#[diesel(treat_none_as_null = true)]
struct Row {
    workspace: String,
    project: String,
    contact: String,
    role_in_project: String,
    grant_revision: i64,
    policy_revision: String,
    revision: i64,
    creator: String,
    create_time: i64,
    end_time: Option<i64>,
}

impl Row {
    fn of(assignment: &Assignment, revision: i64) -> Self {
        let AssignmentName {
            workspace,
            project,
            assignment: contact,
        } = assignment.name.clone();
        Self {
            workspace,
            project,
            contact,
            role_in_project: assignment.role_in_project.clone(),
            grant_revision: assignment.evidence.grant_revision,
            policy_revision: assignment.evidence.policy_revision.clone(),
            revision,
            creator: assignment.creator.clone(),
            create_time: assignment.create_time.0,
            end_time: None,
        }
    }

    fn into_assignment(self) -> Assignment {
        Assignment {
            name: AssignmentName::new(self.workspace, self.project, self.contact),
            role_in_project: self.role_in_project,
            evidence: Evidence {
                grant_revision: self.grant_revision,
                policy_revision: self.policy_revision,
            },
            create_time: Micros(self.create_time),
            creator: self.creator,
        }
    }
}
