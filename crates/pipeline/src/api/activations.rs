//! Activations: their names, and the stream that follows one.

use futures::Stream;
use proto::pipeline::v1::WatchPolicyActivationResponse;
use tonic::Status;
use types::Deadline;

use super::status::status;
use crate::app::App;
use crate::error::Error;
use crate::wire::policies;

/// How long one look at an activation may take, and how long nothing may be said about it.
const LOOK: std::time::Duration = std::time::Duration::from_secs(10);

/// Follows an activation until it is over. Refused at once where there is none.
pub(super) async fn watch(
    app: App,
    workspace: String,
    number: i64,
) -> Result<impl Stream<Item = Result<WatchPolicyActivationResponse, Status>> + Send + use<>, Status>
{
    app.get_activation(&workspace, number, Deadline::after(LOOK))
        .await
        .map_err(status)?;
    let watched = Watched {
        app,
        workspace,
        number,
        told: None,
    };
    Ok(futures::stream::unfold(Some(watched), |watched| async {
        let mut watched = watched?;
        match watched.next().await {
            Ok(Some(told)) => Some((Ok(told), Some(watched))),
            Ok(None) => None,
            Err(error) => Some((Err(status(error)), None)),
        }
    }))
}

/// An activation that is being followed.
struct Watched {
    app: App,
    workspace: String,
    number: i64,
    told: Option<WatchPolicyActivationResponse>,
}

impl Watched {
    /// The activation after its next change; none once it is over and told.
    async fn next(&mut self) -> Result<Option<WatchPolicyActivationResponse>, Error> {
        loop {
            let mut seen = self.app.store.seen();
            let found = self
                .app
                .get_activation(&self.workspace, self.number, Deadline::after(LOOK))
                .await?;
            let over = found.state.is_over();
            let told = WatchPolicyActivationResponse {
                activation: Some(policies::activation(&found)),
            };
            if self.told.as_ref() != Some(&told) {
                self.told = Some(told.clone());
                return Ok(Some(told));
            }
            if over {
                return Ok(None);
            }
            self.app.store.wait_for_change(&mut seen, LOOK).await;
        }
    }
}

/// An activation by its name.
pub(super) fn activation(path: &str, text: &str) -> Result<(String, i64), Status> {
    let parts: Vec<&str> = text.split('/').collect();
    match parts.as_slice() {
        ["workspaces", workspace, "policyActivations", number]
            if types::is_resource_id(workspace) =>
        {
            let number = number
                .parse()
                .map_err(|_| status(Error::field(path, "must end with the activation's number")))?;
            Ok(((*workspace).to_owned(), number))
        }
        _ => Err(status(Error::field(
            path,
            "must have the form `workspaces/{workspace}/policyActivations/{policy_activation}`",
        ))),
    }
}
