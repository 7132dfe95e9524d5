//! Policies and activations as the protos show them.

use proto::convert::timestamp_to_wire;
use proto::pipeline::v1::{self, policy, policy_activation};

use super::{definitions, moment};
use crate::domain::activations::{Activation, State as ActivationState};
use crate::domain::policies::{Policy, State};

/// The policy as it is shown; without a name where it was only validated.
pub fn policy(shown: &Policy) -> v1::Policy {
    let stored = shown.revision > 0;
    v1::Policy {
        name: if stored {
            shown.name.to_string()
        } else {
            String::new()
        },
        preset: shown.preset.clone(),
        definition: Some(definitions::to_wire(&shown.definition)),
        revision: shown.reference().name(&shown.name.workspace),
        revision_number: shown.revision,
        state: match shown.state {
            State::Inactive => policy::State::Inactive,
            State::Activating => policy::State::Activating,
            State::Active => policy::State::Active,
        } as i32,
        etag: if stored { shown.etag() } else { String::new() },
        create_time: stored.then(|| timestamp_to_wire(shown.create_time)),
        revision_create_time: stored.then(|| timestamp_to_wire(shown.revision_create_time)),
        creator: shown.creator.clone(),
    }
}

/// The activation as it is shown.
pub fn activation(shown: &Activation) -> v1::PolicyActivation {
    v1::PolicyActivation {
        name: shown.name(),
        number: shown.number,
        policy_revision: shown.policy.name(&shown.workspace),
        previous_policy_revision: shown.previous.name(&shown.workspace),
        stage_map: shown.stage_map.clone().into_iter().collect(),
        state: match shown.state {
            ActivationState::Activating => policy_activation::State::Activating,
            ActivationState::Mapping => policy_activation::State::Mapping,
            ActivationState::Complete => policy_activation::State::Complete,
            ActivationState::Cancelled => policy_activation::State::Cancelled,
        } as i32,
        position_count: shown.impact.positions,
        move_count: shown.impact.moves,
        stay_count: shown.impact.stays,
        gain_counts: shown.impact.gains.clone().into_iter().collect(),
        loss_counts: shown.impact.losses.clone().into_iter().collect(),
        mapped_count: shown.mapped_count,
        actor: shown.actor.clone(),
        create_time: (shown.number > 0).then(|| timestamp_to_wire(shown.create_time)),
        active_time: moment(shown.active_time),
        end_time: moment(shown.end_time),
    }
}
