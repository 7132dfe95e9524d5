//! What every call has in common: its names, its texts, and how it is recognised when repeated.

use prost_reflect::ReflectMessage;
use store::idempotency::{Key, RequestHash};
use tonic::metadata::MetadataValue;
use tonic::{Request, Response, Status};
use types::WorkspaceName;

use super::status::status;
use crate::app::{Call, Once};
use crate::error::Error;
use crate::wire::has_nul;

/// The header of an answer that an earlier call with the same request id left.
const REPLAYED: &str = "clientele-replayed";

/// A request id that clients send by mistake, for one they never filled in.
const ZERO: &str = "00000000-0000-0000-0000-000000000000";

/// The fields of a writing request that are not part of what is asked for.
pub(super) struct Marks<'a> {
    pub(super) method: &'static str,
    pub(super) workspace: &'a str,
    pub(super) request_id: &'a str,
    pub(super) validate_only: bool,
}

/// The call that a request is. `stripped` is the request without its id: what must be the same when
/// the id is.
pub(super) fn call<T, M: ReflectMessage>(
    request: &Request<T>,
    marks: &Marks<'_>,
    stripped: &M,
) -> Result<Call, Status> {
    let caller = serve::caller(request);
    let request_id = marks.request_id.to_ascii_lowercase();
    if request_id == ZERO {
        let problem = "must not be the zero UUID";
        return Err(status(Error::field("request_id", "string.uuid", problem)));
    }
    refuse_nul(stripped)?;
    let once = (!request_id.is_empty()).then(|| Once {
        key: Key {
            workspace: marks.workspace.to_owned(),
            principal: caller.principal.to_string(),
            method: marks.method.to_owned(),
            request_id: request_id.clone(),
        },
        hash: RequestHash::of(&stripped.encode_to_vec()),
    });
    Ok(Call {
        actor: caller
            .peer
            .map_or_else(|| caller.principal.to_string(), str::to_owned),
        deadline: serve::deadline(request),
        request_id,
        once,
        validate_only: marks.validate_only,
    })
}

/// A call that is not recognised when it is repeated, because repeating it changes nothing.
pub(super) fn natural_call<T: ReflectMessage>(request: &Request<T>) -> Result<Call, Status> {
    let marks = Marks {
        method: "",
        workspace: "",
        request_id: "",
        validate_only: false,
    };
    call(request, &marks, request.get_ref())
}

/// No text may have U+0000: one of the two databases can't store it.
pub(super) fn refuse_nul<M: ReflectMessage>(message: &M) -> Result<(), Status> {
    if has_nul(message) {
        let problem = "must have no text with the character U+0000";
        return Err(status(Error::field("request", "string.nul", problem)));
    }
    Ok(())
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
    text.parse().map_err(|error: types::NameError| {
        status(Error::field(path, "resource_name", error.to_string()))
    })
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
