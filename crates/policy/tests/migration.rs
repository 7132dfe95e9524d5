//! Company-first mode, and the sealed history.

mod common;

use std::fmt::Write as _;

use common::{COMPILER, preset, ready};
use policy::company::{Associate, Kind, change_primary, entitlements, first_primary, position};
use policy::history::{
    Break, Checkpoint, GENESIS, Hash, Origin, SealedRow, TransitionRow, canonical_bytes, digest,
    row_hash, verify,
};
use policy::{Fields, Policy, Position};
use proptest::prelude::*;
use types::Micros;

fn company_first() -> Policy {
    let mut definition = preset("one-way").definition().clone();
    definition.mode = policy::definition::Mode::CompanyFirst;
    COMPILER
        .compile(&definition, &Fields::none())
        .expect("it compiles")
}

#[test]
fn companies_not_people_receive_documents() {
    let documents = [
        "promo_material",
        "private_message",
        "estimate",
        "proposal",
        "invoice",
        "project",
    ];
    for (policy, of_person) in [
        (preset("one-way"), "all"),
        (company_first(), "messages only"),
    ] {
        for (stage, of_company) in [("lead", 0), ("prospect", 4), ("client", 6)] {
            let company = entitlements(&policy, Kind::Company, Some(stage));
            let person = entitlements(&policy, Kind::Person, Some(stage));
            let held = |keys: &std::collections::BTreeSet<String>| {
                documents.iter().filter(|key| keys.contains(**key)).count()
            };
            assert_eq!(held(&company), of_company, "{stage}");
            let expected = if of_person == "all" {
                of_company
            } else {
                of_company.min(1)
            };
            assert_eq!(held(&person), expected, "{stage}: {person:?}");
        }
        assert!(entitlements(&policy, Kind::Company, None).is_empty());
    }
}

#[test]
fn a_company_stands_where_its_primary_contact_stands() {
    let client = Position::at("client", 2, Micros(5));
    assert_eq!(position(Some(&client)), client);
    assert_eq!(position(None), Position::none());
    let associates = [
        Associate {
            created: Micros(2),
            contact: "contacts/a",
        },
        Associate {
            created: Micros(1),
            contact: "contacts/c",
        },
        Associate {
            created: Micros(1),
            contact: "contacts/b",
        },
    ];
    assert_eq!(
        first_primary(&associates).expect("there are some").contact,
        "contacts/b"
    );
    assert_eq!(first_primary(&[]), None);
}

#[test]
fn changing_the_primary_contact_takes_nothing_from_a_company_with_open_documents() {
    let policy = company_first();
    let stages = [None, Some("lead"), Some("prospect"), Some("client")];
    for (at, from) in stages.iter().enumerate() {
        for (to_at, to) in stages.iter().enumerate() {
            let loses = !policy.lost(*from, *to).is_empty();
            assert_eq!(loses, to_at < at && at > 1, "{from:?} > {to:?}");
            let with = change_primary(&policy, *from, *to, true);
            assert_eq!(with.is_err(), loses, "{from:?} > {to:?}");
            assert!(change_primary(&policy, *from, *to, false).is_ok());
            if let Err(refusal) = with {
                assert_eq!(refusal.reason(), "TRANSITION_NOT_ALLOWED");
            }
        }
    }
}

fn history() -> Vec<SealedRow> {
    let moves = [
        (None, Some("lead")),
        (Some("lead"), Some("prospect")),
        (Some("prospect"), Some("client")),
    ];
    let mut previous = GENESIS;
    moves
        .into_iter()
        .zip(1..)
        .map(|((from, to), revision)| {
            let row = TransitionRow {
                contact: "workspaces/default/contacts/ada".to_owned(),
                revision,
                from: from.map(str::to_owned),
                to: to.map(str::to_owned),
                cause: "MANUAL".to_owned(),
                actor: "ada@example.com".to_owned(),
                note_digest: digest("on the phone"),
                policy_revision: "workspaces/default/policies/p/revisions/1".to_owned(),
                effective_time: Micros(revision * 10),
                record_time: Micros(revision * 10 + 1),
                ..TransitionRow::default()
            };
            let hash = row_hash(&previous, &row);
            let sealed = SealedRow {
                row,
                previous_hash: previous,
                hash,
            };
            previous = hash;
            sealed
        })
        .collect()
}

#[test]
fn a_history_that_holds_ends_where_the_position_is() {
    let rows = history();
    let head = verify(&rows).expect("it holds");
    assert_eq!((head.revision, head.stage.as_deref()), (3, Some("client")));
    assert!(head.agrees(&Position::at("client", 3, Micros(30))));
    assert!(
        !head.agrees(&Position::at("lead", 3, Micros(30))),
        "a position changed by hand"
    );
    assert!(!head.agrees(&Position::at("client", 4, Micros(30))));
    assert_eq!(verify(&[]).expect("nothing to break").hash, GENESIS);
}

