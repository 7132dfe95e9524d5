//! What makes a create safe: request ids, names that are taken, checking only.

use std::time::Duration;

use prost_types::FieldMask;
use proto::contacts::v1::import::Format;
use proto::contacts::v1::{
    CancelImportRequest, Contact, CreateContactRequest, ExternalId, GetContactRequest,
    GetServerInfoRequest, Source, UpdateContactRequest,
};
use proto::errors::v1::Reason;
use store::idempotency::Key;
use store::testing::{hold_key, older_transaction};
use tonic::Code;
use tonic_types::StatusExt as _;
use types::Token;

use crate::support::{REQUEST_ID, create, is_replayed, name, on_each_engine, person, refused};
use crate::transfer_support::{self, import};

#[tokio::test]
async fn a_repeated_create_gives_the_first_answer_even_after_a_restart() {
    on_each_engine(|mut suite| async move {
        let request = CreateContactRequest {
            request_id: REQUEST_ID.into(),
            contact_id: "ada".into(),
            ..create(Contact {
                external_ids: vec![ExternalId {
                    system: "erp".into(),
                    id: "7".into(),
                }],
                labels: [("tier", "gold"), ("area", "north"), ("size", "s")]
                    .map(|(key, value)| (key.to_owned(), value.to_owned()))
                    .into(),
                ..person("Ada", "ada@example.com")
            })
        };
        let first = suite
            .contacts
            .create_contact(request.clone())
            .await
            .expect("created");
        assert!(!is_replayed(&first));
        let again = suite
            .contacts
            .create_contact(request.clone())
            .await
            .expect("replayed");
        assert!(is_replayed(&again));
        let first = first.into_inner().contact;
        assert_eq!(again.into_inner().contact, first);

        let mut suite = suite.restarted().await;
        let mut upper = request.clone();
        upper.request_id = REQUEST_ID.to_uppercase();
        let again = suite
            .contacts
            .create_contact(upper)
            .await
            .expect("replayed");
        assert!(is_replayed(&again));
        assert_eq!(again.into_inner().contact, first);

        let mut other = request.clone();
        other.contact = Some(person("Al", "al@example.com"));
        let answer = suite.contacts.create_contact(other).await;
        refused(answer, Code::InvalidArgument, Reason::RequestIdReused);

        let zero = CreateContactRequest {
            request_id: "00000000-0000-0000-0000-000000000000".into(),
            ..create(Contact::default())
        };
        let answer = suite.contacts.create_contact(zero).await;
        refused(answer, Code::InvalidArgument, Reason::FieldInvalid);
    })
    .await;
}

#[tokio::test]
async fn every_token_covers_what_it_comes_with() {
    on_each_engine(|mut suite| async move {
        let older = older_transaction(suite.url());
        let request = CreateContactRequest {
            request_id: REQUEST_ID.into(),
            contact_id: "ada".into(),
            ..create(person("Ada", "ada@example.com"))
        };
        let first = suite.contacts.create_contact(request.clone()).await;
        let written = place(&first.expect("created").into_inner().consistency_token);
        let again = suite.contacts.create_contact(request).await;
        let again = again.expect("replayed").into_inner().consistency_token;
        let same = UpdateContactRequest {
            contact: Some(Contact {
                name: name("ada"),
                display_name: "Ada".into(),
                ..Contact::default()
            }),
            update_mask: Some(FieldMask {
                paths: vec!["display_name".into()],
            }),
            ..UpdateContactRequest::default()
        };
        let unchanged = suite.contacts.update_contact(same).await;
        let unchanged = unchanged.expect("nothing to do").into_inner();
        let info = suite.contacts.get_server_info(GetServerInfoRequest {});
        let info = info.await.expect("info").into_inner();
        for (what, token) in [
            ("a repetition", again),
            ("an update without a change", unchanged.consistency_token),
            ("the newest change", info.newest_token),
        ] {
            assert!(place(&token) >= written, "{what}");
        }

        let import = transfer_support::create(&mut suite, import(Format::Ndjson)).await;
        let cancel = CancelImportRequest { name: import };
        let ended = suite.transfers.cancel_import(cancel.clone()).await;
        let ended = place(&ended.expect("ended").into_inner().consistency_token);
        let again = suite.transfers.cancel_import(cancel).await;
        let again = again.expect("it is over").into_inner();
        assert!(place(&again.consistency_token) >= ended, "an import");
        drop(older);
    })
    .await;
}

