//! Projects, and who is assigned to them.

use ::store::idempotency::Keep;
use ::store::{Error as StoreError, order};
use prost::Message as _;
use proto::billing::v1;
use types::{AssignmentName, ContactName, ProjectName};

use super::calls::{Call, Done, Sent, Write, check_freshness, log_all, replayed, settled};
use super::invoices::name;
use super::lists;
use super::{Abort, App, Stop};
use crate::domain::faults::Faults;
use crate::domain::grants::{Entitlement as _, Project as ProjectEntitlement};
use crate::domain::projects::{self, Project};
use crate::error::{Error, Kind};
use crate::store::{grants, projects as rows};
use crate::wire::masks;
use crate::wire::projects::{
    assignment_to_wire, content_from_wire, project_to_wire, role_in_project,
};

impl App {
    /// Creates a project without members.
    pub async fn project_create(
        &self,
        call: &Call,
        request: v1::CreateProjectRequest,
    ) -> Result<Done<v1::CreateProjectResponse>, Error> {
        let workspace = name::<types::WorkspaceName>("parent", &request.parent)?.workspace;
        let sent = Sent {
            method: "ProjectService/CreateProject",
            workspace: &workspace,
            request_id: &request.request_id,
            validate_only: request.validate_only,
            keep: Keep::WEEK,
        };
        let bare = v1::CreateProjectRequest { request_id: String::new(), ..request.clone() };
        let write = Write::new(call, sent, &bare, self.clock.now(), &self.ids);
        if let Some(stored) = write.look_up(&self.store, call).await? {
            return replayed(&stored);
        }
        let content = content_from_wire(&request.project.unwrap_or_default())?;
        let given = !request.project_id.is_empty();
        let id = if given { request.project_id } else { self.ids.next() };
        let project = Project {
            name: ProjectName::new(workspace, id),
            content,
            revision: 1,
            creator: call.actor.clone(),
            updater: call.actor.clone(),
            create_time: write.now,
            update_time: write.now,
        };
        let outcome = self
            .store
            .write("projects.create", call.deadline, move |conn| {
                write.claim(conn)?;
                match rows::project_insert(conn, &project) {
                    Err(StoreError::UniqueViolation { .. }) => {
                        let resource = project.name.to_string();
                        return Err(Error::Exists { kind: Kind::Project, resource }.into());
                    }
                    inserted => inserted?,
                }
                let wire = project_to_wire(&project);
                let (resource, payload) = (project.name.to_string(), wire.encode_to_vec());
                let change = write.change("project.created", &resource, 1, &payload, "");
                let consistency_token = log_all(conn, &[change])?;
                let response =
                    v1::CreateProjectResponse { project: Some(wire), consistency_token };
                write.complete(conn, &resource, 1, &response.encode_to_vec())?;
                write.end(response)
            })
            .await;
        settled(outcome, |response| {
            response.consistency_token.clear();
            if let Some(project) = response.project.as_mut().filter(|_| !given) {
                project.name.clear();
                project.etag.clear();
            }
        })
    }

    /// Reads one project.
    pub async fn project_get(
        &self,
        call: &Call,
        request: v1::GetProjectRequest,
    ) -> Result<v1::GetProjectResponse, Error> {
        check_freshness(&request.at_least_as_fresh_as, self.store.epoch())?;
        let name: ProjectName = name("name", &request.name)?;
        let wanted = name.clone();
        let found: Option<Project> = self
            .store
            .read_point("projects.get", call.deadline, move |conn| {
                rows::project_get(conn, &wanted)
            })
            .await
            .map_err(|error: StoreError| Error::from(error))?;
        let project = found.ok_or_else(|| not_found(&name))?;
        Ok(v1::GetProjectResponse { project: Some(project_to_wire(&project)) })
    }

    /// Lists projects page by page.
    pub async fn project_list(
        &self,
        call: &Call,
        request: v1::ListProjectsRequest,
    ) -> Result<v1::ListProjectsResponse, Error> {
        check_freshness(&request.at_least_as_fresh_as, self.store.epoch())?;
        let workspace = name::<types::WorkspaceName>("parent", &request.parent)?.workspace;
        let filter = ::store::filter::parse(&request.filter, rows::FIELDS)?;
        let order = lists::order_or(order::parse(&request.order_by, rows::ORDER)?, rows::ORDER);
        let page = lists::Page::read(
            request.page_size,
            &request.page_token,
            &["ListProjects", &request.parent, &request.filter, &request.order_by],
        )?;
        let query = rows::ProjectQuery {
            workspace,
            filter,
            order,
            after: page.after.clone(),
            limit: page.limit(),
        };
        let found: Vec<_> = self
            .store
            .read("projects.list", call.deadline, move |conn| rows::project_list(conn, &query))
            .await
            .map_err(|error: StoreError| Error::from(error))?;
        let (found, next_page_token) = page.cut(found);
        Ok(v1::ListProjectsResponse {
            projects: found.iter().map(project_to_wire).collect(),
            next_page_token,
        })
    }

