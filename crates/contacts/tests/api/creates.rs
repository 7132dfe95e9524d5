//! Creates at once: they are written together, and each is answered for itself.

use std::collections::BTreeSet;
use std::time::Duration;

use diesel::connection::{Connection as _, SimpleConnection as _};
use diesel::pg::PgConnection;
use proto::contacts::v1::{
    Contact, CreateContactRequest, CreateContactResponse, ExternalId, GetContactRequest,
};
use proto::errors::v1::Reason;
use tonic::{Code, Request, Response, Status};
use types::Token;

use crate::support::{
    REQUEST_ID, Suite, create, is_replayed, name, on_each_engine, person, refused,
};

/// So many that some of them wait while others are written.
const MANY: usize = 40;

pub type Answer = Result<Response<CreateContactResponse>, Status>;

/// The answers to requests that are made at once, in their order.
pub async fn at_once(suite: &Suite, requests: Vec<CreateContactRequest>) -> Vec<Answer> {
    let calls = requests.into_iter().map(|request| {
        let mut contacts = suite.contacts.clone();
        async move { contacts.create_contact(request).await }
    });
    futures::future::join_all(calls).await
}

pub fn numbered(number: usize) -> CreateContactRequest {
    CreateContactRequest {
        contact_id: format!("c{number}"),
        request_id: REQUEST_ID.replace("ad90", &format!("{number:04}")),
        ..create(person("Ada", &format!("ada{number}@example.com")))
    }
}

fn with_external_id(request: CreateContactRequest, id: &str) -> CreateContactRequest {
    let contact = Contact {
        external_ids: vec![ExternalId {
            system: "erp".into(),
            id: id.into(),
        }],
        ..request.contact.unwrap_or_default()
    };
    CreateContactRequest {
        contact: Some(contact),
        ..request
    }
}

#[tokio::test]
async fn each_contact_is_there_with_what_it_is_looked_up_by_and_its_place_in_the_log() {
    on_each_engine(|mut suite| async move {
        let requests =
            (0..MANY).map(|number| with_external_id(numbered(number), &number.to_string()));
        let requests: Vec<_> = requests.collect();
        let answers = at_once(&suite, requests.clone()).await;
        let mut tokens = BTreeSet::new();
        for (number, answer) in answers.into_iter().enumerate() {
            let answer = answer.expect("created").into_inner();
            let contact = answer.contact.expect("a contact");
            assert_eq!(
                contact.emails[0].address,
                format!("ada{number}@example.com")
            );
            tokens.insert(answer.consistency_token);
            let request = GetContactRequest {
                name: name(&format!("c{number}")),
                ..GetContactRequest::default()
            };
            let found = suite.contacts.get_contact(request).await.expect("found");
            assert_eq!(found.into_inner().contact, Some(contact));
        }
        assert_eq!(tokens.len(), MANY, "no two stand at one place of the log");
        if suite.engine.is_postgres() {
            let transactions = tokens.iter().map(|token| {
                let token: Token = token.parse().expect("a token");
                token.tx
            });
            let transactions: BTreeSet<i64> = transactions.collect();
            assert!(transactions.len() < MANY / 2, "most went together");
        }
        for answer in at_once(&suite, requests).await {
            assert!(is_replayed(&answer.expect("the answer of before")));
        }
    })
    .await;
}

#[tokio::test]
async fn what_one_does_wrong_is_told_to_nobody_else() {
    on_each_engine(|mut suite| async move {
        let taken = with_external_id(numbered(9000), "7");
        suite.contacts.create_contact(taken).await.expect("created");
        let mut requests: Vec<_> = (0..MANY).map(numbered).collect();
        // The id of a contact, the external id of another, and a request id with other content.
        requests[5].contact_id = "c9000".into();
        requests[15] = with_external_id(requests[15].clone(), "7");
        requests[25]
            .request_id
            .clone_from(&numbered(9000).request_id);
        let mut answers = at_once(&suite, requests).await;
        refused(
            answers.remove(25),
            Code::InvalidArgument,
            Reason::RequestIdReused,
        );
        refused(
            answers.remove(15),
            Code::AlreadyExists,
            Reason::DuplicateIdentity,
        );
        refused(
            answers.remove(5),
            Code::AlreadyExists,
            Reason::ResourceExists,
        );
        for answer in answers {
            assert!(!is_replayed(&answer.expect("created")));
        }
    })
    .await;
}

/// On PostgreSQL alone: whoever writes keeps all others from writing on SQLite, whatever they write.
#[tokio::test]
async fn who_waits_for_a_row_keeps_nobody_waiting_who_came_at_the_same_time() {
    on_each_engine(|mut suite| async move {
        if !suite.engine.is_postgres() {
            return;
        }
        suite.create("bob", Contact::default()).await;
        let mut other = PgConnection::establish(suite.url()).expect("a connection");
        let taking = "BEGIN; SET LOCAL clientele.workspace = '*'; \
                      INSERT INTO contact_external_ids (workspace, system, external_id, contact) \
                      SELECT 'w', 'erp', id, 'bob' FROM unnest(ARRAY['0', '1', '20']) AS ids (id)";
        other.batch_execute(taking).expect("PostgreSQL does it");
        let mut requests: Vec<_> = (0..MANY).map(numbered).collect();
        // The two that come first have nobody to go with, the third has.
        for number in [0, 1, 20] {
            let request = with_external_id(requests[number].clone(), &number.to_string());
            requests[number] = CreateContactRequest {
                request_id: String::new(),
                ..request
            };
        }
        let calls = requests.into_iter().map(|request| {
            let (mut contacts, mut request) = (suite.contacts.clone(), Request::new(request));
            request.set_timeout(Duration::from_secs(20));
            tokio::spawn(async move { contacts.create_contact(request).await })
        });
        let mut calls: Vec<_> = calls.collect();
        let waiting = [20, 1, 0].map(|number| calls.remove(number));
        for call in calls {
            call.await.expect("no panic").expect("created");
        }
        // Nobody is refused for as long as there is time.
        let [mut first, second, third] = waiting;
        let patience = Duration::from_secs(3);
        assert!(tokio::time::timeout(patience, &mut first).await.is_err());
        assert!(!second.is_finished() && !third.is_finished());
        other.batch_execute("ROLLBACK").expect("PostgreSQL does it");
        for call in [first, second, third] {
            call.await.expect("no panic").expect("created");
        }
    })
    .await;
}