/// Where in the log a token stands.
fn place(token: &str) -> (i64, i64, i64) {
    let Token { epoch, tx, id, .. } = token.parse().expect("a token");
    (epoch, tx, id)
}

#[tokio::test]
async fn an_empty_request_id_never_deduplicates_and_a_refusal_is_not_stored() {
    on_each_engine(|mut suite| async move {
        let request = create(person("Ada", "ada@example.com"));
        let one = suite
            .contacts
            .create_contact(request.clone())
            .await
            .expect("created");
        let two = suite
            .contacts
            .create_contact(request)
            .await
            .expect("created");
        assert_ne!(
            one.into_inner().contact.map(|c| c.name),
            two.into_inner().contact.map(|c| c.name)
        );

        let mut request = CreateContactRequest {
            request_id: REQUEST_ID.into(),
            ..create(person("Ada", "nobody"))
        };
        let answer = suite.contacts.create_contact(request.clone()).await;
        refused(answer, Code::InvalidArgument, Reason::FieldInvalid);
        request.contact = Some(person("Ada", "ada@example.com"));
        suite
            .contacts
            .create_contact(request)
            .await
            .expect("the id is still free");
    })
    .await;
}

#[tokio::test]
async fn twins_at_once_make_one_contact() {
    on_each_engine(|suite| async move {
        let request = CreateContactRequest {
            request_id: REQUEST_ID.into(),
            ..create(person("Ada", "ada@example.com"))
        };
        let calls = (0..16).map(|_| {
            let (mut contacts, request) = (suite.contacts.clone(), request.clone());
            tokio::spawn(async move { contacts.create_contact(request).await })
        });
        let mut names = std::collections::BTreeSet::new();
        for call in futures::future::join_all(calls).await {
            match call.expect("no panic") {
                Ok(answer) => {
                    names.insert(answer.into_inner().contact.expect("a contact").name);
                }
                Err(status) => assert_eq!(
                    proto::status::reason(&status),
                    Some(Reason::RequestInProgress),
                    "{status:?}"
                ),
            }
        }
        assert_eq!(names.len(), 1);
    })
    .await;
}

/// On PostgreSQL alone: whoever writes keeps all others from writing on SQLite, whatever they write.
#[tokio::test]
async fn a_key_that_is_being_written_elsewhere_says_so() {
    on_each_engine(|suite| async move {
        if !suite.engine.is_postgres() {
            return;
        }
        let key = Key {
            workspace: "w".into(),
            principal: "local".into(),
            method: "clientele.contacts.v1.ContactService/CreateContact".into(),
            request_id: REQUEST_ID.into(),
        };
        let held = hold_key(suite.service.store().clone(), key).await;
        let plain = CreateContactRequest {
            request_id: REQUEST_ID.into(),
            ..create(person("Ada", "ada@example.com"))
        };
        // One statement does it, or several.
        let mut referring = plain.clone();
        if let Some(contact) = &mut referring.contact {
            contact.company = name("nobody");
        }
        for request in [&plain, &referring] {
            let answer = suite.contacts.clone().create_contact(request.clone()).await;
            let status = answer.as_ref().expect_err("in progress");
            assert!(status.get_details_retry_info().is_some(), "{status:?}");
            refused(answer, Code::Aborted, Reason::RequestInProgress);
        }
        held.release().await;
        let answer = suite.contacts.clone().create_contact(plain).await;
        answer.expect("nobody has written it");
    })
    .await;
}

