//! The contacts service, as the pipeline needs it.

use proto::contacts::v1::contact_service_client::ContactServiceClient;
use proto::contacts::v1::{
    BatchGetContactsRequest, ConfirmRemovalRequest, GetContactRequest, ListContactsRequest,
    RecordPositionsRequest, RecordedPosition, WatchContactsRequest, WatchContactsResponse,
    watch_contacts_request::Start,
};
use proto::errors::v1::Reason;
use serve::peer::{PeerError, request};
use serve::tls::ClientTls;
use serve::{Credential, Peer};
use tonic::{Code, Status, Streaming};
use types::{ContactName, Deadline};

use crate::domain::contacts::Contact;
use crate::error::Error;
use crate::wire;

const CONTACTS: &str = "contacts";

/// A channel to the contacts service. Clones share the connection.
#[derive(Clone, Debug)]
pub struct Contacts {
    peer: Peer,
    client: ContactServiceClient<Peer>,
}

/// What following the directory from a place comes to.
pub enum Followed {
    /// The stream.
    Stream(Box<Streaming<WatchContactsResponse>>),
    /// Changes after that place are gone: begin with a snapshot.
    Expired,
}

/// What asking for several contacts in one call comes to.
enum Batch {
    /// The contacts.
    Found(Vec<Contact>),
    /// The directory does not know one of them.
    Unknown,
    /// They have more data than one answer holds.
    TooLarge,
}

impl Contacts {
    /// A channel that connects at the first call.
    pub fn connect_lazy(
        uri: &str,
        credential: Credential,
        tls: Option<ClientTls>,
    ) -> Result<Self, PeerError> {
        let peer = Peer::connect_lazy_over(uri, "pipeline", tls)?.with_credential(credential);
        Ok(Self {
            client: ContactServiceClient::new(peer.clone())
                .max_decoding_message_size(MESSAGE_BYTES_MAX),
            peer,
        })
    }

    /// The contact as it is now.
    pub async fn get(&self, name: &ContactName, deadline: Deadline) -> Result<Contact, Error> {
        let answer = self
            .peer
            .retry(deadline, || {
                let mut client = self.client.clone();
                let message = GetContactRequest {
                    name: name.to_string(),
                    ..GetContactRequest::default()
                };
                async move { client.get_contact(request(deadline, message)).await }
            })
            .await;
        let answer = answer.map_err(|status| match status.code() {
            Code::NotFound => Error::no_contact(name),
            _ => failed(&status),
        })?;
        answer
            .into_inner()
            .contact
            .as_ref()
            .and_then(wire::contacts::contact)
            .ok_or(Error::Upstream { service: CONTACTS })
    }

    /// Contacts of one workspace as they are now, in the order of `ids`; `None` where the directory
    /// does not know one of them. Asked for in one call, or in several where they have more data than
    /// one answer holds.
    pub async fn batch_get(
        &self,
        workspace: &str,
        ids: &[String],
        deadline: Deadline,
    ) -> Result<Option<Vec<Contact>>, Error> {
        let mut found = Vec::with_capacity(ids.len());
        let (mut rest, mut share) = (ids, ids.len());
        while !rest.is_empty() {
            let (now, later) = rest.split_at(share.min(rest.len()));
            match self.batch_get_at_once(workspace, now, deadline).await? {
                Batch::Found(contacts) => {
                    found.extend(contacts);
                    rest = later;
                }
                Batch::Unknown => return Ok(None),
                // One contact fits into any answer.
                Batch::TooLarge if now.len() == 1 => {
                    return Err(Error::Upstream { service: CONTACTS });
                }
                Batch::TooLarge => share = now.len() / 2,
            }
        }
        Ok(Some(found))
    }

