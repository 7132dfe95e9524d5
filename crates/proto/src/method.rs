//! What the method options say, as a table.

use crate::generated::services::METHODS;
use crate::options::v1::{Criticality, Idempotency};

/// One rpc, with what its `clientele.options.v1.method_policy` says.
#[derive(Debug, PartialEq, Eq)]
pub struct Method {
    /// The full name of the service, such as `clientele.contacts.v1.ContactService`.
    pub service: &'static str,
    /// The name of the method, such as `CreateContact`.
    pub name: &'static str,
    /// The path of the HTTP/2 request, such as
    /// `/clientele.contacts.v1.ContactService/CreateContact`.
    pub path: &'static str,
    /// The permission that the caller needs, such as `contacts.write`.
    pub permission: &'static str,
    /// Whether a call may be repeated. Never unspecified.
    pub idempotency: Idempotency,
    /// What becomes of calls under overload. Never unspecified.
    pub criticality: Criticality,
    /// Whether only the suite's own services may call it.
    pub internal: bool,
    /// The services of the suite that may call it, in every workspace: `contacts`, `pipeline` or
    /// `billing`.
    pub callers: &'static [&'static str],
    /// Whether the answer is a stream, which has no deadline.
    pub streaming: bool,
    /// Whether each request is about one workspace.
    pub scoped: bool,
}

/// Every method, in the order of the paths.
pub fn methods() -> &'static [Method] {
    &METHODS
}

/// The method with this HTTP/2 path.
pub fn method(path: &str) -> Option<&'static Method> {
    let index = METHODS
        .binary_search_by(|method| method.path.cmp(path))
        .ok()?;
    METHODS.get(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_is_found_by_its_path() {
        for known in methods() {
            assert_eq!(method(known.path), Some(known));
        }
        assert_eq!(method("/grpc.health.v1.Health/Check"), None);
    }
}
