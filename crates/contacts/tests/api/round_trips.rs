//! Reading a contact, changing it and writing it back.

use proto::contacts::v1::contact::Kind;
use proto::contacts::v1::{
    Contact, DeleteContactRequest, GetContactRequest, Identity, Interest, Source,
    UndeleteContactRequest, UpdateContactRequest,
};
use proto::errors::v1::Reason;
use tonic::Code;

use crate::removals::delete;
use crate::support::{Suite, name, on_each_engine, refused};

fn update(contact: Contact, paths: &[&str]) -> UpdateContactRequest {
    UpdateContactRequest {
        contact: Some(contact),
        update_mask: Some(prost_types::FieldMask {
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        }),
        ..UpdateContactRequest::default()
    }
}

async fn written(suite: &mut Suite, contact: Contact, paths: &[&str]) -> Contact {
    let answer = suite.contacts.update_contact(update(contact, paths)).await;
    answer.expect("updated").into_inner().contact.expect("it")
}

async fn read(suite: &mut Suite, id: &str) -> Contact {
    let request = GetContactRequest {
        name: name(id),
        ..GetContactRequest::default()
    };
    let answer = suite.contacts.get_contact(request).await.expect("found");
    answer.into_inner().contact.expect("it")
}

#[tokio::test]
async fn a_derived_name_that_is_written_back_goes_on_following_the_others() {
    on_each_engine(|mut suite| async move {
        let made = Contact {
            given_name: "Ada".into(),
            family_name: "L".into(),
            ..Contact::default()
        };
        suite.create("ada", made).await;
        for (family_name, paths) in [("K", vec!["*"]), ("M", vec!["display_name", "family_name"])] {
            let mut contact = read(&mut suite, "ada").await;
            contact.family_name = family_name.into();
            let now = written(&mut suite, contact, &paths).await;
            assert_eq!(now.display_name, format!("Ada {family_name}"));
        }
        let mut contact = read(&mut suite, "ada").await;
        contact.display_name = "Countess".into();
        written(&mut suite, contact, &["*"]).await;
        let mut contact = read(&mut suite, "ada").await;
        contact.given_name = "A.".into();
        let now = written(&mut suite, contact, &["*"]).await;
        assert_eq!(now.display_name, "Countess", "a name that was chosen stays");
    })
    .await;
}

#[tokio::test]
async fn references_that_stay_as_they_are_are_no_reason_to_refuse() {
    on_each_engine(|mut suite| async move {
        let company = Contact {
            kind: Kind::Company.into(),
            display_name: "Example".into(),
            ..Contact::default()
        };
        suite.create("example", company.clone()).await;
        suite.create("other", company).await;
        suite.create("friend", Contact::default()).await;
        let made = Contact {
            company: name("example"),
            source: Some(Source {
                referrer: name("friend"),
                ..Source::default()
            }),
            ..Contact::default()
        };
        suite.create("ada", made).await;
        for id in ["example", "friend", "other"] {
            delete(&mut suite, id).await;
        }
        let mut contact = read(&mut suite, "ada").await;
        contact.note = "new".into();
        let now = written(&mut suite, contact.clone(), &["*"]).await;
        assert_eq!((now.note.as_str(), now.company), ("new", name("example")));
        contact.etag.clear();
        contact.company = name("other");
        let answer = suite.contacts.update_contact(update(contact, &["company"]));
        refused(
            answer.await,
            Code::FailedPrecondition,
            Reason::ResourceDeleted,
        );
    })
    .await;
}

#[tokio::test]
async fn what_was_only_checked_has_no_etag_that_would_pass_later() {
    on_each_engine(|mut suite| async move {
        suite.create("ada", Contact::default()).await;
        let changed = Contact {
            name: name("ada"),
            note: "new".into(),
            ..Contact::default()
        };
        let request = UpdateContactRequest {
            validate_only: true,
            ..update(changed, &["note"])
        };
        let answer = suite
            .contacts
            .update_contact(request)
            .await
            .expect("checked");
        let shown = answer.into_inner().contact.expect("it");
        assert_eq!((shown.note.as_str(), shown.etag.as_str()), ("new", ""));
        assert_eq!(shown.update_time, None);
        let request = DeleteContactRequest {
            name: name("ada"),
            validate_only: true,
            ..DeleteContactRequest::default()
        };
        let answer = suite
            .contacts
            .delete_contact(request)
            .await
            .expect("checked");
        let shown = answer.into_inner().contact.expect("it");
        assert_eq!((shown.etag.as_str(), shown.update_time), ("", None));
        delete(&mut suite, "ada").await;
        let request = UndeleteContactRequest {
            name: name("ada"),
            validate_only: true,
            ..UndeleteContactRequest::default()
        };
        let answer = suite
            .contacts
            .undelete_contact(request)
            .await
            .expect("checked");
        let shown = answer.into_inner().contact.expect("it");
        assert_eq!((shown.etag.as_str(), shown.update_time), ("", None));
    })
    .await;
}

#[tokio::test]
async fn a_mask_over_nothing_makes_nobody_interested_or_verified() {
    on_each_engine(|mut suite| async move {
        suite.create("ada", Contact::default()).await;
        let blank = Contact {
            name: name("ada"),
            ..Contact::default()
        };
        let paths = ["interest.evidence", "identity.method"];
        let now = written(&mut suite, blank.clone(), &paths).await;
        assert_eq!((now.interest, now.identity), (None, None));
        let at = Some(prost_types::Timestamp {
            seconds: 1_700_000_000,
            nanos: 0,
        });
        let known = Contact {
            interest: Some(Interest {
                expressed_time: at,
                evidence: "asked".into(),
            }),
            identity: Some(Identity {
                verified_time: at,
                method: "called back".into(),
            }),
            ..blank.clone()
        };
        let now = written(&mut suite, known, &["interest", "identity"]).await;
        assert!(now.interest.is_some() && now.identity.is_some());
        let now = written(&mut suite, blank, &["identity.verified_time"]).await;
        assert!(now.interest.is_some() && now.identity.is_none());
    })
    .await;
}
