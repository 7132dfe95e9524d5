//! Who is assigned to projects: clients, as long as they hold their grant when they are assigned.

use ::store::idempotency::Keep;
use ::store::{Conn, Error as StoreError, order};
use prost::Message as _;
use proto::billing::v1;
use types::{AssignmentName, ContactName, ProjectName};

use super::calls::{Call, Done, Sent, Write, check_freshness, log_all, replayed, settled};
use super::invoices::name;
use super::projects::not_found;
use super::{Abort, App, Stop, lists};
use crate::domain::faults::Faults;
use crate::domain::grants::{Entitlement as _, Project as ProjectEntitlement};
use crate::domain::projects;
use crate::error::{Error, Kind};
use crate::store::{grants, projects as rows};
use crate::wire::projects::{assignment_to_wire, role_in_project};

impl App {
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
        let bare = v1::AssignContactRequest {
            request_id: String::new(),
            ..request.clone()
        };
        let write = Write::new(call, sent, &bare, self.clock.now(), &self.ids);
        if let Some(stored) = write.look_up(&self.store, call).await? {
            return replayed(&stored);
        }
        let role_in_project = role_in_project(&request.role_in_project)?;
        let assigning = Assigning {
            project,
            contact,
            role_in_project,
            write,
        };
        let outcome = self
            .gated(ProjectEntitlement::KEY, call.deadline, || {
                let (assigning, store) = (assigning.clone(), self.store.clone());
                self.store.within(&assigning.project.workspace).write(
                    "projects.assign",
                    call.deadline,
                    move |conn| assign(conn, &assigning, store.epoch()),
                )
            })
            .await;
        settled(outcome, |response| response.consistency_token.clear())
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
        let bare = v1::UnassignContactRequest {
            request_id: String::new(),
            ..request.clone()
        };
        let write = Write::new(call, sent, &bare, self.clock.now(), &self.ids);
        if let Some(stored) = write.look_up(&self.store, call).await? {
            return replayed(&stored);
        }
        let outcome = self
            .store
            .within(&project.workspace)
            .write("projects.unassign", call.deadline, move |conn| {
                unassign(conn, &project, &contact, &write)
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
        check_freshness(&request.at_least_as_fresh_as, self.store.epoch())?;
        let any = request
            .parent
            .strip_suffix("/projects/-")
            .unwrap_or_default();
        let (workspace, project) = if any.is_empty() {
            let name: ProjectName = name("parent", &request.parent)?;
            (name.workspace, Some(name.project))
        } else {
            (name::<types::WorkspaceName>("parent", any)?.workspace, None)
        };
        let filter = lists::filter(&request.filter, rows::ASSIGNMENT_FIELDS)?;
        let order = order::parse(&request.order_by, rows::ASSIGNMENT_ORDER)?;
        let order = lists::order_or(order, rows::ASSIGNMENT_ORDER);
        let page = page_of(&request)?;
        let within = self.store.within(&workspace);
        let query = rows::AssignmentQuery::new(workspace, project, filter, order);
        let (assignments, next_page_token) = within
            .read("assignments.list", call.deadline, move |conn| {
                page.fill(
                    |place| rows::assignment_list(conn, &query, place.after, place.limit),
                    assignment_to_wire,
                )
            })
            .await
            .map_err(|error: StoreError| Error::from(error))?;
        Ok(v1::ListAssignmentsResponse {
            assignments,
            next_page_token,
        })
    }
}

fn page_of(request: &v1::ListAssignmentsRequest) -> Result<lists::Page, Error> {
    let v1::ListAssignmentsRequest {
        parent,
        filter,
        order_by,
        ..
    } = request;
    let args = ["ListAssignments", parent, filter, order_by];
    lists::Page::read(request.page_size, &request.page_token, &args)
}

/// Everything that is wrong with what ListAssignments is asked for.
pub fn list_faults(request: &v1::ListAssignmentsRequest) -> Vec<Error> {
    lists::faults(
        lists::filter(&request.filter, rows::ASSIGNMENT_FIELDS),
        order::parse(&request.order_by, rows::ASSIGNMENT_ORDER),
        page_of(request),
    )
}

/// An assignment in the making.
#[derive(Clone)]
struct Assigning {
    project: ProjectName,
    contact: ContactName,
    role_in_project: String,
    write: Write,
}

fn assign(
    conn: &mut Conn,
    assigning: &Assigning,
    holder_epoch: i64,
) -> Result<v1::AssignContactResponse, Abort<v1::AssignContactResponse>> {
    let Assigning {
        project: name,
        contact,
        role_in_project,
        write,
    } = assigning;
    write.claim(conn)?;
    // Kept from being closed until the assignment is there.
    let project = rows::project_pin(conn, name)?.ok_or_else(|| not_found(name))?;
    let held = grants::grant_hold::<ProjectEntitlement>(conn, contact, holder_epoch, write.now)?;
    let Some(mut held) = held else {
        return Err(Stop::NoGrant(contact.clone()).into());
    };
    let (role, actor) = (role_in_project.clone(), write.actor.clone());
    let assignment = projects::assign(&project, role, actor, write.now, &held).map_err(|_| {
        Error::ProjectClosed {
            project: name.to_string(),
        }
    })?;
    let resource = assignment.name.to_string();
    let Some(revision) = rows::assignment_put(&mut held, &assignment)? else {
        return Err(Error::Exists {
            kind: Kind::Assignment,
            resource,
        }
        .into());
    };
    let wire = assignment_to_wire(&assignment);
    let payload = wire.encode_to_vec();
    let change = write.change("assignment.created", &resource, revision, &payload, "");
    let consistency_token = log_all(held.conn(), &[change])?;
    let response = v1::AssignContactResponse {
        assignment: Some(wire),
        consistency_token,
    };
    write.complete(held.conn(), &resource, revision, &response.encode_to_vec())?;
    write.end(response)
}

fn unassign(
    conn: &mut Conn,
    project: &ProjectName,
    contact: &ContactName,
    write: &Write,
) -> Result<v1::UnassignContactResponse, Abort<v1::UnassignContactResponse>> {
    write.claim(conn)?;
    let ProjectName { workspace, project } = project.clone();
    let name = AssignmentName::new(workspace, project, contact.contact.clone());
    let resource = name.to_string();
    let Some((assignment, revision)) = rows::assignment_end(conn, &name, write.now)? else {
        return Err(Error::NotFound {
            kind: Kind::Assignment,
            resource,
        }
        .into());
    };
    let wire = assignment_to_wire(&assignment);
    let payload = wire.encode_to_vec();
    let change = write.change("assignment.ended", &resource, revision, &payload, "");
    let consistency_token = log_all(conn, &[change])?;
    let response = v1::UnassignContactResponse {
        assignment: Some(wire),
        consistency_token,
    };
    write.complete(conn, &resource, revision, &response.encode_to_vec())?;
    write.end(response)
}

/// Both names of a request, which must be of one workspace.
pub fn parties(project: &str, contact: &str) -> Result<(ProjectName, ContactName), Error> {
    let project: ProjectName = name("project", project)?;
    let contact: ContactName = name("contact", contact)?;
    if project.workspace == contact.workspace {
        return Ok((project, contact));
    }
    Err(Faults::of("contact", "must be a contact of the project's workspace").into())
}
