//! Where contacts stand, as the pipeline service tells it.

use proto::contacts::v1::{
    Contact, GetContactRequest, ListContactsRequest, RecordPositionsRequest, RecordedPosition,
    Role, UpdateContactRequest,
};
use proto::errors::v1::Reason;
use tonic::Code;
use types::{Service, Token, TokenKind};

use crate::support::{PARENT, Suite, from_pipeline, name, on_each_engine, refused};

/// A token as the pipeline service gives them out.
fn token(service: Service, epoch: i64, tx: i64) -> String {
    Token {
        kind: TokenKind::Consistency,
        service,
        epoch,
        tx,
        id: 0,
    }
    .to_string()
}

pub fn at(id: &str, stage: &str, role: Role, revision: i64) -> RecordedPosition {
    RecordedPosition {
        contact: name(id),
        stage: stage.into(),
        role: role as i32,
        revision,
    }
}

pub async fn record(suite: &Suite, positions: Vec<RecordedPosition>, tx: i64) -> i32 {
    record_in(suite, positions, 5, tx).await
}

/// The same in this epoch of the pipeline's database.
pub async fn record_in(
    suite: &Suite,
    positions: Vec<RecordedPosition>,
    epoch: i64,
    tx: i64,
) -> i32 {
    record_told(suite, positions, epoch, (epoch, tx)).await
}

/// The same where everything was told up to a transaction of an epoch.
async fn record_told(
    suite: &Suite,
    positions: Vec<RecordedPosition>,
    epoch: i64,
    (told, tx): (i64, i64),
) -> i32 {
    let complete_through = token(Service::Pipeline, told, tx);
    let request = from_pipeline(RecordPositionsRequest {
        positions,
        complete_through,
        epoch,
    });
    let mut contacts = suite.contacts.clone();
    contacts
        .record_positions(request)
        .await
        .expect("recorded")
        .into_inner()
        .recorded
}

/// The stage that a contact shows, and its revision.
pub async fn shown(suite: &Suite, id: &str) -> (String, i64) {
    let found = suite.contacts.clone().get_contact(get(id, &[])).await;
    let found = found.expect("found").into_inner().contact;
    let found = found.expect("a contact");
    (found.stage, found.position_revision)
}

fn get(id: &str, tokens: &[String]) -> GetContactRequest {
    GetContactRequest {
        name: name(id),
        at_least_as_fresh_as: tokens.to_vec(),
    }
}

#[tokio::test]
async fn only_a_newer_position_replaces_one_and_the_contact_stays_as_it_is() {
    on_each_engine(|mut suite| async move {
        let made = suite.create("ada", Contact::default()).await;
        let told = vec![
            at("ada", "lead", Role::Lead, 2),
            at("ada", "old", Role::Contact, 1),
            at("nobody", "lead", Role::Lead, 1),
        ];
        assert_eq!(record(&suite, told.clone(), 1).await, 1);
        assert_eq!(
            record(&suite, told, 1).await,
            0,
            "repeating changes nothing"
        );
        let found = suite
            .contacts
            .get_contact(get("ada", &[]))
            .await
            .expect("found")
            .into_inner();
        let found = found.contact.expect("a contact");
        assert_eq!((found.stage.as_str(), found.role()), ("lead", Role::Lead));
        assert_eq!(found.position_revision, 2);
        assert_eq!(
            (&found.etag, &found.update_time),
            (&made.etag, &made.update_time)
        );
        let change = UpdateContactRequest {
            contact: Some(Contact {
                name: name("ada"),
                etag: made.etag,
                stage: "x".into(),
                ..Contact::default()
            }),
            update_mask: Some(prost_types::FieldMask {
                paths: vec!["stage".into(), "note".into()],
            }),
            ..UpdateContactRequest::default()
        };
        let kept = suite
            .contacts
            .update_contact(change)
            .await
            .expect("the etag still holds");
        assert_eq!(kept.into_inner().contact.expect("a contact").stage, "lead");
        record(&suite, vec![at("ada", "", Role::Unspecified, 3)], 2).await;
        let found = suite
            .contacts
            .get_contact(get("ada", &[]))
            .await
            .expect("found")
            .into_inner();
        assert_eq!(
            found.contact.map(|found| (found.stage, found.role)),
            Some((String::new(), 0))
        );
    })
    .await;
}

