//! Projects, and who was ever assigned to them.

use ::store::filter::{Comparison, Expr, Field, Kind, Pattern, Relation, Test};
use ::store::order;
use ::store::pages::Key;
use ::store::{Beyond, Conn, Error, kept_if, locked};
use diesel::prelude::*;
use types::{Micros, ProjectName};

use super::lists::{
    Condition, Db, Side, after_place, contains, filtered, label_needle, lies, text_is, then_by,
    value_is,
};
use super::schema::projects;
use super::{from_json, json};
use crate::domain::projects::{Project, ProjectContent, ProjectState};

mod assignments;

pub use assignments::{
    ASSIGNMENT_FIELDS, ASSIGNMENT_ORDER, AssignmentPage, AssignmentQuery, assignment_end,
    assignment_get, assignment_list, assignment_put,
};

/// What projects can be filtered by.
pub const FIELDS: &[Field] = &[
    Field::one("display_name", Kind::Text),
    Field::one("state", Kind::Word(&["ACTIVE", "CLOSED"])),
    Field::one("create_time", Kind::Time),
    Field::map("labels"),
];

/// What projects can be sorted by; the first is the list's own order.
pub const ORDER: &[&str] = &["create_time", "display_name"];

/// Stores a new project. Errors: `UniqueViolation` where the name is taken.
pub fn project_insert(conn: &mut Conn, project: &Project) -> Result<(), Error> {
    diesel::insert_into(projects::table)
        .values(Row::of(project))
        .execute(conn)?;
    Ok(())
}

/// One project.
pub fn project_get(conn: &mut Conn, name: &ProjectName) -> Result<Option<Project>, Error> {
    let row: Option<Row> = projects::table
        .find((&name.workspace, &name.project))
        .select(projects::all_columns)
        .first(conn)
        .optional()?;
    row.map(Row::into_project).transpose()
}

/// One project, locked until the transaction ends.
pub fn project_get_for_change(
    conn: &mut Conn,
    name: &ProjectName,
) -> Result<Option<Project>, Error> {
    let row: Option<Row> = locked!(
        conn,
        update,
        projects::table
            .find((&name.workspace, &name.project))
            .select(projects::all_columns) => first
    )
    .optional()?;
    row.map(Row::into_project).transpose()
}

/// One project, kept from changing until the transaction ends.
pub fn project_pin(conn: &mut Conn, name: &ProjectName) -> Result<Option<Project>, Error> {
    let row: Option<Row> = locked!(
        conn,
        share,
        projects::table
            .find((&name.workspace, &name.project))
            .select(projects::all_columns) => first
    )
    .optional()?;
    row.map(Row::into_project).transpose()
}

/// Stores a changed project that the transaction has locked.
pub fn project_update(conn: &mut Conn, project: &Project) -> Result<(), Error> {
    let row = Row::of(project);
    diesel::update(projects::table.find((&row.workspace, &row.project)))
        .set(&row)
        .execute(conn)?;
    Ok(())
}

/// Which projects, in which order.
#[derive(Clone, Debug)]
pub struct ProjectQuery {
    /// The workspace's id.
    pub workspace: String,
    /// Which of its projects.
    pub filter: Option<Expr>,
    /// The order, never empty; the id breaks ties.
    pub order: Vec<order::Key>,
}

/// The first `limit` projects of a list after the one with the keys and the id in `after`, each with
/// the keys by which the list goes on after it. Errors: `PageTokenInvalid` where `after` does not fit
/// the order.
pub fn project_list(
    conn: &mut Conn,
    list: &ProjectQuery,
    after: Option<&[Key]>,
    limit: i64,
) -> Result<Vec<(Project, Vec<Key>)>, Error> {
    let mut query = projects::table
        .filter(projects::workspace.eq(&list.workspace))
        .select(projects::all_columns)
        .limit(limit)
        .into_boxed::<Db>();
    if let Some(filter) = &list.filter {
        query = query.filter(filtered(filter, condition));
    }
    if let Some(after) = after {
        query = query.filter(after_place!(
            &list.order,
            after,
            projects::project,
            lies_at,
            add_key
        ));
    }
    let mut descending = false;
    for key in &list.order {
        descending = key.descending;
        query = match key.field {
            "display_name" => then_by!(query, projects::display_key, descending),
            _ => then_by!(query, projects::create_time, descending),
        };
    }
    query = then_by!(query, projects::project, descending);
    // Other lists have too many forms for their plans to be kept.
    let is_plain = list.filter.is_none() && list.order.len() == 1;
    let rows: Vec<Row> = kept_if(is_plain, query).load(conn)?;
    rows.into_iter()
        .map(|row| {
            let project = row.into_project()?;
            let keys = keys_of(&project, &list.order);
            Ok((project, keys))
        })
        .collect()
}

