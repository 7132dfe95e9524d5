//! Handing out grants.

use policy::company;
use store::{Conn, epoch};
use types::{ContactName, Deadline};

use super::gate::{self, Scene};
use super::{ATTEMPTS_MAX, Abort, App, Stale, completions, conversions, steps};
use crate::domain::contacts::{Contact, Presence, Subject};
use crate::domain::grants::Grant;
use crate::domain::holders::Attachment;
use crate::domain::positions::{Position, State};
use crate::error::Error;
use crate::store as tables;

impl App {
    /// Registers a holder of a contact's grant and answers what it entitles to, and who the contact
    /// is. It is a write, so a deposed primary of the database cannot answer it.
    pub async fn acquire_grant(
        &self,
        name: &ContactName,
        holder: &str,
        holder_epoch: i64,
        deadline: Deadline,
    ) -> Result<(Grant, Subject), Error> {
        let mut contact = self.contacts.get(name, deadline).await?;
        if contact.presence == Presence::Active && self.is_to_be_opened(name, deadline).await? {
            self.evaluate_read(contact.clone(), deadline).await?;
        }
        let mut lineage = self.lineage(&name.workspace, deadline).await?;
        let mut superseded = Vec::new();
        for _ in 0..ATTEMPTS_MAX {
            let scene = Scene {
                superseded: superseded.clone(),
                ..self.scene(lineage.clone(), &name.workspace, holder, "")
            };
            let (seen, by) = (contact.clone(), holder.to_owned());
            let done = self
                .store
                .reserved()
                .within(&name.workspace)
                .write("grant.acquire", deadline, move |conn| {
                    acquire(conn, &scene, &seen, &by, holder_epoch)
                })
                .await;
            match done {
                Ok(grant) => return Ok((grant, contact.subject)),
                Err(Abort::Preview(grant)) => return Ok((*grant, contact.subject)),
                Err(Abort::Error(error)) => return Err(*error),
                Err(Abort::Stale(Stale::Lineage)) => {
                    lineage = self.lineage_read(&name.workspace, deadline).await?;
                }
                Err(Abort::Stale(Stale::Facts(age))) => {
                    superseded.push(age);
                    contact = self.contacts.get(name, deadline).await?;
                }
            }
        }
        Err(Error::ConcurrentUpdate {
            resource: name.position().to_string(),
        })
    }

    /// Whether nobody ever looked at the contact here, or it was closed when it was last looked at.
    async fn is_to_be_opened(&self, name: &ContactName, deadline: Deadline) -> Result<bool, Error> {
        let name = name.clone();
        let found = self
            .store
            .within(&name.workspace)
            .read_point("position.get", deadline, move |conn| {
                tables::positions::position_get(conn, &name)
            })
            .await?;
        Ok(found.is_none_or(|(position, _)| {
            position.state == State::None && position.refusal.is_empty()
        }))
    }
}

fn acquire(
    conn: &mut Conn,
    scene: &Scene,
    contact: &Contact,
    holder: &str,
    holder_epoch: i64,
) -> Result<Grant, Abort<Grant>> {
    gate::enter::<Abort<_>>(conn, scene, false)?;
    let (position, _) = steps::locked(conn, scene, contact)?;
    conversions::present(contact)?;
    completions::refuse_pending(conn, &position)?;
    let ours = epoch::current(conn)?.number;
    attached(conn, holder, holder_epoch, ours)?;
    tables::grants::grant_holder_register(conn, &contact.name, holder, holder_epoch, scene.now)?;
    // The position is left as it is: what newer facts fire is for the evaluator to find.
    Ok(grant(scene, position, ours))
}

/// Only a holder that has attached in both present epochs is given anything: of any other it is not
/// certain that it has revoked what it held before.
fn attached(
    conn: &mut Conn,
    holder: &str,
    holder_epoch: i64,
    ours: i64,
) -> Result<(), Abort<Grant>> {
    let present = Attachment {
        epoch: holder_epoch,
        attached_epoch: ours,
    };
    if tables::holders::holder_hold(conn, holder)? == Some(present) {
        return Ok(());
    }
    Err(Error::HolderDetached {
        holder: holder.to_owned(),
    }
    .into())
}

fn grant(scene: &Scene, position: Position, ours: i64) -> Grant {
    let lineage = &scene.lineage;
    let active = lineage.active();
    let stage = position
        .stage
        .as_deref()
        .filter(|_| position.state != State::None)
        .map(|stage| lineage.mapped(position.activation, stage));
    Grant {
        entitlements: company::entitlements(&active.policy, position.kind, stage.as_deref()),
        revision: position.grant_revision,
        activation: active.number,
        policy: active.reference.clone(),
        epoch: ours,
        role: lineage.role(stage.as_deref()),
        stage,
        position_revision: position.revision,
        contact: position.name,
    }
}
