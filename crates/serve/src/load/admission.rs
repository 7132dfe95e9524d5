//! The second look at a call, once it is known for which workspace it is.

use std::sync::Arc;

use http::{HeaderMap, header};
use proto::{Admission, Method, Scope};
use tonic::metadata::MetadataMap;
use tonic::{Extensions, Status};

use super::Handle;
use crate::caller::peer_in;
use crate::identity::{Identity, ProcessSecret};

/// An admission that, after `inner` has let a call pass, asks for the workspace's share of the places.
///
/// After it, so that nobody who may not enter a workspace takes anything of its share.
pub(crate) struct ShareAdmission<A>(A);

impl<A: Admission> ShareAdmission<A> {
    /// As the guards of a server take it.
    pub(crate) fn shared(inner: A) -> Arc<dyn Admission> {
        Arc::new(Self(inner))
    }
}

impl<A: Admission> Admission for ShareAdmission<A> {
    fn admit(
        &self,
        method: &'static Method,
        scope: Option<Scope<'_>>,
        metadata: &MetadataMap,
        extensions: &Extensions,
    ) -> Result<(), Status> {
        self.0.admit(method, scope, metadata, extensions)?;
        match (extensions.get::<Handle>(), scope) {
            (Some(place), Some(scope)) => place.share(scope.workspace),
            _ => Ok(()),
        }
    }
}

/// How a server knows that a call comes from a service of the suite.
#[derive(Clone, Debug)]
pub(crate) enum Proof {
    /// By its identity.
    Identity,
    /// By the secret of the process.
    Process(ProcessSecret),
    /// It says so: the server asks nobody.
    None,
}

impl Proof {
    /// Whether a call says that it comes from a service of the suite. Proves nothing.
    pub(crate) fn is_claimed(headers: &HeaderMap) -> bool {
        peer_in(headers).is_some()
    }

    /// Whether a call has the proof that it does. Asked once the caller is known.
    pub(crate) fn is_given(&self, headers: &HeaderMap, extensions: &Extensions) -> bool {
        match self {
            Self::Identity => {
                let identity = extensions.get::<Identity>();
                matches!(identity, Some(Identity::Service(_)))
            }
            Self::Process(secret) => {
                let proof = headers.get(header::AUTHORIZATION);
                proof.is_some_and(|proof| secret.fits(proof))
            }
            Self::None => true,
        }
    }
}
