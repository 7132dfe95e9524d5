//! Bad requests: one answer names every bad field.

use prost_types::FieldMask;
use proto::contacts::v1::import::Format;
use proto::contacts::v1::{
    BatchGetContactsRequest, Contact, CreateContactRequest, CreateImportRequest, Email,
    GetContactRequest, Import, ListContactsRequest, ListImportsRequest, Phone,
    UpdateContactRequest, WatchContactsRequest,
};
use proto::errors::v1::Reason;
use tonic::{Code, Status};

use crate::support::{PARENT, create, fields, name, on_each_engine, person, refused};

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
    })
    .await;
}

/// The reason of a refusal, and the fields that it names.
fn told(status: &Status) -> (Option<Reason>, Vec<String>) {
    (proto::status::reason(status), fields(status))
}

fn invalid(fields: &[&str]) -> (Option<Reason>, Vec<String>) {
    let fields = fields.iter().map(|field| (*field).to_owned()).collect();
    (Some(Reason::FieldInvalid), fields)
}

#[tokio::test]
async fn what_the_proto_states_and_what_only_the_service_knows_is_one_answer() {
    on_each_engine(|mut suite| async move {
        let bad = Contact {
            given_name: "x".repeat(301),
            note: "a\0b".into(),
            company: name("ada"),
            emails: vec![Email {
                address: "nobody".into(),
                ..Email::default()
            }],
            phones: vec![
                Phone {
                    number: "ring me".into(),
                    ..Phone::default()
                },
                Phone::default(),
            ],
            ..Contact::default()
        };
        let request = CreateContactRequest {
            contact_id: "ada".into(),
            request_id: "00000000-0000-0000-0000-000000000000".into(),
            ..create(bad)
        };
        let answer = suite.contacts.create_contact(request.clone()).await;
        let expected = invalid(&[
            "contact.given_name",
            "contact.phones[1].number",
            "contact.note",
            "request_id",
            "contact.emails[0].address",
            "contact.phones[0].number",
            "contact.company",
        ]);
        assert_eq!(told(&answer.expect_err("refused")), expected);

        // Whoever mends them all is accepted at once; nothing was changed before.
        let good = CreateContactRequest {
            request_id: String::new(),
            ..create(person("Ada", "ada@example.com"))
        };
        let get = GetContactRequest {
            name: name("ada"),
            ..GetContactRequest::default()
        };
        let absent = suite.contacts.get_contact(get).await;
        refused(absent, Code::NotFound, Reason::ResourceNotFound);
        let good = CreateContactRequest {
            contact_id: request.contact_id,
            ..good
        };
        suite.contacts.create_contact(good).await.expect("created");
    })
    .await;
}

#[tokio::test]
async fn a_bad_change_is_told_whole() {
    on_each_engine(|mut suite| async move {
        suite.create("ada", person("Ada", "ada@example.com")).await;
        let bad = UpdateContactRequest {
            contact: Some(Contact {
                name: name("ada"),
                title: "x".repeat(301),
                emails: person("", "nobody").emails,
                phones: vec![Phone {
                    number: "ring me".into(),
                    ..Phone::default()
                }],
                ..Contact::default()
            }),
            update_mask: Some(FieldMask {
                paths: vec!["emails".into(), "colour".into()],
            }),
            ..UpdateContactRequest::default()
        };
        let answer = suite.contacts.update_contact(bad.clone()).await;
        let expected = ["contact.title", "update_mask", "contact.emails[0].address"];
        assert_eq!(told(&answer.expect_err("refused")), invalid(&expected));
        // A contact that may be made of it needs them all.
        let answer = suite.contacts.update_contact(UpdateContactRequest {
            allow_missing: true,
            ..bad.clone()
        });
        let expected = [&expected[..], &["contact.phones[0].number"]].concat();
        assert_eq!(
            told(&answer.await.expect_err("refused")),
            invalid(&expected)
        );
        // A mask alone keeps its own reason.
        let answer = suite
            .contacts
            .update_contact(UpdateContactRequest {
                contact: Some(Contact {
                    name: name("ada"),
                    ..Contact::default()
                }),
                ..bad
            })
            .await;
        let status = answer.expect_err("refused");
        let expected = invalid(&["update_mask", "contact.emails[0].address"]).1;
        assert_eq!(fields(&status), expected[..1]);
        assert_eq!(
            proto::status::reason(&status),
            Some(Reason::UpdateMaskInvalid)
        );
    })
    .await;
}

