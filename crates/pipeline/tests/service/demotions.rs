//! Demotions by facts: whom they keep waiting.

use proto::pipeline::v1::{
    PolicyDefinition, PolicyTrigger, policy_trigger::Event, policy_trigger::Firing, position,
};

use crate::activating::{ADA, BOB, activate, create, preset};
use crate::holding::held_client;
use crate::suite::{Suite, eventually};

const CARL: &str = "workspaces/default/contacts/carl";

/// `free-switch`, with clients demoted who lose their e-mail address.
async fn demoting(suite: &Suite) -> PolicyDefinition {
    let mut definition = preset(&suite.one, "free-switch").await;
    definition.triggers.push(PolicyTrigger {
        id: "unreachable".to_owned(),
        on: Event::Fact as i32,
        when: "!contact.has_email".to_owned(),
        from: vec!["client".to_owned()],
        to: "contact".to_owned(),
        mode: Firing::Auto as i32,
        ..PolicyTrigger::default()
    });
    definition
}

#[tokio::test(flavor = "multi_thread")]
async fn a_demotion_that_waits_keeps_nobody_else_waiting() {
    for engine in store::testing::engines() {
        let mut suite = Suite::with_background(&engine, false).await;
        let new = create(&suite.one, "demoting", demoting(&suite).await).await;
        let revision = new.expect("created").revision;
        let activated = activate(&suite.one, &revision, &[], false).await;
        activated.expect("activated");
        suite.one.attach().await;
        held_client(&suite, BOB).await;
        suite.directory.change(BOB, |bob| bob.emails.clear());
        suite.directory.person(ADA, "");
        suite.directory.person(CARL, "");
        // The snapshot makes all three due at once.
        suite.restart().await;
        for new in [ADA, CARL] {
            let recorded = eventually("an opening", || async {
                suite
                    .directory
                    .recorded(new)
                    .filter(|recorded| !recorded.stage.is_empty())
            });
            assert_eq!(recorded.await.stage, "contact");
        }
        eventually("the demotion", || async {
            let position = suite.one.position(BOB).await.expect("a position");
            (position.state() == position::State::Revoking).then_some(())
        })
        .await;
        suite.one.kill().await;
    }
}
