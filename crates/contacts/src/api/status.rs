//! The status of every error, in one match without a wildcard.

use proto::errors::v1::Reason;
use proto::status::Refusal;
use proto::{Violations, convert, failures};
use store::Error as StoreError;
use store::change_log::LogPosition;
use store::filter::FilterError;
use store::order::OrderError;
use tonic::Status;
use types::Micros;

use crate::app::resume_token_of;
use crate::domain::Faults;
use crate::error::Error;

const CONTACT: &str = "clientele.dev/Contact";

/// The status that a caller gets. Faults of the service are logged here and told without a reason.
pub(super) fn status(error: Error) -> Status {
    let refusal = match error {
        Error::Store(error) => return store_status(&error),
        Error::Fields(faults) => violations(faults).into(),
        Error::NotFound { resource } => {
            about(Reason::ResourceNotFound, &resource, "does not exist")
        }
        Error::Exists { resource } => {
            let text = "exists; take another id, or use the one that exists";
            about(Reason::ResourceExists, &resource, text)
        }
        Error::NamePurged { resource } => {
            let text = "was a contact that is purged, to whom old invoices and histories refer, \
                so the name is not given again; take another id";
            about(Reason::ResourceExists, &resource, text)
        }
        Error::EtagMismatch { resource } => {
            let text = "has changed since it was read; read it again";
            about(Reason::EtagMismatch, &resource, text)
        }
        Error::Deleted { resource } => {
            let text = "is deleted or being deleted; undelete it first";
            about(Reason::ResourceDeleted, &resource, text).precondition(
                "STATE",
                resource,
                "must not be deleted",
            )
        }
        Error::DuplicateIdentity { existing, system } => duplicate(&existing, &system),
        Error::Merged {
            contact,
            merged_into,
        } => merged(&contact, &merged_into),
        Error::TransitionPending { contact, to, since } => pending(&contact, to, since),
        Error::MaskRequired => field(
            Reason::UpdateMaskRequired,
            "update_mask",
            "must name the fields to change, or be `*` for all",
        )
        .metadata("field", "update_mask"),
        Error::Mask(fault) => {
            let problem = format!("`{}` {}", fault.path, fault.problem);
            field(Reason::UpdateMaskInvalid, "update_mask", &problem).metadata("path", fault.path)
        }
        Error::Filter(error) => filter(error),
        Error::Order(error) => order(error),
        Error::TokenForeign { service } => foreign(service),
        Error::NotFresh { service } => {
            let message =
                format!("what the token of {service} stands for has not arrived here yet");
            Refusal::new(Reason::ConsistencyNotReached, message).metadata("service", service)
        }
        Error::ResumeExpired { oldest } => expired(oldest),
        Error::AnswerTooLarge { limit_bytes } => {
            let message = format!(
                "the answer would have more than {limit_bytes} bytes: ask for fewer at once"
            );
            Refusal::new(Reason::MessageTooLarge, message)
                .metadata("limit_bytes", limit_bytes.to_string())
        }
        Error::InternalOnly { permission } => {
            let message = format!("this needs the permission {permission}");
            Refusal::new(Reason::PermissionMissing, message).metadata("permission", permission)
        }
        Error::ImportState {
            import,
            state,
            problem,
        } => import_state(&import, state, &problem),
        Error::ImportMapping { problem, columns } => {
            field(Reason::ImportMappingRequired, "import.mapping", &problem)
                .metadata("columns", columns)
        }
    };
    refusal.into()
}

/// A refusal for what a resource is, or is not.
fn about(reason: Reason, resource: &str, text: &str) -> Refusal {
    let kind = if resource.contains("/imports/") {
        "clientele.dev/Import"
    } else {
        CONTACT
    };
    Refusal::new(reason, format!("{resource} {text}"))
        .metadata("resource", resource)
        .resource(kind, resource)
}

/// A refusal for one field with a reason of its own.
fn field(reason: Reason, path: &str, problem: &str) -> Refusal {
    Refusal::new(reason, format!("{path}: {problem}")).field_violation(path, problem)
}

fn filter(error: FilterError) -> Refusal {
    let message = format!("filter, at byte {}: {}", error.offset, error.problem);
    let refusal = Refusal::new(Reason::FilterInvalid, message)
        .metadata("offset", error.offset.to_string())
        .field_violation("filter", error.problem);
    if error.field.is_empty() {
        return refusal;
    }
    refusal.metadata("field", error.field)
}

fn order(error: OrderError) -> Refusal {
    let message = format!("order_by, at `{}`: {}", error.field, error.problem);
    Refusal::new(Reason::OrderByInvalid, message)
        .metadata("field", error.field)
        .field_violation("order_by", error.problem)
}

fn duplicate(existing: &str, system: &str) -> Refusal {
    let message = format!("an external id of the system {system} belongs to {existing}");
    Refusal::new(Reason::DuplicateIdentity, message)
        .metadata("existing", existing)
        .metadata("system", system)
        .resource(CONTACT, existing)
}

fn merged(contact: &str, merged_into: &str) -> Refusal {
    let message = format!("{contact} was merged into {merged_into}; use that one");
    Refusal::new(Reason::ContactMerged, message)
        .metadata("contact", contact)
        .metadata("merged_into", merged_into)
        .precondition("STATE", contact, "must not be merged")
}

fn pending(contact: &str, to: &str, since: Micros) -> Refusal {
    let message = format!("{contact} is on its way to {to}; wait until it is there");
    Refusal::new(Reason::TransitionPending, message)
        .metadata("contact", contact)
        .metadata("to", to)
        .metadata("since", convert::timestamp_to_wire(since).to_string())
}

fn foreign(service: &str) -> Refusal {
    let message = format!(
        "the token of {service} is of another service than this one can wait for, or from before a \
         restore; read a new one from GetServerInfo"
    );
    Refusal::new(Reason::ConsistencyTokenForeign, message)
        .metadata("service", service)
        .field_violation("at_least_as_fresh_as", "must have no token of this service")
}

fn expired(oldest: LogPosition) -> Refusal {
    let message = "the changes after this token are no longer kept; begin again with a snapshot, \
        or accept the gap and begin at the oldest token";
    Refusal::new(Reason::ResumeTokenExpired, message)
        .metadata("oldest_token", resume_token_of(oldest))
}

fn import_state(import: &str, state: &str, problem: &str) -> Refusal {
    Refusal::new(
        Reason::ImportStateInvalid,
        format!("{import} is {state}: {problem}"),
    )
    .metadata("import", import)
    .metadata("state", state)
    .precondition("STATE", import, problem)
}

fn violations(faults: Faults) -> Violations {
    let mut violations = Violations::default();
    for fault in faults.0 {
        violations.push(fault.path, fault.rule, fault.problem);
    }
    violations
}

/// What the database could not do. Its driver's words go to the log and no further.
fn store_status(error: &StoreError) -> Status {
    if let StoreError::PositionExpired { oldest } = error {
        return expired(*oldest).into();
    }
    let failure = error.failure();
    if failure.is_ours() {
        tracing::error!(error = %error, driver = error.driver_text(), "the database failed");
    }
    failures::status(failure)
}
