//! What is measured of the suite's business, told as events that become metrics (`serve::telemetry`).
//!
//! Invariant: what is told has few values: roles, and the stages of the presets. A policy may have
//! any others; they are `other`.

use std::time::Duration;

use prost::Message as _;
use proto::contacts::v1::Role;
use proto::pipeline::v1::{Transition, TransitionChange};
use serve::telemetry::metrics::TARGET;
use store::change_log::Change;
use tokio_util::sync::CancellationToken;
use tracing::Level;
use types::{Deadline, Micros};

use super::App;
use super::log::POSITION_CHANGED;
use crate::store::{holders, pending};

/// The stages that any preset has.
const STAGES: [&str; 5] = ["contact", "lead", "prospect", "client", "customer"];

/// How often grants and recalls are counted.
const PERIOD: Duration = Duration::from_secs(30);

/// How long counting may take.
const COUNT_TIME: Duration = Duration::from_secs(10);

fn is_measured() -> bool {
    tracing::event_enabled!(target: TARGET, Level::TRACE)
}

/// A follower has read up to what was recorded then; to the end, where nothing newer was told.
pub(super) fn followed(follower: &'static str, newest: Option<Micros>, now: Micros) {
    #[expect(clippy::cast_precision_loss, reason = "a lag is a small number")]
    let behind = newest.map_or(0.0, |newest| (now.0 - newest.0).max(0) as f64 / 1e6);
    tracing::trace!(
        target: TARGET,
        metric = "clientele.follower.lag",
        value = behind,
        clientele.follower = follower,
    );
}

/// These changes tell of moves.
pub(super) fn moved(changes: &[Change]) {
    if !is_measured() {
        return;
    }
    let told = changes
        .iter()
        .filter(|change| change.kind == POSITION_CHANGED);
    for change in told {
        let change = TransitionChange::decode(change.payload.as_slice());
        if let Ok(Some(transition)) = change.map(|change| change.transition) {
            count(&transition);
        }
    }
}

fn count(transition: &Transition) {
    tracing::trace!(
        target: TARGET,
        metric = "clientele.transitions",
        value = 1,
        clientele.stage.from = stage(&transition.from_stage),
        clientele.stage.to = stage(&transition.to_stage),
        clientele.role.from = role(transition.from_role()),
        clientele.role.to = role(transition.to_role()),
    );
}

fn stage(id: &str) -> &'static str {
    if id.is_empty() {
        return "";
    }
    let known = STAGES.into_iter().find(|stage| *stage == id);
    known.unwrap_or("other")
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Unspecified => "",
        role => role.as_str_name().trim_start_matches("ROLE_"),
    }
}

impl App {
    /// Counts from time to time what is held and what waits, on every replica alike: whoever reads the
    /// metrics takes one of them.
    pub(super) async fn measure(self, stop: CancellationToken) {
        loop {
            if is_measured() {
                self.measure_once().await;
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(PERIOD) => {}
            }
        }
    }

    async fn measure_once(&self) {
        let deadline = Deadline::after(COUNT_TIME);
        let counted = self
            .store
            .across()
            .read("measure.grants", deadline, |conn| {
                Ok::<_, store::Error>((
                    holders::grants_count(conn)?,
                    pending::pendings_count(conn)?,
                    pending::pendings_oldest(conn)?,
                ))
            });
        // Whoever needs the database says louder that it is not there.
        let Ok((held, waiting, oldest)) = counted.await else {
            return;
        };
        let now = self.clock.now();
        #[expect(clippy::cast_precision_loss, reason = "an age is a small number")]
        let age = oldest.map_or(0.0, |oldest| (now.0 - oldest.0).max(0) as f64 / 1e6);
        tracing::trace!(target: TARGET, metric = "clientele.grants.held", value = held);
        tracing::trace!(target: TARGET, metric = "clientele.recalls.pending", value = waiting);
        tracing::trace!(target: TARGET, metric = "clientele.recalls.oldest.age", value = age);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_stages_are_those_of_the_presets() {
        let known: BTreeSet<String> = policy::presets::all()
            .iter()
            .filter_map(|preset| preset.definition().ok())
            .flat_map(|definition| definition.stages)
            .map(|stage| stage.id)
            .collect();
        let told: BTreeSet<String> = STAGES.map(str::to_owned).into();
        assert_eq!(told, known);
        assert_eq!((stage("vip"), stage("")), ("other", ""));
        assert_eq!(
            (role(Role::Client), role(Role::Unspecified)),
            ("CLIENT", "")
        );
    }
}
