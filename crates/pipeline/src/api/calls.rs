//! What every call has in common: its names, its texts, and how it is recognised when repeated.

use prost_reflect::ReflectMessage;
use tonic::metadata::MetadataValue;
use tonic::{Request, Response, Status};
use types::WorkspaceName;

use super::status::status;
use crate::app::Call;
use crate::app::requests::Identity;
use crate::error::Error;
use crate::wire::has_nul;

/// The header of an answer that an earlier call with the same request id left.
const REPLAYED: &str = "clientele-replayed";
/// A request id that clients send by mistake, for one they never filled in.
const ZERO: &str = "00000000-0000-0000-0000-000000000000";

/// Who calls, and by when the answer is due. Refuses texts that cannot be stored.
pub(super) fn call<T: ReflectMessage>(request: &Request<T>) -> Result<Call, Status> {
    if has_nul(request.get_ref()) {
        let problem = "must have no text with the character U+0000";
        return Err(status(Error::field("request", problem)));
    }
    let caller = serve::caller(request);
    Ok(Call {
        actor: caller
            .peer
            .map_or_else(|| caller.principal.to_string(), str::to_owned),
        deadline: serve::deadline(request),
    })
}

/// How a call is recognised when it is repeated. `stripped` is the request without its id: what must
/// be the same when the id is.
pub(super) fn identity<M: ReflectMessage>(
    call: &Call,
    method: &str,
    workspace: &str,
    request_id: &str,
    stripped: &M,
) -> Result<Option<Identity>, Status> {
    if request_id == ZERO {
        let problem = "must not be the zero UUID";
        return Err(status(Error::field("request_id", problem)));
    }
    let bytes = stripped.encode_to_vec();
    Ok(Identity::new(
        workspace,
        &call.actor,
        method,
        request_id,
        &bytes,
    ))
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
