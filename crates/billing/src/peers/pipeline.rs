//! Pipeline: grants, recalls, fences.

use std::collections::BTreeSet;
use std::pin::pin;

use futures::{Stream, StreamExt as _};
use proto::convert;
use proto::errors::v1::Reason;
use proto::pipeline::v1;
use proto::pipeline::v1::entitlement_service_client::EntitlementServiceClient;
use proto::status;
use serve::peer::PeerError;
use serve::tls::ClientTls;
use serve::{Credential, Peer};
use tonic::{Code, Status};
use types::{ContactName, Deadline};

use crate::domain::grants::{Attachment, Fence, Grant, Recall};
use crate::domain::invoices::Party;
use crate::error::{Error, Kind};
use crate::wire;

/// What pipeline is called in refusals.
const UPSTREAM: &str = "pipeline";

/// The channel to pipeline. Clones share it.
#[derive(Clone, Debug)]
pub struct Pipeline {
    peer: Peer,
    client: EntitlementServiceClient<Peer>,
}

/// What waits for an acknowledgement, as pipeline tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Orders {
    /// Grants to narrow.
    pub recalls: Vec<Recall>,
    /// Fences to raise.
    pub fences: Vec<Fence>,
    /// The epoch of pipeline's database.
    pub epoch: i64,
}

impl Pipeline {
    /// A channel that connects at the first call.
    pub fn connect_lazy(
        uri: &str,
        credential: Credential,
        tls: Option<ClientTls>,
    ) -> Result<Self, PeerError> {
        let peer = Peer::connect_lazy_over(uri, "billing", tls)?.with_credential(credential);
        let client = EntitlementServiceClient::new(peer.clone());
        Ok(Self { peer, client })
    }

    /// Asks for a grant on a contact, registering `holder` for it.
    pub async fn grant_acquire(
        &self,
        contact: &ContactName,
        holder: &str,
        holder_epoch: i64,
        deadline: Deadline,
    ) -> Result<Grant, Error> {
        let answer = self
            .peer
            .retry(deadline, || {
                let mut client = self.client.clone();
                let request = v1::AcquireGrantRequest {
                    contact: contact.to_string(),
                    holder: holder.to_owned(),
                    holder_epoch,
                };
                async move {
                    client
                        .acquire_grant(serve::peer::request(deadline, request))
                        .await
                }
            })
            .await
            .map_err(|refused| refusal(&refused, contact, holder))?
            .into_inner();
        grant(answer)
            .filter(|grant| grant.contact == *contact)
            .ok_or_else(malformed)
    }

    /// Tells pipeline that this holder is there and has revoked what is of other epochs; answers
    /// pipeline's epoch.
    pub async fn holder_attach(
        &self,
        holder: &str,
        attached: Attachment,
        deadline: Deadline,
    ) -> Result<i64, Error> {
        let answer = self
            .peer
            .retry(deadline, || {
                let mut client = self.client.clone();
                let holder = holder.to_owned();
                let request = v1::AttachHolderRequest {
                    holder,
                    holder_epoch: attached.holder_epoch,
                    pipeline_epoch: attached.pipeline_epoch,
                };
                async move {
                    client
                        .attach_holder(serve::peer::request(deadline, request))
                        .await
                }
            })
            .await
            .map_err(|refused| failure(&refused))?;
        Ok(answer.into_inner().epoch)
    }

    /// The epoch of pipeline's database, learnt without telling anything: the first word of the stream
    /// of recalls.
    pub async fn epoch_learn(
        &self,
        holder: &str,
        holder_epoch: i64,
        deadline: Deadline,
    ) -> Result<i64, Error> {
        let first = async {
            let mut stream = pin!(self.recalls_watch(holder, holder_epoch).await?);
            match stream.next().await {
                Some(orders) => Ok(orders?.epoch),
                None => Err(Error::UpstreamUnavailable { upstream: UPSTREAM }),
            }
        };
        tokio::time::timeout_at(deadline.instant().into(), first)
            .await
            .unwrap_or(Err(Error::DeadlineExceeded))
    }

    /// Opens the stream of what waits for this holder's acknowledgement.
    pub async fn recalls_watch(
        &self,
        holder: &str,
        holder_epoch: i64,
    ) -> Result<impl Stream<Item = Result<Orders, Error>> + Send + use<>, Error> {
        let request = v1::WatchRecallsRequest {
            holder: holder.to_owned(),
            holder_epoch,
        };
        let stream = self
            .client
            .clone()
            .watch_recalls(request)
            .await
            .map_err(|refused| failure(&refused))?
            .into_inner();
        Ok(stream.map(|message| match message {
            Ok(message) => orders(message).ok_or_else(malformed),
            Err(refused) => Err(failure(&refused)),
        }))
    }