#[tokio::test]
async fn a_key_whose_time_is_over_is_that_of_a_new_request() {
    on_each_engine(|mut suite| async move {
        let mut request = CreateContactRequest {
            request_id: REQUEST_ID.into(),
            ..create(person("Ada", "ada@example.com"))
        };
        let first = suite.contacts.create_contact(request.clone()).await;
        let first = first.expect("created").into_inner().contact;
        suite.clock.advance(Duration::from_hours(7 * 24));
        let again = suite.contacts.create_contact(request.clone()).await;
        let again = again.expect("created anew");
        assert!(!is_replayed(&again));
        let again = again.into_inner().contact;
        assert_ne!(again.map(|one| one.name), first.map(|one| one.name));
        suite.clock.advance(Duration::from_hours(7 * 24));
        request.contact = Some(person("Bob", "bob@example.com"));
        suite
            .contacts
            .create_contact(request)
            .await
            .expect("another request");
    })
    .await;
}

#[tokio::test]
async fn what_is_taken_is_refused_by_name() {
    on_each_engine(|mut suite| async move {
        let erp = |id: &str| ExternalId {
            system: "erp".into(),
            id: id.into(),
        };
        let ada = Contact {
            external_ids: vec![erp("7")],
            ..person("Ada", "ada@example.com")
        };
        suite.create("ada", ada.clone()).await;
        let mut request = create(ada.clone());
        request.contact_id = "ada".into();
        let metadata = refused(
            suite.contacts.create_contact(request).await,
            Code::AlreadyExists,
            Reason::ResourceExists,
        );
        assert_eq!(metadata["resource"], name("ada"));
        // That a third contact has the external id is not told first by one engine and not the other.
        let bob = Contact {
            external_ids: vec![erp("9")],
            ..Contact::default()
        };
        suite.create("bob", bob.clone()).await;
        let mut request = create(bob);
        request.contact_id = "ada".into();
        let answer = suite.contacts.create_contact(request).await;
        let metadata = refused(answer, Code::AlreadyExists, Reason::ResourceExists);
        assert_eq!(metadata["resource"], name("ada"));

        for referrer in ["", "workspaces/w/contacts/ada"] {
            let mut twin = Contact {
                external_ids: vec![erp("8"), erp("7")],
                ..Contact::default()
            };
            twin.source = Some(Source {
                referrer: referrer.into(),
                ..Source::default()
            });
            let answer = suite.contacts.create_contact(create(twin)).await;
            let metadata = refused(answer, Code::AlreadyExists, Reason::DuplicateIdentity);
            assert_eq!(metadata["existing"], name("ada"));
            assert_eq!(metadata["system"], "erp");
        }
        let elsewhere = CreateContactRequest {
            parent: "workspaces/other".into(),
            contact_id: "ada".into(),
            ..create(ada)
        };
        suite
            .contacts
            .create_contact(elsewhere)
            .await
            .expect("another workspace is another one");
    })
    .await;
}

#[tokio::test]
async fn checking_only_leaves_nothing() {
    on_each_engine(|mut suite| async move {
        let mut request = CreateContactRequest {
            contact_id: "ada".into(),
            request_id: REQUEST_ID.into(),
            validate_only: true,
            ..create(person("Ada", "ada@example.com"))
        };
        let checked = suite
            .contacts
            .create_contact(request.clone())
            .await
            .expect("it would do");
        let checked = checked.into_inner();
        let contact = checked.contact.expect("a contact");
        assert_eq!(
            (contact.name.as_str(), checked.consistency_token.as_str()),
            ("", "")
        );
        let answer = suite
            .contacts
            .get_contact(GetContactRequest {
                name: name("ada"),
                ..GetContactRequest::default()
            })
            .await;
        refused(answer, Code::NotFound, Reason::ResourceNotFound);
        request.validate_only = false;
        suite
            .contacts
            .create_contact(request.clone())
            .await
            .expect("the real call");
        request.validate_only = true;
        request.request_id = String::new();
        let answer = suite.contacts.create_contact(request).await;
        refused(answer, Code::AlreadyExists, Reason::ResourceExists);
    })
    .await;
}