fn keys_of(project: &Project, order: &[order::Key]) -> Vec<Key> {
    let key = |key: &order::Key| match key.field {
        "display_name" => Key::Text(project.content.display_name.to_lowercase()),
        _ => Key::Int(project.create_time.0),
    };
    order
        .iter()
        .map(key)
        .chain([Key::Text(project.name.project.clone())])
        .collect()
}

type On = projects::table;

fn lies_at(field: &str, side: Side, value: &Key) -> Result<Condition<On>, Error> {
    Ok(match (field, value) {
        ("create_time", Key::Int(value)) => lies!(projects::create_time, side, *value),
        ("display_name", Key::Text(value)) => lies!(projects::display_key, side, value.clone()),
        _ => return Err(Error::PageTokenInvalid),
    })
}

fn add_key(place: Beyond<On>, field: &str, value: &Key) -> Result<Beyond<On>, Error> {
    Ok(match (field, value) {
        ("create_time", Key::Int(value)) => place.key(projects::create_time, *value),
        ("display_name", Key::Text(value)) => place.key(projects::display_key, value.clone()),
        _ => return Err(Error::PageTokenInvalid),
    })
}

fn condition(comparison: &Comparison) -> Condition<On> {
    match (comparison.field, comparison.test.clone()) {
        ("display_name", Test::Text(pattern)) => {
            text_is!(projects::display_key, pattern.folded())
        }
        ("state", Test::Word(word)) => Box::new(projects::state.eq(word)),
        ("create_time", Test::Time(relation, at)) => {
            value_is!(projects::create_time, relation, at.0)
        }
        ("labels", _) => Box::new(contains!(projects::labels, label_needle(comparison))),
        // Whatever the declaration does not allow never comes here.
        _ => Box::new(projects::project.eq("")),
    }
}

#[derive(Queryable, Insertable, AsChangeset)]
#[diesel(table_name = projects)]
struct Row {
    workspace: String,
    project: String,
    display_name: String,
    display_key: String,
    state: String,
    description: String,
    labels: String,
    revision: i64,
    creator: String,
    updater: String,
    create_time: i64,
    update_time: i64,
}

impl Row {
    fn of(project: &Project) -> Self {
        let Project { name, content, .. } = project;
        Self {
            workspace: name.workspace.clone(),
            project: name.project.clone(),
            display_name: content.display_name.clone(),
            display_key: content.display_name.to_lowercase(),
            state: content.state.as_str().to_owned(),
            description: content.description.clone(),
            labels: json(&content.labels),
            revision: project.revision,
            creator: project.creator.clone(),
            updater: project.updater.clone(),
            create_time: project.create_time.0,
            update_time: project.update_time.0,
        }
    }

    fn into_project(self) -> Result<Project, Error> {
        const TABLE: &str = "projects";
        let name = ProjectName::new(self.workspace, self.project);
        let id = || name.to_string();
        let state = match self.state.as_str() {
            "ACTIVE" => ProjectState::Active,
            "CLOSED" => ProjectState::Closed,
            _ => {
                return Err(Error::Corrupt {
                    table: TABLE,
                    id: id(),
                });
            }
        };
        Ok(Project {
            content: ProjectContent {
                display_name: self.display_name,
                state,
                description: self.description,
                labels: from_json(&self.labels, TABLE, id)?,
            },
            revision: self.revision,
            creator: self.creator,
            updater: self.updater,
            create_time: Micros(self.create_time),
            update_time: Micros(self.update_time),
            name,
        })
    }
}
