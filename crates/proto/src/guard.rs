//! The decorator that stands before every handler: authorise, validate, ask the service's own rules,
//! then call.
//!
//! What the protos state and what only the service knows is refused in one answer, so that a caller
//! who mends every field it lists is accepted at the next try.
//!
//! Invariant: a handler never sees a request whose caller was not admitted or whose fields break a
//! rule of its proto.

mod findings;

use tonic::metadata::MetadataMap;
use tonic::{Extensions, Request, Status};

use crate::method::Method;
use crate::validate::{Path, Validate, Violations};

pub use findings::Findings;

/// Decides who may call what. The server has one; tests bring their own.
pub trait Admission: Send + Sync + 'static {
    /// Lets the call pass or refuses it.
    ///
    /// `scope` is `None` exactly for methods that are not about one workspace ([`Method::scoped`]). Called before the request is validated and before anything is read.
    fn admit(
        &self,
        method: &'static Method,
        scope: Option<Scope<'_>>,
        metadata: &MetadataMap,
        extensions: &Extensions,
    ) -> Result<(), Status>;
}

/// A request, and the workspace it is about.
pub trait WorkspaceScoped {
    /// The field that names the workspace, such as `parent` or `contact.name`; `None` where
    /// requests of this kind are not about one workspace.
    const FIELD: Option<&'static str>;

    /// The workspace; `None` where the field is no name below `workspaces/`.
    fn scope(&self) -> Option<Scope<'_>>;
}

/// A message, and the names of resources in it.
pub trait References {
    /// Visits every field that the caller sets with the name of a resource, with its path. `path` is
    /// where the message stands in the request.
    fn references(&self, path: &Path<'_>, visit: &mut dyn FnMut(&Path<'_>, &str));
}

/// The workspace that a request is about, and the name that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope<'a> {
    /// The workspace's id; `-` where a request is about all workspaces at once.
    pub workspace: &'a str,
    /// The name as the request has it. Only its beginning is known to be well formed.
    pub name: &'a str,
}

impl<'a> Scope<'a> {
    /// The scope that a resource name tells.
    pub(crate) fn of(name: &'a str) -> Option<Self> {
        let workspace = name.strip_prefix("workspaces/")?.split('/').next()?;
        (workspace == "-" || types::is_resource_id(workspace)).then_some(Self { workspace, name })
    }
}

/// A service behind its guard. Implements the tonic trait of each service that `S` implements, given
/// that `S` has the trait of the service's own rules too ([`crate::rules`]):
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

    /// Refuses what may not reach the handler. `rules` are the service's own.
    ///
    /// A request that should name a workspace and does not can't be authorised; it breaks a rule of
    /// its proto and is refused for that.
    pub(crate) fn check<M: Validate + WorkspaceScoped + References>(
        &self,
        method: &'static Method,
        request: &Request<M>,
        rules: impl FnOnce(&S, &M, &mut Findings),
    ) -> Result<(), Status> {
        let message = request.get_ref();
        let scope = message.scope();
        let mut violations = Violations::default();
        let missing = M::FIELD.filter(|_| scope.is_none());
        if missing.is_none() {
            self.admission
                .admit(method, scope, request.metadata(), request.extensions())?;
        }
        message.validate(&Path::root(), &mut violations);
        if let Some(scope) = scope {
            stay_within(scope, message, &mut violations);
        }
        if let Some(field) = missing
            && violations.is_empty()
        {
            violations.push(
                field,
                "string.pattern",
                "must be a name below `workspaces/`",
            );
        }
        let mut found = Findings::beside(violations);
        rules(&self.inner, message, &mut found);
        found.into_result()
    }
}

/// Finds what refers to another workspace than the request's. Whether there is such a resource, and
/// whether the caller may enter there, makes no difference.
fn stay_within<M: References>(scope: Scope<'_>, message: &M, violations: &mut Violations) {
    message.references(&Path::root(), &mut |path, name| {
        let other = Scope::of(name).is_some_and(|other| other.workspace != scope.workspace);
        if other && scope.workspace != "-" {
            let description = "must be in the workspace of the request";
            violations.add(path, "resource_name.workspace", description);
        }
    });
}

/// An `Arc` or a plain value may stand for the admission.
impl<A: Admission + ?Sized> Admission for std::sync::Arc<A> {
    fn admit(
        &self,
        method: &'static Method,
        scope: Option<Scope<'_>>,
        metadata: &MetadataMap,
        extensions: &Extensions,
    ) -> Result<(), Status> {
        (**self).admit(method, scope, metadata, extensions)
    }
}

#[cfg(test)]
mod tests;
