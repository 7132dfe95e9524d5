//! Who calls, and what a server on loopback lets them do.

use std::collections::BTreeSet;

use http::{HeaderMap, header};
use opentelemetry::trace::TraceId;
use proto::{Admission, Method, Scope};
use tonic::metadata::MetadataMap;
use tonic::{Extensions, Request, Status};

use crate::identity::{Identity, ProcessSecret};
use crate::peer::PEER_KEY;
use crate::refusals;

/// The principal of every call to a server without an authenticator, as it stands in idempotency keys
/// and audit fields.
pub const LOCAL: &str = "local";

/// The services of the suite, which may call each other's internal rpcs.
pub(crate) const SUITE: [&str; 3] = ["contacts", "pipeline", "billing"];

/// Who made a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Whom the call acts as: `issuer#subject` of its token, the name of a service of the suite, or
    /// [`LOCAL`] where nobody is asked who they are.
    pub principal: String,
    /// The service of the suite that made the call; `None` for everyone else.
    pub peer: Option<&'static str>,
    /// The trace that the call belongs to, for logs and change log entries.
    pub trace_id: TraceId,
}

/// Who made this call: the identity that the authenticator has proven. On a server without one
/// everyone is [`LOCAL`], and a peer is who says so.
pub fn caller<T>(request: &Request<T>) -> Caller {
    let (principal, peer) = match request.extensions().get::<Identity>() {
        Some(Identity::User(user)) => (user.principal.clone(), None),
        Some(Identity::Service(name)) => ((*name).to_owned(), Some(*name)),
        None => (LOCAL.to_owned(), peer_in(request.metadata().as_ref())),
    };
    Caller {
        principal,
        peer,
        trace_id: request
            .extensions()
            .get()
            .copied()
            .unwrap_or(TraceId::INVALID),
    }
}

/// The permissions that the caller of a request has in a workspace, for what the policy in force there
/// asks of a move; `None` where it has all that there are: an administrator, a service of the suite, or
/// anybody on a server that asks nobody who they are.
pub fn permissions<T>(request: &Request<T>, workspace: &str) -> Option<BTreeSet<String>> {
    match request.extensions().get::<Identity>() {
        Some(Identity::User(user)) => user.access.within(workspace),
        Some(Identity::Service(_)) | None => None,
    }
}

/// The service that a call says it comes from. Proves nothing.
pub(crate) fn peer_in(headers: &HeaderMap) -> Option<&'static str> {
    service_named(headers.get(PEER_KEY)?.to_str().ok()?)
}

/// The service of the suite with this name.
pub(crate) fn service_named(name: &str) -> Option<&'static str> {
    SUITE.into_iter().find(|service| *service == name)
}

/// The admission of a server on loopback: every workspace is open to everyone, internal rpcs only
/// to the services of the suite that they are for.
///
/// The mark of a peer is no secret, but keeps people from calling an internal rpc by mistake: who
/// gets past it meant to. So whatever lets others reach the port must drop that mark, or there must be
/// an authenticator; where all services run in one process, [`ProcessAdmission`] asks for proof.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalAdmission;

impl Admission for LocalAdmission {
    fn admit(
        &self,
        method: &'static Method,
        _scope: Option<Scope<'_>>,
        metadata: &MetadataMap,
        _extensions: &Extensions,
    ) -> Result<(), Status> {
        admit_peer(method, peer_in(metadata.as_ref()))
    }
}

/// The admission of a server on loopback whose services call each other within its process: like
/// [`LocalAdmission`], but a peer is who has the secret of the process.
#[derive(Clone, Debug)]
pub(crate) struct ProcessAdmission(pub(crate) ProcessSecret);

impl Admission for ProcessAdmission {
    fn admit(
        &self,
        method: &'static Method,
        _scope: Option<Scope<'_>>,
        metadata: &MetadataMap,
        _extensions: &Extensions,
    ) -> Result<(), Status> {
        let headers: &HeaderMap = metadata.as_ref();
        let proven = || {
            let proof = headers.get(header::AUTHORIZATION);
            proof.is_some_and(|proof| self.0.fits(proof))
        };
        let peer = peer_in(headers).filter(|_| method.internal && proven());
        admit_peer(method, peer)
    }
}

/// Lets everyone call what is not internal, and `peer` what is declared for it.
fn admit_peer(method: &'static Method, peer: Option<&str>) -> Result<(), Status> {
    if method.internal && peer.is_none_or(|peer| !method.callers.contains(&peer)) {
        return Err(refusals::permission_missing(method.permission));
    }
    Ok(())
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
            let admit =
                |peer| LocalAdmission.admit(method, None, &metadata(peer), &Extensions::new());
            for peer in SUITE {
                let for_them = !method.internal || method.callers.contains(&peer);
                assert_eq!(
                    admit(Some(peer)).is_ok(),
                    for_them,
                    "{peer} {}",
                    method.path
                );
            }
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

    #[test]
    fn within_a_process_internal_rpcs_are_for_peers_with_its_secret() {
        let (ours, theirs) = (ProcessSecret::generate(), ProcessSecret::generate());
        let admission = ProcessAdmission(ours.clone());
        for method in proto::methods() {
            let admit = |peer, secret: Option<&ProcessSecret>| {
                let mut headers = metadata(peer).into_headers();
                if let Some(secret) = secret {
                    headers.insert(header::AUTHORIZATION, secret.header());
                }
                let metadata = MetadataMap::from_headers(headers);
                admission.admit(method, None, &metadata, &Extensions::new())
            };
            for peer in SUITE {
                let for_them = !method.internal || method.callers.contains(&peer);
                let path = method.path;
                assert_eq!(admit(Some(peer), Some(&ours)).is_ok(), for_them, "{path}");
                for secret in [None, Some(&theirs)] {
                    let admitted = admit(Some(peer), secret).is_ok();
                    assert_eq!(admitted, !method.internal, "{path}");
                }
            }
            assert_eq!(admit(None, Some(&ours)).is_ok(), !method.internal);
        }
    }
}
