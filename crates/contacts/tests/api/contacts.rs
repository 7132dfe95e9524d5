//! Creating and reading.

use proto::contacts::v1::contact::{Kind, State};
use proto::contacts::v1::source::Channel;
use proto::contacts::v1::{
    BatchGetContactsRequest, Contact, CreateContactRequest, GetContactRequest,
    GetServerInfoRequest, Phone, Source,
};
use proto::errors::v1::Reason;
use tonic::Code;

use crate::support::{PARENT, create, fields, name, on_each_engine, person, refused};

#[tokio::test]
async fn a_contact_is_created_and_read_again() {
    on_each_engine(|mut suite| async move {
        let given = Contact {
            phones: vec![Phone {
                number: "030 123456".into(),
                region: "DE".into(),
                ..Phone::default()
            }],
            attributes: Some(prost_types::Struct {
                fields: [("n".to_owned(), prost_types::Value::from(0.1))].into(),
            }),
            requested_stage: "lead".into(),
            ..person("Ada L", "Ada@Example.COM")
        };
        let answer = suite
            .contacts
            .create_contact(create(given.clone()))
            .await
            .expect("created");
        let answer = answer.into_inner();
        let made = answer.contact.expect("a contact");
        assert!(!answer.consistency_token.is_empty());
        assert_eq!(made.emails[0].address, "Ada@example.com");
        assert_eq!(made.phones[0].e164, "+4930123456");
        assert_eq!(made.kind(), Kind::Person);
        assert_eq!(made.state(), State::Active);
        assert_eq!(
            made.source.as_ref().map(Source::channel),
            Some(Channel::Direct)
        );
        assert_eq!((made.stage.as_str(), made.position_revision), ("", 0));
        assert_eq!(
            (made.creator.as_str(), made.requested_stage.as_str()),
            ("local", "lead")
        );
        assert_eq!(made.attributes, given.attributes);
        let request = GetContactRequest {
            name: made.name.clone(),
            at_least_as_fresh_as: vec![answer.consistency_token],
        };
        let found = suite.contacts.get_contact(request).await.expect("found");
        assert_eq!(found.into_inner().contact, Some(made));
    })
    .await;
}

#[tokio::test]
async fn a_name_is_made_where_none_is_given() {
    on_each_engine(|mut suite| async move {
        for (contact, expected) in [
            (
                Contact {
                    given_name: "Ada".into(),
                    family_name: "L".into(),
                    ..Contact::default()
                },
                "Ada L",
            ),
            (person("", "ada@example.com"), "ada@example.com"),
            (Contact::default(), ""),
        ] {
            let made = suite
                .contacts
                .create_contact(create(contact))
                .await
                .expect("created");
            assert_eq!(
                made.into_inner().contact.expect("a contact").display_name,
                expected
            );
        }
    })
    .await;
}

#[tokio::test]
async fn references_stay_in_the_workspace_and_companies_are_companies() {
    on_each_engine(|mut suite| async move {
        let company = Contact {
            kind: Kind::Company as i32,
            ..Contact::default()
        };
        suite.create("acme", company.clone()).await;
        suite.create("ada", Contact::default()).await;
        let elsewhere = CreateContactRequest {
            parent: "workspaces/other".into(),
            contact_id: "acme".into(),
            ..create(company)
        };
        suite
            .contacts
            .create_contact(elsewhere)
            .await
            .expect("created");
        let with = |company: &str| {
            create(Contact {
                company: company.into(),
                ..Contact::default()
            })
        };
        let made = suite
            .contacts
            .create_contact(with(&name("acme")))
            .await
            .expect("created");
        assert_eq!(
            made.into_inner().contact.expect("a contact").company,
            name("acme")
        );
        let answer = suite.contacts.create_contact(with(&name("nobody"))).await;
        let metadata = refused(answer, Code::NotFound, Reason::ResourceNotFound);
        assert_eq!(metadata["resource"], name("nobody"));
        for wrong in [name("ada"), "workspaces/other/contacts/acme".to_owned()] {
            let answer = suite.contacts.create_contact(with(&wrong)).await;
            let status = answer.expect_err("no company of this workspace");
            assert_eq!(status.code(), Code::InvalidArgument);
            assert_eq!(fields(&status), ["contact.company"]);
        }
    })
    .await;
}

