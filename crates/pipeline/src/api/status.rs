//! The status of every error, in one match without a wildcard.

use prost::Message as _;
use proto::errors::v1::Reason;
use proto::status::{Refusal, without_reason};
use proto::{Violations, convert, failures};
use store::Error as StoreError;
use tonic::{Code, Status};
use tonic_types::pb as rpc;
use types::Micros;

use super::verdicts;
use crate::error::Error;

const CONTACT: &str = "clientele.dev/Contact";

/// The status that a caller gets. Faults of the service are logged here and told without a reason.
#[expect(
    clippy::needless_pass_by_value,
    reason = "it is the end of the error's way"
)]
pub(super) fn status(error: Error) -> Status {
    of(&error)
}

/// The encoded `google.rpc.Status` of an error, for answers that hold one per item.
pub(super) fn encoded_item(error: &Error) -> Vec<u8> {
    let status = of(error);
    if !status.details().is_empty() {
        return status.details().to_vec();
    }
    rpc::Status {
        code: status.code() as i32,
        message: status.message().to_owned(),
        details: Vec::new(),
    }
    .encode_to_vec()
}

#[expect(
    clippy::too_many_lines,
    reason = "one arm per error, so that none is forgotten"
)]
fn of(error: &Error) -> Status {
    match error {
        Error::Store(error) => store_status(error),
        Error::NotFound { kind, name } => {
            Refusal::new(Reason::ResourceNotFound, format!("{name} does not exist"))
                .metadata("resource", name.as_str())
                .resource(kind, name.as_str())
                .into()
        }
        Error::Exists { kind, name } => {
            let message = format!("{name} exists; take another id, or use the one that exists");
            Refusal::new(Reason::ResourceExists, message)
                .metadata("resource", name.as_str())
                .resource(kind, name.as_str())
                .into()
        }
        Error::Deleted(contact) => {
            let message = format!("{contact} is deleted; undelete it first");
            Refusal::new(Reason::ResourceDeleted, message)
                .metadata("resource", contact.to_string())
                .precondition("STATE", contact.to_string(), "must not be deleted")
                .into()
        }
        Error::Merged { contact, into } => Refusal::new(
            Reason::ContactMerged,
            format!("{contact} was merged; use {into}"),
        )
        .metadata("contact", contact.to_string())
        .metadata("merged_into", into.as_str())
        .precondition("STATE", contact.to_string(), "must not be merged")
        .into(),
        Error::Refused {
            contact,
            policy,
            refusal,
        } => verdicts::refused(contact, policy, refusal),
        Error::TransitionPending {
            contact,
            to,
            is_removal,
            since,
        } => {
            let (goal, advice) = match to.as_str() {
                _ if *is_removal => ("removal", "; wait until it is gone"),
                "" => ("no position", "; wait, or abort it with CancelTransition"),
                stage => (stage, "; wait, or abort it with CancelTransition"),
            };
            let message = format!(
                "{contact} is on its way to {goal} until others have given back what its stage \
                 granted{advice}"
            );
            Refusal::new(Reason::TransitionPending, message)
                .metadata("contact", contact.to_string())
                .metadata("to", to.as_str())
                .metadata("since", rfc3339(*since))
                .into()
        }
        Error::ActivationPending {
            workspace,
            to,
            since,
        } => {
            let message = format!(
                "workspaces/{workspace} waits for {to} to come into force; wait, or abort it with \
                 CancelPolicyActivation"
            );
            Refusal::new(Reason::TransitionPending, message)
                .metadata("workspace", format!("workspaces/{workspace}"))
                .metadata("to", to.as_str())
                .metadata("since", rfc3339(*since))
                .into()
        }
        Error::ConcurrentUpdate { resource } => {
            let message = "others changed the same data at the same time; repeat after a pause";
            Refusal::new(Reason::ConcurrentUpdate, message)
                .metadata("resource", resource.as_str())
                .into()
        }
        Error::HolderDetached { holder } => {
            let message = "the holder has not attached in its present epoch and ours; call AttachHolder first";
            Refusal::new(Reason::ConcurrentUpdate, message)
                .metadata("resource", holder.as_str())
                .into()
        }
        Error::HolderOver { holder } => {
            let message = "the holder's epoch is over: it has attached in a later one, or was forgotten in this \
                           one; begin a new epoch of its database with `clientele epoch bump`";
            Refusal::new(Reason::ConcurrentUpdate, message)
                .metadata("resource", holder.as_str())
                .into()
        }
        Error::EtagMismatch { resource } => {
            let message = format!("{resource} has changed since it was read; read it again");
            Refusal::new(Reason::EtagMismatch, message)
                .metadata("resource", resource.as_str())
                .into()
        }
        Error::ContactsFirst { company, policy } => {
            let policy_revision = policy.name(&company.workspace);
            let message = format!(
                "{company} follows no primary contact: {policy_revision} puts contacts first; \
                 activate a policy that puts companies first"
            );
            Refusal::new(Reason::TransitionNotAllowed, message)
                .metadata("contact", company.to_string())
                .metadata("policy_revision", policy_revision.as_str())
                .precondition("STATE", policy_revision, "must put companies first")
                .into()
        }
        Error::CannotLead {
            company,
            contact,
            problem,
        } => Refusal::new(
            Reason::TransitionNotAllowed,
            format!("{contact} {problem}; name another one, or change that in the directory"),
        )
        .metadata("contact", contact.to_string())
        .metadata("company", company.to_string())
        .precondition("STATE", contact.to_string(), problem.as_str())
        .into(),
        Error::NothingPending(contact) => {
            let problem = "has no move that waits";
            Refusal::new(Reason::TransitionNotAllowed, format!("{contact} {problem}"))
                .metadata("contact", contact.to_string())
                .precondition("TRANSITION", contact.to_string(), problem)
                .into()
        }
        Error::GivenUp(contact) => {
            let message = format!(
                "the move of {contact} was given up while it waited, by CancelTransition or a \
                 removal; look where the contact stands, and ask again with another request_id"
            );
            Refusal::new(Reason::ConcurrentUpdate, message)
                .metadata("resource", contact.position().to_string())
                .into()
        }
        Error::ActivationOver { activation, state } => {
            let message = format!("{activation} can't be cancelled any more, it is {state}");
            Refusal::new(Reason::TransitionNotAllowed, message)
                .metadata("policy_activation", activation.as_str())
                .metadata("state", *state)
                .precondition("STATE", activation.as_str(), "must be ACTIVATING")
                .into()
        }
        Error::PolicyInvalid { faults, guard } => verdicts::policy_invalid(faults, guard),
        Error::CompilerBusy => {
            Refusal::new(Reason::Overloaded, "too many policies wait to be compiled").into()
        }
        Error::Unmapped {
            policy_revision,
            obstacles,
        } => verdicts::unmapped(policy_revision, obstacles),
        Error::Field { field, problem } => {
            Violations::one(field.as_str(), "service", problem.clone()).into()
        }
        Error::MaskRequired => {
            let problem = "must name the fields to change, or be `*` for all";
            Refusal::new(Reason::UpdateMaskRequired, format!("update_mask {problem}"))
                .metadata("field", "update_mask")
                .field_violation("update_mask", problem)
                .into()
        }
        Error::MaskInvalid { path, problem } => {
            let problem = format!("`{path}` {problem}");
            Refusal::new(Reason::UpdateMaskInvalid, format!("update_mask: {problem}"))
                .metadata("path", path.as_str())
                .field_violation("update_mask", problem)
                .into()
        }
        Error::Filter(error) => {
            let message = format!("filter, at byte {}: {}", error.offset, error.problem);
            Refusal::new(Reason::FilterInvalid, message)
                .metadata("offset", error.offset.to_string())
                .metadata("field", error.field.as_str())
                .field_violation("filter", error.problem.as_str())
                .into()
        }
        Error::Order(error) => {
            let message = format!("order_by, at `{}`: {}", error.field, error.problem);
            Refusal::new(Reason::OrderByInvalid, message)
                .metadata("field", error.field.as_str())
                .field_violation("order_by", error.problem.as_str())
                .into()
        }
        Error::TokenForeign { service } => {
            let message = "a token is of another service than this one can wait for, or from before \
                a restore; read a new one from GetServerInfo";
            Refusal::new(Reason::ConsistencyTokenForeign, message)
                .metadata("service", *service)
                .field_violation("at_least_as_fresh_as", "must have no such token")
                .into()
        }
        Error::ConsistencyNotReached { service } => {
            let message =
                format!("what the token of {service} stands for has not arrived here yet");
            Refusal::new(Reason::ConsistencyNotReached, message)
                .metadata("service", *service)
                .into()
        }
        Error::ResumeExpired { oldest_token } => {
            let message = "the changes after this token are no longer kept; begin again with a \
                snapshot, or accept the gap and begin at the oldest token";
            Refusal::new(Reason::ResumeTokenExpired, message)
                .metadata("oldest_token", oldest_token.as_str())
                .into()
        }
        Error::InternalOnly { permission } => {
            let message = format!("this needs the permission {permission}");
            Refusal::new(Reason::PermissionMissing, message)
                .metadata("permission", *permission)
                .into()
        }
        Error::HistoryBroken {
            contact,
            revision,
            problem,
        } => {
            tracing::error!(contact, revision, problem, "a stored history is broken");
            let message = format!("the history of {contact} is broken at {revision}: {problem}");
            Refusal::new(Reason::HistoryBroken, message)
                .metadata("contact", contact.as_str())
                .metadata("revision", revision.to_string())
                .into()
        }
        Error::Upstream { service } => {
            let message = format!("{service}, which this call needs, does not answer");
            Refusal::new(Reason::UpstreamUnavailable, message)
                .metadata("upstream", *service)
                .into()
        }
        Error::DeadlineExceeded => {
            without_reason(Code::DeadlineExceeded, "the deadline passed", "")
        }
    }
}

/// What the database could not do. Its driver's words go to the log and no further.
fn store_status(error: &StoreError) -> Status {
    if let StoreError::PositionExpired { oldest } = error {
        return of(&Error::ResumeExpired {
            oldest_token: crate::app::watch::resume_token(*oldest),
        });
    }
    let failure = error.failure();
    if failure.is_ours() {
        tracing::error!(error = %error, driver = error.driver_text(), "the database failed");
    }
    failures::status(failure)
}

/// The name of a resource's type, for what has no error of its own.
pub(super) fn no_contact(name: &str) -> Status {
    of(&Error::NotFound {
        kind: CONTACT,
        name: name.to_owned(),
    })
}

fn rfc3339(at: Micros) -> String {
    convert::timestamp_to_wire(at).to_string()
}