    async fn batch_get_at_once(
        &self,
        workspace: &str,
        ids: &[String],
        deadline: Deadline,
    ) -> Result<Batch, Error> {
        let message = BatchGetContactsRequest {
            parent: format!("workspaces/{workspace}"),
            names: ids
                .iter()
                .map(|id| ContactName::new(workspace, id).to_string())
                .collect(),
            ..BatchGetContactsRequest::default()
        };
        let answer = self
            .peer
            .retry(deadline, || {
                let mut client = self.client.clone();
                let message = message.clone();
                async move { client.batch_get_contacts(request(deadline, message)).await }
            })
            .await;
        match answer {
            Ok(answer) => {
                let found: Option<Vec<Contact>> = answer
                    .into_inner()
                    .contacts
                    .iter()
                    .map(wire::contacts::contact)
                    .collect();
                found
                    .map(Batch::Found)
                    .ok_or(Error::Upstream { service: CONTACTS })
            }
            Err(status) if status.code() == Code::NotFound => Ok(Batch::Unknown),
            Err(status) if proto::status::reason(&status) == Some(Reason::MessageTooLarge) => {
                Ok(Batch::TooLarge)
            }
            Err(status) => Err(failed(&status)),
        }
    }

    /// The person or group of a company that was created first, if there is any.
    pub async fn first_associate(
        &self,
        company: &ContactName,
        deadline: Deadline,
    ) -> Result<Option<Contact>, Error> {
        let message = ListContactsRequest {
            parent: company.parent().to_string(),
            filter: format!("company = \"{company}\" AND NOT kind = COMPANY AND state = ACTIVE"),
            order_by: "create_time".to_owned(),
            page_size: 1,
            ..ListContactsRequest::default()
        };
        let answer = self
            .peer
            .retry(deadline, || {
                let mut client = self.client.clone();
                let message = message.clone();
                async move { client.list_contacts(request(deadline, message)).await }
            })
            .await
            .map_err(|status| failed(&status))?;
        let contacts = answer.into_inner().contacts;
        Ok(contacts.first().and_then(wire::contacts::contact))
    }

    /// Follows the contacts of all workspaces: after a place, or from a snapshot on.
    pub async fn follow(&self, resume_token: Option<String>) -> Result<Followed, Error> {
        let message = WatchContactsRequest {
            parent: "workspaces/-".to_owned(),
            send_snapshot: resume_token.is_none(),
            // What we told ourselves is not news.
            filter: "change != POSITION_RECORDED".to_owned(),
            start: Some(resume_token.map_or(Start::Now(true), Start::ResumeToken)),
            ..WatchContactsRequest::default()
        };
        match self.client.clone().watch_contacts(message).await {
            Ok(stream) => Ok(Followed::Stream(Box::new(stream.into_inner()))),
            Err(status) if is_expired(&status) => Ok(Followed::Expired),
            Err(status) => Err(failed(&status)),
        }
    }

    /// Tells where contacts stand in this epoch of our database; `complete_through` says that
    /// everything up to that token of ours has been told with it.
    pub async fn record_positions(
        &self,
        positions: Vec<RecordedPosition>,
        epoch: i64,
        complete_through: String,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let message = RecordPositionsRequest {
            positions,
            complete_through,
            epoch,
        };
        self.client
            .clone()
            .record_positions(request(deadline, message))
            .await
            .map(|_| ())
            .map_err(|status| failed(&status))
    }

    /// Says that every grant on a contact that is being removed has been given back.
    pub async fn confirm_removal(
        &self,
        name: &ContactName,
        etag: &str,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let message = ConfirmRemovalRequest {
            name: name.to_string(),
            etag: etag.to_owned(),
        };
        self.client
            .clone()
            .confirm_removal(request(deadline, message))
            .await
            .map(|_| ())
            .map_err(|status| match status.code() {
                Code::NotFound => Error::no_contact(name),
                _ => failed(&status),
            })
    }
}

/// A page of a snapshot may hold many contacts with long notes.
const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// Whether a stream ended because changes after its place are gone.
pub fn is_expired(status: &Status) -> bool {
    proto::status::reason(status) == Some(Reason::ResumeTokenExpired)
}

/// What the peer said goes to the log: its refusals are about what we asked, not about our caller.
fn failed(status: &Status) -> Error {
    if status.code() == Code::DeadlineExceeded {
        return Error::DeadlineExceeded;
    }
    tracing::warn!(code = ?status.code(), message = status.message(), "contacts did not do what was asked");
    Error::Upstream { service: CONTACTS }
}
