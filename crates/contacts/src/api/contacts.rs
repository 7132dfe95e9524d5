//! ContactService.

use std::pin::Pin;
use std::time::Duration;

use futures::Stream;
use proto::contacts::v1::contact_service_server::ContactService;
use proto::contacts::v1::watch_contacts_request::Start;
use proto::contacts::v1::watch_contacts_response::Event;
use proto::contacts::v1::{
    BatchGetContactsRequest, BatchGetContactsResponse, ConfirmRemovalRequest,
    ConfirmRemovalResponse, ContactChanges, ContactHeartbeat, ContactSnapshotEnd,
    ContactSnapshotPage, CreateContactRequest, CreateContactResponse, DeleteContactRequest,
    DeleteContactResponse, GetContactRequest, GetContactResponse, GetServerInfoRequest,
    GetServerInfoResponse, ListContactsRequest, ListContactsResponse, RecordPositionsRequest,
    RecordPositionsResponse, UndeleteContactRequest, UndeleteContactResponse, UpdateContactRequest,
    UpdateContactResponse, WatchContactsRequest, WatchContactsResponse,
};
use proto::convert::role_from_wire;
use tonic::{Request, Response, Status};
use types::ContactName;

use super::Api;
use super::calls::{Marks, call, natural_call, parse, respond, workspace};
use super::status::status;
use crate::app::{
    Beginning, Changes, CreateInput, Freshness, ListInput, RecordedPosition, Told, UpdateInput,
    WatchInput, Watcher,
};
use crate::domain::contacts::ShownPosition;
use crate::error::Error;
use crate::wire::contacts::{draft, message};

/// How long a Watch may be silent where nothing is said.
const HEARTBEAT: Duration = Duration::from_secs(15);

#[tonic::async_trait]
impl ContactService for Api {
    async fn create_contact(
        &self,
        request: Request<CreateContactRequest>,
    ) -> Result<Response<CreateContactResponse>, Status> {
        let body = request.get_ref();
        let marks = Marks {
            method: "clientele.contacts.v1.ContactService/CreateContact",
            workspace: &workspace("parent", &body.parent)?,
            request_id: &body.request_id,
            validate_only: body.validate_only,
        };
        let stripped = CreateContactRequest {
            request_id: String::new(),
            ..body.clone()
        };
        let call = call(&request, &marks, &stripped);
        let input = CreateInput {
            workspace: marks.workspace.to_owned(),
            id: stripped.contact_id,
            draft: draft(&stripped.contact.unwrap_or_default()),
        };
        let written = self.app.create_contact(call, input).await.map_err(status)?;
        let answer = CreateContactResponse {
            contact: written.contact,
            consistency_token: written.consistency_token,
            warnings: Vec::new(),
        };
        Ok(respond(answer, written.replayed))
    }

    async fn get_contact(
        &self,
        request: Request<GetContactRequest>,
    ) -> Result<Response<GetContactResponse>, Status> {
        let deadline = serve::deadline(&request);
        let body = request.into_inner();
        let name = parse("name", &body.name)?;
        let freshness = Freshness::read(&body.at_least_as_fresh_as).map_err(status)?;
        let found = self
            .app
            .get_contact(name, &freshness, deadline)
            .await
            .map_err(status)?;
        Ok(Response::new(GetContactResponse {
            contact: Some(message(&found)),
        }))
    }

    async fn batch_get_contacts(
        &self,
        request: Request<BatchGetContactsRequest>,
    ) -> Result<Response<BatchGetContactsResponse>, Status> {
        let deadline = serve::deadline(&request);
        let body = request.into_inner();
        let parent = workspace("parent", &body.parent)?;
        let mut names: Vec<ContactName> = Vec::with_capacity(body.names.len());
        for (index, text) in body.names.iter().enumerate() {
            let name: ContactName = parse(&format!("names[{index}]"), text)?;
            if name.workspace != parent {
                // As if it were not there: the caller may enter its own workspace only.
                return Err(status(Error::not_found(text)));
            }
            names.push(name);
        }
        let freshness = Freshness::read(&body.at_least_as_fresh_as).map_err(status)?;
        let answer = self.app.get_contacts(names, &freshness, deadline).await;
        Ok(Response::new(answer.map_err(status)?))
    }

