//! The directory's rpcs, as far as pipeline calls them.

use std::pin::Pin;

use futures::Stream;
use prost::Message as _;
use proto::contacts::v1::contact_service_server::ContactService;
use proto::contacts::v1::watch_contacts_request::Start;
use proto::contacts::v1::watch_contacts_response::Event;
use proto::contacts::v1::{self, Contact, contact, contact_change};
use proto::errors::v1::Reason;
use proto::status::Refusal;
use tokio::sync::watch;
use tonic::{Request, Response, Status};
use types::{Token, TokenKind};

use super::{Directory, absent, token};

/// The largest answer that the directory gives.
const ANSWER_BYTES_MAX: usize = 4 << 20;

fn response(restores: i64, at: usize, event: Event) -> v1::WatchContactsResponse {
    v1::WatchContactsResponse {
        resume_token: token(TokenKind::Resume, restores, at),
        event: Some(event),
    }
}

struct Following {
    directory: Directory,
    changed: watch::Receiver<u64>,
    at: usize,
    first: Vec<v1::WatchContactsResponse>,
}

impl Following {
    async fn next(&mut self) -> v1::WatchContactsResponse {
        if !self.first.is_empty() {
            return self.first.remove(0);
        }
        loop {
            {
                let state = self.directory.state.lock().expect("nobody panicked");
                if let Some(contact) = state.log.get(self.at) {
                    let mut before = state.log[..self.at].iter();
                    let kind = if before.any(|before| before.name == contact.name) {
                        contact_change::Kind::Updated
                    } else {
                        contact_change::Kind::Created
                    };
                    self.at += 1;
                    let change = v1::ContactChange {
                        kind: kind as i32,
                        contact: Some(contact.clone()),
                        ..v1::ContactChange::default()
                    };
                    let changes = v1::ContactChanges {
                        changes: vec![change],
                        more: false,
                    };
                    return response(state.restores, self.at, Event::Changes(changes));
                }
            }
            let _ = self.changed.changed().await;
        }
    }
}

#[tonic::async_trait]
impl ContactService for Directory {
    async fn get_contact(
        &self,
        request: Request<v1::GetContactRequest>,
    ) -> Result<Response<v1::GetContactResponse>, Status> {
        let name = &request.get_ref().name;
        self.check(name)?;
        let contact = self.get(name).ok_or_else(|| absent(name))?;
        Ok(Response::new(v1::GetContactResponse {
            contact: Some(contact),
        }))
    }

    async fn batch_get_contacts(
        &self,
        request: Request<v1::BatchGetContactsRequest>,
    ) -> Result<Response<v1::BatchGetContactsResponse>, Status> {
        let names = request.into_inner().names;
        let contacts: Result<Vec<_>, Status> = names
            .iter()
            .map(|name| self.get(name).ok_or_else(|| absent(name)))
            .collect();
        let contacts = contacts?;
        names.iter().try_for_each(|name| self.check(name))?;
        let answer = v1::BatchGetContactsResponse { contacts };
        if answer.encoded_len() > ANSWER_BYTES_MAX {
            let refusal = Refusal::new(Reason::MessageTooLarge, "ask for fewer at once");
            return Err(refusal.into_status());
        }
        Ok(Response::new(answer))
    }

    async fn list_contacts(
        &self,
        request: Request<v1::ListContactsRequest>,
    ) -> Result<Response<v1::ListContactsResponse>, Status> {
        // Only asked for the persons of a company, the earliest first.
        let filter = request.into_inner().filter;
        let company = filter.split('"').nth(1).unwrap_or_default().to_owned();
        let state = self.state.lock().expect("nobody panicked");
        let mut found: Vec<Contact> = state
            .contacts
            .values()
            .filter(|contact| contact.company == company)
            .filter(|contact| contact.kind() != contact::Kind::Company)
            .filter(|contact| contact.state() == contact::State::Active)
            .cloned()
            .collect();
        found.sort_by_key(|contact| {
            let at = contact.create_time.unwrap_or_default();
            (at.seconds, at.nanos)
        });
        found.truncate(1);
        Ok(Response::new(v1::ListContactsResponse {
            contacts: found,
            next_page_token: String::new(),
        }))
    }

    type WatchContactsStream =
        Pin<Box<dyn Stream<Item = Result<v1::WatchContactsResponse, Status>> + Send>>;