#[tokio::test]
async fn a_bad_list_is_told_whole() {
    on_each_engine(|mut suite| async move {
        let bad = ListContactsRequest {
            parent: PARENT.into(),
            page_size: -1,
            filter: "colour = red".into(),
            order_by: "note".into(),
            page_token: "x".into(),
            at_least_as_fresh_as: vec!["nonsense".into()],
            ..ListContactsRequest::default()
        };
        let answer = suite.contacts.list_contacts(bad.clone()).await;
        let expected = [
            "page_size",
            "filter",
            "order_by",
            "page_token",
            "at_least_as_fresh_as[0]",
        ];
        assert_eq!(told(&answer.expect_err("refused")), invalid(&expected));
        let only_filter = ListContactsRequest {
            parent: PARENT.into(),
            filter: bad.filter.clone(),
            ..ListContactsRequest::default()
        };
        let answer = suite.contacts.list_contacts(only_filter).await;
        let metadata = refused(answer, Code::InvalidArgument, Reason::FilterInvalid);
        assert_eq!(metadata["field"], "colour");

        let bad = ListImportsRequest {
            parent: PARENT.into(),
            page_size: -1,
            filter: "colour = red".into(),
            order_by: "state".into(),
            ..ListImportsRequest::default()
        };
        let answer = suite.transfers.list_imports(bad).await;
        let expected = ["page_size", "filter", "order_by"];
        assert_eq!(told(&answer.expect_err("refused")), invalid(&expected));

        let bad = BatchGetContactsRequest {
            parent: PARENT.into(),
            names: vec![String::new(), "nonsense".into(), name("ada")],
            at_least_as_fresh_as: vec!["nonsense".into()],
        };
        let answer = suite.contacts.batch_get_contacts(bad).await;
        let expected = ["names[0]", "names[1]", "at_least_as_fresh_as[0]"];
        assert_eq!(told(&answer.expect_err("refused")), invalid(&expected));
    })
    .await;
}

#[tokio::test]
async fn a_bad_watch_and_a_bad_import_are_told_whole() {
    on_each_engine(|mut suite| async move {
        let bad = WatchContactsRequest {
            parent: PARENT.into(),
            heartbeat_interval: Some(prost_types::Duration {
                seconds: 1,
                nanos: 0,
            }),
            filter: "colour = red".into(),
            start: Some(
                proto::contacts::v1::watch_contacts_request::Start::ResumeToken("x".into()),
            ),
            send_snapshot: true,
        };
        let answer = suite.contacts.watch_contacts(bad).await;
        let status = answer.expect_err("refused");
        let expected = [
            "heartbeat_interval",
            "filter",
            "resume_token",
            "send_snapshot",
        ];
        assert_eq!(told(&status), invalid(&expected));

        let bad = CreateImportRequest {
            parent: PARENT.into(),
            import: Some(Import {
                format: Format::Vcard as i32,
                default_region: "germany".into(),
                mapping: [("Name".to_owned(), "display_name".to_owned())].into(),
                ..Import::default()
            }),
            ..CreateImportRequest::default()
        };
        let answer = suite.transfers.create_import(bad).await;
        let expected = ["import.default_region", "import.mapping"];
        assert_eq!(told(&answer.expect_err("refused")), invalid(&expected));
    })
    .await;
}
