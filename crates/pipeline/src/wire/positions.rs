//! Positions and previews as the protos show them.

use policy::StagePreview;
use proto::convert::{role_to_wire, timestamp_to_wire};
use proto::pipeline::v1;

use crate::domain::positions::{Shown, State};

/// The position as it is shown.
pub fn position(shown: &Shown) -> v1::Position {
    let position = &shown.position;
    let stands = shown.stage.is_some();
    let (pending_stage, pending_time) = match &shown.pending {
        Some((stage, since)) => (
            stage.clone().unwrap_or_default(),
            Some(timestamp_to_wire(*since)),
        ),
        None => (String::new(), None),
    };
    v1::Position {
        name: position.name.position().to_string(),
        contact: position.name.to_string(),
        stage: shown.stage.clone().unwrap_or_default(),
        role: role_to_wire(shown.role) as i32,
        revision: position.revision,
        policy_revision: if position.revision == 0 {
            String::new()
        } else {
            position.policy.name(&position.name.workspace)
        },
        entitlements: shown.entitlements.iter().cloned().collect(),
        enter_time: stands.then(|| timestamp_to_wire(position.entered)),
        state: state(position.state) as i32,
        pending_stage,
        pending_time,
        refusal: position.refusal.clone(),
        etag: position.etag(),
        primary_contact: shown
            .primary
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
    }
}

/// The position as it would be: without the etag, which would pass once somebody else has made that
/// change.
pub fn unstored(position: v1::Position) -> v1::Position {
    v1::Position {
        etag: String::new(),
        ..position
    }
}

/// The state on the wire.
pub fn state(state: State) -> v1::position::State {
    match state {
        State::Open => v1::position::State::Open,
        State::Revoking => v1::position::State::Revoking,
        State::None => v1::position::State::None,
    }
}

/// What a conversion to one stage would take and give.
pub fn preview(preview: StagePreview) -> v1::StagePreview {
    v1::StagePreview {
        stage: preview.stage,
        role: role_to_wire(Some(preview.role)) as i32,
        reachable: preview.reachable,
        skip: preview.skip,
        refusal: preview
            .refusal
            .map(|refusal| refusal.reason().to_owned())
            .unwrap_or_default(),
        guards: preview
            .guards
            .into_iter()
            .map(|guard| v1::GuardResult {
                guard: guard.id,
                expression: guard.expression,
                met: guard.holds,
                values: guard
                    .readings
                    .into_iter()
                    .map(|reading| (reading.path, reading.value))
                    .collect(),
                remedy: guard.message,
            })
            .collect(),
        gained: preview.gained.into_iter().collect(),
        lost: preview.lost.into_iter().collect(),
    }
}
