//! The method of PositionService that names primary contacts.

use proto::pipeline::v1::{SetPrimaryContactRequest, SetPrimaryContactResponse};
use tonic::{Request, Response, Status};
use types::ContactName;

use super::Api;
use super::calls::{call, identity, parse, respond};
use super::positions::SERVICE;
use super::status::{no_contact, status};
use crate::app::Call;
use crate::app::primaries::Naming;

pub(super) async fn set(
    api: &Api,
    request: Request<SetPrimaryContactRequest>,
) -> Result<Response<SetPrimaryContactResponse>, Status> {
    let call = call(&request);
    let naming = naming(&call, request.into_inner())?;
    let done = api.app.set_primary_contact(&call, naming).await;
    let (answer, replayed) = done.map_err(status)?;
    Ok(respond(answer, replayed))
}

/// Whom somebody names, for which company.
fn naming(call: &Call, body: SetPrimaryContactRequest) -> Result<Naming, Status> {
    let company: ContactName = parse("company", &body.company)?;
    let contact: ContactName = parse("primary_contact", &body.primary_contact)?;
    if contact.workspace != company.workspace {
        // As if it were not there: the caller may enter its own workspace only.
        return Err(no_contact(&body.primary_contact));
    }
    let method = format!("{SERVICE}/SetPrimaryContact");
    let stripped = SetPrimaryContactRequest {
        request_id: String::new(),
        ..body.clone()
    };
    let workspace = &company.workspace;
    Ok(Naming {
        identity: identity(call, &method, workspace, &body.request_id, &stripped),
        company,
        contact,
        etag: body.etag,
        validate_only: body.validate_only,
    })
}
