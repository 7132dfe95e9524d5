//! Contacts are opened by following the directory, or when somebody asks before the log arrives.

use diesel::prelude::*;
use diesel::sql_types::Bool;
use proto::contacts::v1::{self, Contact, contact};
use proto::pipeline::v1::{GetPositionRequest, ListPositionsRequest, position};
use store::testing::soon;
use tonic::Code;

use crate::holding::new_epoch;
use crate::suite::{Suite, eventually, metadata, on_each_engine, reason};

const ADA: &str = "workspaces/default/contacts/ada";

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_is_opened_by_the_log_and_told_back() {
    on_each_engine(async |suite| {
        suite.directory.person(ADA, "");
        let recorded =
            eventually("the projection", || async { suite.directory.recorded(ADA) }).await;
        assert_eq!(
            (recorded.stage.as_str(), recorded.role, recorded.revision),
            ("lead", 2, 1)
        );
        let position = suite.one.position(ADA).await.expect("a position");
        assert_eq!(position.stage, "lead");
        assert_eq!(position.state(), position::State::Open);
        assert_eq!(
            position.policy_revision,
            "workspaces/default/policies/default/revisions/1"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_before_the_log_arrives_opens() {
    for engine in store::testing::engines() {
        let suite = Suite::with_background(&engine, false).await;
        suite.directory.person(ADA, "prospect");
        let position = suite.one.position(ADA).await.expect("a position");
        assert_eq!(position.stage, "prospect");
        assert!(position.entitlements.contains(&"proposal".to_owned()));
        let absent = suite
            .one
            .position("workspaces/default/contacts/nobody")
            .await;
        let absent = absent.expect_err("nobody");
        assert_eq!(
            (absent.code(), reason(&absent).as_str()),
            (Code::NotFound, "RESOURCE_NOT_FOUND")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_opening_says_why_and_opens_when_a_later_fact_satisfies_it() {
    on_each_engine(async |suite| {
        let person = suite.directory.person(ADA, "prospect");
        // Entering prospect needs an e-mail address.
        suite.directory.put(Contact {
            emails: Vec::new(),
            ..person
        });
        let position = suite.one.position(ADA).await.expect("a position");
        assert_eq!(position.state(), position::State::None);
        assert!(!position.refusal.is_empty());
        assert_eq!((position.role, position.revision), (0, 0));
        suite.directory.change(ADA, |contact| {
            contact.emails.push(v1::Email {
                address: "ada@example.com".to_owned(),
                ..v1::Email::default()
            });
        });
        eventually("the opening", || async {
            let position = suite.one.position(ADA).await.expect("a position");
            (position.stage == "prospect").then_some(())
        })
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_was_refused_first_is_one_when_it_opens() {
    on_each_engine(async |suite| {
        // Entering prospect needs an e-mail address.
        let person = Contact {
            name: ADA.to_owned(),
            kind: contact::Kind::Person as i32,
            emails: vec![v1::Email {
                address: "ada@example.com".to_owned(),
                ..v1::Email::default()
            }],
            requested_stage: "prospect".to_owned(),
            ..Contact::default()
        };
        suite.directory.put(Contact {
            emails: Vec::new(),
            source: Some(v1::Source {
                channel: v1::source::Channel::Import as i32,
                ..v1::Source::default()
            }),
            ..person.clone()
        });
        eventually("the refusal", || async {
            let position = suite.one.position(ADA).await.expect("a position");
            (!position.refusal.is_empty()).then_some(())
        })
        .await;
        suite
            .directory
            .change(ADA, |contact| contact.emails.clone_from(&person.emails));
        eventually("the opening", || async {
            let position = suite.one.position(ADA).await.expect("a position");
            (position.stage == "prospect").then_some(())
        })
        .await;
        // Callers are shown an opening; the history keeps what kind it was.
        let imported =
            "EXISTS (SELECT 1 FROM transitions WHERE contact = 'ada' AND cause = 'IMPORT')";
        let store = suite.store();
        let found = store.across().read("test", soon(), move |conn| {
            let found = diesel::select(diesel::dsl::sql::<Bool>(imported));
            Ok::<_, store::Error>(found.get_result::<bool>(conn)?)
        });
        assert!(found.await.expect("the history"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_token_makes_a_read_as_fresh_as_the_directory() {
    for engine in store::testing::engines() {
        let suite = Suite::with_background(&engine, false).await;
        let person = suite.directory.person(ADA, "prospect");
        suite.directory.put(Contact {
            emails: Vec::new(),
            ..person
        });
        assert_eq!(suite.one.position(ADA).await.expect("a position").stage, "");
        suite.directory.person(ADA, "prospect");
        let request = GetPositionRequest {
            name: format!("{ADA}/position"),
            at_least_as_fresh_as: vec![suite.directory.token()],
            ..GetPositionRequest::default()
        };
        let answer = suite.one.positions().get_position(request.clone()).await;
        let position = answer
            .expect("a position")
            .into_inner()
            .position
            .expect("a position");
        assert_eq!(position.stage, "prospect");
        // Lists wait for the follower, which does not run here.
        let request = ListPositionsRequest {
            parent: "workspaces/default".to_owned(),
            at_least_as_fresh_as: request.at_least_as_fresh_as,
            ..ListPositionsRequest::default()
        };
        let late = suite
            .one
            .positions()
            .list_positions(request)
            .await
            .expect_err("too late");
        assert_eq!(reason(&late), "CONSISTENCY_NOT_REACHED");
        assert_eq!(metadata(&late, "service"), "contacts");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_is_confirmed_and_an_undeleted_contact_stands_where_it_stood() {
    on_each_engine(async |suite| {
        suite.directory.person(ADA, "client");
        assert_eq!(
            suite.one.position(ADA).await.expect("a position").stage,
            "client"
        );
        suite.directory.change(ADA, |contact| {
            contact.state = contact::State::Deleting as i32;
        });
        eventually("the confirmation", || async {
            let contact = suite.directory.get(ADA).expect("the contact");
            (contact.state() == contact::State::Deleted).then_some(())
        })
        .await;
        let position = suite.one.position(ADA).await.expect("a position");
        assert_eq!(
            (position.state(), position.revision),
            (position::State::None, 2)
        );
        let refused = suite
            .one
            .convert(ADA, "client")
            .await
            .expect_err("it is deleted");
        assert_eq!(reason(&refused), "RESOURCE_DELETED");
        suite.directory.change(ADA, |contact| {
            contact.state = contact::State::Active as i32;
        });
        eventually("the reopening", || async {
            let position = suite.one.position(ADA).await.expect("a position");
            (position.stage == "client" && position.revision == 3).then_some(())
        })
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_cursor_is_made_good_by_a_snapshot() {
    on_each_engine(async |suite| {
        suite.directory.person(ADA, "");
        eventually("the opening", || async { suite.directory.recorded(ADA) }).await;
        let next = suite.another().await;
        std::mem::replace(&mut suite.one, next).stop().await;
        let idle = Suite::with_background(&suite.engine, false).await;
        drop(idle);
        // While nobody follows, the log is pruned past the cursor.
        for number in 0..20 {
            suite
                .directory
                .person(&format!("workspaces/default/contacts/c{number}"), "");
        }
        suite.directory.prune();
        eventually("everybody", || async {
            (0..20)
                .all(|number| {
                    let name = format!("workspaces/default/contacts/c{number}");
                    suite.directory.recorded(&name).is_some()
                })
                .then_some(())
        })
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_directory_is_told_how_far_it_was_told() {
    on_each_engine(async |suite| {
        suite.directory.person(ADA, "lead");
        let converted = suite.one.convert(ADA, "prospect").await.expect("converted");
        let token: types::Token = converted.consistency_token.parse().expect("a token");
        eventually("the token", || async {
            let through = suite.directory.complete_through();
            let through: types::Token = through.parse().ok()?;
            ((through.epoch, through.tx, through.id) >= (token.epoch, token.tx, token.id))
                .then_some(())
        })
        .await;
        let recorded = suite.directory.recorded(ADA).expect("recorded");
        assert_eq!(recorded.stage, "prospect");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_told_again_after_a_restore_of_either_database() {
    on_each_engine(async |suite| {
        let bob = "workspaces/default/contacts/bob";
        suite.directory.person(ADA, "");
        suite.directory.person(bob, "");
        for contact in [ADA, bob] {
            eventually("the projection", || async {
                suite.directory.recorded(contact)
            })
            .await;
        }
        // The directory's next message is one of its new life.
        suite.directory.restore();
        suite
            .directory
            .change(bob, |bob| bob.display_name = "Other".to_owned());
        eventually("all of it once more", || async {
            suite.directory.recorded(ADA)
        })
        .await;
        suite.directory.lose_positions();
        new_epoch(suite).await;
        eventually("all of it in the new epoch", || async {
            suite.directory.recorded(ADA)
        })
        .await;
    })
    .await;
}