#[tokio::test]
async fn lists_filter_by_what_was_told() {
    on_each_engine(|mut suite| async move {
        for id in ["a", "b", "c"] {
            suite.create(id, Contact::default()).await;
        }
        let told = vec![
            at("a", "won", Role::Client, 1),
            at("b", "demo", Role::Prospect, 1),
        ];
        record(&suite, told, 1).await;
        for (filter, expected) in [
            ("role = CLIENT", "a"),
            ("role != CLIENT", "b c"),
            ("stage = \"d*\" OR role = UNSPECIFIED", "b c"),
        ] {
            let mut request = ListContactsRequest {
                parent: PARENT.into(),
                filter: filter.into(),
                page_size: 1,
                ..ListContactsRequest::default()
            };
            let mut ids = Vec::new();
            loop {
                let page = suite
                    .contacts
                    .list_contacts(request.clone())
                    .await
                    .expect("a page");
                let page = page.into_inner();
                ids.extend(
                    page.contacts
                        .iter()
                        .map(|c| c.name[name("").len()..].to_owned()),
                );
                if page.next_page_token.is_empty() {
                    break;
                }
                request.page_token = page.next_page_token;
            }
            assert_eq!(ids.join(" "), expected, "{filter}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_read_waits_for_what_a_pipeline_token_stands_for() {
    on_each_engine(|mut suite| async move {
        suite.create("ada", Contact::default()).await;
        record(&suite, Vec::new(), 5).await;
        let fresh = token(Service::Pipeline, 5, 5);
        suite
            .contacts
            .get_contact(get("ada", &[fresh]))
            .await
            .expect("it is fresh");
        let wanted = token(Service::Pipeline, 5, 7);
        let mut contacts = suite.contacts.clone();
        let waiting = contacts.get_contact(get("ada", std::slice::from_ref(&wanted)));
        let mut waiting = std::pin::pin!(waiting);
        for _ in 0..5 {
            // Reads that came later are answered, this one is not.
            tokio::select! {
                biased;
                early = &mut waiting => panic!("it did not wait: {early:?}"),
                other = suite.contacts.get_contact(get("ada", &[])) => {
                    other.expect("a read that need not wait");
                }
            }
        }
        let telling = record(&suite, vec![at("ada", "lead", Role::Lead, 1)], 8);
        let (answer, _) = tokio::join!(waiting, telling);
        let found = answer
            .expect("it became fresh")
            .into_inner()
            .contact
            .expect("a contact");
        assert_eq!(found.stage, "lead");
        let list = ListContactsRequest {
            parent: PARENT.into(),
            at_least_as_fresh_as: vec![wanted],
            ..ListContactsRequest::default()
        };
        suite
            .contacts
            .list_contacts(list)
            .await
            .expect("it is fresh");

        let never = get("ada", &[token(Service::Pipeline, 5, 99)]);
        let answer = suite.contacts.get_contact(never).await;
        let metadata = refused(answer, Code::Unavailable, Reason::ConsistencyNotReached);
        assert_eq!(metadata["service"], "pipeline");
    })
    .await;
}

#[tokio::test]
async fn foreign_tokens_are_refused() {
    on_each_engine(|mut suite| async move {
        suite.create("ada", Contact::default()).await;
        record(&suite, Vec::new(), 5).await;
        for foreign in [
            token(Service::Billing, 1, 1),
            token(Service::Contacts, 1, 1),
            token(Service::Pipeline, 4, 9),
        ] {
            let answer = suite.contacts.get_contact(get("ada", &[foreign])).await;
            refused(
                answer,
                Code::InvalidArgument,
                Reason::ConsistencyTokenForeign,
            );
        }
        let twice = [
            token(Service::Pipeline, 5, 1),
            token(Service::Pipeline, 5, 2),
        ];
        for wrong in [&["junk".to_owned()][..], &twice] {
            let answer = suite.contacts.get_contact(get("ada", wrong)).await;
            refused(answer, Code::InvalidArgument, Reason::FieldInvalid);
        }
        let request = RecordPositionsRequest {
            complete_through: "junk".into(),
            epoch: 5,
            ..Default::default()
        };
        let answer = suite
            .contacts
            .record_positions(from_pipeline(request))
            .await;
        refused(answer, Code::InvalidArgument, Reason::FieldInvalid);
        let request = RecordPositionsRequest {
            complete_through: token(Service::Pipeline, 5, 9),
            epoch: 5,
            ..Default::default()
        };
        let answer = suite.contacts.record_positions(request).await;
        refused(answer, Code::PermissionDenied, Reason::PermissionMissing);
    })
    .await;
}

#[tokio::test]
async fn a_later_epoch_takes_revisions_back() {
    on_each_engine(|mut suite| async move {
        suite.create("ada", Contact::default()).await;
        suite.create("bob", Contact::default()).await;
        let told = vec![
            at("ada", "client", Role::Client, 7),
            at("bob", "lead", Role::Lead, 5),
        ];
        assert_eq!(record(&suite, told, 9).await, 2);
        // The restored database has lost two moves of one of them and gives their revisions out anew.
        let restored = vec![
            at("ada", "lead", Role::Lead, 5),
            at("bob", "lead", Role::Lead, 5),
        ];
        assert_eq!(record_in(&suite, restored, 6, 1).await, 1);
        let next = vec![at("ada", "prospect", Role::Prospect, 6)];
        assert_eq!(record_in(&suite, next, 6, 2).await, 1);
        // Whoever still tells of the life before is not heard.
        let late = vec![
            at("ada", "client", Role::Client, 8),
            at("bob", "client", Role::Client, 6),
        ];
        assert_eq!(record(&suite, late, 10).await, 0);
        for (id, stage, revision) in [("ada", "prospect", 6), ("bob", "lead", 5)] {
            let token = token(Service::Pipeline, 6, 2);
            let found = suite.contacts.get_contact(get(id, &[token])).await;
            let found = found.expect("found").into_inner().contact;
            let found = found.expect("a contact");
            assert_eq!(
                (found.stage.as_str(), found.position_revision),
                (stage, revision)
            );
        }
    })
    .await;
}

#[tokio::test]
async fn what_a_later_epoch_does_not_tell_is_shown_no_longer() {
    on_each_engine(|mut suite| async move {
        for id in ["ada", "bob", "eve"] {
            suite.create(id, Contact::default()).await;
        }
        let told = vec![
            at("ada", "client", Role::Client, 7),
            at("bob", "client", Role::Client, 3),
        ];
        assert_eq!(record(&suite, told, 9).await, 2);
        // Of the restored database's positions some were told; it has not said yet that these are all.
        let first = vec![at("ada", "lead", Role::Lead, 1)];
        assert_eq!(record_told(&suite, first, 6, (0, 0)).await, 1);
        assert_eq!(shown(&suite, "bob").await, ("client".to_owned(), 3));
        // Now it has: one of them was lost with the restore.
        assert_eq!(record_in(&suite, Vec::new(), 6, 1).await, 0);
        assert_eq!(shown(&suite, "ada").await, ("lead".to_owned(), 1));
        assert_eq!(shown(&suite, "bob").await, (String::new(), 0));
        let clients = ListContactsRequest {
            parent: PARENT.into(),
            filter: "role = CLIENT OR stage = \"client\"".into(),
            ..ListContactsRequest::default()
        };
        let clients = suite.contacts.list_contacts(clients).await.expect("a page");
        assert_eq!(clients.into_inner().contacts, []);
        // Whoever still tells of the life before is not heard, also of somebody who stood nowhere.
        let late = vec![
            at("bob", "client", Role::Client, 4),
            at("eve", "client", Role::Client, 1),
        ];
        assert_eq!(record(&suite, late, 10).await, 0);
        assert_eq!(shown(&suite, "eve").await, (String::new(), 0));
        // The position that is opened anew begins with the first revision.
        let anew = vec![at("bob", "lead", Role::Lead, 1)];
        assert_eq!(record_in(&suite, anew, 6, 2).await, 1);
        assert_eq!(shown(&suite, "bob").await, ("lead".to_owned(), 1));
    })
    .await;
}
