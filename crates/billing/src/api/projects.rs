//! ProjectService.

use proto::billing::v1;
use proto::billing::v1::project_service_server::ProjectService;
use tonic::{Request, Response, Status};

use super::{answer, call, done};
use crate::app::App;

/// The handlers of ProjectService.
#[derive(Clone)]
pub struct Projects {
    app: App,
}

impl Projects {
    /// Handlers over the use cases.
    pub fn new(app: App) -> Self {
        Self { app }
    }

    /// The present life of the database: tokens of another one are foreign.
    pub(super) fn epoch(&self) -> i64 {
        self.app.store.epoch()
    }
}

#[tonic::async_trait]
impl ProjectService for Projects {
    async fn create_project(
        &self,
        request: Request<v1::CreateProjectRequest>,
    ) -> Result<Response<v1::CreateProjectResponse>, Status> {
        let call = call(&request);
        done(self.app.project_create(&call, request.into_inner()).await)
    }

    async fn get_project(
        &self,
        request: Request<v1::GetProjectRequest>,
    ) -> Result<Response<v1::GetProjectResponse>, Status> {
        let call = call(&request);
        answer(self.app.project_get(&call, request.into_inner()).await)
    }

    async fn list_projects(
        &self,
        request: Request<v1::ListProjectsRequest>,
    ) -> Result<Response<v1::ListProjectsResponse>, Status> {
        let call = call(&request);
        answer(self.app.project_list(&call, request.into_inner()).await)
    }

    async fn update_project(
        &self,
        request: Request<v1::UpdateProjectRequest>,
    ) -> Result<Response<v1::UpdateProjectResponse>, Status> {
        let call = call(&request);
        done(self.app.project_update(&call, request.into_inner()).await)
    }

    async fn assign_contact(
        &self,
        request: Request<v1::AssignContactRequest>,
    ) -> Result<Response<v1::AssignContactResponse>, Status> {
        let call = call(&request);
        done(self.app.contact_assign(&call, request.into_inner()).await)
    }

    async fn unassign_contact(
        &self,
        request: Request<v1::UnassignContactRequest>,
    ) -> Result<Response<v1::UnassignContactResponse>, Status> {
        let call = call(&request);
        done(self.app.contact_unassign(&call, request.into_inner()).await)
    }

    async fn list_assignments(
        &self,
        request: Request<v1::ListAssignmentsRequest>,
    ) -> Result<Response<v1::ListAssignmentsResponse>, Status> {
        let call = call(&request);
        answer(self.app.assignment_list(&call, request.into_inner()).await)
    }
}
