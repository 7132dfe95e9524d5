//! What must hold, and what must happen in some state, or the model would hold for want of anything
//! happening.

use stateright::Property;

use crate::LEVEL_MAX;
use crate::model::{Gate, State};

/// What holds in every state, and what happens in some, whatever the bounds.
pub fn must_hold() -> Vec<Property<Gate>> {
    vec![
        Property::always(
            "billing ACTIVE => entitled and held",
            |gate: &Gate, state: &State| {
                // Where a restore has forgotten more than billing knows, there is nothing to be said but
                // that pipeline takes nothing away.
                let level = state.billing.level(gate.mutant);
                level == 0
                    || !state.pipeline.is_attached()
                    || (level <= state.pipeline.level && state.pipeline.holder)
            },
        ),
        Property::always("no invoice after a demotion", |_, state: &State| {
            !state.wrong_invoice
        }),
        Property::sometimes("a grant is used", |gate: &Gate, state: &State| {
            state.billing.level(gate.mutant) == LEVEL_MAX
        }),
        Property::sometimes("a removal completes", |_, state: &State| {
            state.billing.tombstone.number > 0 && !state.pipeline.present
        }),
        Property::sometimes("a narrowed grant is used", |gate: &Gate, state: &State| {
            state.billing.level(gate.mutant) == 1 && state.billing.tombstone.number > 0
        }),
        Property::sometimes(
            "a grant is used after a recall",
            |gate: &Gate, state: &State| {
                let level = state.billing.level(gate.mutant);
                level == LEVEL_MAX && state.billing.tombstone.number > 0
            },
        ),
    ]
}

/// What happens where policies are put in force.
pub fn happens_with_activations() -> Vec<Property<Gate>> {
    vec![
        Property::sometimes("a fence completes", |_, state: &State| {
            state.billing.fence.number > 1 && state.pipeline.activation > 1
        }),
        Property::sometimes(
            "a grant passes a fence that was given up",
            |gate: &Gate, state: &State| {
                state.pipeline.activation == 3
                    && state.billing.fence.number == 2
                    && state.billing.level(gate.mutant) == LEVEL_MAX
            },
        ),
    ]
}

/// What happens where pipeline's database is restored.
pub fn happens_with_restores() -> Vec<Property<Gate>> {
    vec![
        Property::sometimes("pipeline's epoch is confirmed", |_, state: &State| {
            state.pipeline.epoch > 1 && state.pipeline.is_attached()
        }),
        Property::sometimes(
            "a grant outlives what pipeline knows of it",
            |gate: &Gate, state: &State| {
                !state.pipeline.holder && state.billing.level(gate.mutant) == LEVEL_MAX
            },
        ),
        Property::sometimes(
            "a move waits for an epoch, not for a holder",
            |_, state: &State| state.pipeline.pending.is_some() && !state.pipeline.holder,
        ),
        Property::sometimes(
            "a grant of the next epoch is used after its recall",
            |gate: &Gate, state: &State| {
                let level = state.billing.level(gate.mutant);
                level > 0 && state.billing.tombstone.epoch > 1
            },
        ),
    ]
}
