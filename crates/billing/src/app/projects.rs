//! Projects: created, read, listed, changed.

use ::store::idempotency::Keep;
use ::store::{Conn, Error as StoreError, order};
use prost::Message as _;
use proto::billing::v1;
use types::ProjectName;

use super::calls::{Call, Done, Sent, Write, check_freshness, log_all, replayed, settled};
use super::invoices::name;
use super::lists;
use super::updates::{ByMask, Update};
use super::{Abort, App};
use crate::domain::projects::Project;
use crate::error::{Error, Kind};
use crate::store::projects as rows;
use crate::wire::projects::{content_from_wire, project_to_wire};
use crate::wire::{Resource as _, masks};

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
        let bare = v1::CreateProjectRequest {
            request_id: String::new(),
            ..request.clone()
        };
        let write = Write::new(call, sent, &bare, self.clock.now(), &self.ids);
        if let Some(stored) = write.look_up(&self.store, call).await? {
            return replayed(&stored);
        }
        let content = content_from_wire(&request.project.unwrap_or_default())?;
        let given = !request.project_id.is_empty();
        let id = if given {
            request.project_id
        } else {
            self.ids.next()
        };
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
            .within(&write.workspace)
            .write("projects.create", call.deadline, move |conn| {
                create(conn, &project, &write)
            })
            .await;
        settled(outcome, |response| {
            response.consistency_token.clear();
            if let Some(project) = &mut response.project {
                project.unstore();
                if !given {
                    project.name.clear();
                }
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
            .within(&name.workspace)
            .read_point("projects.get", call.deadline, move |conn| {
                rows::project_get(conn, &wanted)
            })
            .await
            .map_err(|error: StoreError| Error::from(error))?;
        let project = found.ok_or_else(|| not_found(&name))?;
        Ok(v1::GetProjectResponse {
            project: Some(project_to_wire(&project)),
        })
    }

    /// Lists projects page by page.
    pub async fn project_list(
        &self,
        call: &Call,
        request: v1::ListProjectsRequest,
    ) -> Result<v1::ListProjectsResponse, Error> {
        check_freshness(&request.at_least_as_fresh_as, self.store.epoch())?;
        let workspace = name::<types::WorkspaceName>("parent", &request.parent)?.workspace;
        let filter = lists::filter(&request.filter, rows::FIELDS)?;
        let order = lists::order_or(order::parse(&request.order_by, rows::ORDER)?, rows::ORDER);
        let page = page_of(&request)?;
        let query = rows::ProjectQuery {
            workspace,
            filter,
            order,
        };
        let (projects, next_page_token) = self
            .store
            .within(&query.workspace)
            .read("projects.list", call.deadline, move |conn| {
                page.fill(
                    |place| rows::project_list(conn, &query, place.after, place.limit),
                    project_to_wire,
                )
            })
            .await
            .map_err(|error: StoreError| Error::from(error))?;
        Ok(v1::ListProjectsResponse {
            projects,
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
        let bare = v1::UpdateProjectRequest {
            request_id: String::new(),
            ..request.clone()
        };
        let update = Update::<Project> {
            workspace: &name.workspace.clone(),
            name,
            etag: lists::etag(&request.etag, &given.etag),
            given,
            mask: request.update_mask.as_ref(),
            request_id: &request.request_id,
            validate_only: request.validate_only,
        };
        self.update(call, update, &bare).await
    }
}

fn page_of(request: &v1::ListProjectsRequest) -> Result<lists::Page, Error> {
    let v1::ListProjectsRequest {
        parent,
        filter,
        order_by,
        ..
    } = request;
    let args = ["ListProjects", parent, filter, order_by];
    lists::Page::read(request.page_size, &request.page_token, &args)
}

/// Everything that is wrong with what ListProjects is asked for.
pub fn list_faults(request: &v1::ListProjectsRequest) -> Vec<Error> {
    lists::faults(
        lists::filter(&request.filter, rows::FIELDS),
        order::parse(&request.order_by, rows::ORDER),
        page_of(request),
    )
}

fn create(
    conn: &mut Conn,
    project: &Project,
    write: &Write,
) -> Result<v1::CreateProjectResponse, Abort<v1::CreateProjectResponse>> {
    write.claim(conn)?;
    match rows::project_insert(conn, project) {
        Err(StoreError::UniqueViolation { .. }) => {
            let resource = project.name.to_string();
            return Err(Error::Exists {
                kind: Kind::Project,
                resource,
            }
            .into());
        }
        inserted => inserted?,
    }
    let wire = project_to_wire(project);
    let (resource, payload) = (project.name.to_string(), wire.encode_to_vec());
    let change = write.change("project.created", &resource, 1, &payload, "");
    let consistency_token = log_all(conn, &[change])?;
    let response = v1::CreateProjectResponse {
        project: Some(wire),
        consistency_token,
    };
    write.complete(conn, &resource, 1, &response.encode_to_vec())?;
    write.end(response)
}

impl ByMask for Project {
    type Name = ProjectName;
    type Wire = v1::Project;
    type Response = v1::UpdateProjectResponse;

    const KIND: Kind = Kind::Project;
    const METHOD: &'static str = "ProjectService/UpdateProject";
    const OP: &'static str = "projects.update";
    const CHANGE: &'static str = "project.updated";

    fn for_change(conn: &mut Conn, name: &ProjectName) -> Result<Option<Self>, StoreError> {
        rows::project_get_for_change(conn, name)
    }

    fn etag(&self) -> String {
        Self::etag(self)
    }

    fn revision(&self) -> i64 {
        self.revision
    }

    fn changed(self, given: &v1::Project, paths: &[String], write: &Write) -> Result<Self, Error> {
        let merged = masks::project(project_to_wire(&self), given, paths)?;
        Ok(Self {
            content: content_from_wire(&merged)?,
            revision: self.revision + 1,
            updater: write.actor.clone(),
            update_time: write.now,
            ..self
        })
    }

    fn save(&self, conn: &mut Conn) -> Result<(), StoreError> {
        rows::project_update(conn, self)
    }

    fn to_wire(&self) -> v1::Project {
        project_to_wire(self)
    }

    fn response(wire: v1::Project, consistency_token: String) -> v1::UpdateProjectResponse {
        v1::UpdateProjectResponse {
            project: Some(wire),
            consistency_token,
        }
    }

    fn parts(response: &mut v1::UpdateProjectResponse) -> (Option<&mut v1::Project>, &mut String) {
        (response.project.as_mut(), &mut response.consistency_token)
    }
}

pub(super) fn not_found(name: &ProjectName) -> Error {
    Error::NotFound {
        kind: Kind::Project,
        resource: name.to_string(),
    }
}