    async fn list_contacts(
        &self,
        request: Request<ListContactsRequest>,
    ) -> Result<Response<ListContactsResponse>, Status> {
        let deadline = serve::deadline(&request);
        let body = request.into_inner();
        let freshness = Freshness::read(&body.at_least_as_fresh_as).map_err(status)?;
        let input = list_input(&body)?;
        let listed = self.app.list_contacts(input, &freshness, deadline).await;
        let (contacts, next_page_token) = listed.map_err(status)?;
        Ok(Response::new(ListContactsResponse {
            contacts,
            next_page_token,
        }))
    }

    async fn update_contact(
        &self,
        request: Request<UpdateContactRequest>,
    ) -> Result<Response<UpdateContactResponse>, Status> {
        let body = request.get_ref();
        let given = body.contact.clone().unwrap_or_default();
        let name: ContactName = parse("contact.name", &given.name)?;
        let marks = Marks {
            method: "clientele.contacts.v1.ContactService/UpdateContact",
            workspace: &name.workspace,
            request_id: &body.request_id,
            validate_only: body.validate_only,
        };
        let stripped = UpdateContactRequest {
            request_id: String::new(),
            ..body.clone()
        };
        let call = call(&request, &marks, &stripped);
        let input = UpdateInput {
            draft: draft(&given),
            mask: stripped.update_mask.unwrap_or_default().paths,
            etags: vec![stripped.etag, given.etag],
            allow_missing: stripped.allow_missing,
            name,
        };
        let written = self.app.update_contact(call, input).await.map_err(status)?;
        let answer = UpdateContactResponse {
            contact: written.contact,
            consistency_token: written.consistency_token,
            warnings: Vec::new(),
        };
        Ok(respond(answer, written.replayed))
    }

    async fn delete_contact(
        &self,
        request: Request<DeleteContactRequest>,
    ) -> Result<Response<DeleteContactResponse>, Status> {
        let body = request.get_ref();
        let name: ContactName = parse("name", &body.name)?;
        let marks = Marks {
            method: "clientele.contacts.v1.ContactService/DeleteContact",
            workspace: &name.workspace,
            request_id: &body.request_id,
            validate_only: body.validate_only,
        };
        let stripped = DeleteContactRequest {
            request_id: String::new(),
            ..body.clone()
        };
        let call = call(&request, &marks, &stripped);
        let deleted = self
            .app
            .delete_contact(call, name, stripped.etag, stripped.allow_missing)
            .await
            .map_err(status)?;
        let answer = DeleteContactResponse {
            contact: deleted.contact,
            consistency_token: deleted.consistency_token,
        };
        Ok(respond(answer, deleted.replayed))
    }

    async fn undelete_contact(
        &self,
        request: Request<UndeleteContactRequest>,
    ) -> Result<Response<UndeleteContactResponse>, Status> {
        let body = request.get_ref();
        let name: ContactName = parse("name", &body.name)?;
        let marks = Marks {
            method: "clientele.contacts.v1.ContactService/UndeleteContact",
            workspace: &name.workspace,
            request_id: &body.request_id,
            validate_only: body.validate_only,
        };
        let stripped = UndeleteContactRequest {
            request_id: String::new(),
            ..body.clone()
        };
        let call = call(&request, &marks, &stripped);
        let written = self
            .app
            .undelete_contact(call, name, stripped.etag)
            .await
            .map_err(status)?;
        let answer = UndeleteContactResponse {
            contact: written.contact,
            consistency_token: written.consistency_token,
        };
        Ok(respond(answer, written.replayed))
    }

    type WatchContactsStream =
        Pin<Box<dyn Stream<Item = Result<WatchContactsResponse, Status>> + Send>>;

    async fn watch_contacts(
        &self,
        request: Request<WatchContactsRequest>,
    ) -> Result<Response<Self::WatchContactsStream>, Status> {
        let deadline = serve::deadline(&request);
        let follower = serve::caller(&request).peer;
        let body = request.into_inner();
        let input = WatchInput {
            workspace: watched(&body.parent)?,
            beginning: match body.start {
                Some(Start::ResumeToken(token)) => Beginning::After(token),
                Some(Start::Oldest(true)) => Beginning::Oldest,
                Some(Start::Oldest(false) | Start::Now(_)) | None => Beginning::Now,
            },
            send_snapshot: body.send_snapshot,
            heartbeat: heartbeat(body.heartbeat_interval.as_ref()),
            filter: body.filter,
            follower,
        };
        let watcher = self
            .app
            .watch_contacts(input, deadline)
            .await
            .map_err(status)?;
        Ok(Response::new(Box::pin(messages(watcher))))
    }

