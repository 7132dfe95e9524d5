//! Deleting, confirming, bringing back, purging.

use std::time::Duration;

use proto::contacts::v1::contact::State;
use proto::contacts::v1::{
    ConfirmRemovalRequest, Contact, DeleteContactRequest, GetContactRequest,
    UndeleteContactRequest, UpdateContactRequest,
};
use proto::errors::v1::Reason;
use tonic::{Code, Request};

use crate::support::{
    Suite, eventually, from_pipeline, is_replayed, name, on_each_engine, refused,
};

fn deletion(id: &str) -> DeleteContactRequest {
    DeleteContactRequest {
        name: name(id),
        ..DeleteContactRequest::default()
    }
}

async fn get(suite: &Suite, id: &str) -> Contact {
    let request = GetContactRequest {
        name: name(id),
        ..GetContactRequest::default()
    };
    let found = suite
        .contacts
        .clone()
        .get_contact(request)
        .await
        .expect("found");
    found.into_inner().contact.expect("a contact")
}

async fn confirm(suite: &Suite, id: &str) {
    let going = eventually("the removal", || async {
        Some(get(suite, id).await).filter(|contact| contact.state() == State::Deleting)
    })
    .await;
    let request = ConfirmRemovalRequest {
        name: name(id),
        etag: going.etag,
    };
    let mut contacts = suite.contacts.clone();
    contacts
        .confirm_removal(from_pipeline(request.clone()))
        .await
        .expect("confirmed");
    contacts
        .confirm_removal(from_pipeline(request))
        .await
        .expect("repeating changes nothing");
    let remover = get(suite, id).await.updater;
    assert_eq!(remover, going.updater, "whoever asked for it");
}

/// Deletes a contact, confirmed as the pipeline service would.
pub async fn delete(suite: &mut Suite, id: &str) -> Contact {
    let mut contacts = suite.contacts.clone();
    let (answer, ()) = tokio::join!(contacts.delete_contact(deletion(id)), confirm(suite, id));
    answer
        .expect("deleted")
        .into_inner()
        .contact
        .expect("a contact")
}

#[tokio::test]
async fn a_deletion_waits_for_its_confirmation() {
    on_each_engine(|mut suite| async move {
        let made = suite.create("ada", Contact::default()).await;
        let stale = DeleteContactRequest {
            etag: "\"x\"".into(),
            ..deletion("ada")
        };
        let answer = suite.contacts.delete_contact(stale).await;
        refused(answer, Code::Aborted, Reason::EtagMismatch);
        let begun = std::time::Instant::now();
        let gone = delete(&mut suite, "ada").await;
        assert!(
            begun.elapsed() < Duration::from_millis(1500),
            "it must not wait to the end"
        );
        assert_eq!(gone.state(), State::Deleted);
        assert!(gone.delete_time.is_some() && gone.purge_time.is_some());
        assert_ne!(gone.etag, made.etag);
        let answer = suite.contacts.delete_contact(deletion("ada")).await;
        refused(answer, Code::NotFound, Reason::ResourceNotFound);
        let allowed = DeleteContactRequest {
            allow_missing: true,
            ..deletion("ada")
        };
        suite
            .contacts
            .delete_contact(allowed)
            .await
            .expect("allowed");
        let absent = DeleteContactRequest {
            allow_missing: true,
            ..deletion("nobody")
        };
        let answer = suite
            .contacts
            .delete_contact(absent)
            .await
            .expect("allowed");
        assert_eq!(answer.into_inner().contact, None);
        let change = UpdateContactRequest {
            contact: Some(Contact {
                name: name("ada"),
                ..Contact::default()
            }),
            update_mask: Some(prost_types::FieldMask {
                paths: vec!["note".into()],
            }),
            ..UpdateContactRequest::default()
        };
        let answer = suite.contacts.update_contact(change).await;
        refused(answer, Code::FailedPrecondition, Reason::ResourceDeleted);
    })
    .await;
}

#[tokio::test]
async fn without_the_pipeline_a_deletion_stays_under_way_and_its_repetition_shows_the_present() {
    on_each_engine(|mut suite| async move {
        suite.create("ada", Contact::default()).await;
        let call = DeleteContactRequest {
            request_id: "0190163d-8694-739b-aea5-966c26f8ad92".into(),
            ..deletion("ada")
        };
        let mut hurried = Request::new(call.clone());
        hurried.set_timeout(Duration::from_millis(400));
        let begun = std::time::Instant::now();
        let answer = suite
            .contacts
            .delete_contact(hurried)
            .await
            .expect("accepted")
            .into_inner();
        assert!(begun.elapsed() < Duration::from_millis(400));
        assert_eq!(answer.contact.expect("a contact").state(), State::Deleting);
        let back = UndeleteContactRequest {
            name: name("ada"),
            ..UndeleteContactRequest::default()
        };
        let answer = suite.contacts.undelete_contact(back).await;
        let metadata = refused(answer, Code::Aborted, Reason::TransitionPending);
        assert_eq!(metadata["to"], "DELETED");
        let wrong = ConfirmRemovalRequest {
            name: name("ada"),
            etag: "\"0\"".into(),
        };
        let answer = suite
            .contacts
            .confirm_removal(from_pipeline(wrong.clone()))
            .await;
        refused(answer, Code::Aborted, Reason::EtagMismatch);
        let answer = suite.contacts.confirm_removal(wrong).await;
        refused(answer, Code::PermissionDenied, Reason::PermissionMissing);
        confirm(&suite, "ada").await;
        let again = suite.contacts.delete_contact(call).await.expect("replayed");
        assert!(is_replayed(&again));
        assert_eq!(
            again.into_inner().contact.expect("a contact").state(),
            State::Deleted
        );
    })
    .await;
}

#[tokio::test]
async fn a_deleted_contact_comes_back_until_it_is_purged() {
    on_each_engine(|mut suite| async move {
        suite
            .create(
                "ada",
                Contact {
                    note: "kept".into(),
                    ..Contact::default()
                },
            )
            .await;
        let back = UndeleteContactRequest {
            name: name("ada"),
            ..UndeleteContactRequest::default()
        };
        let answer = suite.contacts.undelete_contact(back.clone()).await;
        refused(answer, Code::AlreadyExists, Reason::ResourceExists);
        delete(&mut suite, "ada").await;
        let found = suite
            .contacts
            .undelete_contact(back.clone())
            .await
            .expect("undeleted");
        let found = found.into_inner().contact.expect("a contact");
        assert_eq!(
            (found.state(), found.note.as_str()),
            (State::Active, "kept")
        );
        assert!(found.delete_time.is_none() && found.purge_time.is_none());
        delete(&mut suite, "ada").await;
        suite.clock.advance(Duration::from_hours(31 * 24));
        // Its time is over, whether or not it was removed already.
        let answer = suite.contacts.undelete_contact(back.clone()).await;
        refused(answer, Code::NotFound, Reason::ResourceNotFound);
        // A new process looks at once at what is over.
        let mut suite = suite.restarted().await;
        eventually("the purge", || {
            let mut contacts = suite.contacts.clone();
            async move {
                let request = GetContactRequest {
                    name: name("ada"),
                    ..GetContactRequest::default()
                };
                contacts.get_contact(request).await.err()
            }
        })
        .await;
        let answer = suite.contacts.undelete_contact(back).await;
        refused(answer, Code::NotFound, Reason::ResourceNotFound);
    })
    .await;
}
