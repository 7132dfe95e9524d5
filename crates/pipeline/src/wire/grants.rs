//! Grants, recalls and fences as the protos show them.

use proto::convert::role_to_wire;
use proto::pipeline::v1;

use super::transitions::role;
use crate::domain::contacts::Subject;
use crate::domain::grants::{Grant, Orders, Pending};

/// The grant as it is told.
pub fn grant(grant: &Grant) -> v1::Grant {
    v1::Grant {
        contact: grant.contact.to_string(),
        entitlements: grant.entitlements.iter().cloned().collect(),
        grant_revision: grant.revision,
        policy_activation: grant.activation,
        policy_revision: grant.policy.name(&grant.contact.workspace),
        epoch: grant.epoch,
        stage: grant.stage.clone().unwrap_or_default(),
        role: role_to_wire(grant.role) as i32,
        position_revision: grant.position_revision,
    }
}

/// Who the contact is.
pub fn subject(subject: Subject) -> v1::Subject {
    v1::Subject {
        display_name: subject.display_name,
        legal_name: subject.legal_name,
        postal_addresses: subject.postal_addresses,
        tax_id: subject.tax_id,
        email: subject.email,
    }
}

fn recall(pending: &Pending) -> v1::Recall {
    v1::Recall {
        contact: pending.contact.to_string(),
        grant_revision: pending.recall_revision,
        entitlements: pending.remaining.iter().cloned().collect(),
        policy_activation: pending.activation,
        stage: pending.to_stage().to_owned(),
        role: role(pending.to_role()) as i32,
    }
}

/// What a holder must do.
pub fn orders(orders: &Orders) -> v1::WatchRecallsResponse {
    v1::WatchRecallsResponse {
        recalls: orders.recalls.iter().map(recall).collect(),
        fences: orders
            .fences
            .iter()
            .map(|(workspace, activation)| v1::Fence {
                workspace: format!("workspaces/{workspace}"),
                min_policy_activation: *activation,
            })
            .collect(),
        epoch: orders.epoch,
    }
}
