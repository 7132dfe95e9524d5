//! Changing contacts.

use prost_types::FieldMask;
use proto::contacts::v1::contact::Kind;
use proto::contacts::v1::{Contact, Email, ExternalId, GetContactRequest, UpdateContactRequest};
use proto::errors::v1::Reason;
use tonic::Code;

use crate::support::{Suite, fields, is_replayed, name, on_each_engine, person, refused};

fn update(contact: Contact, paths: &[&str]) -> UpdateContactRequest {
    UpdateContactRequest {
        contact: Some(contact),
        update_mask: Some(FieldMask {
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        }),
        ..UpdateContactRequest::default()
    }
}

fn ada(contact: Contact) -> Contact {
    Contact {
        name: name("ada"),
        ..contact
    }
}

async fn changed(suite: &mut Suite, request: UpdateContactRequest) -> Contact {
    let answer = suite
        .contacts
        .update_contact(request)
        .await
        .expect("changed");
    answer.into_inner().contact.expect("a contact")
}

#[tokio::test]
async fn the_mask_says_what_changes() {
    on_each_engine(|mut suite| async move {
        let made = suite
            .create(
                "ada",
                Contact {
                    labels: [("tier".to_owned(), "gold".to_owned())].into(),
                    note: "old".into(),
                    ..person("Ada", "ada@example.com")
                },
            )
            .await;
        let new = ada(Contact {
            labels: [("area".to_owned(), "north".to_owned())].into(),
            note: "new".into(),
            display_name: "not this".into(),
            emails: vec![Email {
                address: "not an address".into(),
                ..Email::default()
            }],
            ..Contact::default()
        });
        let found = changed(&mut suite, update(new, &["note", "labels.area", "stage"])).await;
        assert_eq!(
            (found.note.as_str(), found.display_name.as_str()),
            ("new", "Ada")
        );
        assert_eq!(found.labels.len(), 2);
        assert_ne!(found.etag, made.etag);

        let all = ada(Contact {
            display_name: "Al".into(),
            ..Contact::default()
        });
        let found = changed(&mut suite, update(all.clone(), &["*"])).await;
        assert_eq!(found.display_name, "Al");
        assert!(found.labels.is_empty() && found.emails.is_empty() && found.note.is_empty());
        let same = changed(&mut suite, update(all, &["*"])).await;
        assert_eq!(
            same, found,
            "a change that changes nothing leaves the etag alone"
        );
    })
    .await;
}

#[tokio::test]
async fn bad_masks_are_refused() {
    on_each_engine(|mut suite| async move {
        suite
            .create(
                "ada",
                Contact {
                    requested_stage: "lead".into(),
                    ..Contact::default()
                },
            )
            .await;
        let answer = suite
            .contacts
            .update_contact(update(ada(Contact::default()), &[]))
            .await;
        refused(answer, Code::InvalidArgument, Reason::UpdateMaskRequired);
        for (path, contact) in [
            ("colour", Contact::default()),
            ("emails.address", Contact::default()),
            ("labels.UPPER", Contact::default()),
            (
                "kind",
                Contact {
                    kind: Kind::Company as i32,
                    ..Contact::default()
                },
            ),
            (
                "requested_stage",
                Contact {
                    requested_stage: "client".into(),
                    ..Contact::default()
                },
            ),
        ] {
            let answer = suite
                .contacts
                .update_contact(update(ada(contact), &[path]))
                .await;
            let metadata = refused(answer, Code::InvalidArgument, Reason::UpdateMaskInvalid);
            assert_eq!(metadata["path"], path);
        }
        let bad = ada(person("", "nobody"));
        let status = suite
            .contacts
            .update_contact(update(bad, &["emails"]))
            .await;
        assert_eq!(
            fields(&status.expect_err("refused")),
            ["contact.emails[0].address"]
        );
        let itself = ada(Contact {
            company: name("ada"),
            ..Contact::default()
        });
        let status = suite
            .contacts
            .update_contact(update(itself, &["company"]))
            .await;
        assert_eq!(fields(&status.expect_err("refused")), ["contact.company"]);
        let absent = Contact {
            name: name("nobody"),
            ..Contact::default()
        };
        let answer = suite
            .contacts
            .update_contact(update(absent, &["note"]))
            .await;
        refused(answer, Code::NotFound, Reason::ResourceNotFound);
    })
    .await;
}

#[tokio::test]
async fn every_field_of_a_contact_is_known_to_masks() {
    on_each_engine(|mut suite| async move {
        suite.create("ada", Contact::default()).await;
        let contact = proto::pool().get_message_by_name("clientele.contacts.v1.Contact");
        for field in contact.expect("the descriptor").fields() {
            let request = update(ada(Contact::default()), &[field.name()]);
            let answer = suite.contacts.update_contact(request).await;
            assert!(answer.is_ok(), "{}: {answer:?}", field.name());
        }
    })
    .await;
}

