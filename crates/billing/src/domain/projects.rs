//! Projects and who is assigned to them.

use std::collections::BTreeMap;

use types::{AssignmentName, ContactName, Micros, ProjectName};

use super::grants::{self, Evidence};
use crate::store::grants::Entitled;

/// Whether work goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProjectState {
    /// Work goes on.
    Active,
    /// Work has ended; nobody is assigned any more.
    Closed,
}

impl ProjectState {
    /// The name that rows and messages use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Closed => "CLOSED",
        }
    }
}

/// What callers say about a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectContent {
    /// The name people read.
    pub display_name: String,
    /// Whether work goes on.
    pub state: ProjectState,
    /// What it is about.
    pub description: String,
    /// Short marks to filter by.
    pub labels: BTreeMap<String, String>,
}

/// A project as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// The resource name.
    pub name: ProjectName,
    /// What callers say.
    pub content: ProjectContent,
    /// Rises with every change.
    pub revision: i64,
    /// Who created it.
    pub creator: String,
    /// Who changed it last.
    pub updater: String,
    /// When it was created.
    pub create_time: Micros,
    /// When it was changed last.
    pub update_time: Micros,
}

impl Project {
    /// The etag of its revision.
    #[must_use]
    pub fn etag(&self) -> String {
        types::etag(&self.name.to_string(), self.revision)
    }
}

/// The project is closed: nobody is assigned any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProjectClosed;

/// A contact's membership of a project, accepted under a grant. Only [`assign`] makes one anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The resource name; its id is the contact's.
    pub name: AssignmentName,
    /// What the contact does in the project.
    pub role_in_project: String,
    /// The grant it was accepted under.
    pub evidence: Evidence,
    /// Since when.
    pub create_time: Micros,
    /// Who made it.
    pub creator: String,
}

impl Assignment {
    /// The contact.
    #[must_use]
    pub fn contact(&self) -> ContactName {
        ContactName::new(self.name.workspace.clone(), self.name.assignment.clone())
    }
}

/// Assigns the contact of the grant to a project.
pub fn assign(
    project: &Project,
    role_in_project: String,
    creator: String,
    now: Micros,
    held: &impl Entitled<grants::Project>,
) -> Result<Assignment, ProjectClosed> {
    if project.content.state == ProjectState::Closed {
        return Err(ProjectClosed);
    }
    let grant = held.grant();
    let ProjectName { workspace, project } = project.name.clone();
    Ok(Assignment {
        name: AssignmentName::new(workspace, project, grant.contact.contact.clone()),
        role_in_project,
        evidence: grant.evidence(),
        create_time: now,
        creator,
    })
}
