//! What is written back of several positions in one statement is what is written of each alone.

use policy::company::Kind;
use store::testing::{engines, open, soon};
use store::{Conn, Error};
use types::{ContactName, Micros};

use super::{positions_ensure, positions_of, positions_update};
use crate::domain::policies::PolicyRef;
use crate::domain::positions::Position;
use crate::store::MIGRATIONS;
use crate::store::workspaces::workspace_insert;

const CONTACTS: [&str; 3] = ["ada", "bob", "carol"];

fn unopened(contact: &str) -> Position {
    let name = ContactName::new("w".to_owned(), contact.to_owned());
    Position::unopened(name, Kind::Person, 1, PolicyRef::new("rules".to_owned(), 1))
}

/// As it was, but for all that may change without a transition; differently for each.
fn changed(position: &Position, by: i64) -> Position {
    Position {
        kind: Kind::Company,
        change: position.change + by,
        activation: position.activation + by,
        sealed_revision: position.sealed_revision + by,
        grant_revision: position.grant_revision + 10 * by,
        facts_time: Micros(100 * by),
        refusal: format!("refused {by}"),
        documents_exist: by % 2 == 0,
        ..position.clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_of_each_position_is_written_back() {
    for engine in engines() {
        let url = engine.fresh_url().await;
        let store = open(&url, &MIGRATIONS);
        let begun = store.within("w").write("test", soon(), |conn| {
            workspace_insert(conn, "w", Micros(1))
        });
        begun.await.expect("a workspace");
        for count in 1..=CONTACTS.len() {
            let stored = store
                .within("w")
                .write("test", soon(), move |conn: &mut Conn| {
                    let all: Vec<Position> = CONTACTS.map(unopened).into();
                    let before = positions_ensure(conn, &all)?;
                    let some: Vec<Position> = before[..count]
                        .iter()
                        .zip(1..)
                        .map(|(position, by)| changed(position, by))
                        .collect();
                    positions_update(conn, &some.iter().collect::<Vec<_>>())?;
                    let mut after = positions_of(conn, "w", &CONTACTS.map(str::to_owned))?;
                    after.sort_by(|left, right| left.name.cmp(&right.name));
                    let expected: Vec<Position> =
                        some.into_iter().chain(before[count..].to_vec()).collect();
                    Ok::<_, Error>((after, expected))
                });
            let (after, expected) = stored.await.expect("written");
            assert_eq!(after, expected, "{engine:?}, {count} at once");
        }
    }
}
