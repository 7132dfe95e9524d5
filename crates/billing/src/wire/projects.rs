//! Projects and assignments on the wire.

use proto::billing::v1;
use proto::convert;

use super::{check_labels, check_text};
use crate::domain::faults::Faults;
use crate::domain::projects::{Assignment, Project, ProjectContent, ProjectState};

/// What a caller says about a project.
pub fn content_from_wire(project: &v1::Project) -> Result<ProjectContent, Faults> {
    let mut faults = Faults::default();
    if project.display_name.trim().is_empty() {
        faults.note("project.display_name", "must be given");
    }
    check_text(&project.display_name, "project.display_name", &mut faults);
    check_text(&project.description, "project.description", &mut faults);
    check_labels(&project.labels, "project", &mut faults);
    faults.into_result()?;
    Ok(ProjectContent {
        display_name: project.display_name.clone(),
        state: match v1::project::State::try_from(project.state).unwrap_or_default() {
            v1::project::State::Unspecified | v1::project::State::Active => ProjectState::Active,
            v1::project::State::Closed => ProjectState::Closed,
        },
        description: project.description.clone(),
        labels: project.labels.clone().into_iter().collect(),
    })
}

/// What a contact does in a project, where it can be kept.
pub fn role_in_project(text: &str) -> Result<String, Faults> {
    let mut faults = Faults::default();
    check_text(text, "role_in_project", &mut faults);
    faults.into_result().map(|()| text.to_owned())
}

/// A project as callers see it.
#[must_use]
pub fn project_to_wire(project: &Project) -> v1::Project {
    let content = &project.content;
    v1::Project {
        name: project.name.to_string(),
        display_name: content.display_name.clone(),
        state: match content.state {
            ProjectState::Active => v1::project::State::Active,
            ProjectState::Closed => v1::project::State::Closed,
        }
        .into(),
        description: content.description.clone(),
        labels: content.labels.clone().into_iter().collect(),
        etag: project.etag(),
        creator: project.creator.clone(),
        updater: project.updater.clone(),
        create_time: Some(convert::timestamp_to_wire(project.create_time)),
        update_time: Some(convert::timestamp_to_wire(project.update_time)),
    }
}

/// An assignment as callers see it.
#[must_use]
pub fn assignment_to_wire(assignment: &Assignment) -> v1::Assignment {
    v1::Assignment {
        name: assignment.name.to_string(),
        contact: assignment.contact().to_string(),
        role_in_project: assignment.role_in_project.clone(),
        grant_revision: assignment.evidence.grant_revision,
        policy_revision: assignment.evidence.policy_revision.clone(),
        create_time: Some(convert::timestamp_to_wire(assignment.create_time)),
        creator: assignment.creator.clone(),
    }
}