    async fn watch_contacts(
        &self,
        request: Request<v1::WatchContactsRequest>,
    ) -> Result<Response<Self::WatchContactsStream>, Status> {
        let request = request.into_inner();
        assert_eq!(request.parent, "workspaces/-");
        let changed = self.changed.subscribe();
        let mut state = self.state.lock().expect("nobody panicked");
        let at = match &request.start {
            Some(Start::ResumeToken(token)) => {
                let token: Token = token.parse().expect("a token of this directory");
                usize::try_from(token.tx).expect("a place in the log")
            }
            _ => state.log.len(),
        };
        let resumed = matches!(request.start, Some(Start::ResumeToken(_)));
        if resumed && at < state.pruned && state.pruned > 0 && at + 1 < state.pruned {
            return Err(Refusal::new(Reason::ResumeTokenExpired, "gone").into_status());
        }
        let restores = state.restores;
        let mut first = Vec::new();
        if request.send_snapshot {
            let ends = std::mem::take(&mut state.breaks);
            let count = if ends { 1 } else { usize::MAX };
            let contacts = state.contacts.values().take(count).cloned().collect();
            if ends {
                let page = response(
                    restores,
                    at,
                    Event::Snapshot(v1::ContactSnapshotPage { contacts }),
                );
                return Ok(Response::new(Box::pin(futures::stream::iter([Ok(page)]))));
            }
            first.push(response(
                restores,
                at,
                Event::Snapshot(v1::ContactSnapshotPage { contacts }),
            ));
            first.push(response(
                restores,
                at,
                Event::SnapshotEnd(v1::ContactSnapshotEnd {}),
            ));
        }
        drop(state);
        let following = Following {
            directory: self.clone(),
            changed,
            at,
            first,
        };
        let stream = futures::stream::unfold(following, |mut following| async move {
            let message = following.next().await;
            Some((Ok(message), following))
        });
        Ok(Response::new(Box::pin(stream)))
    }

    async fn record_positions(
        &self,
        request: Request<v1::RecordPositionsRequest>,
    ) -> Result<Response<v1::RecordPositionsResponse>, Status> {
        let request = request.into_inner();
        let recorded = self.with(|state| {
            let mut newer = 0;
            for told in request.positions {
                let known = state.recorded.get(&told.contact);
                if known.is_none_or(|known| known.revision < told.revision) {
                    state.recorded.insert(told.contact.clone(), told);
                    newer += 1;
                }
            }
            state.complete_through = request.complete_through;
            newer
        });
        Ok(Response::new(v1::RecordPositionsResponse { recorded }))
    }

    async fn confirm_removal(
        &self,
        request: Request<v1::ConfirmRemovalRequest>,
    ) -> Result<Response<v1::ConfirmRemovalResponse>, Status> {
        let request = request.into_inner();
        let contact = self
            .get(&request.name)
            .ok_or_else(|| absent(&request.name))?;
        if contact.etag != request.etag {
            return Ok(Response::new(v1::ConfirmRemovalResponse {
                contact: Some(contact),
            }));
        }
        self.with(|state| state.confirmed.push(request.name.clone()));
        let contact = self.change(&request.name, |contact| {
            contact.state = contact::State::Deleted as i32;
        });
        Ok(Response::new(v1::ConfirmRemovalResponse {
            contact: Some(contact),
        }))
    }

    async fn create_contact(
        &self,
        _: Request<v1::CreateContactRequest>,
    ) -> Result<Response<v1::CreateContactResponse>, Status> {
        Err(Status::unimplemented("pipeline never calls it"))
    }

    async fn update_contact(
        &self,
        _: Request<v1::UpdateContactRequest>,
    ) -> Result<Response<v1::UpdateContactResponse>, Status> {
        Err(Status::unimplemented("pipeline never calls it"))
    }

    async fn delete_contact(
        &self,
        _: Request<v1::DeleteContactRequest>,
    ) -> Result<Response<v1::DeleteContactResponse>, Status> {
        Err(Status::unimplemented("pipeline never calls it"))
    }

    async fn undelete_contact(
        &self,
        _: Request<v1::UndeleteContactRequest>,
    ) -> Result<Response<v1::UndeleteContactResponse>, Status> {
        Err(Status::unimplemented("pipeline never calls it"))
    }

    async fn get_server_info(
        &self,
        _: Request<v1::GetServerInfoRequest>,
    ) -> Result<Response<v1::GetServerInfoResponse>, Status> {
        Err(Status::unimplemented("pipeline never calls it"))
    }
}
