//! What the change log is told of positions.

use prost::Message as _;
use proto::convert::timestamp_to_wire;
use proto::pipeline::v1::TransitionChange;
use store::Conn;
use store::change_log::{self, LogPosition, NewChange};

use super::gate::{Outcome, Scene};
use crate::domain::positions::Shown;
use crate::domain::transitions::Transition;
use crate::wire;

/// The kind of all entries in the change log that tell of a position.
pub const POSITION_CHANGED: &str = "position.changed";

/// Tells the change log what happened.
pub(super) fn tell(
    conn: &mut Conn,
    scene: &Scene,
    outcomes: &[Outcome],
) -> Result<LogPosition, store::Error> {
    let told: Vec<Told> = outcomes
        .iter()
        .flat_map(|outcome| told(scene, &outcome.shown, &outcome.transitions))
        .collect();
    let changes: Vec<NewChange<'_>> = told
        .iter()
        .map(|told| NewChange {
            workspace: &scene.workspace,
            kind: POSITION_CHANGED,
            resource: &told.resource,
            revision: told.revision,
            payload: &told.payload,
            paths: "",
            actor: &scene.actor,
            request_id: &scene.request_id,
            event_id: &told.event_id,
            record_time: scene.now,
        })
        .collect();
    change_log::append_all(conn, &changes)
}

/// What the change log is told of a position at one revision.
struct Told {
    resource: String,
    revision: i64,
    event_id: String,
    payload: Vec<u8>,
}

/// A change per transition; where there was none, one change that only shows the position.
fn told(scene: &Scene, shown: &Shown, transitions: &[Transition]) -> Vec<Told> {
    let position = wire::positions::position(shown);
    let told = if transitions.is_empty() {
        vec![None]
    } else {
        transitions.iter().map(Some).collect()
    };
    told.into_iter()
        .map(|transition: Option<&Transition>| {
            let event_id = scene.ids.next();
            let change = TransitionChange {
                transition: transition.map(wire::transitions::transition),
                position: Some(position.clone()),
                request_id: scene.request_id.clone(),
                event_id: event_id.clone(),
                record_time: Some(timestamp_to_wire(scene.now)),
            };
            Told {
                resource: shown.position.name.position().to_string(),
                revision: transition
                    .map_or(shown.position.revision, |transition| transition.revision),
                event_id,
                payload: change.encode_to_vec(),
            }
        })
        .collect()
}