    /// Changes the fields named in the mask.
    pub async fn project_update(
        &self,
        call: &Call,
        request: v1::UpdateProjectRequest,
    ) -> Result<Done<v1::UpdateProjectResponse>, Error> {
        let given = request.project.clone().unwrap_or_default();
        let name: ProjectName = name("project.name", &given.name)?;
        let sent = Sent {
            method: "ProjectService/UpdateProject",
            workspace: &name.workspace,
            request_id: &request.request_id,
            validate_only: request.validate_only,
            keep: Keep::WEEK,
        };
        let bare = v1::UpdateProjectRequest { request_id: String::new(), ..request.clone() };
        let write = Write::new(call, sent, &bare, self.clock.now(), &self.ids);
        if let Some(stored) = write.look_up(&self.store, call).await? {
            return replayed(&stored);
        }
        let paths = masks::paths(request.update_mask.as_ref())?;
        let etag = lists::etag(&request.etag, &given.etag);
        let outcome = self
            .store
            .write("projects.update", call.deadline, move |conn| {
                write.claim(conn)?;
                let stored = rows::project_get_for_change(conn, &name)?
                    .ok_or_else(|| not_found(&name))?;
                if !etag.is_empty() && etag != stored.etag() {
                    return Err(Error::EtagMismatch { resource: name.to_string() }.into());
                }
                let merged = masks::project(project_to_wire(&stored), &given, &paths)?;
                let project = Project {
                    content: content_from_wire(&merged).map_err(Error::from)?,
                    revision: stored.revision + 1,
                    updater: write.actor.clone(),
                    update_time: write.now,
                    ..stored
                };
                rows::project_update(conn, &project)?;
                let wire = project_to_wire(&project);
                let (resource, payload) = (name.to_string(), wire.encode_to_vec());
                let mask = paths.join(",");
                let change =
                    write.change("project.updated", &resource, project.revision, &payload, &mask);
                let consistency_token = log_all(conn, &[change])?;
                let response =
                    v1::UpdateProjectResponse { project: Some(wire), consistency_token };
                let stored = response.encode_to_vec();
                write.complete(conn, &resource, project.revision, &stored)?;
                write.end(response)
            })
            .await;
        settled(outcome, |response| response.consistency_token.clear())
    }

    /// Assigns a contact, whose grant is held or can be had, to a project.
    pub async fn contact_assign(
        &self,
        call: &Call,
        request: v1::AssignContactRequest,
    ) -> Result<Done<v1::AssignContactResponse>, Error> {
        let (project, contact) = parties(&request.project, &request.contact)?;
        let sent = Sent {
            method: "ProjectService/AssignContact",
            workspace: &project.workspace,
            request_id: &request.request_id,
            validate_only: request.validate_only,
            keep: Keep::WEEK,
        };
        let bare = v1::AssignContactRequest { request_id: String::new(), ..request.clone() };
        let write = Write::new(call, sent, &bare, self.clock.now(), &self.ids);
        if let Some(stored) = write.look_up(&self.store, call).await? {
            return replayed(&stored);
        }
        let role_in_project = role_in_project(&request.role_in_project)?;
        let assigning = Assigning { project, contact, role_in_project, write };
        let outcome = self
            .gated(ProjectEntitlement::KEY, call.deadline, || self.assign_once(call, &assigning))
            .await;
        settled(outcome, |response| response.consistency_token.clear())
    }

    async fn assign_once(
        &self,
        call: &Call,
        assigning: &Assigning,
    ) -> Result<v1::AssignContactResponse, Abort<v1::AssignContactResponse>> {
        let (assigning, store) = (assigning.clone(), self.store.clone());
        self.store
            .write("projects.assign", call.deadline, move |conn| {
                let Assigning { project: name, contact, role_in_project, write } = &assigning;
                write.claim(conn)?;
                // Kept from being closed until the assignment is there.
                let project = rows::project_pin(conn, name)?.ok_or_else(|| not_found(name))?;
                let held =
                    grants::grant_hold::<ProjectEntitlement>(conn, contact, store.epoch())?;
                let Some(mut held) = held else {
                    return Err(Stop::NoGrant(contact.clone()).into());
                };
                let (role, actor) = (role_in_project.clone(), write.actor.clone());
                let assignment = projects::assign(&project, role, actor, write.now, &held)
                    .map_err(|_| Error::ProjectClosed { project: name.to_string() })?;
                let resource = assignment.name.to_string();
                let Some(revision) = rows::assignment_put(&mut held, &assignment)? else {
                    return Err(Error::Exists { kind: Kind::Assignment, resource }.into());
                };
                let wire = assignment_to_wire(&assignment);
                let payload = wire.encode_to_vec();
                let change =
                    write.change("assignment.created", &resource, revision, &payload, "");
                let consistency_token = log_all(held.conn(), &[change])?;
                let response =
                    v1::AssignContactResponse { assignment: Some(wire), consistency_token };
                write.complete(held.conn(), &resource, revision, &response.encode_to_vec())?;
                write.end(response)
            })
            .await
    }