#[tokio::test]
async fn a_batch_is_read_in_its_order_or_not_at_all() {
    on_each_engine(|mut suite| async move {
        for id in ["a", "b", "c"] {
            suite.create(id, Contact::default()).await;
        }
        let mut request = BatchGetContactsRequest {
            parent: PARENT.into(),
            names: ["c", "a", "c"].map(name).into(),
            ..BatchGetContactsRequest::default()
        };
        let found = suite
            .contacts
            .batch_get_contacts(request.clone())
            .await
            .expect("found");
        let names: Vec<String> = found
            .into_inner()
            .contacts
            .into_iter()
            .map(|contact| contact.name)
            .collect();
        assert_eq!(names, request.names);
        request.names = vec![name("a"), name("z")];
        let answer = suite.contacts.batch_get_contacts(request.clone()).await;
        let metadata = refused(answer, Code::NotFound, Reason::ResourceNotFound);
        assert_eq!(metadata["resource"], name("z"));
        request.names[1] = "workspaces/other/contacts/a".to_owned();
        let answer = suite.contacts.batch_get_contacts(request).await;
        let status = answer.expect_err("another workspace");
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(fields(&status), ["names[1]"]);
    })
    .await;
}

#[tokio::test]
async fn a_batch_is_never_larger_than_clients_read() {
    on_each_engine(|mut suite| async move {
        let large = Contact {
            urls: vec!["x".repeat(2_000); 50],
            ..Contact::default()
        };
        for id in 0..45 {
            suite.create(&format!("c{id}"), large.clone()).await;
        }
        let of = |names: Vec<String>| BatchGetContactsRequest {
            parent: PARENT.into(),
            names,
            ..BatchGetContactsRequest::default()
        };
        let names = |count: usize| (0..count).map(|id| name(&format!("c{id}"))).collect();
        let found = suite.contacts.batch_get_contacts(of(names(40))).await;
        assert_eq!(found.expect("found").into_inner().contacts.len(), 40);
        for too_many in [names(45), vec![name("c1"); 45]] {
            let answer = suite.contacts.batch_get_contacts(of(too_many)).await;
            let metadata = refused(answer, Code::ResourceExhausted, Reason::MessageTooLarge);
            assert_eq!(metadata["limit_bytes"], "4194304");
        }
        let answer = suite.contacts.batch_get_contacts(of(names(1_001))).await;
        refused(answer, Code::InvalidArgument, Reason::FieldInvalid);
    })
    .await;
}

#[tokio::test]
async fn naughty_texts_come_back_byte_for_byte() {
    let mut texts: Vec<String> = [
        "'; DROP TABLE contacts; --",
        "%_\\",
        "\u{feff}x",
        "e\u{301}",
        "\u{202e}abc",
        "😀\u{200d}",
        "\u{1}\u{8}\u{7f}",
        "\r\n\t",
        "  padded  ",
        "NULL",
        "\u{fffd}",
        "\u{10ffff}",
    ]
    .map(str::to_owned)
    .into();
    if let Ok(truth) = std::env::var("CLIENTELE_TRUTH") {
        let path = format!("{truth}/hostile/raw/blns.json");
        let file = std::fs::read_to_string(path).expect("the truth has the naughty strings");
        let value: serde_json::Value = serde_json::from_str(&file).expect("JSON");
        let found = value
            .as_array()
            .or_else(|| value["strings"].as_array())
            .expect("a list");
        texts.extend(
            found
                .iter()
                .filter_map(|text| text.as_str())
                .map(str::to_owned),
        );
    } else {
        eprintln!("CLIENTELE_TRUTH is not set: its naughty strings are left out");
    }
    on_each_engine(|mut suite| {
        let texts = texts.clone();
        async move {
            for text in texts {
                let short: String = text.chars().take(200).collect();
                let given = Contact {
                    note: text.clone(),
                    family_name: short.clone(),
                    labels: [("k".to_owned(), short.clone())].into(),
                    ..Contact::default()
                };
                match suite.contacts.create_contact(create(given)).await {
                    Ok(made) => {
                        let made = made.into_inner().contact.expect("a contact");
                        let request = GetContactRequest {
                            name: made.name,
                            ..GetContactRequest::default()
                        };
                        let found = suite.contacts.get_contact(request).await.expect("found");
                        let found = found.into_inner().contact.expect("a contact");
                        assert_eq!((found.note, found.family_name), (text, short.clone()));
                        assert_eq!(found.labels["k"], short);
                    }
                    Err(status) => assert_eq!(status.code(), Code::InvalidArgument, "{text:?}"),
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn the_server_says_what_it_is() {
    on_each_engine(|mut suite| async move {
        let info = suite
            .contacts
            .get_server_info(GetServerInfoRequest {})
            .await
            .expect("info");
        let info = info.into_inner();
        assert!(!info.version.is_empty() && info.capabilities["watch"]);
        let request = GetContactRequest {
            name: name("nobody"),
            at_least_as_fresh_as: vec![info.newest_token],
        };
        let answer = suite.contacts.get_contact(request).await;
        refused(answer, Code::NotFound, Reason::ResourceNotFound);
    })
    .await;
}
