//! What an identity may call: the rule that the guard of every method asks.
//!
//! A workspace that the caller may not enter answers like one that is not there, before anything
//! else is looked at; inside of one's own a missing permission says so, before anything is read.

use proto::{Admission, Method, Scope};
use tonic::metadata::MetadataMap;
use tonic::{Extensions, Status};

use super::authenticator::{Identity, User};
use super::fault::Fault;
use crate::refusals;

/// The workspace of a request about all of them at once.
const ALL: &str = "-";

/// The admission of a server with an authenticator.
#[derive(Clone, Copy, Debug, Default)]
pub struct IdentityAdmission;

impl Admission for IdentityAdmission {
    fn admit(
        &self,
        method: &'static Method,
        scope: Option<Scope<'_>>,
        _metadata: &MetadataMap,
        extensions: &Extensions,
    ) -> Result<(), Status> {
        match extensions.get::<Identity>() {
            None => Err(Fault::Missing.into()),
            Some(Identity::Service(name)) if method.callers.contains(name) => Ok(()),
            Some(Identity::Service(_)) => Err(refusals::permission_missing(method.permission)),
            Some(Identity::User(user)) => admit(user, method, scope),
        }
    }
}

fn admit(user: &User, method: &'static Method, scope: Option<Scope<'_>>) -> Result<(), Status> {
    let allowed = match scope {
        Some(scope) if scope.workspace == ALL || !user.access.enters(scope.workspace) => {
            return Err(proto::status::not_found(scope.name));
        }
        Some(scope) => user.access.allows(scope.workspace, method.permission),
        None => user.access.allows_somewhere(method.permission),
    };
    if allowed && !method.internal {
        Ok(())
    } else {
        Err(refusals::permission_missing(method.permission))
    }
}

#[cfg(test)]
mod tests;
