//! The status of every error, in one match without a wildcard.

use proto::errors::v1::Reason;
use proto::status::{Refusal, without_reason};
use proto::{Violations, convert};
use store::Error as StoreError;
use tonic::{Code, Status};
use types::Micros;

use crate::app::resume_token_of;
use crate::domain::Faults;
use crate::error::Error;

const CONTACT: &str = "clientele.dev/Contact";

/// The status that a caller gets. Faults of the service are logged here and told without a reason.
pub(super) fn status(error: Error) -> Status {
    match error {
        Error::Fields(faults) => violations(faults).into(),
        Error::NotFound { resource } => {
            Refusal::new(Reason::ResourceNotFound, format!("{resource} does not exist"))
                .metadata("resource", resource.as_str())
                .resource(kind_of(&resource), resource.clone())
                .into()
        }
        Error::Exists { resource } => {
            let message = format!("{resource} exists; take another id, or use the one that exists");
            Refusal::new(Reason::ResourceExists, message)
                .metadata("resource", resource.as_str())
                .resource(kind_of(&resource), resource.clone())
                .into()
        }
        Error::DuplicateIdentity { existing, system } => {
            let message = format!("an external id of the system {system} belongs to {existing}");
            Refusal::new(Reason::DuplicateIdentity, message)
                .metadata("existing", existing.as_str())
                .metadata("system", system)
                .resource(CONTACT, existing)
                .into()
        }
        Error::MaskRequired => {
            let problem = "must name the fields to change, or be `*` for all";
            Refusal::new(Reason::UpdateMaskRequired, format!("update_mask {problem}"))
                .metadata("field", "update_mask")
                .field_violation("update_mask", problem)
                .into()
        }
        Error::Mask(fault) => {
            let message = format!("update_mask: `{}` {}", fault.path, fault.problem);
            Refusal::new(Reason::UpdateMaskInvalid, message)
                .metadata("path", fault.path.as_str())
                .field_violation("update_mask", format!("`{}` {}", fault.path, fault.problem))
                .into()
        }
        Error::EtagMismatch { resource } => {
            let message = format!("{resource} has changed since it was read; read it again");
            Refusal::new(Reason::EtagMismatch, message)
                .metadata("resource", resource.as_str())
                .resource(kind_of(&resource), resource.clone())
                .into()
        }
        Error::Deleted { resource } => {
            let message = format!("{resource} is deleted or being deleted; undelete it first");
            Refusal::new(Reason::ResourceDeleted, message)
                .metadata("resource", resource.as_str())
                .precondition("STATE", resource.clone(), "must not be deleted")
                .into()
        }
        Error::Merged { contact, merged_into } => {
            let message = format!("{contact} was merged into {merged_into}; use that one");
            Refusal::new(Reason::ContactMerged, message)
                .metadata("contact", contact.as_str())
                .metadata("merged_into", merged_into)
                .precondition("STATE", contact.clone(), "must not be merged")
                .into()
        }
        Error::TransitionPending { contact, to, since } => {
            let message = format!("{contact} is on its way to {to}; wait until it is there");
            Refusal::new(Reason::TransitionPending, message)
                .metadata("contact", contact)
                .metadata("to", to)
                .metadata("since", rfc3339(since))
                .into()
        }
        Error::Filter(error) => {
            let message = format!("filter, at byte {}: {}", error.offset, error.problem);
            Refusal::new(Reason::FilterInvalid, message)
                .metadata("offset", error.offset.to_string())
                .metadata("field", error.field)
                .field_violation("filter", error.problem)
                .into()
        }
        Error::Order(error) => {
            let message = format!("order_by, at `{}`: {}", error.field, error.problem);
            Refusal::new(Reason::OrderByInvalid, message)
                .metadata("field", error.field)
                .field_violation("order_by", error.problem)
                .into()
        }
        Error::TokenForeign { service } => {
            let message = format!(
                "the token of {service} is of another service than this one can wait for, or from \
                 before a restore; read a new one from GetServerInfo"
            );
            Refusal::new(Reason::ConsistencyTokenForeign, message)
                .metadata("service", service)
                .into()
        }
        Error::NotFresh { service } => {
            let message = format!("what the token of {service} stands for has not arrived here yet");
            Refusal::new(Reason::ConsistencyNotReached, message)
                .metadata("service", service)
                .into()
        }
        Error::ResumeExpired { oldest } => {
            let message = "the changes after this token are no longer kept; begin again with a \
                snapshot, or accept the gap and begin at the oldest token";
            Refusal::new(Reason::ResumeTokenExpired, message)
                .metadata("oldest_token", resume_token_of(oldest))
                .into()
        }
        Error::InternalOnly { permission } => {
            let message = format!("this needs the permission {permission}");
            Refusal::new(Reason::PermissionMissing, message)
                .metadata("permission", permission)
                .into()
        }
        Error::ImportState { import, state, problem } => {
            Refusal::new(Reason::ImportStateInvalid, format!("{import} is {state}: {problem}"))
                .metadata("import", import.as_str())
                .metadata("state", state)
                .precondition("STATE", import.clone(), problem)
                .into()
        }
        Error::ImportMapping { problem, columns } => {
            Refusal::new(Reason::ImportMappingRequired, format!("import.mapping: {problem}"))
                .metadata("columns", columns)
                .field_violation("import.mapping", problem)
                .into()
        }
        Error::Store(error) => store_status(&error),
    }
}

