//! The names of purged contacts, which nobody gets again.

use std::future::ready;
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use proto::contacts::v1::import_row::Outcome;
use proto::contacts::v1::{
    Contact, CreateContactRequest, GetContactRequest, UpdateContactRequest, contact,
};
use proto::errors::v1::Reason;
use tonic::{Code, Response, Status};

use crate::creates::{at_once, numbered};
use crate::import_matches::checked_and_run;
use crate::removals::delete;
use crate::support::{REQUEST_ID, Suite, create, eventually, name, on_each_engine, refused};

/// Creates a contact, deletes it and lets its time pass, in a new process.
async fn with_purged(mut suite: Suite, id: &str) -> Suite {
    suite.create(id, Contact::default()).await;
    delete(&mut suite, id).await;
    suite.clock.advance(Duration::from_hours(31 * 24));
    // A new process looks at once at what is over.
    let suite = suite.restarted().await;
    eventually("the purge", || {
        let mut contacts = suite.contacts.clone();
        async move {
            let request = GetContactRequest {
                name: name(id),
                ..GetContactRequest::default()
            };
            contacts.get_contact(request).await.err()
        }
    })
    .await;
    suite
}

fn named(id: &str) -> CreateContactRequest {
    CreateContactRequest {
        contact_id: id.into(),
        ..create(Contact::default())
    }
}

/// The refusal, which says why and what to do.
fn kept_apart<T>(answer: Result<Response<T>, Status>, id: &str) {
    let text = answer
        .as_ref()
        .err()
        .map(|status| status.message().to_owned());
    let metadata = refused(answer, Code::AlreadyExists, Reason::ResourceExists);
    assert_eq!(metadata["resource"], name(id));
    let text = text.unwrap_or_default();
    assert!(
        text.contains("purged") && text.contains("take another id"),
        "{text}"
    );
}

#[tokio::test]
async fn nobody_is_created_under_the_name_of_a_purged_contact() {
    on_each_engine(|suite| async move {
        let mut suite = with_purged(suite, "ada").await;
        let company = Contact {
            kind: contact::Kind::Company as i32,
            ..Contact::default()
        };
        suite.create("example-ltd", company).await;
        let of_company = Contact {
            company: name("example-ltd"),
            ..Contact::default()
        };
        for request in [
            named("ada"),
            CreateContactRequest {
                request_id: REQUEST_ID.into(),
                ..named("ada")
            },
            CreateContactRequest {
                validate_only: true,
                ..named("ada")
            },
            CreateContactRequest {
                contact: Some(of_company),
                ..named("ada")
            },
        ] {
            kept_apart(suite.contacts.create_contact(request).await, "ada");
        }
        let anew = UpdateContactRequest {
            contact: Some(Contact {
                name: name("ada"),
                ..Contact::default()
            }),
            update_mask: Some(prost_types::FieldMask {
                paths: vec!["*".into()],
            }),
            allow_missing: true,
            ..UpdateContactRequest::default()
        };
        kept_apart(suite.contacts.update_contact(anew).await, "ada");

        // Others are created, together with one that is refused or not, and elsewhere too.
        let mut requests: Vec<_> = (0..40).map(numbered).collect();
        requests[17].contact_id = "ada".into();
        let mut answers = at_once(&suite, requests).await;
        kept_apart(answers.remove(17), "ada");
        assert!(answers.into_iter().all(|answer| answer.is_ok()));
        let elsewhere = CreateContactRequest {
            parent: "workspaces/elsewhere".into(),
            ..named("ada")
        };
        let created = suite.contacts.create_contact(elsewhere).await;
        created.expect("another workspace's");
    })
    .await;
}

#[tokio::test]
async fn a_row_with_the_name_of_a_purged_contact_is_refused() {
    on_each_engine(|suite| async move {
        let mut suite = with_purged(suite, "ada").await;
        let row = |id| format!("{{\"name\":\"{}\",\"displayName\":\"Ada\"}}\n", name(id));
        let told = checked_and_run(&mut suite, &(row("ada") + &row("eve"))).await;
        let problem = format!(
            "the contact {} is purged, and its name is not given again: leave the name out",
            name("ada")
        );
        let expected = [
            (Outcome::Refused, vec![problem]),
            (Outcome::Created, Vec::new()),
        ];
        assert_eq!(told, expected);
    })
    .await;
}

/// On PostgreSQL alone: whoever purges keeps all others from writing on SQLite.
#[tokio::test]
async fn whoever_waits_for_a_purge_does_not_get_the_name() {
    on_each_engine(|mut suite| async move {
        if !suite.engine.is_postgres() {
            return;
        }
        suite.create("ada", Contact::default()).await;
        let mut purge = PgConnection::establish(suite.url()).expect("a connection");
        let begun = purge.batch_execute(
            "SET clientele.workspace = '*'; BEGIN; \
             INSERT INTO purged_contacts (workspace, contact) VALUES ('w', 'ada'); \
             DELETE FROM contacts WHERE workspace = 'w' AND contact = 'ada'",
        );
        begun.expect("it is under way");
        let requests = ["ada", "bob", "eve"].map(named).to_vec();
        let creating = at_once(&suite, requests);
        let purging = async {
            eventually("one waits", || {
                let waiting = "SELECT 1 FROM pg_stat_activity \
                    WHERE datname = current_database() AND wait_event_type = 'Lock'";
                let waits = diesel::sql_query(waiting).execute(&mut purge);
                ready((waits != Ok(0)).then_some(()))
            })
            .await;
            purge.batch_execute("COMMIT").expect("purged");
        };
        let (mut answers, ()) = tokio::join!(creating, purging);
        kept_apart(answers.remove(0), "ada");
        assert!(answers.into_iter().all(|answer| answer.is_ok()));
    })
    .await;
}
