//! Lists and streams of transitions.

use std::time::Duration;

use futures::Stream;
use proto::pipeline::v1::watch_transitions_request::Start;
use proto::pipeline::v1::watch_transitions_response::Event;
use proto::pipeline::v1::{
    ListTransitionsRequest, ListTransitionsResponse, PositionSnapshotEnd, PositionSnapshotPage,
    TransitionChanges, TransitionHeartbeat, WatchTransitionsRequest, WatchTransitionsResponse,
};
use tonic::{Request, Response, Status};

use super::Api;
use super::calls::{call, workspace};
use super::status::status;
use crate::app::lists::PageRequest;
use crate::app::watch::{Beginning, Changes, Told, WatchInput, Watcher};
use crate::error::Error;
use crate::wire;

/// How long a Watch may be silent where nothing is said.
const HEARTBEAT: Duration = Duration::from_secs(15);

pub(super) async fn list(
    api: &Api,
    request: Request<ListTransitionsRequest>,
) -> Result<Response<ListTransitionsResponse>, Status> {
    let call = call(&request);
    let body = request.into_inner();
    let (workspace, contact, page) = transitions_page(body)?;
    let found = api
        .app
        .list_transitions(&workspace, contact, page, call.deadline)
        .await
        .map_err(status)?;
    Ok(Response::new(ListTransitionsResponse {
        transitions: found
            .items
            .iter()
            .map(wire::transitions::transition)
            .collect(),
        next_page_token: found.next,
    }))
}

pub(super) async fn watch(
    api: &Api,
    request: Request<WatchTransitionsRequest>,
) -> Result<impl Stream<Item = Result<WatchTransitionsResponse, Status>> + Send + use<>, Status> {
    let call = call(&request);
    let peer = serve::caller(&request).peer;
    let body = request.into_inner();
    let workspace = watched(&body.parent)?;
    if workspace.is_none() && peer.is_none() {
        let permission = "internal.followers";
        return Err(status(Error::InternalOnly { permission }));
    }
    let input = WatchInput {
        workspace,
        beginning: match body.start {
            None | Some(Start::Now(_)) => Beginning::Now,
            Some(Start::Oldest(_)) => Beginning::Oldest,
            Some(Start::ResumeToken(token)) => Beginning::After(token),
        },
        send_snapshot: body.send_snapshot,
        heartbeat: heartbeat(body.heartbeat_interval.as_ref()),
    };
    let watcher = api
        .app
        .watch_transitions(input, call.deadline)
        .await
        .map_err(status)?;
    Ok(messages(watcher))
}

/// The id of the workspace that a Watch is of; `None` for all of them.
pub(super) fn watched(parent: &str) -> Result<Option<String>, Status> {
    match parent {
        "workspaces/-" => Ok(None),
        parent => workspace("parent", parent).map(Some),
    }
}

/// What ListTransitions is asked for: the workspace, the contact if one is named, and the page.
pub(super) fn transitions_page(
    body: ListTransitionsRequest,
) -> Result<(String, Option<String>, PageRequest), Status> {
    let (workspace, contact) = parent(&body.parent)?;
    let page = PageRequest {
        size: body.page_size,
        token: body.page_token,
        filter: body.filter,
        order_by: String::new(),
        fresh: body.at_least_as_fresh_as,
    };
    Ok((workspace, contact, page))
}

/// A contact's histories by their parent; no contact stands for all of the workspace.
pub(super) fn parent(text: &str) -> Result<(String, Option<String>), Status> {
    let parts: Vec<&str> = text.split('/').collect();
    match parts.as_slice() {
        ["workspaces", workspace, "contacts", "-"] if types::is_resource_id(workspace) => {
            Ok(((*workspace).to_owned(), None))
        }
        ["workspaces", workspace, "contacts", contact]
            if types::is_resource_id(workspace) && types::is_resource_id(contact) =>
        {
            Ok(((*workspace).to_owned(), Some((*contact).to_owned())))
        }
        _ => {
            let problem = "must have the form `workspaces/{workspace}/contacts/{contact}`, where \
                the contact may be `-`";
            Err(status(Error::field("parent", problem)))
        }
    }
}

/// How long a Watch may be silent; the proto's rules see to it that it is 5 s to 60 s.
fn heartbeat(given: Option<&prost_types::Duration>) -> Duration {
    given
        .and_then(|given| Duration::try_from(*given).ok())
        .unwrap_or(HEARTBEAT)
}

/// The messages of a Watch; it ends with its first error.
fn messages(
    watcher: Watcher,
) -> impl Stream<Item = Result<WatchTransitionsResponse, Status>> + Send {
    futures::stream::unfold(Some(watcher), |watcher| async {
        let mut watcher = watcher?;
        match watcher.next().await {
            Ok(told) => Some((Ok(message(told)), Some(watcher))),
            Err(error) => Some((Err(status(error)), None)),
        }
    })
}

fn message(told: Told) -> WatchTransitionsResponse {
    WatchTransitionsResponse {
        resume_token: told.resume_token,
        event: Some(match told.changes {
            Changes::Happened(changes, more) => Event::Changes(TransitionChanges { changes, more }),
            Changes::Snapshot(positions) => Event::Snapshot(PositionSnapshotPage { positions }),
            Changes::SnapshotEnd => Event::SnapshotEnd(PositionSnapshotEnd {}),
            Changes::Heartbeat => Event::Heartbeat(TransitionHeartbeat {}),
        }),
    }
}
