//! Where contacts stood at an earlier time is what was answered then.

use proto::convert::timestamp_to_wire;
use proto::pipeline::v1::{GetPositionRequest, Position, position};
use types::{Clock, Micros};

use crate::activating::{ADA, BOB, activate, create, populated, renamed};
use crate::holding::{acknowledge, free_switch, hasty, held_client, orders};
use crate::suite::{Instance, on_each_engine, reason};

fn now() -> Micros {
    Clock::system().now()
}

async fn as_of(instance: &Instance, contact: &str, time: Micros) -> Position {
    let request = GetPositionRequest {
        name: format!("{contact}/position"),
        as_of: Some(timestamp_to_wire(time)),
        ..GetPositionRequest::default()
    };
    let answer = instance.positions().get_position(request).await;
    let answer = answer.expect("an answer").into_inner();
    answer.position.expect("a position")
}

fn has(position: &Position, entitlement: &str) -> bool {
    position.entitlements.iter().any(|key| key == entitlement)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_that_was_in_force_counts_also_where_nobody_moved() {
    on_each_engine(async |suite| {
        let mut definition = populated(suite).await;
        for stage in &mut definition.stages {
            stage.entitlements.retain(|key| key != "project");
        }
        let before = now();
        let less = create(&suite.one, "less", definition.clone()).await;
        let less = less.expect("created").revision;
        activate(&suite.one, &less, &[], false)
            .await
            .expect("activated");
        let after = now();
        let names = [("lead", "warm"), ("client", "won"), ("contact", "met")];
        let other = create(&suite.one, "other", renamed(definition, &names)).await;
        let other = other.expect("created").revision;
        activate(&suite.one, &other, &names, false)
            .await
            .expect("activated");
        // Whether the map is written down by then or not.
        let mapped = now();
        for (time, stage, projects) in [
            (before, "client", true),
            (after, "client", false),
            (mapped, "won", false),
        ] {
            let shown = as_of(&suite.one, BOB, time).await;
            assert_eq!(
                (shown.stage.as_str(), has(&shown, "project")),
                (stage, projects)
            );
            assert!(has(&shown, "invoice"));
        }
        assert_eq!(as_of(&suite.one, ADA, mapped).await.stage, "warm");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_that_waited_took_effect_when_it_was_complete() {
    on_each_engine(async |suite| {
        free_switch(suite).await;
        held_client(suite, ADA).await;
        let waiting = hasty(&suite.one, ADA, "lead", "").await.expect("accepted");
        assert_eq!(waiting.state(), position::State::Revoking);
        let meanwhile = now();
        let told = orders(&suite.one).await;
        assert!(acknowledge(&suite.one, &told.recalls[0], told.epoch).await);
        let then = as_of(&suite.one, ADA, meanwhile).await;
        assert_eq!(then.stage, "client");
        assert!(has(&then, "invoice"));
        let moved = as_of(&suite.one, ADA, now()).await;
        assert_eq!(moved.stage, "lead");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_read_also_for_an_earlier_time() {
    on_each_engine(async |suite| {
        suite.directory.person(ADA, "");
        let request = GetPositionRequest {
            name: format!("{ADA}/position"),
            as_of: Some(timestamp_to_wire(now())),
            at_least_as_fresh_as: vec!["nonsense".to_owned()],
        };
        let refused = suite.one.positions().get_position(request).await;
        assert_eq!(
            reason(&refused.expect_err("no token")),
            "CONSISTENCY_TOKEN_FOREIGN"
        );
    })
    .await;
}