#[tokio::test]
async fn of_changes_at_once_over_one_etag_one_wins() {
    on_each_engine(|mut suite| async move {
        let made = suite.create("ada", Contact::default()).await;
        let calls = (0..12).map(|number| {
            let mut contacts = suite.contacts.clone();
            let note = format!("{number}");
            let mut request = update(
                ada(Contact {
                    note,
                    ..Contact::default()
                }),
                &["note"],
            );
            request.etag.clone_from(&made.etag);
            tokio::spawn(async move { contacts.update_contact(request).await })
        });
        let mut won = Vec::new();
        for call in futures::future::join_all(calls).await {
            match call.expect("no panic") {
                Ok(answer) => won.push(answer.into_inner().contact.expect("a contact")),
                Err(status) => {
                    assert_eq!(proto::status::reason(&status), Some(Reason::EtagMismatch));
                }
            }
        }
        assert_eq!(won.len(), 1);
        let request = GetContactRequest {
            name: name("ada"),
            ..GetContactRequest::default()
        };
        let found = suite
            .contacts
            .get_contact(request)
            .await
            .expect("found")
            .into_inner();
        assert_eq!(found.contact, won.pop());
        let stale = ada(Contact {
            etag: made.etag,
            note: "x".into(),
            ..Contact::default()
        });
        let answer = suite
            .contacts
            .update_contact(update(stale, &["note"]))
            .await;
        refused(answer, Code::Aborted, Reason::EtagMismatch);
    })
    .await;
}

#[tokio::test]
async fn no_change_at_once_is_lost() {
    on_each_engine(|mut suite| async move {
        suite.create("ada", Contact::default()).await;
        let calls = (0..12).map(|number| {
            let mut contacts = suite.contacts.clone();
            let key = format!("k{number}");
            let labels = [(key.clone(), "x".to_owned())].into();
            let path = format!("labels.{key}");
            let request = update(
                ada(Contact {
                    labels,
                    ..Contact::default()
                }),
                &[&path],
            );
            tokio::spawn(async move { contacts.update_contact(request).await })
        });
        for call in futures::future::join_all(calls).await {
            call.expect("no panic").expect("changed");
        }
        let request = GetContactRequest {
            name: name("ada"),
            ..GetContactRequest::default()
        };
        let found = suite
            .contacts
            .get_contact(request)
            .await
            .expect("found")
            .into_inner();
        assert_eq!(found.contact.expect("a contact").labels.len(), 12);
    })
    .await;
}

#[tokio::test]
async fn a_repeated_change_gives_the_first_answer() {
    on_each_engine(|mut suite| async move {
        suite.create("ada", Contact::default()).await;
        let mut request = update(
            ada(Contact {
                note: "1".into(),
                ..Contact::default()
            }),
            &["note"],
        );
        request.request_id = "0190163d-8694-739b-aea5-966c26f8ad91".into();
        let first = suite
            .contacts
            .update_contact(request.clone())
            .await
            .expect("changed");
        let other = update(
            ada(Contact {
                note: "2".into(),
                ..Contact::default()
            }),
            &["note"],
        );
        changed(&mut suite, other).await;
        let again = suite
            .contacts
            .update_contact(request)
            .await
            .expect("replayed");
        assert!(is_replayed(&again));
        assert_eq!(again.into_inner(), first.into_inner());
    })
    .await;
}

#[tokio::test]
async fn external_ids_move_only_when_they_are_free() {
    on_each_engine(|mut suite| async move {
        let erp = |id: &str| Contact {
            external_ids: vec![ExternalId {
                system: "erp".into(),
                id: id.into(),
            }],
            ..Contact::default()
        };
        suite.create("ada", erp("1")).await;
        suite.create("bob", erp("2")).await;
        let answer = suite
            .contacts
            .update_contact(update(ada(erp("2")), &["external_ids"]))
            .await;
        let metadata = refused(answer, Code::AlreadyExists, Reason::DuplicateIdentity);
        assert_eq!(metadata["existing"], name("bob"));
        changed(&mut suite, update(ada(erp("3")), &["external_ids"])).await;
        let bob = Contact {
            name: name("bob"),
            ..erp("1")
        };
        changed(&mut suite, update(bob, &["external_ids"])).await;
    })
    .await;
}

#[tokio::test]
async fn what_is_missing_is_created_if_allowed_and_checking_changes_nothing() {
    on_each_engine(|mut suite| async move {
        let mut request = update(ada(person("Ada", "ada@example.com")), &["display_name"]);
        request.allow_missing = true;
        request.validate_only = true;
        let answer = suite.contacts.update_contact(request.clone()).await;
        let shown = answer.expect("it would do").into_inner().contact;
        let shown = shown.expect("it");
        assert_eq!((shown.etag.as_str(), shown.update_time), ("", None));
        request.validate_only = false;
        let made = changed(&mut suite, request.clone()).await;
        assert_eq!((made.name, made.emails.len()), (name("ada"), 1));
        let mut check = update(
            ada(Contact {
                note: "x".into(),
                ..Contact::default()
            }),
            &["note"],
        );
        check.validate_only = true;
        let checked = changed(&mut suite, check).await;
        assert_eq!(checked.note, "x");
        let request = GetContactRequest {
            name: name("ada"),
            ..GetContactRequest::default()
        };
        let found = suite
            .contacts
            .get_contact(request)
            .await
            .expect("found")
            .into_inner();
        assert_eq!(found.contact.expect("a contact").note, "");
    })
    .await;
}
