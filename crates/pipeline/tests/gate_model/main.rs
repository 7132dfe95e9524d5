//! The gate, model-checked: one contact, pipeline and one holder of grants (billing), over a network
//! that delays, repeats, reorders and loses messages, with crashes on either side and restores of
//! either database, each of which begins a new epoch.
//!
//! What a contact is entitled to is a level here: 0 nothing, 1 proposals, 2 proposals and invoices. A
//! demotion goes from 2 to 1, a removal to 0.
//!
//! Everything that a service keeps in its database is one struct and changes in one step, as a
//! transaction does. Messages stay in the network once sent, so each may arrive at any time, any
//! number of times, or never. A restore brings back what a database was at any time before, after
//! billing had attached for the first time. Eight ways to get the protocol wrong are each caught with
//! a counterexample, which shows that the model could see them.
//!
//! Invariant: what billing acts on, pipeline entitles to, and billing is a registered holder of it,
//! once billing has confirmed pipeline's epoch; until it has, pipeline takes nothing away.

mod databases;
mod model;
mod properties;

use stateright::{Checker, Model};

use databases::Mutant;
use model::{Action, Gate};

const LEVEL_MAX: u8 = 2;

/// No restores, and everything else.
fn without_restores(mutant: Mutant) -> Gate {
    Gate {
        mutant,
        revision_max: 4,
        activation_max: 3,
        pipeline_epoch_max: 1,
        billing_epoch_max: 1,
    }
}

/// A restore of pipeline's database.
fn with_a_restore_of_pipeline(mutant: Mutant) -> Gate {
    Gate {
        mutant,
        revision_max: 3,
        activation_max: 1,
        pipeline_epoch_max: 2,
        billing_epoch_max: 1,
    }
}

/// A restore of billing's database.
fn with_a_restore_of_billing(mutant: Mutant) -> Gate {
    Gate {
        mutant,
        revision_max: 3,
        activation_max: 1,
        pipeline_epoch_max: 1,
        billing_epoch_max: 2,
    }
}

/// A restore of each database.
fn with_both_restores(mutant: Mutant) -> Gate {
    Gate {
        mutant,
        revision_max: 2,
        activation_max: 1,
        pipeline_epoch_max: 2,
        billing_epoch_max: 2,
    }
}

/// A restore of pipeline's database while an activation waits.
fn with_a_restore_and_an_activation(mutant: Mutant) -> Gate {
    Gate {
        mutant,
        revision_max: 2,
        activation_max: 2,
        pipeline_epoch_max: 2,
        billing_epoch_max: 1,
    }
}

/// Checks every state within the bounds; how many there are.
fn holds(gate: Gate) -> usize {
    let checker = gate.checker().threads(2).spawn_bfs().join();
    checker.assert_properties();
    checker.unique_state_count()
}

/// Looks for a way in which it goes wrong, and answers it.
fn caught(gate: Gate) -> Vec<Action> {
    let mutant = gate.mutant;
    let checker = gate
        .checker()
        .finish_when(stateright::HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    let path = checker
        .discovery("billing ACTIVE => entitled and held")
        .or_else(|| checker.discovery("no invoice after a demotion"));
    let Some(path) = path else {
        panic!("{mutant:?} was not caught");
    };
    path.into_actions()
}

#[test]
fn the_gate_holds() {
    println!("{} states", holds(without_restores(Mutant::None)));
}

#[test]
fn the_gate_holds_through_a_restore_of_either_database_or_both() {
    for gate in [
        with_a_restore_of_pipeline(Mutant::None),
        with_a_restore_of_billing(Mutant::None),
        with_both_restores(Mutant::None),
    ] {
        println!("{} states", holds(gate));
    }
}

#[test]
fn the_gate_holds_through_a_restore_and_an_activation() {
    let gate = with_a_restore_and_an_activation(Mutant::None);
    println!("{} states", holds(gate));
}

#[test]
fn every_mutant_is_caught() {
    for mutant in [
        Mutant::NoTombstone,
        Mutant::NoHolder,
        Mutant::AcknowledgeBeforeRevoking,
        Mutant::AcknowledgementOfAnyRevision,
        Mutant::AbortWithoutHolder,
        Mutant::TimeoutCompletes,
    ] {
        println!("{mutant:?}: {:?}", caught(without_restores(mutant)));
    }
    for mutant in [Mutant::AttachedBeforeConfirmed, Mutant::GrantOfEarlierEpoch] {
        let steps = caught(with_a_restore_of_pipeline(mutant));
        println!("{mutant:?}: {steps:?}");
    }
}