#[test]
fn what_was_decided_can_be_sealed_and_verified() {
    let policy = preset("one-way");
    let mut position = Position::none();
    let mut rows = Vec::new();
    let mut previous = GENESIS;
    let origin = Origin {
        decision: "d".to_owned(),
        policy_revision: "revisions/1".to_owned(),
        activation: 1,
    };
    for stage in ["lead", "prospect", "client"] {
        let decision = common::convert(&policy, &position, &ready(), stage).expect("allowed");
        position = position.after(&decision);
        let row = TransitionRow::new("contacts/a", &origin, &decision.transitions[0]);
        let hash = row_hash(&previous, &row);
        rows.push(SealedRow {
            row,
            previous_hash: previous,
            hash,
        });
        previous = hash;
    }
    assert!(verify(&rows).expect("it holds").agrees(&position));
}

#[test]
fn the_first_broken_row_is_named_with_the_reason() {
    let change = |at: usize, change: fn(&mut SealedRow)| {
        let mut rows = history();
        change(&mut rows[at]);
        let broken = verify(&rows).expect_err("it is broken");
        (broken.index, broken.why)
    };
    assert_eq!(
        change(1, |row| row.row.actor = "eve".to_owned()),
        (1, Break::Hash)
    );
    assert_eq!(
        change(1, |row| row.row.note_digest = digest("")),
        (1, Break::Hash)
    );
    assert_eq!(
        change(1, |row| row.row.effective_time = Micros(1)),
        (1, Break::Hash)
    );
    assert_eq!(change(1, |row| row.hash[31] ^= 1), (1, Break::Hash));
    assert_eq!(
        change(2, |row| row.previous_hash[0] ^= 1),
        (2, Break::Chain)
    );
    assert_eq!(
        change(2, |row| row.row.from = Some("lead".to_owned())),
        (2, Break::Fold)
    );
    assert_eq!(
        change(1, |row| row.row.to = Some("client".to_owned())),
        (1, Break::Hash)
    );
    assert_eq!(change(0, |row| row.row.revision = 2), (0, Break::Revision));
    assert_eq!(
        change(2, |row| row.row.contact.push('x')),
        (2, Break::Contact)
    );
    let mut rows = history();
    rows.remove(1);
    assert_eq!(verify(&rows).expect_err("a row is gone").index, 1);
    let mut rows = history();
    rows.swap(1, 2);
    assert!(verify(&rows).is_err());
}

/// The byte form is a promise: hashes in databases outlive this code.
#[test]
fn the_hashes_are_pinned() {
    let hex = |hash: &Hash| {
        hash.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").expect("a string takes all");
            text
        })
    };
    let rows = history();
    assert_eq!(canonical_bytes(&GENESIS, &rows[0].row).len(), 280);
    assert_eq!(
        hex(&rows[2].hash),
        "7e5bf11cb9870746899f12799ee4c49c9c5d839fb24a64bd3a20bd4c28a506a2"
    );
    let mut checkpoint = Checkpoint::begin(&GENESIS, "workspaces/default", 1);
    checkpoint
        .add("contacts/a", &rows[0].hash, 1)
        .expect("in order");
    checkpoint
        .add("contacts/b", &rows[2].hash, 3)
        .expect("in order");
    assert!(
        checkpoint
            .clone()
            .add("contacts/b", &rows[2].hash, 3)
            .is_err()
    );
    assert!(
        checkpoint
            .clone()
            .add("contacts/a", &rows[2].hash, 3)
            .is_err()
    );
    assert_eq!(
        hex(&checkpoint.finish()),
        "ee3171e3716dd2569e00c16be445f5ecc6e8cc86fcf89185873802e17af020af"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Fields cannot run into one another: different rows have different bytes.
    #[test]
    fn rows_that_differ_have_different_bytes(
        a in prop::array::uniform4("[ab]{0,2}"),
        b in prop::array::uniform4("[ab]{0,2}"),
        x in prop::option::of("[ab]{0,2}"),
        y in prop::option::of("[ab]{0,2}"),
    ) {
        let row = |texts: &[String; 4], option: &Option<String>| TransitionRow {
            contact: texts[0].clone(),
            from: option.clone(),
            cause: texts[1].clone(),
            actor: texts[2].clone(),
            reason: texts[3].clone(),
            ..TransitionRow::default()
        };
        let (first, second) = (row(&a, &x), row(&b, &y));
        let same = canonical_bytes(&GENESIS, &first) == canonical_bytes(&GENESIS, &second);
        prop_assert_eq!(same, first == second);
    }
}
