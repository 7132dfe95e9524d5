//! Creating and reading.

use proto::contacts::v1::contact::{Kind, State};
use proto::contacts::v1::source::Channel;
use proto::contacts::v1::{
    BatchGetContactsRequest, Contact, CreateContactRequest, Email, ExternalId, GetContactRequest,
    GetServerInfoRequest, Phone, Source,
};
use proto::errors::v1::Reason;
use tonic::Code;

use crate::support::{PARENT, fields, is_replayed, name, on_each_engine, person, refused};

const REQUEST_ID: &str = "0190163d-8694-739b-aea5-966c26f8ad90";

fn create(contact: Contact) -> CreateContactRequest {
    CreateContactRequest {
        parent: PARENT.into(),
        contact: Some(contact),
        ..CreateContactRequest::default()
    }
}

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
async fn every_bad_field_is_in_one_answer() {
    on_each_engine(|mut suite| async move {
        let email = |address: &str| Email {
            address: address.into(),
            ..Email::default()
        };
        let bad = Contact {
            emails: vec![
                email("nobody"),
                email("ada@example.com"),
                email("a b@example.com"),
            ],
            phones: vec![Phone {
                number: "ring me".into(),
                ..Phone::default()
            }],
            company: "nonsense".into(),
            ..Contact::default()
        };
        let status = suite
            .contacts
            .create_contact(create(bad))
            .await
            .expect_err("refused");
        assert_eq!(
            fields(&status),
            [
                "contact.company",
                "contact.emails[0].address",
                "contact.emails[2].address",
                "contact.phones[0].number"
            ]
        );
        let nul = Contact {
            note: "a\0b".into(),
            ..Contact::default()
        };
        let answer = suite.contacts.create_contact(create(nul)).await;
        refused(answer, Code::InvalidArgument, Reason::FieldInvalid);
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
        for absent in [
            "workspaces/other/contacts/acme",
            "workspaces/w/contacts/nobody",
        ] {
            let answer = suite.contacts.create_contact(with(absent)).await;
            let metadata = refused(answer, Code::NotFound, Reason::ResourceNotFound);
            assert_eq!(metadata["resource"], absent);
        }
        let status = suite
            .contacts
            .create_contact(with(&name("ada")))
            .await
            .expect_err("refused");
        assert_eq!(fields(&status), ["contact.company"]);
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
        for absent in [name("z"), "workspaces/other/contacts/a".to_owned()] {
            request.names = vec![name("a"), absent.clone()];
            let answer = suite.contacts.batch_get_contacts(request.clone()).await;
            let metadata = refused(answer, Code::NotFound, Reason::ResourceNotFound);
            assert_eq!(metadata["resource"], absent);
        }
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
