//! Events of the progression.

use prost::Message as _;
use proto::pipeline::v1::{
    Policy, PolicyActivation, PolicyActivationChange, PolicyChange, TransitionChange,
};
use store::change_log::Change;
use types::Service;

use super::{Kind, told};

/// All of them.
pub(super) const KINDS: &[Kind] = &[
    Kind {
        service: Service::Pipeline,
        name: "position.changed",
        message: "clientele.pipeline.v1.TransitionChange",
        // The position's name is the contact's with one more word, also where nothing else can be read.
        contact: |change| change.resource.strip_suffix("/position").map(str::to_owned),
        data: |change| {
            let message = TransitionChange::decode(change.payload.as_slice()).ok()?;
            Some(message.encode_to_vec())
        },
    },
    Kind {
        service: Service::Pipeline,
        name: "policy.revised",
        message: "clientele.pipeline.v1.PolicyChange",
        contact: |_| None,
        data: policy,
    },
    Kind {
        service: Service::Pipeline,
        name: "policy_activation.changed",
        message: "clientele.pipeline.v1.PolicyActivationChange",
        contact: |_| None,
        data: activation,
    },
];

fn policy(change: &Change) -> Option<Vec<u8>> {
    told!(
        change,
        PolicyChange {
            policy: Some(Policy::decode(change.payload.as_slice()).ok()?),
        }
    )
}

fn activation(change: &Change) -> Option<Vec<u8>> {
    told!(
        change,
        PolicyActivationChange {
            activation: Some(PolicyActivation::decode(change.payload.as_slice()).ok()?),
        }
    )
}