    /// Says that a grant was narrowed as told.
    pub async fn recall_acknowledge(
        &self,
        recall: &Recall,
        holder: &str,
        documents_exist: bool,
        attached: Attachment,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let request = v1::AcknowledgeRecallRequest {
            contact: recall.contact.to_string(),
            holder: holder.to_owned(),
            grant_revision: recall.revision,
            documents_exist,
            epoch: attached.pipeline_epoch,
        };
        self.peer
            .retry(deadline, || {
                let (mut client, request) = (self.client.clone(), request.clone());
                async move {
                    client
                        .acknowledge_recall(serve::peer::request(deadline, request))
                        .await
                }
            })
            .await
            .map_err(|refused| failure(&refused))?;
        Ok(())
    }

    /// Says that no grant below a policy activation is used any more.
    pub async fn fence_acknowledge(
        &self,
        fence: &Fence,
        holder: &str,
        attached: Attachment,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let request = v1::AcknowledgeFenceRequest {
            workspace: format!("workspaces/{}", fence.workspace),
            holder: holder.to_owned(),
            min_policy_activation: fence.min_policy_activation,
            epoch: attached.pipeline_epoch,
        };
        self.peer
            .retry(deadline, || {
                let (mut client, request) = (self.client.clone(), request.clone());
                async move {
                    client
                        .acknowledge_fence(serve::peer::request(deadline, request))
                        .await
                }
            })
            .await
            .map_err(|refused| failure(&refused))?;
        Ok(())
    }
}

fn malformed() -> Error {
    Error::Defect("pipeline's answer can't be read")
}

/// What pipeline's refusal of a contact's grant means to whoever asked billing.
fn refusal(refused: &Status, contact: &ContactName, holder: &str) -> Error {
    let metadata = status::metadata(refused);
    let value = |key: &str| metadata.get(key).cloned().unwrap_or_default();
    match status::reason(refused) {
        Some(Reason::TransitionPending) => Error::TransitionPending {
            contact: contact.clone(),
            to: value("to"),
            since: value("since"),
        },
        Some(Reason::ResourceNotFound) => Error::NotFound {
            kind: Kind::Contact,
            resource: contact.to_string(),
        },
        Some(Reason::ResourceDeleted) => Error::ContactDeleted {
            contact: contact.clone(),
        },
        Some(Reason::ContactMerged) => Error::ContactMerged {
            contact: contact.clone(),
            merged_into: value("merged_into"),
        },
        Some(Reason::ConcurrentUpdate) if value("resource") == holder => Error::HolderDetached,
        Some(Reason::ConcurrentUpdate) => Error::ConcurrentUpdate {
            resource: contact.to_string(),
        },
        _ => failure(refused),
    }
}

/// A call that brought no answer to speak of. Whatever keeps pipeline from answering is told as its
/// not being there, except that our caller's own deadline is over.
fn failure(refused: &Status) -> Error {
    if refused.code() == Code::DeadlineExceeded {
        return Error::DeadlineExceeded;
    }
    if refused.code() != Code::Unavailable {
        tracing::warn!(code = ?refused.code(), message = refused.message(), "pipeline refused");
    }
    Error::UpstreamUnavailable { upstream: UPSTREAM }
}

fn grant(answer: v1::AcquireGrantResponse) -> Option<Grant> {
    let grant = answer.grant?;
    let subject = answer.subject.unwrap_or_default();
    Some(Grant {
        contact: grant.contact.parse().ok()?,
        entitlements: grant.entitlements.into_iter().collect(),
        revision: grant.grant_revision,
        policy_activation: grant.policy_activation,
        policy_revision: grant.policy_revision,
        epoch: grant.epoch,
        stage: grant.stage,
        role: convert::role_from_wire(grant.role),
        subject: party(subject),
    })
}

/// The buyer that a contact is: its name for documents, or the one people read.
fn party(subject: v1::Subject) -> Party {
    let name = match subject.legal_name.as_str() {
        "" => subject.display_name,
        _ => subject.legal_name,
    };
    Party {
        name,
        address: subject
            .postal_addresses
            .first()
            .map(wire::address_from_wire),
        tax_id: subject.tax_id,
        email: subject.email,
    }
}

fn orders(message: v1::WatchRecallsResponse) -> Option<Orders> {
    let recalls: Option<Vec<Recall>> = message.recalls.into_iter().map(recall).collect();
    let fences: Option<Vec<Fence>> = message.fences.iter().map(fence).collect();
    Some(Orders {
        recalls: recalls?,
        fences: fences?,
        epoch: message.epoch,
    })
}

fn recall(recall: v1::Recall) -> Option<Recall> {
    Some(Recall {
        contact: recall.contact.parse().ok()?,
        revision: recall.grant_revision,
        entitlements: recall
            .entitlements
            .into_iter()
            .collect::<BTreeSet<String>>(),
        policy_activation: recall.policy_activation,
        stage: recall.stage,
        role: convert::role_from_wire(recall.role),
    })
}

fn fence(fence: &v1::Fence) -> Option<Fence> {
    let workspace: types::WorkspaceName = fence.workspace.parse().ok()?;
    Some(Fence {
        workspace: workspace.workspace,
        min_policy_activation: fence.min_policy_activation,
    })
}
