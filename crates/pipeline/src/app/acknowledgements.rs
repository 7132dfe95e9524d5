//! What holders of grants tell about one: that they have narrowed it.

use store::{Conn, epoch};
use types::{ContactName, Deadline};

use super::gate::{self, Scene};
use super::{ATTEMPTS_MAX, Abort, App, completions};
use crate::error::Error;
use crate::store as tables;

/// A holder says that it narrowed a grant.
#[derive(Clone, Debug)]
pub struct Acknowledgement {
    /// The contact.
    pub contact: ContactName,
    /// The holder.
    pub holder: String,
    /// The recall's revision.
    pub revision: i64,
    /// Whether a document was ever issued under the contact's grants.
    pub documents_exist: bool,
    /// The epoch the recall was told with.
    pub epoch: i64,
}

impl App {
    /// Takes an acknowledgement; whether the move that waited is complete with it. One that is not
    /// for exactly the recall that waits changes nothing.
    pub async fn acknowledge_recall(
        &self,
        told: Acknowledgement,
        deadline: Deadline,
    ) -> Result<bool, Error> {
        let workspace = told.contact.workspace.clone();
        let completed = self
            .in_scene(
                &workspace,
                deadline,
                "recall.acknowledge",
                move |conn, scene| acknowledge(conn, scene, &told),
            )
            .await?;
        if completed {
            self.wake_evaluator();
        }
        Ok(completed)
    }

    /// Runs a transaction in a workspace, again when its policies have changed meanwhile.
    pub async fn in_scene<T, F>(
        &self,
        workspace: &str,
        deadline: Deadline,
        op: &'static str,
        run: F,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Fn(&mut Conn, &Scene) -> Result<T, Abort<T>> + Clone + Send + Sync + 'static,
    {
        let mut lineage = self.lineage(workspace, deadline).await?;
        for _ in 0..ATTEMPTS_MAX {
            let scene = self.scene(lineage, workspace, policy::POLICY_ACTOR, "");
            let run = run.clone();
            let done = self
                .store
                .reserved()
                .within(workspace)
                .write(op, deadline, move |conn| run(conn, &scene))
                .await;
            match done {
                Ok(done) => return Ok(done),
                Err(Abort::Preview(done)) => return Ok(*done),
                Err(Abort::Error(error)) => return Err(*error),
                Err(Abort::Stale(_)) => lineage = self.lineage_read(workspace, deadline).await?,
            }
        }
        Err(Error::ConcurrentUpdate {
            resource: format!("workspaces/{workspace}"),
        })
    }
}

fn acknowledge(
    conn: &mut Conn,
    scene: &Scene,
    told: &Acknowledgement,
) -> Result<bool, Abort<bool>> {
    gate::enter::<Abort<bool>>(conn, scene, true)?;
    let ours = epoch::current(conn)?.number;
    let awaited = |conn: &mut Conn| -> Result<Option<String>, store::Error> {
        let pending = tables::pending::pending_get(conn, &told.contact)?;
        Ok(pending
            .filter(|pending| pending.recall_revision == told.revision && told.epoch == ours)
            .map(|pending| pending.batch))
    };
    let Some(batch) = awaited(conn)? else {
        return Ok(false);
    };
    // In the order of names, so that acknowledgements of one batch never lock crosswise.
    for pending in tables::pending::pendings_of_batch(conn, &scene.workspace, &batch)? {
        tables::positions::position_lock(conn, &pending.contact)?;
    }
    if awaited(conn)?.is_none() {
        return Ok(false);
    }
    tables::grants::grant_holder_acknowledge(
        conn,
        &told.contact,
        &told.holder,
        told.revision,
        told.documents_exist,
    )?;
    Ok(completions::complete(conn, scene, &batch)?.is_some())
}
