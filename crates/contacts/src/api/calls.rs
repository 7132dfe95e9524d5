//! What every call has in common: its names, and how it is recognised when repeated.

use prost::Message;
use store::idempotency::{Key, RequestHash};
use tonic::metadata::MetadataValue;
use tonic::{Request, Response, Status};
use types::WorkspaceName;

use super::status::status;
use crate::app::{Call, Once};
use crate::error::Error;

/// The header of an answer that an earlier call with the same request id left.
const REPLAYED: &str = "clientele-replayed";

/// The fields of a writing request that are not part of what is asked for.
pub(super) struct Marks<'a> {
    pub(super) method: &'static str,
    pub(super) workspace: &'a str,
    pub(super) request_id: &'a str,
    pub(super) validate_only: bool,
}

/// The call that a request is. `stripped` is the request without its id: what must be the same when
/// the id is.
pub(super) fn call<T, M: Message>(request: &Request<T>, marks: &Marks<'_>, stripped: &M) -> Call {
    let caller = serve::caller(request);
    let request_id = marks.request_id.to_ascii_lowercase();
    let once = (!request_id.is_empty()).then(|| Once {
        key: Key {
            workspace: marks.workspace.to_owned(),
            principal: caller.principal.clone(),
            method: marks.method.to_owned(),
            request_id: request_id.clone(),
        },
        hash: RequestHash::of(&stripped.encode_to_vec()),
    });
    Call {
        actor: caller
            .peer
            .map_or_else(|| caller.principal.clone(), str::to_owned),
        deadline: serve::deadline(request),
        request_id,
        once,
        validate_only: marks.validate_only,
    }
}

/// A call that is not recognised when it is repeated, because repeating it changes nothing.
pub(super) fn natural_call<T: Message>(request: &Request<T>) -> Call {
    let marks = Marks {
        method: "",
        workspace: "",
        request_id: "",
        validate_only: false,
    };
    call(request, &marks, request.get_ref())
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
