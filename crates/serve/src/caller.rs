//! Who calls, and what a server on loopback lets them do.

use std::borrow::Cow;

use opentelemetry::trace::TraceId;
use proto::{Admission, Method};
use tonic::metadata::MetadataMap;
use tonic::{Extensions, Request, Status};

use crate::peer::PEER_KEY;
use crate::refusals;

/// The principal of every call until there is identity. It stands in idempotency keys and audit
/// fields, so that rows written today stay readable later.
pub const LOCAL: &str = "local";

/// The services of the suite, which may call each other's internal rpcs.
const SUITE: [&str; 3] = ["contacts", "pipeline", "billing"];

/// Who made a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The identity the call acts as: [`LOCAL`].
    pub principal: Cow<'static, str>,
    /// The service of the suite that made the call; `None` for everyone else.
    pub peer: Option<&'static str>,
    /// The trace that the call belongs to, for logs and change log entries.
    pub trace_id: TraceId,
}

/// Who made this call.
///
/// The authenticator (issue "Safe to run") will put a proven identity into the extensions, for
/// people as for services; until then everyone on loopback is [`LOCAL`], and a peer is who says so.
pub fn caller<T>(request: &Request<T>) -> Caller {
    Caller {
        principal: Cow::Borrowed(LOCAL),
        peer: peer_in(request.metadata()),
        trace_id: request
            .extensions()
            .get()
            .copied()
            .unwrap_or(TraceId::INVALID),
    }
}

fn peer_in(metadata: &MetadataMap) -> Option<&'static str> {
    let named = metadata.get(PEER_KEY)?;
    SUITE
        .into_iter()
        .find(|service| service.as_bytes() == named.as_bytes())
}

/// The admission of a server on loopback: every workspace is open to everyone, internal rpcs only
/// to services of the suite.
///
/// The mark of a peer is no secret, but keeps people from calling an internal rpc by mistake: who
/// gets past it meant to.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalAdmission;

impl Admission for LocalAdmission {
    fn admit(
        &self,
        method: &'static Method,
        _workspace: Option<&str>,
        metadata: &MetadataMap,
        _extensions: &Extensions,
    ) -> Result<(), Status> {
        if method.internal && peer_in(metadata).is_none() {
            return Err(refusals::permission_missing(method.permission));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::Code;
    use tonic::metadata::MetadataValue;
    use tonic_types::StatusExt;

    fn metadata(peer: Option<&'static str>) -> MetadataMap {
        let mut metadata = MetadataMap::new();
        if let Some(peer) = peer {
            metadata.insert(PEER_KEY, MetadataValue::from_static(peer));
        }
        metadata
    }

    #[test]
    fn a_caller_is_local_and_a_peer_only_by_the_name_of_a_service() {
        for (named, peer) in [
            (None, None),
            (Some("billing"), Some("billing")),
            (Some("Billing"), None),
            (Some("someone"), None),
        ] {
            let mut request = Request::new(());
            *request.metadata_mut() = metadata(named);
            let caller = caller(&request);
            assert_eq!((&*caller.principal, caller.peer), (LOCAL, peer));
        }
    }

    #[test]
    fn internal_rpcs_are_for_peers_and_all_others_for_everyone() {
        let (mut internal, mut open) = (0, 0);
        for method in proto::methods() {
            let admit = |peer| {
                LocalAdmission.admit(method, Some("default"), &metadata(peer), &Extensions::new())
            };
            assert!(admit(Some("pipeline")).is_ok(), "{}", method.path);
            if method.internal {
                internal += 1;
                let refusal = admit(None).expect_err(method.path);
                assert_eq!(refusal.code(), Code::PermissionDenied);
                let info = refusal.get_details_error_info().expect("has ErrorInfo");
                assert_eq!(info.reason, "PERMISSION_MISSING");
                assert_eq!(info.metadata["permission"], method.permission);
            } else {
                open += 1;
                assert!(admit(None).is_ok(), "{}", method.path);
            }
        }
        assert!(internal > 0 && open > 0);
    }
}
