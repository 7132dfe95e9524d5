//! What every call has in common: its names, and how it is recognised when repeated.

use prost::Message;
use tonic::metadata::MetadataValue;
use tonic::{Request, Response, Status};
use types::WorkspaceName;

use super::status::status;
use crate::app::Call;
use crate::app::requests::Identity;
use crate::error::Error;

/// The header of an answer that an earlier call with the same request id left.
const REPLAYED: &str = "clientele-replayed";

/// Who calls, and by when the answer is due.
pub(super) fn call<T>(request: &Request<T>) -> Call {
    let caller = serve::caller(request);
    Call {
        actor: caller
            .peer
            .map_or_else(|| caller.principal.clone(), str::to_owned),
        deadline: serve::deadline(request),
    }
}

/// How a call is recognised when it is repeated. `stripped` is the request without its id: what must
/// be the same when the id is.
pub(super) fn identity<M: Message>(
    call: &Call,
    method: &str,
    workspace: &str,
    request_id: &str,
    stripped: &M,
) -> Option<Identity> {
    let bytes = stripped.encode_to_vec();
    Identity::new(workspace, &call.actor, method, request_id, &bytes)
}

/// The id of the workspace with this name.
pub(super) fn workspace(path: &str, name: &str) -> Result<String, Status> {
    let name: WorkspaceName = parse(path, name)?;
    Ok(name.workspace)
}

/// A resource name in a request.
pub(super) fn parse<N>(path: &str, text: &str) -> Result<N, Status>
where
    N: std::str::FromStr<Err = types::NameError>,
{
    text.parse()
        .map_err(|error: types::NameError| status(Error::field(path, error.to_string())))
}

/// An answer, marked if it is that of an earlier call.
pub(super) fn respond<T>(message: T, replayed: bool) -> Response<T> {
    let mut response = Response::new(message);
    if replayed {
        let mark = MetadataValue::from_static("1");
        response.metadata_mut().insert(REPLAYED, mark);
    }
    response
}
