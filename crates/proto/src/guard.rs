//! The decorator that stands before every handler: authorise, validate, then call.
//!
//! Invariant: a handler never sees a request whose caller was not admitted or whose fields break a
//! rule of its proto.

use tonic::metadata::MetadataMap;
use tonic::{Extensions, Request, Status};

use crate::method::Method;
use crate::validate::{Path, Validate, Violations};

/// Decides who may call what. The server has one; tests bring their own.
pub trait Admission: Send + Sync + 'static {
    /// Lets the call pass or refuses it.
    ///
    /// `workspace` is the id in the name that the request is about, `-` where a method offers all
    /// workspaces at once; it is `None` exactly for methods that are not about one workspace
    /// ([`Method::scoped`]). Called before the request is validated and before anything is read.
    fn admit(
        &self,
        method: &'static Method,
        workspace: Option<&str>,
        metadata: &MetadataMap,
        extensions: &Extensions,
    ) -> Result<(), Status>;
}

/// A request, and the workspace it is about.
pub trait WorkspaceScoped {
    /// The field that names the workspace, such as `parent` or `contact.name`; `None` where
    /// requests of this kind are not about one workspace.
    const FIELD: Option<&'static str>;

    /// The id of the workspace; `None` where the field is no name below `workspaces/`.
    fn workspace(&self) -> Option<&str>;
}

/// A service behind its guard. Implements the tonic trait of each service that `S` implements:
/// `ContactServiceServer::new(Guarded::new(handler, admission))`.
#[derive(Clone, Debug)]
pub struct Guarded<S, A> {
    inner: S,
    admission: A,
}

impl<S, A: Admission> Guarded<S, A> {
    /// `inner` behind `admission`.
    pub fn new(inner: S, admission: A) -> Self {
        Self { inner, admission }
    }

    /// The service behind the guard.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// Refuses what may not reach the handler.
    ///
    /// A request that should name a workspace and does not can't be authorised; it breaks a rule of
    /// its proto and is refused for that.
    pub(crate) fn check<M: Validate + WorkspaceScoped>(
        &self,
        method: &'static Method,
        request: &Request<M>,
    ) -> Result<(), Status> {
        let message = request.get_ref();
        let workspace = message.workspace();
        let mut violations = Violations::default();
        let missing = M::FIELD.filter(|_| workspace.is_none());
        if missing.is_none() {
            self.admission
                .admit(method, workspace, request.metadata(), request.extensions())?;
        }
        message.validate(&Path::root(), &mut violations);
        if let Some(field) = missing
            && violations.is_empty()
        {
            violations.push(
                field,
                "string.pattern",
                "must be a name below `workspaces/`",
            );
        }
        if violations.is_empty() {
            Ok(())
        } else {
            Err(violations.into())
        }
    }
}

/// An `Arc` or a plain value may stand for the admission.
impl<A: Admission + ?Sized> Admission for std::sync::Arc<A> {
    fn admit(
        &self,
        method: &'static Method,
        workspace: Option<&str>,
        metadata: &MetadataMap,
        extensions: &Extensions,
    ) -> Result<(), Status> {
        (**self).admit(method, workspace, metadata, extensions)
    }
}

/// The workspace's id in a resource name.
pub(crate) fn workspace_of(name: &str) -> Option<&str> {
    let id = name.strip_prefix("workspaces/")?.split('/').next()?;
    (!id.is_empty()).then_some(id)
}

#[cfg(test)]
mod tests;
