//! New contacts from the directory's log: opened together, each exactly once.

use proto::pipeline::v1::{ConvertContactRequest, VerifyHistoryRequest};
use tokio::task::JoinSet;

use crate::suite::{Instance, Suite, eventually, on_each_engine, reason};

fn name(number: usize) -> String {
    format!("workspaces/default/contacts/c{number}")
}

/// Waits until the directory was told where a contact stands.
async fn told(suite: &Suite, number: usize) {
    eventually("an opening", || async {
        suite.directory.recorded(&name(number))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_contacts_are_opened_without_being_put_on_the_list() {
    on_each_engine(async |suite| {
        suite.directory.person(&name(0), "");
        told(suite, 0).await;
        let refuse = if suite.engine.is_postgres() {
            "CREATE TRIGGER nobody BEFORE INSERT ON evaluations \
             FOR EACH ROW EXECUTE FUNCTION refuse_change('nobody is put on the list')"
        } else {
            "CREATE TRIGGER nobody BEFORE INSERT ON evaluations \
             BEGIN SELECT RAISE(ABORT, 'nobody is put on the list'); END"
        };
        suite.sql(refuse).expect("a trigger");
        for number in 1..=70 {
            suite.directory.person(&name(number), "");
        }
        for number in 1..=70 {
            told(suite, number).await;
        }
    })
    .await;
}

/// Converts a contact as soon as the directory knows it, as clients do who may call again.
fn convert(instance: &Instance, number: usize, calls: &mut JoinSet<()>) {
    let mut positions = instance.positions();
    let request = ConvertContactRequest {
        contact: name(number),
        stage: "client".to_owned(),
        ..ConvertContactRequest::default()
    };
    calls.spawn(async move {
        loop {
            match positions.convert_contact(request.clone()).await {
                Ok(_) => return,
                Err(refused) => {
                    let again = ["OVERLOADED", "CONCURRENT_UPDATE"];
                    let why = reason(&refused);
                    assert!(again.contains(&why.as_str()), "{why}");
                }
            }
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_contact_that_is_converted_at_once_is_opened_once() {
    on_each_engine(async |suite| {
        let other = suite.another().await;
        suite.directory.person(&name(0), "");
        told(suite, 0).await;
        let mut calls = JoinSet::new();
        for number in 1..=30 {
            suite.directory.person(&name(number), "");
            let instance = if number % 2 == 0 { &suite.one } else { &other };
            convert(instance, number, &mut calls);
        }
        while let Some(call) = calls.join_next().await {
            call.expect("a client");
        }
        for number in 1..=30 {
            let position = suite.one.position(&name(number)).await;
            let position = position.expect("a position");
            assert_eq!((position.stage.as_str(), position.revision), ("client", 2));
        }
        let request = VerifyHistoryRequest {
            parent: "workspaces/default/contacts/-".to_owned(),
        };
        let verified = suite.one.positions().verify_history(request).await;
        let verified = verified.expect("it holds").into_inner();
        assert_eq!((verified.contacts, verified.transitions), (31, 61));
        other.stop().await;
    })
    .await;
}
