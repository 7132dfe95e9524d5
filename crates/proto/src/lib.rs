//! The protos of Clientele in Rust: messages, clients and servers, what is checked of a request
//! before a handler sees it, and how refusals look on the wire.
//!
//! Everything in [`contacts`], [`pipeline`], [`billing`], [`errors`], [`options`] and [`google`] is
//! written by the build from `proto/`; see `build/main.rs`.
//!
//! Invariant: no rule of the domain lives here, and nothing reads a clock, a database or a network.

pub mod convert;
mod descriptors;
pub mod failures;
mod guard;
mod method;
mod reason;
mod resources;
pub mod status;
mod validate;

pub use descriptors::{DESCRIPTOR_SET, pool};
pub use generated::services::rules;
pub use guard::{Admission, Findings, Guarded, References, Scope, WorkspaceScoped};
pub use method::{Method, method, methods};
pub use reason::reasons;
pub use validate::{Path, Validate, Violation, Violations};

pub use generated::clientele::{billing, contacts, errors, options, pipeline};
pub use generated::google;

pub(crate) use descriptors::descriptor_of;

#[allow(
    warnings,
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    reason = "written by the build"
)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/suite/mod.rs"));

    mod validations {
        include!(concat!(env!("OUT_DIR"), "/suite/validate.rs"));
    }
    mod references {
        include!(concat!(env!("OUT_DIR"), "/suite/references.rs"));
    }
    mod reflections {
        include!(concat!(env!("OUT_DIR"), "/suite/reflect.rs"));
    }
    pub(crate) mod services {
        include!(concat!(env!("OUT_DIR"), "/suite/services.rs"));
    }
}

/// Messages and a service that only tests use: one field per rule, one method per way of naming a
/// workspace.
#[cfg(test)]
#[allow(
    warnings,
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    reason = "written by the build"
)]
mod fixture {
    /// Prost can't be told of a path with a keyword in it.
    pub(crate) use crate::google::r#type as google_type;

    include!(concat!(env!("OUT_DIR"), "/fixture/mod.rs"));

    mod validations {
        include!(concat!(env!("OUT_DIR"), "/fixture/validate.rs"));
    }
    mod references {
        include!(concat!(env!("OUT_DIR"), "/fixture/references.rs"));
    }
    pub(crate) mod services {
        include!(concat!(env!("OUT_DIR"), "/fixture/services.rs"));
    }
}