    /// Ends an assignment; no grant is needed.
    pub async fn contact_unassign(
        &self,
        call: &Call,
        request: v1::UnassignContactRequest,
    ) -> Result<Done<v1::UnassignContactResponse>, Error> {
        let (project, contact) = parties(&request.project, &request.contact)?;
        let sent = Sent {
            method: "ProjectService/UnassignContact",
            workspace: &project.workspace,
            request_id: &request.request_id,
            validate_only: request.validate_only,
            keep: Keep::WEEK,
        };
        let bare = v1::UnassignContactRequest { request_id: String::new(), ..request.clone() };
        let write = Write::new(call, sent, &bare, self.clock.now(), &self.ids);
        if let Some(stored) = write.look_up(&self.store, call).await? {
            return replayed(&stored);
        }
        let outcome = self
            .store
            .write("projects.unassign", call.deadline, move |conn| {
                write.claim(conn)?;
                let ProjectName { workspace, project } = project.clone();
                let name = AssignmentName::new(workspace, project, contact.contact.clone());
                let resource = name.to_string();
                let ended = rows::assignment_end(conn, &name, write.now)?;
                let Some((assignment, revision)) = ended else {
                    return Err(Error::NotFound { kind: Kind::Assignment, resource }.into());
                };
                let wire = assignment_to_wire(&assignment);
                let payload = wire.encode_to_vec();
                let change = write.change("assignment.ended", &resource, revision, &payload, "");
                let consistency_token = log_all(conn, &[change])?;
                let response =
                    v1::UnassignContactResponse { assignment: Some(wire), consistency_token };
                write.complete(conn, &resource, revision, &response.encode_to_vec())?;
                write.end(response)
            })
            .await;
        settled(outcome, |response| response.consistency_token.clear())
    }

    /// Lists who is assigned, to a project or to any.
    pub async fn assignment_list(
        &self,
        call: &Call,
        request: v1::ListAssignmentsRequest,
    ) -> Result<v1::ListAssignmentsResponse, Error> {
        let any = request.parent.strip_suffix("/projects/-").unwrap_or_default();
        let (workspace, project) = if any.is_empty() {
            let name: ProjectName = name("parent", &request.parent)?;
            (name.workspace, Some(name.project))
        } else {
            (name::<types::WorkspaceName>("parent", any)?.workspace, None)
        };
        let filter = ::store::filter::parse(&request.filter, rows::ASSIGNMENT_FIELDS)?;
        let page = lists::Page::read(
            request.page_size,
            &request.page_token,
            &["ListAssignments", &request.parent, &request.filter],
        )?;
        let query = rows::AssignmentQuery {
            workspace,
            project,
            filter,
            after: page.after.clone(),
            limit: page.limit(),
        };
        let found: rows::AssignmentPage = self
            .store
            .read("assignments.list", call.deadline, move |conn| {
                rows::assignment_list(conn, &query)
            })
            .await
            .map_err(|error: StoreError| Error::from(error))?;
        let (found, next_page_token) = page.cut(found);
        Ok(v1::ListAssignmentsResponse {
            assignments: found.iter().map(assignment_to_wire).collect(),
            next_page_token,
        })
    }
}

/// An assignment in the making.
#[derive(Clone)]
struct Assigning {
    project: ProjectName,
    contact: ContactName,
    role_in_project: String,
    write: Write,
}

/// Both names of a request, which must be of one workspace.
fn parties(project: &str, contact: &str) -> Result<(ProjectName, ContactName), Error> {
    let project: ProjectName = name("project", project)?;
    let contact: ContactName = name("contact", contact)?;
    if project.workspace == contact.workspace {
        return Ok((project, contact));
    }
    Err(Faults::of("contact", "must be a contact of the project's workspace").into())
}

fn not_found(name: &ProjectName) -> Error {
    Error::NotFound { kind: Kind::Project, resource: name.to_string() }
}