    async fn get_server_info(
        &self,
        request: Request<GetServerInfoRequest>,
    ) -> Result<Response<GetServerInfoResponse>, Status> {
        let deadline = serve::deadline(&request);
        let (oldest_token, newest_token) = self.app.log_ends(deadline).await.map_err(status)?;
        let capabilities = ["import", "export", "watch", "filter", "projection"];
        Ok(Response::new(GetServerInfoResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: option_env!("CLIENTELE_COMMIT")
                .unwrap_or_default()
                .to_owned(),
            capabilities: capabilities.map(|name| (name.to_owned(), true)).into(),
            oldest_token,
            newest_token,
        }))
    }

    async fn record_positions(
        &self,
        request: Request<RecordPositionsRequest>,
    ) -> Result<Response<RecordPositionsResponse>, Status> {
        let call = natural_call(&request);
        let body = request.into_inner();
        let mut told = Vec::with_capacity(body.positions.len());
        for (index, position) in body.positions.into_iter().enumerate() {
            told.push(RecordedPosition {
                name: parse(&format!("positions[{index}].contact"), &position.contact)?,
                position: ShownPosition {
                    role: role_from_wire(position.role),
                    stage: position.stage,
                    revision: position.revision,
                },
            });
        }
        let recorded = self
            .app
            .for_peers()
            .record_positions(call, told, body.epoch, &body.complete_through)
            .await;
        Ok(Response::new(RecordPositionsResponse {
            recorded: recorded.map_err(status)?,
        }))
    }

    async fn confirm_removal(
        &self,
        request: Request<ConfirmRemovalRequest>,
    ) -> Result<Response<ConfirmRemovalResponse>, Status> {
        let call = natural_call(&request);
        let body = request.into_inner();
        let name = parse("name", &body.name)?;
        let contact = self
            .app
            .for_peers()
            .confirm_removal(call, name, body.etag)
            .await
            .map_err(status)?;
        Ok(Response::new(ConfirmRemovalResponse {
            contact: Some(message(&contact)),
        }))
    }
}

/// The id of the workspace that a Watch is of; `None` for all of them.
pub(super) fn watched(parent: &str) -> Result<Option<String>, Status> {
    match parent {
        "workspaces/-" => Ok(None),
        parent => workspace("parent", parent).map(Some),
    }
}

/// What ListContacts was given.
pub(super) fn list_input(body: &ListContactsRequest) -> Result<ListInput, Status> {
    Ok(ListInput {
        workspace: workspace("parent", &body.parent)?,
        page_size: body.page_size,
        page_token: body.page_token.clone(),
        filter: body.filter.clone(),
        order_by: body.order_by.clone(),
        show_deleted: body.show_deleted,
    })
}

/// How long a Watch may be silent; the proto's rules see to it that it is 5 s to 60 s.
fn heartbeat(given: Option<&prost_types::Duration>) -> Duration {
    given
        .and_then(|given| Duration::try_from(*given).ok())
        .unwrap_or(HEARTBEAT)
}

/// The messages of a Watch; it ends with its first error.
fn messages(watcher: Watcher) -> impl Stream<Item = Result<WatchContactsResponse, Status>> + Send {
    futures::stream::unfold(Some(watcher), |watcher| async {
        let mut watcher = watcher?;
        match watcher.next().await {
            Ok(told) => Some((Ok(told_message(told)), Some(watcher))),
            Err(error) => Some((Err(status(error)), None)),
        }
    })
}

fn told_message(told: Told) -> WatchContactsResponse {
    WatchContactsResponse {
        resume_token: told.resume_token,
        event: Some(match told.changes {
            Changes::Happened(changes, more) => Event::Changes(ContactChanges { changes, more }),
            Changes::Snapshot(contacts) => Event::Snapshot(ContactSnapshotPage { contacts }),
            Changes::SnapshotEnd => Event::SnapshotEnd(ContactSnapshotEnd {}),
            Changes::Heartbeat => Event::Heartbeat(ContactHeartbeat {}),
        }),
    }
}
