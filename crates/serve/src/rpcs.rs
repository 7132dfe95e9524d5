//! Which rpcs a server offers, read once from descriptor sets and looked up by path on every call.
//!
//! Layers work on undecoded bytes: what a call is must follow from its path alone.

use std::collections::HashMap;
use std::sync::Arc;

use prost::Message;
use prost_types::{FileDescriptorSet, MethodDescriptorProto};
use proto::options::v1::{Criticality, Idempotency};

use crate::load::Class;

/// The service of health checks.
const HEALTH: &str = "grpc.health.v1.Health";

/// What rpcs are called that a server does not offer, by OpenTelemetry's conventions.
pub(crate) const UNKNOWN: &str = "_OTHER";

/// How an rpc answers, which decides how deadlines and the drain treat it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One answer, under a deadline.
    Unary,
    /// An endless server stream: `Watch*`, health's Watch and reflection. It is rotated, and ended
    /// as soon as the server begins to shut down.
    Watch,
    /// A server stream that ends by itself, such as an export. A shutdown lets it finish within
    /// the grace.
    Finite,
}

/// One rpc of a server.
#[derive(Debug, PartialEq, Eq)]
pub struct Rpc {
    name: Box<str>,
    kind: Kind,
    class: Class,
    is_read_only: bool,
}

impl Rpc {
    fn new(service: &str, method: &str, kind: Kind) -> Self {
        let name = format!("{service}/{method}");
        let policy = proto::method(&format!("/{name}"));
        Self {
            name: name.into(),
            kind,
            class: policy.map_or(Class::Default, |method| class_of(method.criticality)),
            is_read_only: policy.is_none_or(|method| method.idempotency == Idempotency::Read),
        }
    }

    /// The full name, `package.Service/Method`; [`UNKNOWN`] for what the server does not offer.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The service with its package; `unknown` for what the server does not offer.
    pub fn service(&self) -> &str {
        self.name
            .split_once('/')
            .map_or("unknown", |(service, _)| service)
    }

    /// How it answers.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The service of the suite that it belongs to, such as `pipeline`; the proto service where that is
    /// another's.
    pub(crate) fn suite_service(&self) -> &str {
        suite_service(self.service())
    }

    /// What becomes of it under overload.
    pub(crate) fn class(&self) -> Class {
        self.class
    }

    /// Whether nothing is lost if its answer is: it changes nothing. So it is with all that are not the
    /// suite's own, which are health and reflection.
    pub(crate) fn is_read_only(&self) -> bool {
        self.is_read_only
    }

    /// Whether it tells of health, which is asked most of all when little else works.
    pub(crate) fn is_health(&self) -> bool {
        self.service() == HEALTH
    }

    /// Whether it answers with a stream.
    pub fn streams(&self) -> bool {
        self.kind != Kind::Unary
    }
}

/// All rpcs of a server.
#[derive(Debug)]
pub(crate) struct Rpcs {
    by_name: HashMap<Box<str>, Arc<Rpc>>,
    unknown: Arc<Rpc>,
}

impl Rpcs {
    /// Reads the rpcs of encoded `google.protobuf.FileDescriptorSet`s.
    pub(crate) fn read(descriptor_sets: &[&[u8]]) -> Result<Self, prost::DecodeError> {
        let mut by_name = HashMap::new();
        for encoded in descriptor_sets {
            for file in FileDescriptorSet::decode(*encoded)?.file {
                for service in &file.service {
                    let service_name = format!("{}.{}", file.package(), service.name());
                    for method in &service.method {
                        let kind = kind_of(&service_name, method);
                        let rpc = Rpc::new(&service_name, method.name(), kind);
                        by_name.insert(rpc.name.clone(), Arc::new(rpc));
                    }
                }
            }
        }
        Ok(Self {
            by_name,
            // Unknown paths share one name, so that a stranger can't fill logs and metrics with
            // names of their own.
            unknown: Arc::new(Rpc {
                name: UNKNOWN.into(),
                kind: Kind::Unary,
                class: Class::Default,
                is_read_only: true,
            }),
        })
    }

    /// The rpc of a request path, `/package.Service/Method`.
    pub(crate) fn find(&self, path: &str) -> Arc<Rpc> {
        let found = path
            .strip_prefix('/')
            .and_then(|name| self.by_name.get(name));
        Arc::clone(found.unwrap_or(&self.unknown))
    }
}

impl Rpcs {
    /// All of them, in no order.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Rpc> {
        self.by_name.values().map(|rpc| &**rpc)
    }

    /// The rpcs of a service.
    pub(crate) fn of_service(&self, service: &str) -> impl Iterator<Item = &Rpc> {
        self.all().filter(move |rpc| rpc.service() == service)
    }
}

/// The service of the suite that a proto service belongs to: `pipeline` of
/// `clientele.pipeline.v1.PositionService`.
pub(crate) fn suite_service(service: &str) -> &str {
    service
        .strip_prefix("clientele.")
        .and_then(|rest| rest.split('.').next())
        .unwrap_or(service)
}

fn class_of(criticality: Criticality) -> Class {
    match criticality {
        Criticality::Sheddable => Class::Sheddable,
        Criticality::Critical => Class::Critical,
        Criticality::Default | Criticality::Unspecified => Class::Default,
    }
}

fn kind_of(service: &str, method: &MethodDescriptorProto) -> Kind {
    if !method.server_streaming() {
        return Kind::Unary;
    }
    if method.name().starts_with("Watch") || service.starts_with("grpc.") {
        Kind::Watch
    } else {
        Kind::Finite
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rpcs() -> Rpcs {
        Rpcs::read(&[
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        ])
        .expect("the sets of tonic decode")
    }

    #[test]
    fn a_path_tells_service_method_and_kind() {
        let check = rpcs().find("/grpc.health.v1.Health/Check");
        assert_eq!(
            (check.service(), check.name(), check.kind()),
            (
                "grpc.health.v1.Health",
                "grpc.health.v1.Health/Check",
                Kind::Unary
            )
        );
        let watch = rpcs().find("/grpc.health.v1.Health/Watch");
        assert_eq!(watch.kind(), Kind::Watch);
        let reflection = rpcs().find("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo");
        assert_eq!(reflection.kind(), Kind::Watch);
    }

    #[test]
    fn only_what_peers_alone_may_call_is_critical_whoever_calls() {
        for method in proto::methods() {
            let is_critical = method.criticality == Criticality::Critical;
            assert!(method.internal || !is_critical, "{}", method.path);
        }
    }

    #[test]
    fn unknown_paths_share_one_name() {
        for path in ["", "/", "nonsense", "/grpc.health.v1.Health", "/a/b/c"] {
            assert_eq!(rpcs().find(path).name(), UNKNOWN, "{path}");
        }
    }
}