fn violations(faults: Faults) -> Violations {
    let mut violations = Violations::default();
    for fault in faults.0 {
        violations.push(fault.path, fault.rule, fault.problem);
    }
    violations
}

fn store_status(error: &StoreError) -> Status {
    match error {
        StoreError::Contention | StoreError::LockTimeout => {
            let message = "others changed the same data at the same time; repeat after a pause";
            Refusal::new(Reason::ConcurrentUpdate, message).into()
        }
        StoreError::DeadlineExceeded => {
            without_reason(Code::DeadlineExceeded, "the deadline passed", "")
        }
        StoreError::Overloaded => {
            Refusal::new(Reason::Overloaded, "too many writes are waiting; back off").into()
        }
        StoreError::Unavailable(_) => {
            tracing::error!(driver = error.driver_text(), "the database is not available");
            Refusal::new(Reason::UpstreamUnavailable, "the database is not available")
                .metadata("upstream", "database")
                .into()
        }
        StoreError::CommitUnknown(_) => {
            tracing::error!(driver = error.driver_text(), "a commit's end is not known");
            let message = "the database vanished while it committed: repeat with the same \
                request_id to learn whether it did";
            Refusal::new(Reason::UpstreamUnavailable, message)
                .metadata("upstream", "database")
                .into()
        }
        StoreError::RequestIdReused => {
            let message = "request_id was used before with another request; take a new one";
            Refusal::new(Reason::RequestIdReused, message)
                .field_violation("request_id", "must be new for a new request")
                .into()
        }
        StoreError::RequestInProgress => {
            let message = "a call with this request_id is still running; repeat it for its answer";
            Refusal::new(Reason::RequestInProgress, message)
                .retry_after(std::time::Duration::from_millis(100))
                .into()
        }
        StoreError::PageTokenInvalid | StoreError::PageTokenMismatch => {
            let problem = "was not given out for this list with these arguments";
            Refusal::new(Reason::PageTokenMismatch, format!("page_token {problem}"))
                .metadata("changed", "page_token")
                .field_violation("page_token", problem)
                .into()
        }
        StoreError::PageSizeNegative => {
            violations_of("page_size", "int32.gte", "must not be negative")
        }
        StoreError::PositionTokenInvalid | StoreError::PositionTokenForeign => {
            violations_of("resume_token", "token", "must be a token of this service")
        }
        StoreError::PositionExpired { oldest } => status(Error::ResumeExpired { oldest: *oldest }),
        StoreError::UniqueViolation { .. }
        | StoreError::ForeignKeyViolation
        | StoreError::Corrupt { .. }
        | StoreError::LeaseLost { .. }
        | StoreError::Panicked { .. }
        | StoreError::Database(_) => {
            tracing::error!(error = %error, driver = error.driver_text(), "an operation failed");
            without_reason(Code::Internal, "the service failed", "")
        }
    }
}

fn violations_of(field: &str, rule: &'static str, problem: &'static str) -> Status {
    Violations::one(field, rule, problem).into()
}

fn kind_of(resource: &str) -> &'static str {
    if resource.contains("/imports/") {
        "clientele.dev/Import"
    } else {
        CONTACT
    }
}

fn rfc3339(at: Micros) -> String {
    convert::timestamp_to_wire(at).to_string()
}
