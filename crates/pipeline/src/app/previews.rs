//! What every stage would take and give: the engine's own preview, on fresh facts.

use std::collections::BTreeSet;

use policy::company;
use policy::definition::Mode;
use policy::{Permissions, Request, StagePreview};
use store::Conn;
use types::{ContactName, Deadline};

use super::reopening::reopening;
use super::steps::Walk;
use super::{App, companies, conversions};
use crate::domain::activations::Lineage;
use crate::domain::positions::{Position, Shown, State};
use crate::error::Error;
use crate::store as tables;

/// A move to every stage, as it would be tried.
#[derive(Clone, Debug, Default)]
pub struct Tried {
    /// Who asks.
    pub actor: String,
    /// The reason that would be given.
    pub reason: String,
    /// What whoever asks may do beyond converting at all; everything where absent.
    pub permissions: Option<BTreeSet<String>>,
}

/// What a conversion to one stage would come to.
#[derive(Clone, Debug)]
pub struct Preview {
    /// What the policy says.
    pub stage: StagePreview,
    /// Whether it would be refused because another move waits, or an activation does.
    pub waits: bool,
}

/// What keeps moves back, whatever the policy says.
struct Waiting {
    /// Nothing is decided at all.
    all: bool,
    /// Nothing moves that has to move with others.
    followers: bool,
}

impl App {
    /// Tries a conversion to every stage of the policy in force.
    pub async fn preview_conversions(
        &self,
        name: &ContactName,
        tried: &Tried,
        deadline: Deadline,
    ) -> Result<(Shown, Vec<Preview>), Error> {
        let contact = self.contacts.get(name, deadline).await?;
        conversions::present(&contact)?;
        let (shown, lineage) = self.position_shown(name, &[], deadline).await?;
        let scene = self.scene(lineage, &name.workspace, &tried.actor, "");
        let (asked, position) = (scene.clone(), shown.position.clone());
        let (waiting, reopening) = self
            .store
            .within(&name.workspace)
            .read_snapshot("conversions.preview", deadline, move |conn| {
                let waiting = waiting(conn, &asked.lineage, &position)?;
                Ok::<_, store::Error>((waiting, reopening(conn, &asked, &position)?))
            })
            .await?;
        let active = scene.lineage.active();
        let (position, reopening) = (shown.position.clone(), reopening.as_ref());
        let walk = Walk::begin_conversion(&scene, &contact, position, reopening);
        let request = Request {
            actor: &tried.actor,
            reason: &tried.reason,
            permissions: tried
                .permissions
                .as_ref()
                .map_or(Permissions::All, Permissions::Only),
            ..Request::default()
        };
        let policy = &active.policy;
        let stages = policy::preview(policy, walk.standing(), &contact.facts, &request, scene.now);
        let of = |stage: Option<&str>| company::entitlements(policy, contact.kind, stage);
        let before = of(walk.stage());
        let followers = waiting.followers && policy.mode() == Mode::CompanyFirst;
        let all = waiting.all || shown.position.state == State::Revoking;
        let previews = stages.into_iter().map(|mut stage| {
            let after = of(Some(&stage.stage));
            stage.gained = after.difference(&before).cloned().collect();
            stage.lost = before.difference(&after).cloned().collect();
            let waits = all || followers && stage.reachable;
            stage.reachable &= !waits;
            Preview { stage, waits }
        });
        let previews = previews.collect();
        Ok((shown, previews))
    }
}

fn waiting(
    conn: &mut Conn,
    lineage: &Lineage,
    position: &Position,
) -> Result<Waiting, store::Error> {
    let workspace = &position.name.workspace;
    let state = tables::workspaces::workspace_get(conn, workspace)?;
    let followers = tables::companies::companies_of_primary(conn, &position.name)?;
    let ids: Vec<String> = followers.into_iter().map(|one| one.contact).collect();
    let followers = match ids.as_slice() {
        [] => Vec::new(),
        ids => tables::positions::positions_of(conn, workspace, ids)?,
    };
    let stood = companies::mapped(lineage, position).unwrap_or_default();
    Ok(Waiting {
        all: state.is_some_and(|state| state.activating.is_some()),
        followers: followers.iter().any(|follower| {
            follower.state == State::Revoking && companies::goes_along(lineage, follower, &stood)
        }),
    })
}
