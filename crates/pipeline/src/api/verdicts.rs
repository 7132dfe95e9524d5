//! What the engine refused, as statuses: moves, definitions and stage maps.

use policy::activation::Obstacle;
use policy::{Fault, FaultCode, Refusal as Refused};
use proto::errors::v1::Reason;
use proto::status::Refusal;
use tonic::Status;
use types::ContactName;

use crate::domain::policies::{PolicyRef, listed};

pub(super) fn refused(contact: &ContactName, policy: &PolicyRef, refusal: &Refused) -> Status {
    let policy_revision = policy.name(&contact.workspace);
    let text = refusal.to_string();
    let message = text.trim_end_matches('.').to_owned();
    let told = |reason: Reason| {
        Refusal::new(reason, message.clone())
            .metadata("contact", contact.to_string())
            .metadata("policy_revision", policy_revision.as_str())
    };
    match refusal {
        Refused::StageUnknown { stage, known } => {
            let known = listed(known.iter().map(String::as_str));
            told(Reason::StageUnknown)
                .metadata("stage", stage.as_str())
                .field_violation("stage", format!("must be one of {known}"))
                .into()
        }
        Refused::StageUnmapped { stage } => told(Reason::StageUnmapped)
            .metadata("stage", stage.as_str())
            .metadata("contacts", "1")
            .into(),
        Refused::PositionClosed => told(Reason::ResourceDeleted)
            .metadata("resource", contact.to_string())
            .precondition("STATE", contact.to_string(), text)
            .into(),
        Refused::TransitionNotAllowed { from, to, allowed } => told(Reason::TransitionNotAllowed)
            .metadata("from", from.as_deref().unwrap_or_default())
            .metadata("to", to.as_str())
            .metadata("allowed", listed(allowed.iter().map(String::as_str)))
            .precondition("TRANSITION", contact.to_string(), text)
            .into(),
        Refused::CompanyFollowsPrimary => told(Reason::TransitionNotAllowed)
            .precondition("TRANSITION", contact.to_string(), text)
            .into(),
        Refused::PrimaryLosesEntitlements { lost } => {
            let refusal = told(Reason::TransitionNotAllowed)
                .metadata("lost", listed(lost.iter().map(String::as_str)));
            lost.iter()
                .fold(refusal, |refusal, key| {
                    refusal.precondition("ENTITLEMENT", key.as_str(), "must not be lost")
                })
                .into()
        }
        Refused::GuardNotMet { from, to, failed } => {
            let guards = listed(failed.iter().map(|guard| guard.id.as_str()));
            let refusal = told(Reason::GuardNotMet)
                .metadata("from", from.as_deref().unwrap_or_default())
                .metadata("to", to.as_str())
                .metadata("guards", guards);
            failed
                .iter()
                .fold(refusal, |refusal, guard| {
                    let remedy = if guard.message.is_empty() {
                        format!("must hold: {}", guard.expression)
                    } else {
                        guard.message.clone()
                    };
                    refusal.precondition("GUARD", guard.id.as_str(), remedy)
                })
                .into()
        }
        Refused::PermissionMissing { permission } => told(Reason::PermissionMissing)
            .metadata("permission", permission.as_str())
            .into(),
        Refused::ReasonRequired { .. } | Refused::ReasonUnknown { .. } => {
            field(&told(Reason::FieldInvalid), "reason", &text)
        }
        Refused::EffectiveTimeInvalid { .. } => {
            field(&told(Reason::FieldInvalid), "effective_time", &text)
        }
    }
}

fn field(refusal: &Refusal, path: &'static str, problem: &str) -> Status {
    refusal
        .clone()
        .metadata("violations", "1")
        .field_violation(path, problem)
        .into()
}

pub(super) fn policy_invalid(faults: &[Fault], guard: &str) -> Status {
    let only_expressions = faults
        .iter()
        .all(|fault| fault.code == FaultCode::PolicyExpressionInvalid);
    let reason = if only_expressions {
        Reason::PolicyExpressionInvalid
    } else {
        Reason::PolicyInvalid
    };
    let first = faults.first().map(ToString::to_string).unwrap_or_default();
    let message = match faults.len() {
        1 => format!("definition.{}", first.trim_end_matches('.')),
        count => format!(
            "definition.{} (and {} more)",
            first.trim_end_matches('.'),
            count.saturating_sub(1)
        ),
    };
    let mut refusal = Refusal::new(reason, message).metadata("faults", faults.len().to_string());
    if !guard.is_empty() {
        refusal = refusal.metadata("guard", guard);
    }
    faults
        .iter()
        .fold(refusal, |refusal, fault| {
            refusal.field_violation(format!("definition.{}", fault.path), fault.message.as_str())
        })
        .into()
}

pub(super) fn unmapped(policy_revision: &str, obstacles: &[Obstacle]) -> Status {
    let texts: Vec<String> = obstacles.iter().map(ToString::to_string).collect();
    let message = listed(texts.iter().map(String::as_str));
    let missing = obstacles.iter().find_map(|obstacle| match obstacle {
        Obstacle::StageUnmapped { stage, contacts } => Some((stage, *contacts)),
        Obstacle::SourceUnknown { .. } | Obstacle::TargetUnknown { .. } => None,
    });
    if let Some((stage, contacts)) = missing {
        let refusal = Refusal::new(Reason::StageUnmapped, message)
            .metadata("stage", stage.as_str())
            .metadata("contacts", contacts.to_string())
            .metadata("policy_revision", policy_revision);
        return obstacles
            .iter()
            .fold(refusal, |refusal, obstacle| {
                refusal.precondition("STATE", subject(obstacle), obstacle.to_string())
            })
            .into();
    }
    let refusal = Refusal::new(Reason::StageUnknown, message)
        .metadata("stage", obstacles.first().map(subject).unwrap_or_default())
        .metadata("policy_revision", policy_revision);
    obstacles
        .iter()
        .fold(refusal, |refusal, obstacle| {
            let path = format!("stage_map[\"{}\"]", subject(obstacle));
            refusal.field_violation(path, obstacle.to_string())
        })
        .into()
}

fn subject(obstacle: &Obstacle) -> String {
    match obstacle {
        Obstacle::StageUnmapped { stage, .. }
        | Obstacle::SourceUnknown { stage }
        | Obstacle::TargetUnknown { stage } => stage.clone(),
    }
}
